"""The laboratory's pictures show what the arrays beside them hold."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import check
from lensmith.probe import lab


def test_three_figures_with_their_arrays():
    kernels, pooling, places = lab.figures()
    board = lab.chessboard()
    np.testing.assert_array_equal(kernels.arrays["image"], board)
    np.testing.assert_array_equal(kernels.arrays["blur"], lab.vectorised.convolve(board, lab.kernel("blur")))
    assert kernels.facts["shapes"]["all-edges"] == [158, 158]
    assert pooling.facts["shapes"] == {
        "max 4": [39, 39],
        "average 4": [39, 39],
        "max 8": [19, 19],
        "average 8": [19, 19],
    }
    assert places.arrays["valid"].tolist() == [[0, 0, 30, 30, 0, 0]] * 6


def test_the_largest_keeps_a_thin_line_and_the_average_lets_it_fade():
    line = np.zeros((8, 8))
    line[:, 3] = 1
    pooled = lab.pooled(line, [2, 4])
    assert pooled["max 4"].tolist() == [[1, 0], [1, 0]]
    assert pooled["average 4"].tolist() == [[0.25, 0], [0.25, 0]]
    assert list(pooled) == ["max 2", "average 2", "max 4", "average 4"]


def test_one_kernel_in_four_ways():
    ways = lab.placed(lab.step_image())
    assert ways["stride 2"].tolist() == [[0, 30, 0]] * 3
    assert ways["dilation 2"].tolist() == [[30] * 4] * 4
    assert ways["same"][3].tolist() == [-20 - 10, 0, 0, 30, 30, 0, 0, 0]  # the border of zeros is an edge
    assert ways["same"][0].tolist() == [-20, 0, 0, 20, 20, 0, 0, 0]  # and stands above, too


def test_the_pictures_show_them():
    """In the picture of the step the red of 30 covers what it does in the arrays: squares of 20 pixels a number."""
    picture = lab.figures()[2].picture
    arrays = lab.figures()[2].arrays
    red = int(np.all(picture == (178, 34, 40), axis=2).sum())
    assert red == 20**2 * sum(int((values == 30).sum()) for name, values in arrays.items() if name != "image")


def test_an_image_of_the_reader():
    image = np.random.default_rng(0).uniform(size=(300, 24)) * 255
    figures = lab.figures(image)
    assert figures[0].arrays["blur"].shape == (298, 22) and figures[1].arrays["max-8"].shape == (37, 2)
    assert all(figure.picture.dtype == np.uint8 for figure in figures)
    assert lab.figures(np.zeros((10, 10)))[1].arrays["max-8"].tolist() == [[0]]


def test_bad_images_are_refused():
    with pytest.raises(check.SettingError, match="depthwise"):
        lab.figures(np.zeros((20, 20, 3)))
    with pytest.raises(check.SettingError, match="at least the 8 pixels"):
        lab.figures(np.zeros((9, 9)))
    with pytest.raises(check.DataError, match="array of numbers"):
        lab.figures([["a"]])
