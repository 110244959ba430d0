"""Masks: what is accepted, what refused, how they are resized and laid over a painting."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from lensmith import check
from lensmith.stylize import masks


def disc(size: int = 80) -> np.ndarray:
    """A white disc on black."""
    picture = Image.new("L", (size, size))
    ImageDraw.Draw(picture).ellipse((size // 4, size // 4, 3 * size // 4, 3 * size // 4), fill=255)
    return np.asarray(picture)


def test_white_is_inside() -> None:
    mask = masks.read(disc(), (80, 80))
    assert (mask.dtype, mask.shape) == (np.float32, (80, 80))
    assert mask[40, 40] == 1
    assert mask[2, 2] == 0


def test_inverted_is_the_rest() -> None:
    assert np.array_equal(masks.read(disc(), (80, 80), invert=True), 1 - masks.read(disc(), (80, 80)))


def test_the_noise_of_jpeg_is_no_gray(tmp_path: Path) -> None:
    """Black that JPEG made a little gray is exactly outside, all but a seam of the disc."""
    Image.fromarray(disc()).save(tmp_path / "mask.jpg", quality=30)
    noisy, clean = np.asarray(Image.open(tmp_path / "mask.jpg")), disc()
    assert (noisy[clean == 0] > 0).mean() > 0.02, "there is noise"
    mask = masks.read(tmp_path / "mask.jpg", (80, 80))
    assert set(np.unique(mask[:15])) == {0.0}
    assert ((mask > 0) == (clean > 0)).mean() > 0.97


def test_smoothed_edges_stay_smooth() -> None:
    smooth = np.asarray(Image.fromarray(disc()).filter(ImageFilter.GaussianBlur(1)))
    mask = masks.read(smooth, (80, 80))
    assert 0.005 < ((mask > 0) & (mask < 1)).mean() < 0.05


def test_colour_and_alpha_are_looked_at_as_gray() -> None:
    rgba = np.dstack([disc(), disc(), disc(), np.full((80, 80), 7, np.uint8)])
    assert np.array_equal(masks.read(rgba, (80, 80)), masks.read(disc(), (80, 80)))


half = np.repeat(np.array([[0, 255]], np.uint8), 8, axis=0).repeat(4, axis=1)
few = half.copy()
few[0, :3] = 128  # 3 of 64 pixels, 4.7 %
many = half.copy()
many[0, :4] = 128  # 4 of 64 pixels, 6.25 %

# Each row: pixels, and what the refusal says, or nothing.
GIVEN = [
    (half, None),  # black and white
    (few, None),  # less than 5 % gray
    (many, "mask: expected a mask that is black and white; got 6% of its pixels gray: it is not black and white"),
    (np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8), "not black and white"),  # a photograph
    (half[:, :6], "mask: expected the content's size, 8×8 pixels; got 6×8 pixels. A mask is drawn on the content"),
    (np.zeros((8, 8), np.uint8), "got one that is all black"),
    (np.full((8, 8), 255, np.uint8), "got one that is all white"),
    (np.full((8, 8), 40, np.uint8), "got one that is all black"),  # nearly
]


@pytest.mark.parametrize(("pixels", "refusal"), GIVEN)
def test_what_is_a_mask(pixels: np.ndarray, refusal: str | None) -> None:
    if refusal is None:
        assert masks.read(pixels, (8, 8)).max() == 1
        return
    with pytest.raises(check.DataError) as refused:
        masks.read(pixels, (8, 8))
    assert refusal in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    Image.fromarray(half).save(tmp_path / "small.png")
    with pytest.raises(check.DataError, match=r"small\.png: expected the content's size, 20×10 pixels; got 8×8 pixels"):
        masks.read(tmp_path / "small.png", (10, 20))
    with pytest.raises(check.DataError, match=r"none\.png: the file is missing"):
        masks.read(tmp_path / "none.png", (10, 20))


def test_shrinking_averages_areas() -> None:
    mask = np.zeros((4, 4), np.float32)
    mask[0, 0] = mask[2:, 2:] = 1
    assert masks.scaled(mask, (2, 2)).tolist() == [[0.25, 0], [0, 1]]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_resized_masks_stay_within_0_and_1(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 2, (9, 13)).astype(np.float32)
    found = masks.scaled(mask, (height, width))
    assert (found.dtype, found.shape) == (np.float32, (height, width))
    assert found.min() >= 0
    assert found.max() <= 1


def test_laid_over_white_and_over_the_content() -> None:
    """A row of four: outside, on the edge, inside; by hand."""
    painted, content = np.full((1, 3, 3), 0.2, np.float32), np.full((1, 3, 3), 0.6, np.float32)
    mask = np.array([[0, 0.5, 1]], np.float32)
    white = masks.laid(painted, content, mask, "white")[0, :, 0]
    assert white[0] == 1
    assert white[1] == pytest.approx(0.6)
    assert white[2] == np.float32(0.2)
    own = masks.laid(painted, content, mask, "content")[0, :, 0]
    assert own[0] == np.float32(0.6)
    assert own[1] == pytest.approx(0.4)
    assert own[2] == np.float32(0.2)
