"""Which images are the same: the same pixels, or the same picture encoded, resized, lit or cropped anew.

Of each image a hash of its pixels, a thumbnail of 24 × 24 in gray and one of 4 × 4 in colour are known
(:mod:`~lensmith.data.inspection.hashing`). Images of one hash are exact copies. For near copies each thumbnail's
fingerprint looks for up to 8 neighbours (:mod:`~lensmith.data.inspection.neighbours`), which takes n · log n steps for
n images, however many look alike. Each pair so found is then compared (:mod:`~lensmith.data.inspection.likeness`), and
kept where next to nothing remains when one is laid over the other, or where it is nearer than any pair of different
images of this collection comes by chance. Of drawings before a plain background only the latter counts, and where much
of the collection is alike, only what an encoder changes.

Measured by ``benchmarks/duplicates.py`` on the 1,400 photos of ``cats_vs_dogs``, with one copy of each: found are 100 %
of those saved as JPEG of quality 60, 100 % of those resized to 70 %, 99.9 % of those 15 % brighter, 99.7 % of those
cropped by 3 %, and 99.1 % of those with all four; no two different photos were taken for copies, nor any two of the
70,000 digits of MNIST. What is mirrored, turned or cropped by more than about 5 % is not looked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.data.inspection.hashing import SIDE, fingerprints
from lensmith.data.inspection.likeness import apart, apart_from, chance, laid_over, sample, tinted
from lensmith.data.inspection.neighbours import neighbours

NEIGHBOURS = 8  # looked at of each image; more copies than that are found through one another
RADIUS = 0.25  # between fingerprints: what a crop of 3 % stays within, and hardly any two photos
ALIKE = 0.08  # of the variance may remain when two thumbnails are laid over each other
SAME = 0.0025  # so far two thumbnails of one drawing may be apart as they lie, whatever else there is
CONTRAST = 2.0  # gray levels of deviation; below it there is little but rounding to compare
_APART = 0.3  # of two thumbnails as they lie, above which laying them over each other is not tried
_DRAWN = 0.05  # what copies of a drawing before a plain background stay within, and shapes that are moved do not
_CLOSE = 0.05  # what most neighbours are within where there are many copies, and not where much looks alike
_IN_THE_LARGE = 0.4  # so near are one image in 100 to a photo
_COMMON, _COMMON_LEAST = 0.1, 10  # share of the images, and number of few, so near that they are of one sort
_FLAT_SHARE, _FLAT_LEVELS = 0.5, 5  # so much of a thumbnail within so many gray levels is a plain background
_ALL_ALIKE, _ALL_ALIKE_LEAST = 1 / 3, 8  # share of the images, and number of few, that are near copies of others

Alike = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class _Limits:
    """Of each image: how near a copy must be as it lies, and whether laying another over it tells nothing."""

    spans: np.ndarray
    plain: np.ndarray


@dataclass(frozen=True, slots=True)
class Copies:
    """Places of images that show the same.

    Args:
        groups: of two and more places each, in ascending order: exact and near copies together.
        exact: those of the same pixels; each lies within one of the groups.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    exact: tuple[tuple[int, ...], ...] = ()

    def certain(self, count: int) -> tuple[tuple[int, ...], ...]:
        """The groups to act upon: all of them, or only the exact ones where a good part of the collection is alike.

        Drawings, or what a camera sees that stands still, are no copies of one another, however near they are.

        Args:
            count: of all images.

        Example:
            >>> Copies(((0, 4), (1, 2, 3)), ((0, 4),)).certain(10)
            ((0, 4), (1, 2, 3))
            >>> Copies((tuple(range(9)),), ()).certain(10)
            ()
        """
        same = set(self.exact)
        like = sum(len(group) for group in self.groups if group not in same)
        return self.exact if like >= _ALL_ALIKE_LEAST and like > _ALL_ALIKE * count else self.groups


def find(contents: Sequence[bytes], thumbnails: np.ndarray, colours: np.ndarray | None = None) -> Copies:
    """Find the copies among images; they do not depend on the order in which the images are given.

    Args:
        contents: the hash of each image's pixels.
        thumbnails: uint8 array of shape ``(n, 24, 24)``.
        colours: uint8 array of shape ``(n, 4, 4, 3)``; left out, colours count for nothing.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (3, 24, 24), np.uint8)
        >>> find([b"a", b"b", b"a"], noise[[0, 1, 0]])
        Copies(groups=((0, 2),), exact=((0, 2),))
    """
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for place, key in enumerate(contents):
        by_content[key].append(place)
    # By their pixels, so that the same images in another order, such as after a split, have the same copies: the search
    # looks at a sample and through grids that depend on the order.
    different = [by_content[key] for key in sorted(by_content)]
    exact = sorted(tuple(places) for places in different if len(places) > 1)
    firsts = [places[0] for places in different]
    joined = near(thumbnails[firsts], None if colours is None else colours[firsts])
    inside = {member for group in joined for member in group}
    groups = [tuple(sorted(place for member in group for place in different[member])) for group in joined]
    groups += [tuple(places) for at, places in enumerate(different) if len(places) > 1 and at not in inside]
    return Copies(tuple(sorted(groups)), tuple(exact))


