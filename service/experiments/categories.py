"""Do the datasets of an experiment speak of the same things? If not, the user is shown what differs."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from service.datasets.categories import BDD100K_ALIASES, check_category_map, mapped_categories
from service.errors import InvalidRequest

SHOWN_NAMES = 12
CLOSE_ENOUGH = 0.7


def check_categories(
    training: Mapping[str, Sequence[str]],
    test: Sequence[str],
    category_map: Mapping[str, str],
    wanted: Sequence[str] | None,
) -> None:
    """`training`: the categories of each data, by its name; `wanted`: what the detector is to learn, None for
    all that there is.

    Raises:
        InvalidRequest: the lists differ and nobody said what to do about it, or nothing is in common.
    """
    check_category_map(category_map)
    lists = {**training, "test": test}
    _refuse_unknown_sources(category_map, lists)
    mapped = {data: set(mapped_categories(names, category_map)) for data, names in lists.items()}
    learnt = _all(mapped[data] for data in training)
    if not learnt & mapped["test"]:
        raise InvalidRequest(
            f"The training data and the test set have no category in common. {_shown(lists)}",
            _cure(mapped, "Say which names mean the same"),
        )
    if wanted is not None:
        _check_wanted(wanted, learnt, mapped["test"])
    elif len({frozenset(names) for names in mapped.values()}) > 1:
        only = sorted(_all(mapped.values()) - _common(mapped))
        raise InvalidRequest(
            f"The datasets do not have the same categories. {_shown(lists)} Only in some: {_listed(only)}.",
            _cure(mapped, "Say which names mean the same"),
        )


def _check_wanted(wanted: Sequence[str], learnt: set[str], test: set[str]) -> None:
    if not wanted:
        raise InvalidRequest("The list of categories is empty.", "Name one, or leave the list out.")
    for name in wanted:
        for place, known in (("training data", learnt), ("test set", test)):
            if name not in known:
                near = get_close_matches(name, sorted(known), n=1)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                cure = f"{hint}There are: {_listed(sorted(known))}."
                raise InvalidRequest(f"The category {name!r} is not in the {place}.", cure)


def _refuse_unknown_sources(category_map: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> None:
    known = sorted(_all(lists.values()))
    for name in category_map:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            cure = f"{hint}There are: {_listed(known)}."
            raise InvalidRequest(f"No dataset has the category {name!r} that is to become another.", cure)


def _cure(mapped: Mapping[str, set[str]], demand: str) -> str:
    common = sorted(_common(mapped))
    guesses = _guesses(mapped)
    example = " ".join(f"--map-category {name}={category}" for name, category in guesses)
    cure = f"{demand}: {example or '--map-category FROM=TO'} (category_map)"
    if common:
        cure += f"; or choose what is to be learnt: --categories {','.join(common)} (categories)"
    return cure + "."


def _guesses(mapped: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Names that some datasets lack, beside what those may call them."""
    common, everything = _common(mapped), _all(mapped.values())
    pairs: dict[str, str] = {}
    for name in sorted(everything - common):
        # Two names of one dataset are two things, however much they look alike.
        elsewhere = {
            other
            for other in everything - {name}
            if not any({name, other} <= all_ for all_ in mapped.values())
        }
        alias = BDD100K_ALIASES.get(name)
        near = [alias] if alias in elsewhere else get_close_matches(name, sorted(elsewhere), 1, CLOSE_ENOUGH)
        if near and near[0] is not None and name not in pairs.values() and near[0] not in pairs:
            pairs[name] = near[0]
    return list(pairs.items())


def _all(lists: Iterable[Iterable[str]]) -> set[str]:
    return {name for names in lists for name in names}


def _common(mapped: Mapping[str, set[str]]) -> set[str]:
    return {name for name in _all(mapped.values()) if all(name in names for names in mapped.values())}


def _shown(lists: Mapping[str, Sequence[str]]) -> str:
    return " ".join(f"{data}: {_listed(names)}." for data, names in lists.items())


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN_NAMES} more" if len(every) > SHOWN_NAMES else ""
    return (", ".join(every[:SHOWN_NAMES]) or "none") + more
