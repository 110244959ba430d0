"""How unlike two thumbnails are: as they lie, laid over each other, by colour, and beside what chance brings about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lensmith.data.inspection.hashing import SIDE, normalised

_SHIFT, _SCALE, _GAIN = 0.08, 0.2, 0.5  # the largest shift and change of size, the least gain, of a copy
_GRAY = 4.0  # levels of colour, below which an image counts as gray
_TINTED, _ALIGNED = 12.0, 0.9  # levels of colour that differ, and the cosine that copies of a picture reach
_SAMPLE = 400  # images, of which all pairs say how unlike different images are
_FALSE = 0.05  # pairs in a whole collection that may be so near by chance
_CHUNK = 2048  # pairs at a time


def apart(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """How far thumbnails are apart as they lie: 1 less their correlation.

    Args:
        thumbnails: uint8 array of shape ``(n, 24, 24)``; none of one value throughout.
        pairs: int array of shape ``(m, 2)``.

    Returns:
        Shape ``(m,)``, 0 (the same but for brightness and contrast) to 2 (one is the negative of the other).
    """
    parts = [
        1 - np.einsum("nxy,nxy->n", normalised(thumbnails[some[:, 0]]), normalised(thumbnails[some[:, 1]])) / SIDE**2
        for some in _chunks(pairs)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def laid_over(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """:func:`mismatch` of pairs; arguments and result as of :func:`apart`."""
    parts = [
        mismatch(normalised(thumbnails[some[:, 0]]), normalised(thumbnails[some[:, 1]])) for some in _chunks(pairs)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def mismatch(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The share of the variance that remains when thumbnails are laid over each other as well as can be.

    The one is shifted and stretched in x and in y, made brighter and of more contrast, all to first order: the least
    squares of Lucas and Kanade, "An Iterative Image Registration Technique" (1981), in one step, as shifts of a
    thumbnail are below a pixel. The outermost pixels are left out. It is done both ways, and the worse counts.

    Args:
        first: float32 array of shape ``(n, 24, 24)`` from :func:`~lensmith.data.inspection.hashing.normalised`.
        second: likewise.

    Returns:
        Shape ``(n,)``, from 0; infinite where it would take a shift of over 8 %, a stretch of over 20 % or a gain
        of under a half.

    Example:
        >>> noise = normalised(np.random.default_rng(0).integers(0, 256, (2, 24, 24), np.uint8))
        >>> bool(mismatch(noise[:1], noise[:1])[0] < 0.001), bool(mismatch(noise[:1], noise[1:])[0] > 0.5)
        (True, True)
    """
    slope_y, slope_x = np.gradient((first + second) / 2, 1 / SIDE, axis=(1, 2))
    across = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE - 0.5)[None, None, :]
    moves = [np.ones_like(first), slope_x, slope_x * across, slope_y, slope_y * across.swapaxes(1, 2)]
    return np.asarray(np.maximum(_remaining([first, *moves], second), _remaining([second, *moves], first)))


def _remaining(terms: Sequence[np.ndarray], target: np.ndarray) -> np.ndarray:
    inner = slice(1, -1)
    columns = np.stack(terms, axis=-1)[:, inner, inner].reshape(len(target), -1, len(terms)).astype(np.float64)
    wanted = target[:, inner, inner].reshape(len(target), -1, 1).astype(np.float64)
    across = columns.swapaxes(1, 2)
    # The ridge keeps pictures solvable that have no slope in x or in y; it is far below what any real slope weighs.
    normal = across @ columns + 1e-4 * columns.shape[1] * np.eye(len(terms))
    found = np.linalg.solve(normal, across @ wanted)
    share = ((wanted - columns @ found) ** 2).sum(axis=(1, 2)) / (wanted - wanted.mean(axis=1, keepdims=True)).var(
        axis=(1, 2)
    )
    gain, _, *moves = found[..., 0].T
    too_far = np.max(np.abs(moves) / np.array([_SHIFT, _SCALE, _SHIFT, _SCALE])[:, None], axis=0) > 1
    return np.where(too_far | (gain < _GAIN), np.inf, share / columns.shape[1])


