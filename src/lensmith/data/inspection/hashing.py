"""What is kept of an image so that its copies can be found: a hash of its pixels, a thumbnail, its colours."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

SIDE = 24  # of a thumbnail; 576 bytes an image
STANDARD = 256  # longest side at which images are compared, in pixels
_BETWEEN = 32  # pixels a side, on the way to a thumbnail
_SMALLEST = 16  # pixels a side: in less there is too little to tell two images apart by
_CELLS = 4  # a side, whose mean colours are kept; 48 bytes an image
_LOW = 4  # cosines a direction that make a fingerprint
_CHUNK = 4096  # thumbnails that are floating point at a time


def content(pixels: np.ndarray) -> bytes:
    """16 bytes that two images share if and only if, but for chance, their decoded pixels are the same.

    The same file twice has the same pixels, and so have a PNG and the TIFF made from it.

    Args:
        pixels: uint8 array of shape ``(h, w, channels)``.

    Example:
        >>> black = np.zeros((2, 3, 1), np.uint8)
        >>> content(black) == content(black.copy()), content(black) == content(black.reshape(3, 2, 1))
        (True, False)
    """
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()[:16]


def standard(pixels: np.ndarray) -> np.ndarray:
    """The image in gray, its longest side at most ``STANDARD``; smaller ones keep their size.

    Args:
        pixels: uint8 array of shape ``(h, w, 1 | 3 | 4)``.

    Returns:
        uint8 array of shape ``(height, width)``.
    """
    colour = pixels.shape[2] > 1
    gray = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY) if colour else pixels[..., 0]
    scale = STANDARD / max(gray.shape)
    if scale >= 1:
        return np.asarray(gray)
    height, width = (max(round(side * scale), 1) for side in gray.shape)
    return np.asarray(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA))


def thumbnail(gray: np.ndarray) -> np.ndarray:
    """The whole image in ``SIDE × SIDE`` pixels, whatever its shape; all 0 where a side is under 16 pixels.

    Args:
        gray: uint8 array of shape ``(height, width)``.
    """
    if min(gray.shape) < _SMALLEST:
        return np.zeros((SIDE, SIDE), np.uint8)
    # In two steps, as the little blur of the second makes shifts by part of a pixel gentle enough to be undone.
    between = cv2.resize(gray, (_BETWEEN, _BETWEEN), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(between, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def colours(pixels: np.ndarray) -> np.ndarray:
    """The mean colours of the image in 4 × 4 cells.

    Args:
        pixels: uint8 array of shape ``(h, w, 1 | 3 | 4)``.

    Returns:
        uint8 array of shape ``(4, 4, 3)``.
    """
    small = cv2.resize(np.ascontiguousarray(pixels[..., :3]), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(np.broadcast_to(small.reshape(_CELLS, _CELLS, -1), (_CELLS, _CELLS, 3)))


def normalised(thumbnails: np.ndarray) -> np.ndarray:
    """Each thumbnail with mean 0 and deviation 1, so that brightness and contrast count for nothing.

    Args:
        thumbnails: uint8 array of shape ``(n, SIDE, SIDE)``; none may be of one value throughout.

    Returns:
        float32 array of the same shape.
    """
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    values /= values.std(axis=(1, 2), keepdims=True)
    return values


def fingerprints(thumbnails: np.ndarray) -> np.ndarray:
    """The slowest 15 waves of each normalised thumbnail: the first 4 × 4 of its cosine transform but the mean.

    After Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2.1, but kept
    as numbers, of which neighbours can be found, and not as bits.

    Args:
        thumbnails: uint8 array of shape ``(n, SIDE, SIDE)``; none may be of one value throughout.

    Returns:
        float32 array of shape ``(n, 15)``. Two thumbnails that differ by a share r of their variance are at most the
        square root of r apart.
    """
    waves = _waves()
    parts = [
        np.einsum("ux,nxy,vy->nuv", waves, normalised(thumbnails[start : start + _CHUNK]), waves, optimize=True)
        for start in range(0, len(thumbnails), _CHUNK)
    ]
    low = np.concatenate(parts) if parts else np.zeros((0, _LOW, _LOW), np.float32)
    return np.asarray(low.reshape(-1, _LOW * _LOW)[:, 1:] / SIDE, np.float32)


def _waves() -> np.ndarray:
    """The first rows of the orthonormal cosine transform (DCT-II)."""
    places = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves: np.ndarray = np.cos(np.arange(_LOW)[:, None] * places) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)
