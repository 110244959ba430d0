"""The laboratory's loops, their vectorised twin, Keras and scipy: four ways to one number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from lensmith import check
from lensmith.backend import keras, predict
from lensmith.compose.cost import cost
from lensmith.probe import lab

# image, kernel (height, width), output channels, stride, padding, dilation, groups: what the row proves
CONVOLUTIONS = [
    ((8, 8, 1), (3, 3), 1, 1, "valid", 1, 1),  # the plainest
    ((8, 8, 3), (3, 3), 4, 1, "same", 1, 1),  # a border, channels
    ((7, 9, 2), (5, 5), 3, 1, "valid", 1, 1),  # a kernel that is not 3×3, an image that is not square
    ((9, 9, 2), (2, 4), 3, 1, "same", 1, 1),  # an even kernel: the border has the one more behind
    ((9, 10, 2), (3, 3), 3, 2, "valid", 1, 1),  # the last column is reached by no window
    ((9, 10, 2), (3, 3), 3, 2, "same", 1, 1),  # an uneven border on one axis only
    ((7, 7, 1), (1, 1), 2, 3, "same", 1, 1),  # a stride beyond the kernel
    ((11, 11, 2), (3, 3), 2, 1, "valid", 3, 1),  # dilated
    ((8, 9, 2), (3, 2), 2, 1, "same", 2, 1),  # dilated with a border
    ((8, 8, 4), (3, 3), 6, 1, "same", 1, 2),  # two groups
    ((8, 8, 4), (3, 3), 8, 2, "valid", 1, 4),  # as many groups as channels
    ((10, 8, 3), (7, 7), 2, 2, 3, 1, 1),  # the stem of a ResNet: 3 zeros on all sides
    ((3, 5, 2), (3, 5), 2, 1, "valid", 1, 1),  # one window
    ((8, 8, 2), (1, 7), 3, (2, 1), "same", 1, 1),  # the axes differ in all
]

# image, window, stride, padding
POOLS = [
    ((8, 8, 2), (2, 2), None, "valid"),  # each pixel once
    ((7, 9, 3), (2, 2), None, "valid"),  # what is left over is left out
    ((7, 9, 3), (2, 2), None, "same"),  # what is left over is pooled by itself
    ((9, 9, 1), (3, 3), 2, "valid"),  # windows that overlap
    ((9, 8, 2), (3, 3), 2, "same"),  # with a border, uneven on one axis
    ((6, 6, 2), (3, 3), 1, "same"),  # the size stays
    ((8, 6, 1), (2, 3), (1, 2), "same"),  # the axes differ
    ((5, 7, 2), (5, 7), None, "valid"),  # the whole image
    ((9, 9, 1), (2, 2), 3, "same"),  # windows that leave pixels out
]

# image, kernel, output channels, stride, padding
TRANSPOSED = [
    ((4, 4, 1), (3, 3), 1, 1, "valid"),
    ((4, 5, 2), (2, 2), 3, 2, "valid"),  # as a U-Net has it
    ((4, 4, 3), (3, 3), 2, 2, "same"),  # the paintings overlap
    ((3, 4, 2), (4, 4), 2, 2, "same"),
    ((3, 3, 1), (5, 5), 2, 1, "same"),
    ((3, 3, 2), (2, 3), 2, (2, 3), "valid"),  # the axes differ
    ((3, 3, 1), (1, 1), 1, 2, "valid"),  # gaps between the paintings
]


def _drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _through(layer, image: np.ndarray, weights: list[np.ndarray], border: int = 0) -> np.ndarray:
    """What a layer of Keras gives for one image."""
    first = [keras.layers.ZeroPadding2D(border)] if border else []
    model = keras.Sequential([keras.Input(image.shape), *first, layer])
    layer.set_weights(weights)
    return predict(model, image[None])[0]


@pytest.mark.backends
@pytest.mark.parametrize("row", CONVOLUTIONS, ids=str)
def test_a_convolution_is_that_of_keras(row):
    shape, size, n_out, stride, padding, dilation, groups = row
    image, kernel, bias = _drawn(*shape), _drawn(*size, shape[2] // groups, n_out, seed=1), _drawn(n_out, seed=2)
    border = padding if isinstance(padding, int) else 0
    layer = keras.layers.Conv2D(
        n_out, size, stride, padding="valid" if border else padding, dilation_rate=dilation, groups=groups
    )
    expected = _through(layer, image, [kernel, bias], border)
    chosen = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bias}
    for convolve in (lab.convolve, lab.vectorised.convolve):
        result = convolve(image, kernel, **chosen)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)
    steps = stride if isinstance(stride, tuple) else (stride, stride)
    sizes = [lab.output_size(n, k, s, padding, dilation) for n, k, s in zip(shape[:2], size, steps, strict=True)]
    assert expected.shape == (*sizes, n_out)
    assert layer.count_params() == lab.layer_weights(shape[2], size, n_out, groups=groups)


@pytest.mark.backends
@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_and_a_separable_convolution_are_those_of_keras(multiplier):
    image, bias = _drawn(7, 8, 3), _drawn(3 * multiplier, seed=2)
    kernel, point = _drawn(3, 3, 3, multiplier, seed=1), _drawn(1, 1, 3 * multiplier, 4, seed=3)
    layer = keras.layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=multiplier)
    expected = _through(layer, image, [kernel, bias])
    found = lab.depthwise(image, kernel, stride=2, padding="same", bias=bias)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    layer = keras.layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=multiplier)
    expected = _through(layer, image, [kernel, point, bias[:1].repeat(4)])
    found = lab.separable(image, kernel, point, padding="same", bias=bias[:1].repeat(4))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    if multiplier == 1:
        assert layer.count_params() == lab.separable_weights(3, 3, 4)


@pytest.mark.backends
@pytest.mark.parametrize("row", TRANSPOSED, ids=str)
def test_a_transposed_convolution_is_that_of_keras(row):
    shape, size, n_out, stride, padding = row
    image, kernel, bias = _drawn(*shape), _drawn(*size, n_out, shape[2], seed=1), _drawn(n_out, seed=2)
    layer = keras.layers.Conv2DTranspose(n_out, size, stride, padding)
    expected = _through(layer, image, [kernel, bias])
    found = lab.transposed(image, kernel, stride=stride, padding=padding, bias=bias)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("row", POOLS, ids=str)
def test_a_pool_is_that_of_keras(row, kind):
    shape, size, stride, padding = row
    image = _drawn(*shape) - 3  # below zero throughout: a zero of the border must not win
    layer = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[kind]
    expected = _through(layer(size, stride, padding), image, [])
    steps = stride if isinstance(stride, tuple) else (stride or size[0], stride or size[1])
    borders = [lab.margins(n, k, s, padding) for n, k, s in zip(shape, size, steps, strict=False)]
    uneven = any(before != behind for before, behind in borders)
    if kind == "average" and uneven and keras.backend.backend() == "torch":
        # There, and only there, Keras repeats the pixels at the edge and averages them, too.
        image, padding = np.pad(image, (*borders, (0, 0)), mode="edge"), "valid"
    for pool in (lab.pool, lab.vectorised.pool):
        result = pool(image, size, stride, kind=kind, padding=padding)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


def test_a_pool_with_a_border_is_keras_own_behind_the_lowest_numbers():
    image = _drawn(7, 7, 2) - 3
    wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=-1e9)
    expected = _through(keras.layers.MaxPooling2D(3, 2), wide, [])
    np.testing.assert_allclose(lab.pool(image, 3, 2, padding=1), expected, rtol=0, atol=1e-5)


def test_the_multiply_adds_are_those_the_cost_of_a_model_counts():
    layer = keras.layers.Conv2D(6, 5, 2, "same", groups=2)
    model = keras.Sequential([keras.Input((13, 11, 4)), layer])
    sizes = (lab.output_size(13, 5, 2, "same"), lab.output_size(11, 5, 2, "same"))
    assert cost(model).flops == lab.multiply_adds(sizes, 5, 4, 6, groups=2)


@st.composite
def _cases(draw):
    """An image, a kernel that fits it, and how it is laid there."""
    groups, depth, each = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.sampled_from(["valid", "same", 0, 1, 2]))
    least = [lab.extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    height, width = (n + draw(st.integers(0, 6)) for n in least)
    seed = draw(st.integers(0, 99))
    image = _drawn(height, width, depth * groups, seed=seed)
    weights = _drawn(*kernel, depth, each * groups, seed=seed + 1)
    return image, weights, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(max_examples=25, deadline=None)
@given(_cases())
def test_the_loops_and_the_twin_agree_and_have_the_size_of_the_formula(case):
    image, kernel, chosen = case
    slow, fast = lab.convolve(image, kernel, **chosen), lab.vectorised.convolve(image, kernel, **chosen)
    np.testing.assert_allclose(slow, fast, rtol=0, atol=1e-10)
    sizes = [
        lab.output_size(n, k, s, chosen["padding"], d)
        for n, k, s, d in zip(image.shape, kernel.shape[:2], chosen["stride"], chosen["dilation"], strict=False)
    ]
    assert slow.shape == (*sizes, kernel.shape[3])


@settings(max_examples=25, deadline=None)
@given(_cases())
def test_stride_only_leaves_out_and_dilation_only_puts_zeros_between(case):
    image, kernel, chosen = case
    chosen = {**chosen, "padding": 1}
    whole = lab.vectorised.convolve(image, kernel, **{**chosen, "stride": 1})
    down, across = chosen["stride"]
    np.testing.assert_array_equal(lab.vectorised.convolve(image, kernel, **chosen), whole[::down, ::across])
    spans = [lab.extent(k, d) for k, d in zip(kernel.shape[:2], chosen["dilation"], strict=True)]
    wide = np.zeros((*spans, *kernel.shape[2:]))
    wide[:: chosen["dilation"][0], :: chosen["dilation"][1]] = kernel
    again = lab.vectorised.convolve(image, wide, **{**chosen, "stride": 1, "dilation": 1})
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(_cases(), st.sampled_from(["max", "average"]))
def test_the_pools_agree(case, kind):
    image, kernel, chosen = case
    size = tuple(kernel.shape[:2])
    padding = "same" if chosen["padding"] == "same" else min(size) - 1
    slow, fast = (
        pool(image, size, chosen["stride"], kind=kind, padding=padding) for pool in (lab.pool, lab.vectorised.pool)
    )
    np.testing.assert_allclose(slow, fast, rtol=0, atol=1e-10)
    assert slow.min() >= image.min() - 1e-9 and slow.max() <= image.max() + 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.integers(0, 99))
def test_it_is_a_cross_correlation_and_scipy_agrees(height, width, more, seed):
    image, kernel = _drawn(height + more, width + more, seed=seed), _drawn(height, width, seed=seed + 1)
    found = lab.convolve(image, kernel)
    np.testing.assert_allclose(found, signal.correlate2d(image, kernel, "valid"), rtol=0, atol=1e-5)
    turned = np.flip(kernel)  # by half a turn: the convolution of the mathematicians
    np.testing.assert_allclose(
        lab.convolve(image, turned), signal.convolve2d(image, kernel, "valid"), rtol=0, atol=1e-5
    )


@settings(max_examples=25, deadline=None)
@given(_cases())
def test_the_transposed_convolution_is_the_transpose(case):
    """<convolve(x), y> is <x, transposed(y)> for whatever y: what makes it the way back of a gradient."""
    image, kernel, chosen = case
    kernel, stride = kernel[:, :, :1].repeat(image.shape[2], axis=2), chosen["stride"]
    forward = lab.convolve(image, kernel, stride=stride)
    other = _drawn(*forward.shape, seed=5).astype("float64")
    back = lab.transposed(other, kernel, stride=stride)  # (k, k', c_in, c_out) is what Keras' transposed one takes
    seen = image[: back.shape[0], : back.shape[1]]  # what no window reached has no part, and gaps are zero
    assert np.sum(forward * other) == pytest.approx(np.sum(seen * back[: seen.shape[0], : seen.shape[1]]), abs=1e-6)


def test_a_depthwise_kernel_may_be_one_for_all_or_one_for_each():
    image = _drawn(6, 6, 3).astype("float64")
    for_all = lab.depthwise(image, lab.kernel("gaussian"))
    for_each = lab.depthwise(image, np.repeat(lab.kernel("gaussian")[..., None], 3, axis=2))
    one_by_one = [lab.convolve(image[..., channel], lab.kernel("gaussian")) for channel in range(3)]
    np.testing.assert_allclose(for_all, for_each, atol=1e-12)
    np.testing.assert_allclose(for_all, np.stack(one_by_one, axis=2), atol=1e-12)


SQUARE = np.ones((5, 5))
FAULTS = [  # what is called, with what, and a piece of the one line
    (lambda: lab.convolve(np.ones(5), np.ones((3, 3))), "image: expected the shape"),
    (lambda: lab.convolve(np.ones((0, 5)), np.ones((3, 3))), "image: expected the shape"),
    (lambda: lab.convolve([["a", "b"]], [[1]]), "image: expected an array of numbers"),
    (lambda: lab.convolve([[1, 2], [3]], [[1]]), "image: expected an array of numbers"),
    (lambda: lab.convolve(SQUARE, np.ones(3)), "kernel: expected the shape (height, width, 1, kernels)"),
    (lambda: lab.convolve(np.ones((5, 5, 3)), np.ones((3, 3))), "For the same on each channel there is depthwise"),
    (lambda: lab.convolve(np.ones((5, 5, 3)), np.ones((3, 3, 2, 4))), "(height, width, 3, kernels)"),
    (lambda: lab.convolve(SQUARE, np.ones((6, 3))), "size: expected at least the 6 pixels"),
    (lambda: lab.convolve(SQUARE, np.ones((3, 3)), dilation=3), "at least the 7 pixels"),
    (lambda: lab.convolve(SQUARE, np.ones((3, 3)), stride=0), "stride: expected a whole number of at least 1"),
    (lambda: lab.convolve(SQUARE, np.ones((3, 3)), stride=(1, 2, 3)), "stride: expected"),
    (lambda: lab.convolve(SQUARE, np.ones((3, 3)), padding="sane"), "Did you mean 'same'?"),
    (lambda: lab.convolve(SQUARE, np.ones((3, 3)), padding=-1), "padding: expected"),
    (lambda: lab.convolve(SQUARE, np.ones((3, 3)), bias=[1, 2]), "bias: expected the shape (1,)"),
    (lambda: lab.convolve(np.ones((5, 5, 3)), np.ones((3, 3, 1, 4)), groups=2), "a multiple of the 2 groups"),
    (lambda: lab.convolve(np.ones((5, 5, 4)), np.ones((3, 3, 2, 3)), groups=2), "kernels: expected a multiple"),
    (lambda: lab.depthwise(np.ones((5, 5, 3)), np.ones((3, 3, 2))), "(height, width, 3, kernels)"),
    (lambda: lab.transposed(np.ones((5, 5, 3)), np.ones((3, 3, 3, 2))), "(height, width, kernels, 3)"),
    (lambda: lab.transposed(SQUARE, np.ones((3, 3)), padding=1), "padding: expected one of valid, same"),
    (lambda: lab.pool(SQUARE, 6), "at least the 6 pixels"),
    (lambda: lab.pool(SQUARE, kind="mean"), "kind: expected one of max, average"),
    (lambda: lab.pool(SQUARE, 2, padding=2), "padding: expected less than the window, 2"),
    (lambda: lab.vectorised.pool(SQUARE, kind="men"), "kind: expected one of max, average"),
    (lambda: lab.pad(SQUARE, -1), "padding: expected"),
    (lambda: lab.pad(SQUARE, ((1, 1), (0, 0.5))), "padding: expected"),
]


@pytest.mark.parametrize(("call", "piece"), FAULTS, ids=[piece for _, piece in FAULTS])
def test_what_does_not_fit_is_refused_in_one_line(call, piece):
    with pytest.raises(check.LensmithError) as refused:
        call()
    assert piece in str(refused.value) and "\n" not in str(refused.value)
