"""The colours of one picture with the light and dark of another."""

from __future__ import annotations

import numpy as np

# Of the luminance Y in YIQ, ITU-R BT.601.
WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Light and dark alone.

    Args:
        pixels: float32 ``(h, w, 3)``, 0..1.

    Returns:
        float32 array ``(h, w, 1)``, 0..1.

    >>> luminance(np.array([[[1, 0, 0], [0.5, 0.5, 0.5]]], np.float32))[0, :, 0]
    array([0.299, 0.5  ], dtype=float32)
    """
    found: np.ndarray = (pixels * WEIGHTS).sum(axis=-1, keepdims=True, dtype=np.float32)
    return found


def matched(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The luminance of a style with the mean and the deviation of the content's, in three equal channels.

    Without this a dark style on a light photograph would change nothing but the light of it. The result is not
    clipped: it is only looked at by the network.

    Args:
        style: float32 ``(h, w, 3)``, 0..1.
        content: float32 ``(h', w', 3)``, 0..1.

    Returns:
        float32 array ``(h, w, 3)``; of a style of one tone only, the content's mean.

    References:
        Gatys, Bethge, Hertzmann & Shechtman 2016, "Preserving color in neural artistic style transfer", section 4.2:
        L_S' = σ_C / σ_S · (L_S − μ_S) + μ_C.
    """
    ours, theirs = luminance(style), luminance(content)
    deviation = ours.std()
    factor = theirs.std() / deviation if deviation > 1e-6 else np.float32(0)
    return np.repeat((factor * (ours - ours.mean()) + theirs.mean()).astype(np.float32), 3, axis=2)


def gray(pixels: np.ndarray) -> np.ndarray:
    """The luminance in three equal channels: float32 ``(h, w, 3)``, 0..1."""
    return np.repeat(luminance(pixels), 3, axis=2)


def kept(painted: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The luminance of a painting with the colours of the content.

    In YIQ the colour (I, Q) stays and Y is exchanged. As R, G and B each are Y plus what I and Q give, that adds the
    difference of the two Y to each of the three channels: no colour changes its tone, a gray one stays gray.

    Args:
        painted: float32 ``(h, w, 3)``, 0..1.
        content: float32 of the same shape.

    Returns:
        float32 array ``(h, w, 3)``, clipped to 0..1.

    References:
        Gatys, Bethge, Hertzmann & Shechtman 2016, "Preserving color in neural artistic style transfer", section 4.2.

    >>> kept(np.full((1, 1, 3), 0.6, np.float32), np.array([[[0.5, 0.3, 0.1]]], np.float32)).round(3)
    array([[[0.763, 0.563, 0.363]]], dtype=float32)
    """
    mixed: np.ndarray = np.clip(content + (luminance(painted) - luminance(content)), 0, 1)
    return mixed
