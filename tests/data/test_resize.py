"""Resizing equals two matrix products, and those equal their definition."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.data import resize, resize_matrix
from lensmith.data.resampling import shrink


def slow_area(n_out, n_in):
    """The overlap of [i·s, (i+1)·s] with each pixel [j, j+1], over s."""
    step = n_in / n_out
    return [[max(0.0, min((i + 1) * step, j + 1) - max(i * step, j)) / step for j in range(n_in)] for i in range(n_out)]


def slow_cubic(n_out, n_in, a=-0.75):
    weights = np.zeros((n_out, n_in))
    for i in range(n_out):
        centre = (i + 0.5) * n_in / n_out - 0.5
        for j in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            x = abs(centre - j)
            near = (a + 2) * x**3 - (a + 3) * x**2 + 1
            far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
            weights[i, min(max(j, 0), n_in - 1)] += near if x <= 1 else far
    return weights


@settings(max_examples=40, deadline=None)
@given(n_out=st.integers(1, 40), n_in=st.integers(1, 40))
def test_the_matrices_equal_their_definition(n_out, n_in):
    slow = slow_area if n_out <= n_in else slow_cubic
    matrix = resize_matrix(n_out, n_in)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, slow(n_out, n_in), atol=1e-6)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    before=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    after=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 9),
)
def test_resize_equals_the_two_matrices(before, after, channels, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*before, channels), np.uint8)
    rows, columns = (resize_matrix(n_out, n_in).astype(np.float64) for n_out, n_in in zip(after, before, strict=True))
    expected = np.einsum("ih,hwc,jw->ijc", rows, image, columns).clip(0, 255)
    result = resize(image, after)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-3)  # of 255: OpenCV places cubic samples in float32


def slow_linear(n_out, n_in):
    """Between the two pixels whose centres are nearest, the border repeated; no pixel further off counts."""
    weights = np.zeros((n_out, n_in))
    for i in range(n_out):
        centre = (i + 0.5) * n_in / n_out - 0.5
        low = int(np.floor(centre))
        for j, weight in ((low, 1 - (centre - low)), (low + 1, centre - low)):
            weights[i, min(max(j, 0), n_in - 1)] += weight
    return weights


@settings(max_examples=60, deadline=None)
@given(
    before=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    after=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_linear_lies_between_the_two_nearest_pixels(before, after, channels, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*before, channels), dtype=np.uint8)
    rows, columns = (slow_linear(n_out, n_in) for n_out, n_in in zip(after, before, strict=True))
    expected = np.einsum("ih,hwc,jw->ijc", rows, image.astype(np.float64), columns)
    made = resize(image.astype(np.float32), after, "linear")
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, atol=2e-3)
    levels = resize(image, after, "linear")  # what other programs feed to a network: whole levels
    assert levels.dtype == np.float32 and np.array_equal(levels, np.rint(levels))
    np.testing.assert_allclose(levels, expected, atol=1)
    theirs = cv2.resize(image, after[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(levels, theirs.reshape(*after, channels))


def test_linear_skips_pixels_that_area_averages():
    """Of eight pixels in a row, two remain: each halfway between the two in the middle of its four."""
    row = np.array([[[0], [10], [20], [30], [200], [0], [100], [0]]], np.uint8)
    assert resize(row, (1, 2), "linear")[0, :, 0].tolist() == [15, 50]
    assert resize(row, (1, 2))[0, :, 0].tolist() == [15, 75]
    with pytest.raises(check.SettingError, match="Did you mean 'linear'"):
        resize(row, (1, 2), "lineer")


def test_numbers_to_check_on_paper():
    image = np.array([[0, 10, 20, 30]], np.uint8)[..., None]
    assert resize(image, (1, 2))[0, :, 0].tolist() == [5, 25]
    # Two pixels to four: the first centre lies at −1/4. The pixels at −2, −1 and 0 are all the first one and weigh
    # −0.0352 + 0.2617 + 0.8789; the second lies 1.25 away.
    np.testing.assert_allclose(resize_matrix(4, 2)[0], [1.10546875, -0.10546875], atol=1e-7)


def test_nothing_is_rounded_and_nothing_leaves_the_range():
    image = np.array([[0, 255, 0, 255]], np.uint8)[..., None]
    larger = resize(image, (1, 11))
    assert larger.min() == 0
    assert larger.max() == 255
    assert np.any(larger != np.rint(larger))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_size_keeps_the_values(channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    result = resize(image, (5, 7))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, image)


def test_the_input_is_left_alone():
    image = np.full((2, 2, 1), 300, np.float32)
    resize(image, (2, 2))
    assert image.max() == 300


@settings(max_examples=40, deadline=None)
@given(
    after=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    times=st.tuples(st.floats(1, 9), st.floats(1, 9)),
    channels=st.sampled_from([1, 3]),
)
def test_shrink_halves_and_then_interpolates_linearly(after, times, channels):
    sides = [int(want * factor) for want, factor in zip(after, times, strict=True)]
    image = np.random.default_rng(0).integers(0, 256, (*sides, channels), np.uint8)
    result, before = shrink(image, after), image.copy()
    expected, steps = image.astype(float), 0
    while tuple(sides) != after:
        halve = any(have >= 2 * want for have, want in zip(sides, after, strict=True))
        then = [
            want if not halve else -(-have // 2) if have >= 2 * want else have
            for have, want in zip(sides, after, strict=True)
        ]
        rows, columns = (slow_linear(n_out, n_in) for n_out, n_in in zip(then, sides, strict=True))
        expected, sides, steps = np.einsum("ih,hwc,jw->ijc", rows, expected, columns), then, steps + 1
    assert (result.dtype, result.shape) == (np.uint8, (*after, channels))
    np.testing.assert_allclose(result, expected, atol=steps + 1e-9)  # each step makes whole levels
    np.testing.assert_array_equal(image, before)


def test_shrink_is_no_further_from_resize_than_a_reduced_decode():
    coarse = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
    soft = resize(coarse, (240, 300)).astype(np.uint8)
    for size in ((150, 150), (201, 151), (239, 299)):
        assert np.abs(shrink(soft, size) - resize(soft, size)).mean() < 2
