"""The grammar of arms: what may be written, how it is read back, what is refused and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.experiments.arms import (
    HIGHEST_SHARE,
    LOWEST_SHARE,
    MOST_FRAMES,
    Arm,
    Part,
    baseline,
    check_arms,
    mixed_arms,
    parse_arm,
    parse_arms,
    training_runs,
    upper_bound,
)

DATA = st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True).filter(lambda name: name != "enhance")
SHARES = st.floats(LOWEST_SHARE, HIGHEST_SHARE)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", fullmatch=True).filter(lambda n: n != "pretraining")
GENERATORS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,79}(:[0-9]{1,9})?", fullmatch=True)
RECIPES = st.one_of(
    st.builds(lambda generator: ((), generator), GENERATORS),
    st.lists(
        st.one_of(
            st.builds(Part, DATA, SHARES),
            st.builds(lambda data, frames: Part(data, None, frames), DATA, st.integers(1, MOST_FRAMES)),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda part: part.data,
    ).map(lambda parts: (tuple(parts), None)),
)


@given(recipe=RECIPES, name=st.none() | NAMES)
def test_an_arm_that_is_written_down_is_read_back_as_it_was(
    recipe: tuple[tuple[Part, ...], str | None], name: str | None
) -> None:
    parts, enhance = recipe
    own = f"enhance:{enhance}" if enhance else "+".join(map(str, parts))
    arm = Arm(name or own, parts, enhance)
    assert parse_arm(str(arm)) == arm


@given(text=st.text(max_size=30))
def test_any_other_text_is_refused_and_nothing_worse(text: str) -> None:
    try:
        arm = parse_arm(text)
    except InvalidRequest:
        return
    assert parse_arm(str(arm)) == arm


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("day", Arm("day", (Part("day"),))),
        ("day+night", Arm("day+night", (Part("day"), Part("night")))),
        ("day:1,synthetic:0.5", Arm("day+synthetic:0.5", (Part("day"), Part("synthetic", 0.5)))),
        (" day:2 ", Arm("day:2", (Part("day", 2.0),))),
        (
            "day#5000+night#5000",
            Arm("day#5000+night#5000", (Part("day", None, 5000), Part("night", None, 5000))),
        ),
        ("half=day:0.5, night:0.5", Arm("half", (Part("day", 0.5), Part("night", 0.5)))),
        ("enhance:sci-night2day", Arm("enhance:sci-night2day", (), "sci-night2day")),
        ("bright=enhance:sci-night2day:2", Arm("bright", (), "sci-night2day:2")),
    ],
)
def test_arms_are_read_as_they_are_meant(text: str, arm: Arm) -> None:
    assert parse_arm(text) == arm


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an arm"),
        ("day+", "'day+' is not an arm: '' is no part"),
        ("Day", "'Day' is no part"),
        ("day:", "'day:' is no part"),
        ("day:-1", "'day:-1' is no part"),
        ("day:0", "share 0 of 'day' is out of range"),
        ("day:1e3", "'day:1e3' is no part"),
        ("day#0", "0 frames of 'day'"),
        ("day#5#6", "'day#5#6' is no part"),
        ("day+day:2", "names 'day' twice. Write day:2"),
        ("enhance:", "'' is no generator's name"),
        ("enhance:../weights", "'../weights' is no generator's name"),
        ("enhance", "is not an arm"),
        ("day+enhance", "'enhance' cannot be the name of data"),
        ("=day", "its name is empty"),
        ("<b>=day", "'<b>' cannot be the name of an arm"),
        ("pretraining=day", "'pretraining' cannot be the name of an arm"),
    ],
)
def test_what_is_no_arm_is_named_in_the_error(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_arm(text)
    assert said in str(error.value)


def test_a_list_of_arms_has_commas_between_them() -> None:
    assert [arm.name for arm in parse_arms("day, day+night,enhance:sci")] == [
        "day",
        "day+night",
        "enhance:sci",
    ]


@pytest.mark.parametrize(
    ("arms", "data", "said"),
    [
        (
            "day,day+nigth",
            ["day", "night"],
            "uses 'nigth', for which no dataset was given. Did you mean 'night'?",
        ),
        ("day", ["day", "night"], "No arm uses the data 'night'. Add an arm such as day+night"),
        ("day,day", ["day"], "Two arms are called 'day'"),
        ("day+night,enhance:sci", ["day", "night"], "Add the arm 'day'"),
        (",".join(f"a{number}=day" for number in range(21)), ["day"], "21 arms"),
    ],
)
def test_arms_that_do_not_fit_are_refused(arms: str, data: list[str], said: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        check_arms(parse_arms(arms), data)
    assert said in str(error.value)


def test_brightening_needs_a_detector_of_any_share_of_day() -> None:
    check_arms([*parse_arms("day#100,enhance:sci")], ["day"])


def test_the_baseline_is_day_alone_and_the_bound_day_with_night() -> None:
    arms = parse_arms("day+night+synthetic,day#10,night:0.5+day:0.5,day+synthetic")
    assert baseline(arms).name == "day#10"
    bound = upper_bound(arms)
    assert bound is not None
    assert bound.name == "night:0.5+day:0.5"
    assert baseline(parse_arms("night,synthetic")).name == "night"
    assert upper_bound(parse_arms("day,night")) is None


def test_arms_are_mixed_from_day_and_each_other_data() -> None:
    assert [str(arm) for arm in mixed_arms(["night", "day", "rainy"])] == ["day", "day+night", "day+rainy"]


def test_every_trained_arm_runs_with_every_seed_seed_by_seed() -> None:
    spec = {"arms": [{"enhance": None}, {"enhance": {"name": "sci"}}, {"enhance": None}], "seeds": [4, 7]}
    assert training_runs(spec) == [(0, 4), (2, 4), (0, 7), (2, 7)]
