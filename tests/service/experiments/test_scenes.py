"""Scenes are read from what people have: a mapping, a table, a list of frames with their facts."""

import json

import pytest

from service.errors import InvalidRequest
from service.experiments.scenes import parse_scenes


def test_a_mapping_and_a_table_say_the_same() -> None:
    scenes = {"a.jpg": "lane", "b.jpg": "bus street"}
    assert parse_scenes(json.dumps(scenes), "scenes.json") == scenes
    assert parse_scenes('frame,scene\na.jpg,lane\n\nb.jpg,"bus street"\n', "scenes.CSV") == scenes
    assert parse_scenes("a.jpg,lane\nb.jpg,bus street", "scenes.csv") == scenes


def test_a_frame_with_folders_is_known_by_its_last_name_too_unless_two_scenes_share_it() -> None:
    images = {
        "day/a.jpg": {"scene": "lane", "luma": 3.0},
        "day/b.jpg": {"scene": "x"},
        "night/b.jpg": {"scene": "y"},
    }
    assert parse_scenes(json.dumps({"names": [], "images": images}), "splits.json") == {
        "day/a.jpg": "lane", "a.jpg": "lane", "day/b.jpg": "x", "night/b.jpg": "y",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("{", "s.json", "s.json is not JSON"),
        ("[1]", "s.json", "no object of frames and scenes"),
        ("{}", "s.json", "names no scene"),
        ('{"a.jpg": 3}', "s.json", "The frame 'a.jpg' has no scene"),
        ("a.jpg,lane,more", "s.csv", "Line 1 of the scenes is not FRAME,SCENE"),
        ("a.jpg,lane\nb.jpg,", "s.csv", "Line 2"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, name: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_scenes(text, name)
    assert said in str(error.value)
    assert '{"frame.jpg": "scene"' in str(error.value)
