"""The parts of the loss, against numbers on paper, slow numpy and the papers' derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.backend import keras
from lensmith.backend.derivative import differentiated
from lensmith.stylize import losses

# 2 x 2 positions of 2 channels, for which all numbers below were computed on paper.
MAPS = np.array([[[[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [2.0, -1.0]]]], np.float32)
MASK = np.array([[1.0, 0.0], [0.5, 0.0]], np.float32)


def host(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def slope(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    return host(differentiated(lambda x: (function(x), ()))(at)[2])


def gram(features: Any, mask: np.ndarray | None) -> Any:
    return losses.gram(features) if mask is None else losses.products(features, losses.guidance(mask))


def slow_gram(features: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Gatys et al. 2017, equations 4 and 5 word for word: columns times a channel T whose squares sum to 1."""
    _, height, width, channels = features.shape
    mask = np.ones((height, width)) if mask is None else mask
    norm = np.sqrt(sum(mask[y, x] ** 2 for y in range(height) for x in range(width)))
    found = np.zeros((channels, channels))
    for y in range(height):
        for x in range(width):
            column = features[0, y, x].astype(np.float64) * mask[y, x] / norm
            found += np.outer(column, column)
    return found


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@pytest.mark.backends
def test_gram_on_paper() -> None:
    # 1 + 0 + 9 + 4, 2 + 0 + 0 - 2, 4 + 1 + 0 + 1: over 4 positions
    assert host(losses.gram(MAPS)).tolist() == [[3.5, 0.0], [0.0, 1.5]]
    assert host(losses.products(MAPS)).tolist() == [[14.0, 0.0], [0.0, 6.0]]


@pytest.mark.backends
def test_guided_gram_on_paper() -> None:
    # the mask's squares are 1 and 1/4: (1 + 9/4, 2, 4) over 5/4
    np.testing.assert_allclose(host(gram(MAPS, MASK)), [[2.6, 1.6], [1.6, 3.2]], rtol=1e-6)


@pytest.mark.backends
def test_losses_on_paper() -> None:
    target = np.array([[1.5, 1.0], [1.0, 1.5]], np.float32)
    assert float(losses.style_loss(losses.gram(MAPS), target)) == (4 + 1 + 1) / 16
    assert float(losses.content_loss(MAPS, MAPS[:, ::-1])) == 2 * (4 + 4 + 4 + 4) / 8
    # down: 4, 4 and 4, 4; across: 1, 1 and 1, 1
    assert float(losses.variation(MAPS)) == (4 * 4 + 4 * 1) / 8
    assert float(losses.variation(MAPS[:, :1, :1])) == 0
    assert float(losses.variation(MAPS[:, :1])) == 1


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.booleans(), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_gram_is_that_of_the_slow_way(height: int, width: int, channels: int, guided: bool, seed: int) -> None:
    features = random(1, height, width, channels, seed=seed)
    mask = np.random.default_rng(seed).random((height, width), dtype=np.float32) if guided else None
    found = host(gram(features, mask))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(found, slow_gram(features, mask), atol=1e-5)


@given(st.floats(0.125, 1.0))
@settings(max_examples=10, deadline=None)
def test_a_mask_of_one_value_is_no_mask(value: float) -> None:
    features = random(1, 4, 5, 3)
    mask = np.full((4, 5), value, np.float32)
    np.testing.assert_allclose(host(gram(features, mask)), host(losses.gram(features)), rtol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("guided", [False, True])
def test_the_derivative_of_the_style_loss_is_that_of_the_paper(guided: bool) -> None:
    """Gatys et al. 2016, equation 6, for matrices divided by M; guided, that of 2017: times the squares of the mask."""
    features, other = random(1, 4, 5, 3), random(1, 6, 2, 3, seed=1)
    mask = np.random.default_rng(2).random((4, 5), dtype=np.float32) if guided else None
    target = slow_gram(other)
    found = slope(lambda x: losses.style_loss(gram(x, mask), target.astype(np.float32)), features)
    shares = np.full((4, 5), 1 / 20) if mask is None else mask**2 / (mask**2).sum()
    away = slow_gram(features, mask) - target
    expected = shares[None, ..., None] * (features @ away) / 3**2
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.backends
def test_the_derivative_of_products_holds_for_any_use_of_them() -> None:
    """The derivative is computed through one of the two factors: also where what is made of it is not symmetric."""
    features, by = random(1, 3, 4, 3), random(3, 3, seed=5)
    found = slope(lambda x: keras.ops.sum(keras.ops.multiply(losses.products(x), by)), features)
    np.testing.assert_allclose(found, features @ (by + by.T), atol=1e-5)


@pytest.mark.backends
def test_the_derivative_of_the_variation() -> None:
    pixels = np.array([0.0, 1.0, 3.0], np.float32).reshape(1, 1, 3, 1)
    # (1² + 2²) / 2
    assert float(losses.variation(pixels)) == 2.5
    assert slope(losses.variation, pixels).ravel().tolist() == [-1.0, -1.0, 2.0]


def test_nothing_is_not_divided_by() -> None:
    # A mean square; what squares are multiplied by
    for square, expected in ((0.0, 1.0), (1e-30, 1.0), (0.04, 25.0), (2.0**20, 2.0**-20)):
        assert losses.scale(square) == pytest.approx(expected)
