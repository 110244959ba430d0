"""Colours, erased rectangles, noise, and images made of several."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.data.augmentation.applying import augmented
from lensmith.data.augmentation.colour import recolour
from lensmith.data.augmentation.mixing import mix
from lensmith.data.augmentation.mosaic import mosaic
from lensmith.data.augmentation.record import Augment
from lensmith.records import Boxes, Labels

LUMA = np.array([0.299, 0.587, 0.114])


def change_image(image, seed=0, **ranges):
    rng = np.random.default_rng(seed)
    return augmented(image, {}, {}, size=image.shape[:2], augment=Augment(**ranges), rng=rng)[0]


def slow_recolour(pixels, brightness, contrast, saturation):
    """The three in turn, each from its definition."""
    x = pixels.astype(np.float64)
    if x.shape[2] == 3:
        luma = (x @ LUMA)[..., None]
        x = luma + saturation * (x - luma)
        mean = (pixels @ LUMA).mean()
    else:
        mean = x.mean()
    return np.clip(brightness * (mean + contrast * (x - mean)), 0, 255)


@settings(max_examples=40, deadline=None)
@given(
    factors=st.tuples(*[st.sampled_from([0, 0.5, 1, 1.3, 3])] * 3),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 9),
)
def test_colours_equal_their_definition(factors, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, channels), np.uint8)
    result = recolour(pixels, *factors)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, slow_recolour(pixels, *factors), atol=1e-2)


@pytest.mark.parametrize(
    ("factors", "pixel", "expected"),
    [
        ((1.5, 1, 1), [100, 40, 200], [150, 60, 255]),  # brightness, cut at 255
        ((1, 1, 0), [100, 200, 50], [153, 153, 153]),  # without saturation, the luma: 29.9 + 117.4 + 5.7
        ((1, 0, 1), [10, 10, 10], [10, 10, 10]),  # without contrast, the mean: there is only this pixel
    ],
)
def test_colours_on_paper(factors, pixel, expected):
    assert recolour(np.array([[pixel]], np.uint8), *factors).round(3).tolist() == [[expected]]


def test_a_rectangle_is_erased():
    black = np.zeros((40, 50, 3), np.uint8)
    result = change_image(black, erase=1, erase_area=(0.25, 0.25))
    rows, columns = (np.flatnonzero(result.any(axis=(axis, 2))) for axis in (1, 0))
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert 0.2 < area / 2000 < 0.3
    inside = result[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (inside > 0).mean() > 0.95  # random pixels throughout
    assert inside.max() <= 255


def test_erasing_has_a_probability_and_the_area_a_range():
    black = np.zeros((30, 30, 1), np.uint8)
    shares = [(change_image(black, seed, erase=0.3, erase_area=(0.1, 0.2)) > 0).mean() for seed in range(300)]
    assert 0.2 < np.mean(np.array(shares) > 0) < 0.4
    assert min(share for share in shares if share) > 0.05
    assert max(shares) < 0.25
    whole = change_image(black, erase=1, erase_area=(1, 1))
    assert (whole > 0).mean() > 0.25  # a long rectangle cannot hold all of a square


def test_noise_has_its_deviation():
    result = change_image(np.full((60, 60, 3), 128, np.uint8), noise=0.1)
    assert abs(result.std() - 25.5) < 1
    assert abs(result.mean() - 128) < 1
    assert change_image(np.full((9, 9, 1), 250, np.uint8), noise=1).max() == 255


def batch(n=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 255, (n, 8, 10, 3)).astype(np.float32)
    return x, {"label": np.eye(n, dtype=np.float32), "number": np.arange(n, dtype=np.float32)[:, None]}


@pytest.mark.parametrize("seed", range(4))
def test_mixup_adds_a_partner(seed):
    x, y = batch()
    mixed, targets = mix(x, y, Augment(mixup=1.0), np.random.default_rng(seed))
    # The one-hot rows say who was mixed with whom, and how much: row i is λ at i and 1 − λ at its partner.
    np.testing.assert_allclose(mixed, np.einsum("ij,jhwc->ihwc", targets["label"], x), atol=1e-3)
    np.testing.assert_allclose(targets["number"], targets["label"] @ y["number"], atol=1e-5)
    np.testing.assert_allclose(targets["label"].sum(axis=0), 1, atol=1e-6)  # a permutation: nobody is lost
    assert mixed.dtype == targets["label"].dtype == np.float32


@pytest.mark.parametrize("seed", range(6))
def test_cutmix_pastes_a_rectangle_and_counts_its_pixels(seed):
    x, y = batch()
    mixed, targets = mix(x, y, Augment(cutmix=1.0), np.random.default_rng(seed))
    for place, row in enumerate(targets["label"]):
        own = (mixed[place] == x[place]).all(axis=-1)
        if row[place] == 1:  # its partner is itself, or the rectangle is empty
            assert own.all()
            continue
        partner = int(np.argmax(np.where(np.arange(6) == place, -1, row)))
        np.testing.assert_allclose(row[place], own.mean(), atol=1e-6)
        np.testing.assert_array_equal(mixed[place][~own], x[partner][~own])
        rows, columns = np.flatnonzero((~own).any(axis=1)), np.flatnonzero((~own).any(axis=0))
        assert (~own).sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_mixing_leaves_the_untouched_and_the_input_alone():
    x, y = batch()
    before = x.copy()
    changed = np.array([True, False, True, True, False, True])
    for ranges in (Augment(mixup=1), Augment(cutmix=1), Augment(mixup=1, cutmix=1)):
        mixed, targets = mix(x, y, ranges, np.random.default_rng(3), changed=changed)
        np.testing.assert_array_equal(mixed[~changed], x[~changed])
        np.testing.assert_array_equal(targets["label"][~changed], y["label"][~changed])
        np.testing.assert_array_equal(x, before)
    assert mix(x, y, Augment(), np.random.default_rng(0))[0] is x
    untouched, _ = mix(x, y, Augment(mixup=1, share=0), np.random.default_rng(0))
    np.testing.assert_array_equal(untouched, x)


def test_both_ways_take_turns():
    x, y = batch()
    pure = [np.isin(mix(x, y, Augment(mixup=1, cutmix=1), np.random.default_rng(s))[0], x).all() for s in range(40)]
    assert 8 < sum(pure) < 32  # CutMix makes no pixel that was not there


@pytest.mark.parametrize("values", [np.zeros(6, np.int32), np.zeros((6, 4, 4), np.float32), np.zeros((6, 2), np.int64)])
def test_targets_that_cannot_be_mixed_are_named(values):
    with pytest.raises(check.SettingError, match=r"augment: mixing 'label': .* Leave the task out"):
        mix(batch()[0], {"label": values}, Augment(mixup=1), np.random.default_rng(0))


MOSAIC = {
    "object": Labels("boxes", ("a", "b", "c", "d")),
    "pixels": Labels("mask", ("none", "a", "b", "c", "d")),
    "seen": Labels("classes", ("a", "b", "c", "d")),
}


def corner_example(index):
    """An image all of one level, its object a rectangle of another."""
    image = np.full((40, 60, 1), 60 * index, np.uint8)
    image[10:30, 15:45] = 60 * index + 40
    mask = (image[..., 0] == 60 * index + 40).astype(np.uint8) * (index + 1)
    return image, {"object": Boxes([[15, 10, 45, 30]], [index]), "pixels": mask, "seen": (index,)}


@pytest.mark.parametrize("seed", range(8))
def test_a_mosaic_takes_boxes_and_masks_along(seed):
    examples = [corner_example(index) for index in range(4)]
    rng = np.random.default_rng(seed)
    x, targets = mosaic(examples, MOSAIC, size=(80, 100), augment=Augment(), rng=rng)
    assert x.shape == (80, 100, 1)
    assert x.dtype == np.float32
    assert targets["seen"] == (0, 1, 2, 3)
    for box, kind in zip(targets["object"].xyxy, targets["object"].classes, strict=True):
        bright = np.abs(x[..., 0] - (60 * kind + 40)) < 20
        rows, columns = np.nonzero(bright)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, seen, atol=1.5)
        assert ((targets["pixels"] == kind + 1) == bright).mean() > 0.97
    assert {0, 1, 2, 3} >= set(targets["object"].classes.tolist())
    assert len(targets["object"]) >= 2  # each covers the middle of its image; few are cut away
    assert set(np.unique(targets["pixels"])) <= set(range(5))


def test_a_mosaic_is_the_same_for_the_same_state():
    examples = [corner_example(index) for index in range(4)]
    ranges = Augment(flip="horizontal", rotate=15, zoom=0.2, brightness=0.2)
    one, other = (
        mosaic(examples, MOSAIC, size=(30, 30), augment=ranges, rng=np.random.default_rng(5)) for _ in range(2)
    )
    assert one[0].tobytes() == other[0].tobytes()
    assert one[1]["object"] == other[1]["object"]


@pytest.mark.parametrize(("kind", "count"), [("class", 4), ("points", 4), ("number", 4), ("boxes", 3)])
def test_a_mosaic_refuses_what_it_cannot_hold(kind, count):
    with pytest.raises(check.SettingError, match="mosaic: expected"):
        labels = {"t": Labels(kind, ("a",))}
        blank = (np.zeros((4, 4, 1), np.uint8), {})
        mosaic([blank] * count, labels, size=(8, 8), augment=Augment(), rng=np.random.default_rng(0))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 9)])
def test_even_a_tiny_mosaic_is_filled(size):
    blank = (np.full((4, 4, 3), 7, np.uint8), {})
    x, _ = mosaic([blank] * 4, {}, size=size, augment=Augment(), rng=np.random.default_rng(0))
    assert (x == 7).all()
