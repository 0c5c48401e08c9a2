"""Category names: BDD100K's ten, its official aliases and ignore regions, and the user's own map."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from service.errors import InvalidRequest

MAX_NAME_CHARS = 128

# In the order of the official det_20 evaluation; a YOLO class is the place in this list.
BDD100K = (
    "pedestrian",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
    "traffic light",
    "traffic sign",
)

# The official det.toml of the bdd100k toolkit.
BDD100K_ALIASES = {
    "bike": "bicycle",
    "motor": "motorcycle",
    "person": "pedestrian",
    "caravan": "car",
    "van": "car",
}
BDD100K_IGNORED = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}

# What the two BDD100K writers call the categories again.
BDD100K_2018_NAMES = {"bicycle": "bike", "motorcycle": "motor", "pedestrian": "person"}
BDD100K_IGNORED_NAMES = {category: name for name, category in BDD100K_IGNORED.items()}

# A source's name -> (category, whether it marks an ignore region); None when the name is unknown.
Meaning = Callable[[str], tuple[str, bool] | None]


def bdd100k_meaning(category_map: Mapping[str, str]) -> Meaning:
    """BDD100K's names; the user's map goes first."""
    table = {name: (name, False) for name in BDD100K}
    table |= {name: (category, False) for name, category in BDD100K_ALIASES.items()}
    table |= {name: (category, True) for name, category in BDD100K_IGNORED.items()}
    table |= {name: (category, False) for name, category in category_map.items()}
    return table.get


def declared_meaning(category_map: Mapping[str, str]) -> Meaning:
    """For formats that declare their categories: every name stands for itself unless the map says more."""
    return lambda name: (category_map.get(name, name), False)


def mapped_categories(own: Sequence[str], category_map: Mapping[str, str]) -> tuple[str, ...]:
    """The categories that are left of `own` once renamed: in their order, new names after them."""
    kept = [name for name in own if category_map.get(name, name) == name]
    # Sorted: a map that went through a JSON column has lost its order.
    new = sorted({category_map[name] for name in own if name in category_map} - set(kept))
    return tuple(dict.fromkeys([*kept, *new]))


def bdd100k_categories(category_map: Mapping[str, str]) -> tuple[str, ...]:
    return (*BDD100K, *sorted(set(category_map.values()) - set(BDD100K)))


def name_fault(name: str) -> str | None:
    """Why `name` cannot be a category, or None. Any printable text can."""
    if not name.strip():
        return "is empty"
    if len(name) > MAX_NAME_CHARS:
        return f"is longer than {MAX_NAME_CHARS} characters"
    if not name.isprintable():
        return "holds a control or invisible character"
    return None


def parse_category_map(expressions: Iterable[str]) -> dict[str, str]:
    """`["bike=bicycle"]` -> `{"bike": "bicycle"}`.

    Raises:
        InvalidRequest: naming the expression.
    """
    pairs: dict[str, str] = {}
    for expression in expressions:
        name, equals, category = (part.strip() for part in expression.partition("="))
        if not (name and equals):
            raise InvalidRequest(f"{expression!r} is not a category map.", "Write NAME=CATEGORY.")
        if pairs.setdefault(name, category) != category:
            raise InvalidRequest(f"The category map names {name!r} twice.", "Keep one of the two.")
    check_category_map(pairs)
    return pairs


def check_category_map(pairs: Mapping[str, str]) -> None:
    """Raises InvalidRequest if a target cannot be a category name."""
    for name, category in pairs.items():
        if fault := name_fault(category):
            raise InvalidRequest(f"The category that {name!r} maps to {fault}.", "Write NAME=CATEGORY.")