def sample(thumbnails: np.ndarray) -> np.ndarray:
    """Up to 400 of them, always the same."""
    return thumbnails[np.random.default_rng(0).permutation(len(thumbnails))[:_SAMPLE]]


def apart_from(thumbnails: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each thumbnail is apart (:func:`apart`) from each of others, in shape ``(n, others)``."""
    against = normalised(others).reshape(len(others), -1).T / SIDE**2
    parts = [
        1 - normalised(thumbnails[at : at + _CHUNK]).reshape(-1, SIDE**2) @ against
        for at in range(0, len(thumbnails), _CHUNK)
    ]
    return np.concatenate([np.zeros((0, len(others)), np.float32), *parts])


def chance(thumbnails: np.ndarray) -> float:
    """How near different images of a collection come to each other by chance.

    The share of pairs that are nearer than d grows as a power of d, as in the correlation dimension of Grassberger and
    Procaccia, "Measuring the Strangeness of Strange Attractors" (1983). Power and scale are those of the quantiles 1/4
    and 1/2 of :func:`apart` in a sample, which copies hardly move; from them follows below which distance there is less
    than 1 pair in 20 collections of this size. Noise and photos have many ways to differ, and a copy of them stands
    out; written digits, icons and gradients have few.

    Args:
        thumbnails: uint8 array of shape ``(n, 24, 24)``; none of one value throughout.

    Returns:
        The distance (:func:`apart`) below which nothing lies by chance; 0 where fewer than 4 images are there or most
        are the same.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (40, 24, 24), np.uint8)
        >>> 0.4 < chance(noise) < 0.8, chance(noise[:3])
        (True, 0.0)
    """
    count = len(thumbnails)
    if count < 4:
        return 0.0
    some = sample(thumbnails)
    quarter, half = np.quantile(apart_from(some, some)[np.triu_indices(len(some), 1)], (0.25, 0.5))
    if not 1e-3 < quarter < 0.999 * half:
        return 0.0
    power = np.log(2) / np.log(half / quarter)
    expected = count * (count - 1) / 2 / 4  # pairs nearer than the first quarter
    return float(quarter * min(_FALSE / expected, 1.0) ** (1 / power))


def tinted(colours: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Whether pairs show the same shapes in other colours; a copy in gray of an image in colour does not count.

    Args:
        colours: uint8 array of shape ``(n, 4, 4, 3)`` from :func:`~lensmith.data.inspection.hashing.colours`.
        pairs: int array of shape ``(m, 2)``.

    Returns:
        bool array of shape ``(m,)``.

    Example:
        >>> red, pink, blue = np.zeros((3, 4, 4, 3), np.uint8)
        >>> red[..., 0], pink[..., 0], blue[..., 2] = 250, 200, 250
        >>> tinted(np.stack([red, pink, blue]), np.array([[0, 1], [0, 2]])).tolist()
        [False, True]
    """
    first, second = (_opponent(colours[pairs[:, side]]) for side in (0, 1))
    lengths = [np.sqrt((one**2).mean(axis=1)) for one in (first, second)]
    lower, higher = np.minimum(*lengths), np.maximum(*lengths)
    cosine = (first * second).mean(axis=1) / np.maximum(lower * higher, 1e-6)
    differing = higher * np.sqrt(np.clip(1 - cosine**2, 0, 1))
    return np.asarray((lower > _GRAY) & (cosine < _ALIGNED) & ((differing > _TINTED) | (cosine < 0)))


def _opponent(colours: np.ndarray) -> np.ndarray:
    """Red against green and yellow against blue: what gray has none of; shape ``(n, 32)``."""
    red, green, blue = np.moveaxis(colours.astype(np.float32), 3, 0).reshape(3, len(colours), 16)
    return np.concatenate([red - green, (red + green) / 2 - blue], axis=1)


def _chunks(pairs: np.ndarray) -> Iterator[np.ndarray]:
    return (pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK))