def near(thumbnails: np.ndarray, colours: np.ndarray | None = None) -> tuple[tuple[int, ...], ...]:
    """Groups of thumbnails that are alike.

    Every member of a group is alike its first one, so that a long chain of which each is alike the next only, such as
    the frames of a video, does not become one group.

    Args:
        thumbnails: uint8 array of shape ``(n, 24, 24)``.
        colours: uint8 array of shape ``(n, 4, 4, 3)``; left out, colours count for nothing.
    """
    telling = np.flatnonzero(_deviations(thumbnails) >= CONTRAST)
    shown = thumbnails[telling]
    tints = None if colours is None else colours[telling]
    pairs = neighbours(fingerprints(shown), RADIUS, NEIGHBOURS)
    if not len(pairs):
        return ()
    limits = _limits(shown, pairs)

    def alike(some: np.ndarray) -> np.ndarray:
        return _alike(shown, tints, some, limits)

    pairs = pairs[alike(pairs)]
    return tuple(tuple(telling[group].tolist()) for group in _grouped(pairs, alike))


def _deviations(thumbnails: np.ndarray) -> np.ndarray:
    step = 4096  # at a time, for they become floating point
    parts = [thumbnails[at : at + step].std(axis=(1, 2)) for at in range(0, len(thumbnails), step)]
    return np.concatenate([np.zeros(0), *parts])


def _limits(shown: np.ndarray, pairs: np.ndarray) -> _Limits:
    """How near a copy of each image must be, by how much else there is like it."""
    by_chance = max(chance(shown), SAME)
    paired = np.unique(pairs)
    spans, plain = np.full(len(shown), by_chance), np.zeros(len(shown), bool)
    flat, common = _flat(shown[paired]), _crowded(len(shown), pairs, apart(shown, pairs))[paired]
    common |= _common(shown[paired], shown)
    spans[paired[flat]] = min(by_chance, _DRAWN)
    spans[paired[common]] = SAME
    plain[paired] = flat | common
    return _Limits(spans, plain)


def _crowded(count: int, pairs: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Which of the images are alike in the large to as many as were looked for, few of which are close."""
    around = np.bincount(pairs[spans < _APART].ravel(), minlength=count)
    close = np.bincount(pairs[spans < _CLOSE].ravel(), minlength=count)
    return np.asarray((around >= NEIGHBOURS) & (2 * close < around))


def _common(some: np.ndarray, everything: np.ndarray) -> np.ndarray:
    """Which of some thumbnails are alike in the large to a good part of the collection."""
    shown = sample(everything)
    others = (apart_from(some, shown) < _IN_THE_LARGE).sum(axis=1) - 1  # without itself
    return np.asarray(others >= max(_COMMON * len(shown), _COMMON_LEAST))


def _flat(shown: np.ndarray) -> np.ndarray:
    """Whether most of a thumbnail is of one gray: a plain background, before which different things look alike."""
    levels = np.sort(shown.reshape(len(shown), SIDE**2), axis=1)
    most = int(_FLAT_SHARE * levels.shape[1])
    return np.asarray((levels[:, most - 1 :] - levels[:, : 1 - most] < _FLAT_LEVELS).any(axis=1))


def _alike(shown: np.ndarray, tints: np.ndarray | None, pairs: np.ndarray, limits: _Limits) -> np.ndarray:
    """Whether each pair is of copies: nearer than its limit, or the same when laid over each other where that tells."""
    spans = apart(shown, pairs)
    found = spans < limits.spans[pairs].min(axis=1)
    worth = ~found & (spans < _APART) & ~limits.plain[pairs].any(axis=1)
    found[worth] = laid_over(shown, pairs[worth]) < ALIKE
    if tints is not None:
        found[found] = ~tinted(tints, pairs[found])
    return np.asarray(found)


def _grouped(pairs: np.ndarray, alike: Alike) -> list[list[int]]:
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
            unlike = {place for place, fits in zip(further, alike(checked), strict=True) if not fits}
            edge = [place for place in beside if place not in unlike]
            group += edge
        taken.update(group)
        if len(group) > 1:
            groups.append(sorted(group))
    return groups
