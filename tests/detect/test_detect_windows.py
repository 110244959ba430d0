"""The sliding window: where it stands, what it says, and when it fails."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check, compose, data, train
from lensmith.backend import keras
from lensmith.boxes.thresholds import Thresholds
from lensmith.data.formats.arrays.scene_sets import digit_windows
from lensmith.data.formats.arrays.scenes import Digits, Placed, handwritten, scene
from lensmith.detect.windows import Slid, convolutional, digit_classifier, scan, slide, windows

BACKGROUND = 10

# Size, window and stride; the first rows and the first columns, worked out on paper.
PLACES = [
    ((4, 4), 4, 1, [0], [0]),  # the window is the image
    ((5, 4), 2, 2, [0, 2, 3], [0, 2]),  # the last row is reached by one more window, the last column as it is
    ((140, 140), 28, 28, [0, 28, 56, 84, 112], [0, 28, 56, 84, 112]),  # the book's first
    ((140, 140), 40, 30, [0, 30, 60, 90, 100], [0, 30, 60, 90, 100]),  # the book's loop ended before 100
    ((3, 7), (2, 3), (1, 2), [0, 1], [0, 2, 4]),  # other sides and strides down than across
]


@pytest.mark.parametrize(("size", "window", "stride", "rows", "columns"), PLACES)
def test_windows_stand_row_by_row_and_reach_both_edges(size, window, stride, rows, columns):
    height, width = window if isinstance(window, tuple) else (window, window)
    wanted = [[x, y, x + width, y + height] for y in rows for x in columns]
    assert windows(size, window, stride).tolist() == wanted


sides = st.integers(1, 30)


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.tuples(sides, sides))
@settings(max_examples=25, deadline=None)
def test_windows_lie_in_the_image_once_each_and_no_further_apart_than_the_stride(room, window, stride):
    size = (max(room[0], window[0]), max(room[1], window[1]))
    boxes = windows(size, window, stride)
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert boxes.min() >= 0
    assert boxes[:, 2].max() == size[1]
    assert boxes[:, 3].max() == size[0]
    assert np.diff(np.unique(boxes[:, 1])).max(initial=0) <= stride[0]
    assert np.diff(np.unique(boxes[:, 0])).max(initial=0) <= stride[1]


@pytest.mark.parametrize(
    ("settings_", "line"),
    [
        # the window is larger than the image
        (((9, 20), 10, 1), "window: expected one that fits into the image of 9×20 pixels; got 10×10"),
        (((20, 20), 4, 0), "stride: expected a whole number of at least 1; got 0"),
        (((20, 20), (4, 4, 4), 1), "window: expected one whole number, or two: down and across; got (4, 4, 4)"),
    ],
)
def test_windows_that_cannot_be_are_refused(settings_, line):
    with pytest.raises(check.SettingError) as refused:
        windows(*settings_)
    assert str(refused.value) == line


def brightness():
    """A network whose scores can be worked out on paper: the mean of a window of 2×3 pixels, and one minus that."""
    image = keras.Input((2, 3, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    scores = keras.layers.Dense(2, name="scores")
    model = keras.Model(image, scores(mean))
    scores.set_weights([np.array([[1.0, -1.0]]), np.array([0.0, 1.0])])
    return model


def test_the_scores_are_those_of_the_windows_in_the_order_of_the_boxes():
    image = np.zeros((4, 5, 1), np.uint8)
    image[2:, 1:4] = 255
    told = []
    found = slide(brightness(), image, stride=(2, 1), batch=4, progress=lambda *done: told.append(done))
    assert found.grids == ((2, 3),)
    assert told == [(4, 6), (6, 6)]
    np.testing.assert_allclose(found.scores[:, 0], [0, 0, 0, 2 / 3, 1, 2 / 3], atol=1e-6)
    np.testing.assert_allclose(found.map(0), [[0, 0, 0], [2 / 3, 1, 2 / 3]], atol=1e-6)
    best = found.best(0)
    assert (best.box, best.label, round(best.score, 5)) == ((1.0, 2.0, 4.0, 4.0), 0, 1.0)


def test_a_pyramid_gives_boxes_of_the_image_as_it_came():
    image = np.zeros((8, 12, 1), np.uint8)
    image[4:8, 6:12] = 255  # twice the window
    found = slide(brightness(), image, stride=1, scales=(1, 0.5))
    assert found.grids == ((7, 10), (3, 4))
    halved = found.map(0, scale=1)
    assert halved.shape == (3, 4)
    assert halved.argmax() == 11
    assert found.boxes[-1].tolist() == [6, 4, 12, 8]
    assert found.best(0).score == pytest.approx(1)


def test_a_window_of_another_size_is_brought_to_that_of_the_model():
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 1)).astype(np.uint8)
    found = slide(brightness(), image, window=(4, 6), stride=(4, 3))
    wanted = [image[y : y + 4, x : x + 6].mean() / 255 for y in (0, 4) for x in (0, 3)]
    np.testing.assert_allclose(found.scores[:, 0], wanted, atol=1e-5)  # area averaging keeps the mean


def test_what_was_found_is_suppressed_and_the_background_counts_for_nothing():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10], [50, 0, 60, 10]])
    scores = np.array(
        [
            [0.8, 0.1, 0.1],
            [0.1, 0.9, 0.0],  # covers the first and is the better
            [0.45, 0.0, 0.55],  # more likely the background
            [0.3, 0.7, 0.0],
        ]
    )
    found = Slid(boxes.astype(np.float32), scores.astype(np.float32), ((1, 4),), background=2)
    low = Thresholds(score=0.4, iou=0.2, classwise=False)
    np.testing.assert_allclose(found.detections(low), [[1, 0, 11, 10, 0.9, 1], [50, 0, 60, 10, 0.7, 1]], atol=1e-6)
    assert len(found.detections(Thresholds(score=0.4, iou=0.2))) == 3  # class by class the first stays
    assert found.detections(Thresholds(score=0.95)).shape == (0, 6)
    assert found.best(0).score == pytest.approx(0.8)
    np.testing.assert_allclose(found.map(), [[0.8, 0.9, 0.45, 0.7]], atol=1e-6)


def wrong(**changed):
    given = {"image": np.zeros((8, 8, 1), np.uint8), **changed}
    return slide(brightness(), given.pop("image"), **given)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"image": np.zeros((8, 8, 3))}, "image: expected pixels of shape (height, width, 1); got float64 of shape"),
        ({"scales": ()}, "scales: expected at least one; got none"),
        ({"scales": (0.1,)}, "window: expected one that fits into the image of 1×1 pixels; got 2×3"),
        ({"background": 2}, "background: expected one of 0, 1; got 2"),
        ({"batch": 0}, "batch: expected a whole number of at least 1; got 0"),
    ],
)
def test_what_cannot_be_slid_over_is_refused_in_one_line(changed, line):
    with pytest.raises((check.SettingError, check.DataError)) as refused:
        wrong(**changed)
    assert str(refused.value).startswith(line)


# --- the book's scene --------------------------------------------------------------------------------------------


def trained(windows_, *, epochs):
    training, validation, _ = data.split(windows_, 0.8, 0.1, 0.1, seed=0)
    seen = data.Preprocessing(image=(28, 28, 1))
    model = compose.logits(digit_classifier().build(seed=0))
    train.fit(
        model,
        data.batches(training, seen, size=32),
        stage=train.Fit(epochs=epochs, rate=0.002),
        objectives={"label": train.Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")},
        diagnose=False,
    )
    return compose.probabilities(model, "softmax"), validation


@cache
def of_handwritten():
    return trained(digit_windows(count=3000), epochs=8)


def unseen(records):
    """The digits that no training window shows."""
    return [int(group.removeprefix("digit ")) for group in sorted({record.group for record in records})]


def book(model, digits, chosen):
    """For each of some digits on the book's canvas: its score where the window fits, and where it does not."""
    fitting, larger = [], []
    for digit in chosen:
        image, label = scene(digits, [Placed(digit, 56, 56)]).image, int(digits.classes[digit])
        found = slide(model, image, stride=28, background=BACKGROUND)
        best = found.best()
        fitting.append(best.score if best.box == (56, 56, 84, 84) and best.label == label else 0.0)
        larger.append(slide(model, image, window=40, stride=10, background=BACKGROUND).best(label).score)
    return np.array(fitting), np.array(larger)


