"""Black and white pictures that say where a style goes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from lensmith import check, data
from lensmith.stylize import pictures

Mask = np.ndarray  # float32 (h, w), 0..1
Elsewhere = Literal["white", "content"]

# Between a quarter and three quarters of white a pixel is gray. Edges that were smoothed have such pixels, and JPEG
# makes some; a mask has few.
_BLACK, _WHITE, _MOST_GRAY = 0.25, 0.75, 0.05


def read(mask: Path | str | np.ndarray, size: tuple[int, int], *, place: str = "mask", invert: bool = False) -> Mask:
    """A mask from a file or from pixels.

    Args:
        mask: a file, or uint8 pixels ``(h, w)`` or ``(h, w, 1 | 3 | 4)``; white is inside.
        size: height and width of the content before any resizing.
        place: what to call it in a refusal; a file is called by its path.
        invert: whether black is inside.

    Returns:
        float32 array ``(h, w)``: 1 inside, 0 outside, between them on smoothed edges only.

    Raises:
        DataError: the file is missing or damaged, it has another size than the content, is not black and white, or
            is all black or all white.

    >>> read(np.array([[0, 3, 128, 252]] + [[0, 0, 0, 255]] * 4, np.uint8), (5, 4))[0]
    array([0.       , 0.       , 0.5039216, 1.       ], dtype=float32)
    """
    place = place if isinstance(mask, np.ndarray) else str(mask)
    gray = data.decode(mask, 1, place=place)[..., 0].astype(np.float32) / 255
    check_size(gray, size, place)
    part = float(((gray > _BLACK) & (gray < _WHITE)).mean())
    if part > _MOST_GRAY:
        got = f"{part:.0%} of its pixels gray: it is not black and white"
        raise check.DataError(check.sentence(place, "a mask that is black and white", got))
    # So that what JPEG makes of black is black: outside is outside to the last pixel.
    clean: np.ndarray = np.clip((gray - _BLACK) / (_WHITE - _BLACK), 0, 1).astype(np.float32)
    inside = clean >= 0.5
    if inside.all() or not inside.any():
        got = "one that is all white" if inside.all() else "one that is all black"
        raise check.DataError(check.sentence(place, "a mask with an inside (white) and an outside (black)", got))
    return np.float32(1) - clean if invert else clean


def check_size(mask: Mask, size: tuple[int, ...], place: str) -> None:
    """Refuse a mask that has another height and width than the content.

    Raises:
        DataError: names the place and both sizes.
    """
    if mask.shape != tuple(size):
        remedy = "A mask is drawn on the content itself"
        raise check.DataError(check.sentence(place, f"the content's size, {said(size)}", said(mask.shape), remedy))


def scaled(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at another size: float32 ``(height, width)``, 0..1, averaged by area where it shrinks."""
    resized: np.ndarray = pictures.scaled(mask[..., None], size)[..., 0]
    return resized


def laid(painted: np.ndarray, content: np.ndarray, mask: Mask, elsewhere: Elsewhere) -> np.ndarray:
    """The painting inside a mask, and white or the content elsewhere.

    Args:
        painted: float32 ``(h, w, 3)``, 0..1.
        content: float32 of the same shape.
        mask: float32 ``(h, w)``, 0..1; between 0 and 1 the two are mixed.
        elsewhere: what stands where the mask is 0: ``white``, or the ``content``'s own pixels. Both exactly.

    Returns:
        float32 array ``(h, w, 3)``, 0..1.
    """
    ground = content if elsewhere == "content" else np.float32(1)
    part = mask[..., None]
    mixed: np.ndarray = np.where(part == 0, ground, np.where(part == 1, painted, part * painted + (1 - part) * ground))
    return mixed.astype(np.float32)


def said(shape: tuple[int, ...]) -> str:
    """Width × height of an array, as programs for pictures say it.

    >>> said((24, 32, 3))
    '32×24 pixels'
    """
    return f"{shape[1]}×{shape[0]} pixels" if len(shape) > 1 else f"shape {shape}"
