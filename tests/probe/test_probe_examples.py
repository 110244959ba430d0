"""The examples that a unit answers to most, and the walk over a data set."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.data import Preprocessing, bundled
from lensmith.probe.examples import most_activating
from lensmith.probe.subject import Subject
from lensmith.probe.walking import small, walk
from lensmith.records import Record

COMPACT = replace(zoo.get("compact"), input=(8, 8, 1))


def brightest(sides: tuple[int, int] = (6, 8)) -> Subject:
    """A model whose one channel is the largest 2×2 mean of gray values 0..255, at stride 2."""
    image = keras.Input((*sides, 1))
    maps = keras.layers.AveragePooling2D(2, name="means")(image)
    vector = keras.layers.GlobalAveragePooling2D(name="vector")(maps)
    return Subject(keras.Model(image, vector), Preprocessing(image=(*sides, 1), scaling="none"))


def spotted(row: int, column: int, value: int = 200) -> np.ndarray:
    """A black image with a bright 2×2 square."""
    pixels = np.zeros((6, 8, 1), np.uint8)
    pixels[row : row + 2, column : column + 2] = value
    return pixels


@pytest.mark.backends
def test_the_strongest_come_first_with_their_place() -> None:
    images = [spotted(0, 0, 10), spotted(4, 2, 30), spotted(2, 6, 20)]
    best = most_activating(brightest(), images, "means", 0, count=2)
    assert [(one.place, one.source, one.value) for one in best.found] == [
        (1, "example 2", 30.0),
        (2, "example 3", 20.0),
    ]
    assert [one.patch for one in best.found] == [(4, 2, 6, 4), (2, 6, 4, 8)]
    assert [one.position for one in best.found] == [(4.5, 2.5), (2.5, 6.5)]
    assert np.array_equal(best.found[0].content, images[1]) and best.found[0].content.dtype == np.uint8
    assert (best.layer, best.unit, best.by, best.seen, best.set_aside) == ("means", 0, "maximum", 3, ())


def test_by_the_mean_has_no_place() -> None:
    images = [spotted(0, 0, 96), np.full((6, 8, 1), 9, np.uint8)]
    best = most_activating(brightest(), images, "means", 0, by="mean")
    assert [one.source for one in best.found] == ["example 2", "example 1"]  # 9 against 96 · 4 / 48 = 8
    assert [(one.value, one.position, one.patch) for one in best.found] == [(9.0, None, None), (8.0, None, None)]


def test_a_vector_is_taken_by_its_value() -> None:
    best = most_activating(brightest(), [spotted(0, 0, 48)], "vector", 0)
    assert (best.found[0].value, best.found[0].position) == (4.0, None)


def test_patches_are_cut_at_the_border_of_the_image() -> None:
    model = COMPACT.build(seed=0)
    subject = Subject(model, Preprocessing(image=(8, 8, 1)))
    best = most_activating(subject, bundled("digits")[:8], "learner-group1-block2-norm", 0)
    for one in best.found:
        assert one.patch is not None and one.position is not None
        top, left, bottom, right = one.patch
        assert 0 <= top < bottom <= 8 and 0 <= left < right <= 8
        assert top <= one.position[0] <= bottom and left <= one.position[1] <= right


@given(
    values=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    count=st.integers(1, 6),
    batch=st.sampled_from([1, 3, 7]),
)
@settings(max_examples=25, deadline=None)
def test_it_is_what_sorting_everything_gives_and_ties_keep_their_order(
    values: list[int], count: int, batch: int
) -> None:
    images = [np.full((6, 8, 1), value, np.uint8) for value in values]
    best = most_activating(brightest(), images, "vector", 0, count=count, batch=batch)
    expected = sorted(range(len(values)), key=lambda place: -values[place])[:count]  # a stable sort
    assert [one.place for one in best.found] == expected
    assert [one.value for one in best.found] == [values[place] for place in expected]


def test_a_network_gives_what_its_whole_feature_maps_say() -> None:
    digits, model = bundled("digits")[:50], COMPACT.build(seed=1)
    subject = Subject(model, Preprocessing(image=(8, 8, 1)))
    layer = "learner-group2-block1-conv"
    maps = backend.predict(keras.Model(model.input, model.get_layer(layer).output), subject.inputs(digits))
    expected = np.argsort(-maps[..., 5].max(axis=(1, 2)), kind="stable")[:4]
    best = most_activating(subject, digits, layer, 5, count=4, batch=16)
    assert [one.place for one in best.found] == expected.tolist()
    assert best.to_dict()["found"][0]["source"] == f"digits:{expected[0]}"


def test_a_tap_stands_for_its_layer() -> None:
    subject = Subject(COMPACT.build(seed=0), Preprocessing(image=(8, 8, 1)))
    assert most_activating(subject, bundled("digits")[:3], "P1", 0).layer.startswith("learner-group2")


class Counted:
    """Images made when they are asked for, and how many of them there are at once."""

    def __init__(self, count: int) -> None:
        self.count, self.alive, self.most = count, 0, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for value in range(self.count):
            image = np.full((6, 8, 1), value % 251, np.uint8)
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(image, self._gone)
            yield image
            del image

    def _gone(self) -> None:
        self.alive -= 1


def test_no_more_than_a_batch_of_a_thousand_images_is_there_at_once() -> None:
    images, told = Counted(1000), list[tuple[int, int | None]]()
    best = most_activating(brightest(), images, "means", 0, batch=16, progress=lambda *at: told.append(at))
    assert images.most <= 16 and images.alive == 0
    assert [one.place for one in best.found[:4]] == [250, 501, 752, 249]  # 1000 = 3 · 251 + 247
    assert told[0] == (16, None) and told[-1] == (1000, None) and len(told) == 63


def test_how_many_there_are_is_told_where_it_is_known() -> None:
    told = list[Any]()
    walk(brightest(), [spotted(0, 0)] * 3, lambda block: None, batch=2, progress=lambda *at: told.append(at))
    assert told == [(2, 3), (3, 3)]


def test_what_cannot_be_read_is_set_aside_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    missing = Record("somewhere", image=tmp_path / "missing.png")
    row = Record("numbers", row=np.zeros(3, np.float32))
    best = most_activating(brightest(), [broken, spotted(0, 0, 5), missing, row], "means", 0)
    assert [one.place for one in best.found] == [1] and best.seen == 1
    reasons = {one.source: one.reason for one in best.set_aside}
    assert reasons[str(broken)] == "not an image that can be read, whatever its name says"
    assert reasons["somewhere"] == "the file is missing"
    assert reasons["numbers"] == "expected an example with the field 'image'; got a row"


def test_an_example_whose_unit_is_no_number_is_set_aside() -> None:
    image = keras.Input((2, 2, 1))
    model = keras.Model(image, keras.layers.Lambda(lambda x: 1 / x, name="inverse")(image))
    subject = Subject(model, Preprocessing(image=(2, 2, 1), scaling="none"))
    images = [np.full((2, 2, 1), value, np.uint8) for value in (0, 4)]
    best = most_activating(subject, images, "inverse", 0)
    assert [one.value for one in best.found] == [0.25] and best.seen == 1
    assert [one.source for one in best.set_aside] == ["example 1"] and "inf" in best.set_aside[0].reason


REFUSED = [
    # what is asked for; what the one line says
    ({"layer": "meens"}, "Did you mean 'means'?"),
    ({"unit": 1}, "unit of means: expected a whole number from 0 to 0; got 1"),
    ({"unit": -1}, "unit of means: expected a whole number from 0 to 0; got -1"),
    ({"unit": True}, "got True"),
    ({"count": 0}, "count: expected a whole number of at least 1; got 0"),
    ({"batch": 0}, "batch: expected a whole number of at least 1; got 0"),
    ({"by": "maximun"}, "Did you mean 'maximum'?"),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_wrong_setting_is_refused_in_one_line(wrong: dict[str, Any], says: str) -> None:
    settings = {"layer": "means", "unit": 0} | wrong
    with pytest.raises(check.SettingError) as refused:
        most_activating(brightest(), [spotted(0, 0)], **settings)
    assert says in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("examples", [[], [Path("/nowhere/a.png"), Path("/nowhere/b.png")]])
def test_nothing_to_look_at_is_an_error(examples: list[Path]) -> None:
    with pytest.raises(check.DataError, match=r"^examples: expected at least one; got none"):
        most_activating(brightest(), examples, "means", 0)


def test_rows_are_looked_at_too() -> None:
    columns = keras.Input((2,))
    dense = keras.layers.Dense(1, name="sum", kernel_initializer="ones")
    subject = Subject(keras.Model(columns, dense(columns)), Preprocessing(columns=2, scaling="none"))
    best = most_activating(subject, [np.array([1.0, 2.0]), np.array([4.0, 3.0])], "sum", 0)
    assert [one.value for one in best.found] == [7.0, 3.0] and best.found[0].content.tolist() == [4.0, 3.0]


def test_small_pictures_keep_their_proportions() -> None:
    picture = small(np.zeros((40, 80, 3), np.uint8), 20)
    assert picture is not None and picture.shape == (10, 20, 3)
    same = small(np.full((4, 8), 7, np.uint8), 20)
    assert same is not None and same.shape == (4, 8, 3) and (same == 7).all()
    assert small(np.zeros(3, np.float32), 20) is None