def test_the_window_of_28_finds_the_digit_and_that_of_40_does_not():
    model, held = of_handwritten()
    fitting, larger = book(model, handwritten(), unseen(held)[:20])
    assert (fitting > 0.9).mean() >= 0.8
    assert np.median(fitting) > 0.98  # the book: probability 1
    assert larger.mean() < 0.3  # the book: 0.21


def test_the_whole_scene_is_searched_in_one_pass():
    model, held = of_handwritten()
    digits, form = handwritten(), convolutional(model)
    right = 0
    chosen = unseen(held)[20:40]
    for digit in chosen:
        image = scene(digits, [Placed(digit, 37, 71)]).image  # where no window of stride 28 stands
        found = scan(form, image, background=BACKGROUND).detections()
        right += len(found) >= 1 and found[0, 5] == digits.classes[digit] and abs(found[0, :2] - [71, 37]).max() <= 4
    assert right >= 0.8 * len(chosen)


def test_the_window_that_is_too_small_for_the_digit_finds_it_in_the_pyramid():
    model, held = of_handwritten()
    digits, form = handwritten(), convolutional(model)
    alone, pyramid = [], []
    for digit in unseen(held)[:12]:
        image, label = scene(digits, [Placed(digit, 40, 30, side=56)]).image, int(digits.classes[digit])
        alone.append(slide(model, image, stride=14, background=BACKGROUND).best(label).score)
        best = scan(form, image, scales=(1, 0.5), background=BACKGROUND).best(label)
        pyramid.append(best.score if np.abs(np.array(best.box) - [30, 40, 86, 96]).max() <= 10 else 0.0)
    assert np.mean(pyramid) > 0.9
    assert np.mean(alone) < 0.6


def idx(path: Path, axes: int) -> np.ndarray:
    content = gzip.decompress(path.read_bytes())
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(np.frombuffer(content, ">u4", axes, 4))


@pytest.mark.slow
def test_the_book_is_right_about_mnist(shared_data):
    folder = shared_data / "mnist"
    images, labels = idx(folder / "train-images-idx3-ubyte.gz", 3), idx(folder / "train-labels-idx1-ubyte.gz", 1)
    digits = Digits(images[:6000], labels[:6000])
    model, held = trained(digit_windows(digits, count=9000), epochs=5)
    fitting, larger = book(model, digits, unseen(held)[:40])
    assert (fitting > 0.9).mean() >= 0.8
    # MNIST's digits have a margin, and the larger window is not as hopeless for all of them as for the book's one.
    assert larger.mean() < fitting.mean() - 0.15
    assert (larger < 0.21).mean() > 0.1
