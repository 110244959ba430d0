"""Colours kept: only light and dark come from the painting."""

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.stylize import colours

rng = np.random.default_rng(0)


def through_yiq(painted: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Another way: exchange Y in the standard library's YIQ, whose factors have three digits."""
    mixed = np.zeros_like(content)
    for place in np.ndindex(content.shape[:2]):
        y = colorsys.rgb_to_yiq(*painted[place].tolist())[0]
        _, i, q = colorsys.rgb_to_yiq(*content[place].tolist())
        mixed[place] = colorsys.yiq_to_rgb(y, i, q)
    return mixed


def test_equal_to_exchanging_y_in_yiq() -> None:
    painted, content = rng.uniform(0.4, 0.6, (2, 6, 5, 3)).astype(np.float32)
    assert np.abs(colours.kept(painted, content) - through_yiq(painted, content)).max() < 5e-3


def test_on_paper() -> None:
    """Y of (0.5, 0.3, 0.1) is 0.1495 + 0.1761 + 0.0114 = 0.337; the painting's is 0.437: each channel grows by 0.1."""
    painted = np.full((1, 1, 3), 0.437, np.float32)
    content = np.array([[[0.5, 0.3, 0.1]]], np.float32)
    assert colours.kept(painted, content)[0, 0] == pytest.approx([0.6, 0.4, 0.2], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255))
def test_gray_stays_gray(light: int, dark: int) -> None:
    """A gray content painted in gray is the painting, to the last of 256 steps; the same painted in colours is gray."""
    content, painted = (np.full((1, 1, 3), value / 255, np.float32) for value in (light, dark))
    assert (np.rint(colours.kept(painted, content) * 255) == dark).all()
    coloured = np.array([[[dark / 255, 0.5, 0.25]]], np.float32)
    assert np.ptp(colours.kept(coloured, content)) == 0


def test_a_painting_of_itself_changes_nothing() -> None:
    content = rng.random((4, 4, 3)).astype(np.float32)
    assert np.array_equal(colours.kept(content, content), content)


def test_what_leaves_the_range_is_clipped() -> None:
    found = colours.kept(np.ones((1, 1, 3), np.float32), np.array([[[1, 0.5, 0]]], np.float32))
    assert found.max() == 1


def test_a_style_takes_mean_and_deviation_of_the_content() -> None:
    style, content = rng.random((9, 7, 3)).astype(np.float32) ** 3, rng.uniform(0.5, 0.8, (5, 5, 3)).astype(np.float32)
    found = colours.matched(style, content)
    wanted = colours.luminance(content)
    assert np.array_equal(found[..., 0], found[..., 2])
    assert found.mean() == pytest.approx(wanted.mean(), abs=1e-5)
    assert found.std() == pytest.approx(wanted.std(), abs=1e-5)


def test_a_style_of_one_tone_is_the_mean() -> None:
    content = rng.random((5, 5, 3)).astype(np.float32)
    found = colours.matched(np.full((3, 3, 3), 0.3, np.float32), content)
    assert found == pytest.approx(colours.luminance(content).mean(), abs=1e-6)
