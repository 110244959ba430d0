"""Drawn scenes: what is where they say, the same each time, and no digit on both sides of a split."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check, data
from lensmith.data.formats.arrays.scene_sets import digit_scenes, digit_windows, one_digit
from lensmith.data.formats.arrays.scenes import Digits, Placed, handwritten, scattered, scene

BARS = np.zeros((2, 8, 8), np.uint8)
BARS[0, :, 2:4] = 255  # a bar down, of two columns
BARS[1, 4, :] = 255  # and one across, of one row
DRAWN = Digits(BARS, np.array([1, 7]))


def test_a_box_is_drawn_around_the_ink_where_it_was_placed():
    drawn = scene(DRAWN, [Placed(0, 3, 5, side=8), Placed(1, 20, 10, side=8)], size=(40, 30))
    assert drawn.image.shape == (40, 30, 1)
    assert drawn.boxes.xyxy.tolist() == [[7, 3, 9, 11], [10, 24, 18, 25]]
    assert drawn.boxes.classes.tolist() == [1, 7]
    assert int((drawn.image > 0).sum()) == 16 + 8
    assert (drawn.image[3:11, 7:9] == 255).all()


def test_a_digit_at_the_edge_is_cut_and_so_is_its_box():
    drawn = scene(DRAWN, [Placed(0, -3, 29 - 3, side=8)], size=(40, 30))
    assert drawn.boxes.xyxy.tolist() == [[28, 0, 30, 5]]


def test_where_two_digits_meet_the_brighter_pixel_stays():
    drawn = scene(DRAWN, [Placed(0, 0, 0, side=8), Placed(1, 0, 0, side=8)], size=(8, 8))
    np.testing.assert_array_equal(drawn.image[..., 0], BARS.max(axis=0))


def test_the_books_canvas_holds_a_smooth_digit_of_28_pixels():
    drawn = scene(handwritten(), [Placed(0, 56, 56)])
    x1, y1, x2, y2 = drawn.boxes.xyxy[0]
    assert drawn.image.shape == (140, 140, 1)
    assert 56 <= x1 < x2 <= 84
    assert 56 <= y1 < y2 <= 84
    assert y2 - y1 >= 26  # scikit-learn's digits fill their picture from top to bottom
    assert len(np.unique(drawn.image)) > 60


@pytest.mark.parametrize(
    ("placed", "line"),
    [
        (Placed(2, 0, 0), "scene: digit: expected 0 to 1; got 2"),
        (Placed(0, 50, 0, 8), "scene: expected a digit on the canvas of 40×30; got digit 0 at row 50, column 0"),
        (Placed(0, 0, 28, 8), "scene: expected a digit on the canvas of 40×30; got digit 0 at row 0, column 28"),
        (Placed(0, 0, 0, 0), "scene: side: expected a whole number of at least 1; got 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(placed, line):
    with pytest.raises(check.SettingError) as refused:
        scene(DRAWN, [placed], size=(40, 30))
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("images", "classes"),
    [
        (BARS.astype(float), [1, 7]),  # not whole
        (BARS[0], [1]),  # one image is no set
        (BARS, [1]),  # a class is missing
        (BARS, [1, 10]),  # not a digit
        (BARS, [1.0, 2.0]),
    ],
)
def test_digits_of_another_form_are_refused(images, classes):
    with pytest.raises(check.DataError, match=r"^digits: expected"):
        Digits(images, np.array(classes))


@given(st.integers(0, 1000), st.integers(0, 6), st.tuples(st.integers(8, 14), st.integers(14, 24)))
@settings(max_examples=25, deadline=None)
def test_scattered_digits_lie_on_the_canvas_and_hardly_overlap(seed, count, sides):
    drawn = scattered(handwritten(), range(count), size=(60, 70), sides=sides, seed=seed)
    boxes = drawn.boxes.xyxy
    assert len(boxes) <= count
    assert all(sides[0] <= one.side <= sides[1] for one in drawn.placed)
    assert all(0 <= one.top <= 60 - one.side and 0 <= one.left <= 70 - one.side for one in drawn.placed)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for i in range(len(boxes)):
        for j in range(i):
            shared = np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])
            assert np.prod(np.maximum(shared, 0)) <= 0.1 * min(area[i], area[j]) + 1e-6
    again = scattered(handwritten(), range(count), size=(60, 70), sides=sides, seed=seed)
    np.testing.assert_array_equal(again.image, drawn.image)


def test_sides_that_do_not_fit_are_refused():
    with pytest.raises(
        check.SettingError, match=r"^scattered.sides: expected the least before the largest, at most 30"
    ):
        scattered(handwritten(), [0], size=(30, 40), sides=(10, 31))


@pytest.mark.parametrize("name", ["one-digit", "digit-scenes", "digit-windows"])
def test_a_bundled_set_is_read_by_its_name_and_is_the_same_each_time(name):
    records, again = data.read(f"bundled:{name}"), data.bundled(name)
    assert records.name == f"bundled:{name}"
    assert [record.source for record in records] == [record.source for record in again]
    for record, other in list(zip(records, again, strict=True))[::100]:
        np.testing.assert_array_equal(record.image, other.image)
        assert record.targets == other.targets


@pytest.mark.parametrize("name", ["one-digit", "digit-scenes"])
def test_the_audit_finds_no_copies_and_no_leak(name):
    kinds = {finding.kind for finding in data.audit(data.bundled(name)).findings}
    assert not kinds & {"leakage", "duplicate", "near-duplicate", "empty", "unreadable"}
    records = data.bundled(name)
    assert [len(records.part(part)) for part in ("train", "validation", "test")] == [900, 300, 300]


def test_windows_are_split_by_the_digit_they_show():
    parts = data.split(digit_windows(count=600), 0.6, 0.2, 0.2, seed=0)
    groups = [{record.group for record in part} for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_no_digit_is_drawn_in_two_parts():
    marked = Digits(np.tile(np.arange(1, 101, dtype=np.uint8)[:, None, None] + 100, (1, 6, 6)), np.arange(100) % 10)
    for records in (one_digit(marked, count=60, sides=(20, 20)), digit_scenes(marked, count=60, sides=(20, 20))):
        # Each digit has a brightness of its own; grain is added to it, but the least of many pixels tells.
        seen = {part: set() for part in ("train", "validation", "test")}
        for record in records:
            boxes = record.targets.get("place", record.targets.get("objects")).xyxy.astype(int)
            for x1, y1, x2, y2 in boxes:
                seen[record.part].add(int(record.image[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].min()))
        assert not seen["train"] & seen["test"]
        assert not seen["train"] & seen["validation"]
        assert not seen["validation"] & seen["test"]


def test_one_digit_has_a_class_and_one_box_and_scenes_have_none_to_four():
    single = one_digit(count=50)
    assert {name: labels.kind for name, labels in single.labels.items()} == {"digit": "class", "place": "boxes"}
    assert {len(record.targets["place"]) for record in single} == {1}
    several = digit_scenes(count=200)
    assert several.labels["objects"].names == tuple("0123456789")
    assert {len(record.targets["objects"]) for record in several} == {0, 1, 2, 3, 4}
    assert set(np.concatenate([record.targets["objects"].classes for record in several])) == set(range(10))


def test_half_of_the_windows_hold_their_digit():
    windows = digit_windows(count=400)
    counts = windows.counts("label")
    assert counts["background"] == 200
    assert all(count > 5 for count in counts.values())
    bright = [float((record.image > 128).mean()) for record in windows]
    held = [share for share, record in zip(bright, windows, strict=True) if record.targets["label"] < 10]
    assert min(held) > 0.08


def test_too_few_digits_for_three_parts_are_refused():
    with pytest.raises(check.DataError, match="enough for three parts"):
        one_digit(DRAWN, count=30)
    with pytest.raises(check.SettingError, match=r"scenes\.count"):
        one_digit(DRAWN, count=0)


def test_scenes_are_drawn_of_mnist(shared_data, tmp_path):
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        content = (shared_data / "mnist" / f"{name}.gz").read_bytes()
        (tmp_path / name).write_bytes(gzip.decompress(content))
    digits = Digits.of(data.read(tmp_path)[:200])
    assert digits.images.shape == (200, 28, 28)
    drawn = scene(digits, [Placed(0, 56, 56)])
    np.testing.assert_array_equal(drawn.image[56:84, 56:84, 0], digits.images[0])  # of its own size, as it is
    assert drawn.boxes.classes.tolist() == [7]
    assert len(digit_scenes(digits, count=30)) == 30


def test_digits_are_taken_of_gray_images_in_memory_only():
    assert len(Digits.of(data.bundled("digits")[:20])) == 20
    colour = data.from_arrays(np.zeros((2, 8, 8, 3), np.uint8), [0, 1])
    with pytest.raises(check.DataError, match="a gray image in memory"):
        Digits.of(colour)
    with pytest.raises(check.SettingError, match="task"):
        Digits.of(data.bundled("digits"), "digit")
