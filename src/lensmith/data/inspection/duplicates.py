"""Which images are the same: the same pixels, or the same picture encoded, resized, lit or cropped anew.

Of each image a hash of its pixels and a thumbnail of 24 × 24 are known (:mod:`~lensmith.data.inspection.hashing`).
Images of one hash are exact copies. For near copies each thumbnail's fingerprint looks for up to 8 neighbours
(:mod:`~lensmith.data.inspection.neighbours`), which takes n · log n steps for n images, however many look alike. Each
pair so found is then laid over each other (:func:`mismatch`) and only kept where what remains is small.

Measured by ``benchmarks/duplicates.py`` on the 1,400 photos of ``cats_vs_dogs``, with one copy of each: found are 100 %
of those saved as JPEG of quality 60, 100 % of those resized to 70 %, 99.7 % of those 15 % brighter, 99.6 % of those
cropped by 3 %, and 99.4 % of those with all four; no two different photos were taken for copies, nor any two of the
70,000 digits of MNIST. What is mirrored, turned or cropped by more than about 5 % is not looked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.data.inspection.hashing import SIDE, fingerprints, normalised
from lensmith.data.inspection.neighbours import neighbours

NEIGHBOURS = 8  # looked at of each image; more copies than that are found through one another
RADIUS = 0.25  # between fingerprints: what a crop of 3 % stays within, and hardly any two photos
ALIKE = 0.08  # of the variance may remain when two thumbnails are laid over each other
SAME = 0.0025  # likewise, where much looks alike: digits, icons, drawings
_CONTRAST = 5.0  # gray levels of deviation; below it there is nothing but noise to compare
_CORRELATION = 0.7  # of two thumbnails as they lie, below which laying them over each other is not tried
_CLOSE = 0.9  # likewise: what most neighbours reach where there are many copies, and not where much looks alike
_FLAT_SHARE, _FLAT_LEVELS = 0.5, 5  # so much of a thumbnail within so many gray levels is a plain background
_SHIFT, _SCALE, _GAIN = 0.08, 0.2, 0.5  # the largest shift and change of size, the least gain, of a copy
_CHUNK = 2048  # pairs at a time


@dataclass(frozen=True, slots=True)
class Copies:
    """Places of images that show the same.

    Args:
        groups: of two and more places each, in ascending order: exact and near copies together.
        exact: those of the same pixels; each lies within one of the groups.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    exact: tuple[tuple[int, ...], ...] = ()


def find(contents: Sequence[bytes], thumbnails: np.ndarray) -> Copies:
    """Find the copies among images.

    Args:
        contents: the hash of each image's pixels.
        thumbnails: uint8 array of shape ``(n, 24, 24)``.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (3, 24, 24), np.uint8)
        >>> find([b"a", b"b", b"a"], noise[[0, 1, 0]])
        Copies(groups=((0, 2),), exact=((0, 2),))
    """
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for place, key in enumerate(contents):
        by_content[key].append(place)
    different = list(by_content.values())
    exact = [tuple(places) for places in different if len(places) > 1]
    joined = near(thumbnails[[places[0] for places in different]])
    inside = {member for group in joined for member in group}
    groups = [tuple(sorted(place for member in group for place in different[member])) for group in joined]
    groups += [tuple(places) for at, places in enumerate(different) if len(places) > 1 and at not in inside]
    return Copies(tuple(sorted(groups)), tuple(exact))


def near(thumbnails: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Groups of thumbnails that are alike.

    Every member of a group is alike its first one, so that a long chain of which each is alike the next only, such as
    the frames of a video, does not become one group.

    Args:
        thumbnails: uint8 array of shape ``(n, 24, 24)``.
    """
    deviations = [thumbnails[at : at + _CHUNK].std(axis=(1, 2)) for at in range(0, len(thumbnails), _CHUNK)]
    telling = np.flatnonzero(np.concatenate([np.zeros(0), *deviations]) >= _CONTRAST)
    shown = thumbnails[telling]
    pairs, strict = _candidates(shown)
    paired = np.unique(pairs)
    strict[paired] |= _flat(shown[paired])
    limits = np.where(strict, SAME, ALIKE)
    pairs = pairs[_alike(shown, pairs, limits)]
    return tuple(tuple(telling[group].tolist()) for group in _grouped(shown, pairs, limits))


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


def _candidates(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs ``(m, 2)`` of neighbours that correlate, and which images have their neighbourhood crowded."""
    pairs = neighbours(fingerprints(shown), RADIUS, NEIGHBOURS)
    correlations = _correlations(shown, pairs)
    around = np.bincount(pairs.ravel(), minlength=len(shown))
    close = np.bincount(pairs[correlations > _CLOSE].ravel(), minlength=len(shown))
    return pairs[correlations > _CORRELATION], (around >= NEIGHBOURS) & (2 * close < around)


def _flat(shown: np.ndarray) -> np.ndarray:
    """Whether most of a thumbnail is of one gray: a plain background, before which different things look alike."""
    levels = np.sort(shown.reshape(len(shown), SIDE**2), axis=1)
    most = int(_FLAT_SHARE * levels.shape[1])
    return np.asarray((levels[:, most - 1 :] - levels[:, : 1 - most] < _FLAT_LEVELS).any(axis=1))


def _correlations(shown: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    parts = [
        np.einsum("nxy,nxy->n", normalised(shown[some[:, 0]]), normalised(shown[some[:, 1]])) / SIDE**2
        for some in _chunks(pairs)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _alike(shown: np.ndarray, pairs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Whether each pair remains below the limit of both its images."""
    if not len(pairs):
        return np.zeros(0, bool)
    limit = limits[pairs].min(axis=1)
    # Where hardly anything may remain, what does not lie on the other already need not be laid over it.
    worth = _correlations(shown, pairs) > np.where(limit < ALIKE, 0.98, _CORRELATION)
    rest = np.full(len(pairs), np.inf)
    parts = [mismatch(normalised(shown[some[:, 0]]), normalised(shown[some[:, 1]])) for some in _chunks(pairs[worth])]
    rest[worth] = np.concatenate(parts) if parts else 0
    return np.asarray(rest < limit)


def _chunks(pairs: np.ndarray) -> list[np.ndarray]:
    return [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]


def _grouped(shown: np.ndarray, pairs: np.ndarray, limits: np.ndarray) -> list[list[int]]:
    """Groups grown from their lowest place along pairs, of those that are alike that first one."""
    linked: dict[int, set[int]] = defaultdict(set)
    for low, high in pairs.tolist():
        linked[low].add(high)
        linked[high].add(low)
    groups, taken = [], set[int]()
    for first in sorted(linked):
        if first in taken:
            continue
        group, edge, seen = [first], [first], {first}
        while edge:
            beside = sorted({place for at in edge for place in linked[at]} - seen - taken)
            seen.update(beside)
            further = [place for place in beside if place not in linked[first]]
            checked = np.array([(first, place) for place in further], np.int64).reshape(-1, 2)
            unlike = {place for place, fits in zip(further, _alike(shown, checked, limits), strict=True) if not fits}
            edge = [place for place in beside if place not in unlike]
            group += edge
        taken.update(group)
        if len(group) > 1:
            groups.append(sorted(group))
    return groups
