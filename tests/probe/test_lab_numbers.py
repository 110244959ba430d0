"""The examples of the books with exactly their numbers, the kernels, and the formulas of sizes and costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.probe import lab

EDGES = ["horizontal-edges", "vertical-edges", "all-edges", "sobel-horizontal", "sobel-vertical"]
KEEPERS = ["identity", "sharpen", "blur", "gaussian", "emboss"]


def test_sixteen_numbers_and_nine():
    found = lab.convolve(np.arange(1, 17).reshape(4, 4), np.arange(1, 10).reshape(3, 3))
    assert found.tolist() == [[348, 393], [528, 573]]


def test_the_step_answers_the_vertical_kernel_and_not_the_horizontal_one():
    step = lab.step_image()
    assert step.tolist() == [[10, 10, 10, 10, 0, 0, 0, 0]] * 8
    assert lab.convolve(step, lab.kernel("vertical-edges")).tolist() == [[0, 0, 30, 30, 0, 0]] * 6
    assert not lab.convolve(step, lab.kernel("horizontal-edges")).any()
    turned = lab.convolve(step.T, lab.kernel("horizontal-edges"))
    assert turned.T.tolist() == [[0, 0, 30, 30, 0, 0]] * 6


def test_the_pools():
    image = [[1, 3, 5, 7], [4, 2, 11, 3], [4, 1, 21, 6], [13, 15, 1, 2]]
    assert lab.pool(image, 2, 2).tolist() == [[4, 11], [15, 21]]
    assert lab.pool(image, 2, 2, kind="average").tolist() == [[2.5, 6.5], [8.25, 7.5]]
    assert lab.pool(image, 2, 1).tolist() == [[4, 11, 11], [4, 21, 21], [15, 21, 21]]  # windows that overlap
    assert lab.pool(image, 3, padding=1).tolist() == [[4, 11], [15, 21]]


def test_the_chessboard_and_its_edges():
    board = lab.chessboard()
    assert board.shape == (160, 160) and board.mean() == 0.5 and board[0, 0] == 1 and board[0, 20] == 0
    answers = lab.filtered(board)
    assert {answer.shape for answer in answers.values()} == {(158, 158)}
    # An edge is between two columns; the kernel reaches it from two places, and there are seven of them.
    columns = np.flatnonzero(np.abs(answers["vertical-edges"]).max(axis=0)).tolist()
    assert columns == [place for edge in range(20, 160, 20) for place in (edge - 2, edge - 1)]
    assert set(np.unique(answers["vertical-edges"]).tolist()) == {-3, -1, 0, 1, 3}  # ±1 where two edges cross
    np.testing.assert_array_equal(answers["horizontal-edges"], answers["vertical-edges"].T)
    crossed = np.abs(answers["vertical-edges"]) + np.abs(answers["horizontal-edges"])
    assert not answers["all-edges"][crossed == 0].any()  # none but edges
    assert answers["blur"].min() == 0 and answers["blur"].max() == pytest.approx(1)  # never the negative of it


def test_the_slow_loops_give_the_same_chessboard():
    board = lab.chessboard(40, squares=4)
    for name in lab.KERNELS:
        answer = lab.convolve(board, lab.kernel(name))
        assert answer.shape == (38, 38)
        np.testing.assert_allclose(answer, lab.vectorised.convolve(board, lab.kernel(name)), atol=1e-12)


@pytest.mark.parametrize("name", EDGES)
def test_a_kernel_for_edges_is_silent_on_an_even_surface(name):
    assert lab.kernel(name).sum() == 0
    assert not lab.convolve(np.full((5, 5), 7), lab.kernel(name)).any()


@pytest.mark.parametrize("name", KEEPERS)
def test_the_others_leave_an_even_surface_as_it_is(name):
    np.testing.assert_allclose(lab.convolve(np.full((5, 5), 7), lab.kernel(name)), np.full((3, 3), 7.0), atol=1e-12)


def test_every_kernel_stands_in_one_of_the_two_lists_and_cannot_be_changed():
    assert set(EDGES) | set(KEEPERS) == set(lab.KERNELS)
    assert (lab.kernel("blur") > 0).all() and (lab.kernel("gaussian") > 0).all()  # not a minus sign among them
    for name in lab.KERNELS:
        assert lab.kernel(name).shape == (3, 3)
        with pytest.raises(ValueError, match="read-only"):
            lab.kernel(name)[0, 0] = 1
    with pytest.raises(check.SettingError, match="Did you mean 'sobel-vertical'"):
        lab.kernel("sobel-vertikal")


def test_sharpening_widens_a_step_and_blurring_narrows_it():
    step = lab.step_image()
    assert lab.convolve(step, lab.kernel("sharpen"))[0].tolist() == [10, 10, 20, -10, 0, 0]
    assert lab.convolve(step, lab.kernel("blur"))[0].round(2).tolist() == [10, 10, 6.67, 3.33, 0, 0]
    assert lab.convolve(step, lab.kernel("identity")).tolist() == step[1:-1, 1:-1].tolist()


def test_a_border_of_zeros_restores_the_size():
    image = np.arange(1, 17).reshape(4, 4)
    for kernel, border in ((1, 0), (3, 1), (5, 2), (7, 3)):
        ones = np.ones((kernel, kernel), int)
        same = lab.convolve(image, ones, padding="same")
        assert same.shape == (4, 4) == (lab.output_size(4, kernel, padding=border),) * 2
        np.testing.assert_array_equal(same, lab.convolve(image, ones, padding=border))
        np.testing.assert_array_equal(same, lab.convolve(lab.pad(image, border), ones))


def test_eight_bits_do_not_run_over():
    white = np.full((3, 3), 255, np.uint8)
    twos = np.full((3, 3), 2, np.uint8)
    assert lab.convolve(white, twos).tolist() == lab.vectorised.convolve(white, twos).tolist() == [[9 * 510]]
    assert lab.convolve(white > 0, np.ones((3, 3))).tolist() == [[9.0]]  # truth values are 0 and 1
    assert lab.convolve(white, np.ones((3, 3), int)).dtype == np.int64
    assert lab.convolve(white, np.ones((3, 3)), bias=0.5).tolist() == [[2295.5]]


def test_padding():
    assert lab.pad([[1.5]], 1, value=9)[1].tolist() == [9, 1.5, 9]
    assert lab.pad([[1]], 1, value=0.5).tolist()[0] == [0.5, 0.5, 0.5]  # not cut to whole numbers
    assert lab.pad(np.ones((2, 2, 3)), ((1, 0), (0, 2))).shape == (3, 4, 3)


# n, kernel, stride, padding, dilation, places: what the row proves
SIZES = [
    (160, 3, 1, "valid", 1, 158),  # the chessboard
    (4, 3, 1, "valid", 1, 2),  # 1..16
    (8, 3, 1, "valid", 1, 6),  # the step
    (8, 3, 1, 1, 1, 8),  # a border of 1 restores it
    (7, 3, 2, "valid", 1, 3),  # fits exactly
    (8, 3, 2, "valid", 1, 3),  # the last column is left out
    (224, 7, 2, 3, 1, 112),  # the stem of a ResNet
    (224, 11, 4, 2, 1, 55),  # the first layer of AlexNet
    (28, 5, 1, "valid", 1, 24),  # a digit
    (5, 3, 2, "same", 1, 3),  # ceil(5 / 2)
    (7, 3, 1, "valid", 3, 1),  # dilated to 7
    (3, 3, 9, "valid", 1, 1),  # a stride that never happens
]


@pytest.mark.parametrize(("n", "kernel", "stride", "padding", "dilation", "places"), SIZES)
def test_sizes(n, kernel, stride, padding, dilation, places):
    assert lab.output_size(n, kernel, stride, padding, dilation) == places


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 5), st.integers(0, 4), st.integers(1, 3))
def test_a_size_is_the_count_of_places(n, kernel, stride, padding, dilation):
    """Against a way that has no formula: every place is tried."""
    span = len(range(0, kernel * dilation, dilation)) + (kernel - 1) * (dilation - 1)
    counted = sum(1 for start in range(0, n + 2 * padding, stride) if start + span <= n + 2 * padding)
    if counted:
        assert lab.output_size(n, kernel, stride, padding, dilation) == counted
    else:
        with pytest.raises(check.SettingError, match="size: expected at least"):
            lab.output_size(n, kernel, stride, padding, dilation)
    assert lab.output_size(n, kernel, stride, "same", dilation) == -(-n // stride)


IMPOSSIBLE = [
    (lambda: lab.output_size(2, 3), "size: expected at least the 3 pixels that the kernel spans; got 2"),
    (lambda: lab.output_size(0, 3), "size: expected a whole number"),
    (lambda: lab.output_size(8, 0), "kernel: expected a whole number"),
    (lambda: lab.output_size(8, 3, 0), "stride: expected a whole number"),
    (lambda: lab.output_size(8, 3, 0, "same"), "stride: expected a whole number"),
    (lambda: lab.output_size(8, 3, 1, 0.5), "padding: expected"),
    (lambda: lab.output_size(8, 3, dilation=0), "dilation: expected a whole number"),
    (lambda: lab.output_size(8.5, 3), "size: expected a whole number"),
    (lambda: lab.layer_weights(0, 3, 8), "n_in: expected a whole number"),
    (lambda: lab.layer_weights(6, 3, 8, groups=4), "n_in: expected a multiple of the 4 groups; got 6"),
    (lambda: lab.layer_weights(8, 3, 6, groups=4), "n_out: expected a multiple"),
    (lambda: lab.receptive_field([(3,)]), "stack: expected (kernel, stride)"),
    (lambda: lab.receptive_field([(3, 0)]), "stride: expected a whole number"),
    (lambda: lab.chessboard(100), "side: expected a multiple of the 8 squares; got 100"),
    (lambda: lab.step_image(7), "side: expected an even number; got 7"),
]


@pytest.mark.parametrize(("call", "piece"), IMPOSSIBLE, ids=[piece for _, piece in IMPOSSIBLE])
def test_the_impossible_is_refused_in_one_line(call, piece):
    with pytest.raises(check.SettingError) as refused:
        call()
    assert piece in str(refused.value) and "\n" not in str(refused.value)


# n_in, kernel, n_out, weights: where they are printed
WEIGHTS = [
    (1, 3, 16, 160),  # 128×128×1 → Conv16 3×3
    (1, 5, 32, 832),  # 28×28×1 → Conv32 5×5
    (3, 3, 64, 1_792),  # the first layer of VGG: with one channel in place of three it would be 640
    (64, 3, 64, 36_928),  # its second: without its input channels 640 again
    (1, 1, 32, 64),
    (32, 3, 32, 9_248),
    (256, 5, 8, 51_208),
]


@pytest.mark.parametrize(("n_in", "kernel", "n_out", "weights"), WEIGHTS)
def test_weights_count_the_input_channels(n_in, kernel, n_out, weights):
    assert lab.layer_weights(n_in, kernel, n_out) == weights
    assert lab.layer_weights(n_in, kernel, n_out, bias=False) == weights - n_out


def test_inception():
    assert lab.naive_inception(1, 32) == (64, 320, 832) and sum(lab.naive_inception(1, 32)) == 1_216
    assert lab.in_sequence(1, 32) == (64, 9_248, 25_632) and sum(lab.in_sequence(1, 32)) == 34_944
    assert lab.naive_inception(256, 8) == (2_056, 18_440, 51_208) and sum(lab.naive_inception(256, 8)) == 71_704
    reduced = lab.reduced_inception(256, 8)
    assert reduced == (2_056, 2_640, 3_664, 2_056) and sum(reduced) == 10_416


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=4))
def test_a_receptive_field_is_the_pixels_that_matter(stack):
    """Against a way that has no formula: a row of pixels, each changed by itself, through ones."""
    seen = lab.receptive_field(stack)
    product = int(np.prod([stride for _, stride, _ in stack]))
    pixels = np.eye(seen + product)[:, None]  # one row of pixels for each that is 1
    first = []
    for row in pixels:
        answer = row
        for kernel, stride, dilation in stack:
            # Ones would skip what lies between dilated numbers; the span is what the field counts.
            answer = lab.vectorised.convolve(answer, np.ones((1, lab.extent(kernel, dilation))), stride=(1, stride))
        first.append(answer[0, 0] > 0)
    last = max(place for place, matters in enumerate(first) if matters)
    assert last + 1 == seen


def test_multiply_adds_are_the_weights_once_for_each_place():
    assert lab.multiply_adds(112, 7, 3, 64) == 118_013_952  # conv1 of a ResNet: 112²·7²·3·64
    assert lab.multiply_adds((2, 3), (1, 7), 4, 8, groups=4) == 2 * 3 * 7 * 1 * 8
