"""Which detection found which object: COCO's rule, and Pascal VOC's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lensmith import boxes
from lensmith.detect.score.flat import Found, Objects, Pairs


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What became of each detection and each object, for ranges of sizes and thresholds of overlap.

    Args:
        right: bool ``(d, ranges, thresholds)``: the detection found an object that counts.
        ignored: bool ``(d, ranges, thresholds)``: it is neither right nor wrong.
        counted: bool ``(g, ranges)``: the object is to be found.
    """

    right: np.ndarray
    ignored: np.ndarray
    counted: np.ndarray


def coco(found: Found, objects: Objects, pairs: Pairs, ranges: np.ndarray, thresholds: np.ndarray) -> Matches:
    """COCO's rule (Lin et al. 2014, and its reference program), for all images at once.

    From the surest on, each detection takes the free object it overlaps most, if by at least the threshold; of equal
    ones the last. Only where there is none it falls to an ignored one: a crowd, which any number of detections may
    fall to, a difficult object, or one whose size is outside the range. What fell to an ignored one is ignored, and so
    is what found nothing and has itself a size outside the range.

    Args:
        found: the detections.
        objects: the objects.
        pairs: those that overlap by at least the least threshold.
        ranges: ``(ranges, 2)``: the least and the largest area in square pixels, both included.
        thresholds: ``(thresholds,)``: the least overlap.
    """
    counted = _within(objects.areas, ranges) & ~(objects.crowd | objects.difficult)[:, None]
    shape = (len(ranges), len(thresholds))
    hit, spared = (np.zeros((len(found.scores), *shape), bool) for _ in range(2))
    taken = np.zeros((len(objects.areas), *shape), bool)
    pairs, rounds = _in_rounds(found, pairs)
    every = len(pairs.overlap)
    for part in rounds:
        these, detections = pairs.objects[part], pairs.found[part]
        open_ = (~taken[these] | objects.crowd[these, None, None]) & (pairs.overlap[part, None] >= thresholds)[:, None]
        # The better a pair the later its place, and every counted object comes behind every ignored one.
        value = np.arange(part.start, part.stop)[:, None] + np.where(counted[these], every, 0)
        starts = np.flatnonzero(np.diff(detections, prepend=-1))
        best = np.maximum.reduceat(np.where(open_, value[:, :, None], -1), starts, axis=0)
        who, size, level = np.nonzero(best >= 0)
        winner = best[who, size, level]
        taken[pairs.objects[winner % every], size, level] = True
        hit[detections[starts]], spared[detections[starts]] = best >= 0, (best >= 0) & (best < every)
    outside = ~_within(boxes.area(found.corners), ranges)[:, :, None]
    return Matches(hit & ~spared, spared | (~hit & outside), counted)


def voc(found: Found, objects: Objects, pairs: Pairs, thresholds: np.ndarray) -> Matches:
    """Pascal VOC's rule (Everingham et al. 2010, section 4.2, and its development kit), for all images at once.

    Each detection belongs to the object it overlaps most, of equal ones the first, if by at least the threshold. The
    surest of an object is right and each further one is wrong; all are ignored if the object is difficult. VOC
    knows no crowds: what lies within one, and on no object, is ignored.

    Returns:
        Matches of one range of sizes, which holds everything.
    """
    counted = ~(objects.crowd | objects.difficult)
    shape = (len(found.scores), 1, len(thresholds))
    right, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    crowd = objects.crowd[pairs.objects]
    single, whose, overlap = _nearest(pairs, ~crowd)
    within, _, inside = _nearest(pairs, crowd)
    for level, threshold in enumerate(thresholds):
        near = overlap >= threshold
        # Detections stand from the surest on, so that the first of an object is its surest.
        _, firsts = np.unique(whose[near], return_index=True)
        firsts = firsts[counted[whose[near][firsts]]]
        ignored[within[inside >= threshold], 0, level] = True
        ignored[single[near], 0, level] = objects.difficult[whose[near]]
        right[single[near][firsts], 0, level] = True
    return Matches(right, ignored, counted[:, None])


def _within(areas: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Bool ``(n, ranges)``."""
    return np.asarray((areas[:, None] >= ranges[:, 0]) & (areas[:, None] <= ranges[:, 1]))


def _in_rounds(found: Found, pairs: Pairs) -> tuple[Pairs, Iterator[slice]]:
    """The pairs in an order in which each round holds at most one detection of a class of an image.

    Detections of one round cannot be after the same object, so that numpy decides on all of them at once. Within a
    detection the pairs stand from the smallest overlap on, and of equal ones in the order of the objects.
    """
    who, inverse = np.unique(pairs.found, return_inverse=True)
    groups = found.groups[who]
    turn = (np.arange(len(who)) - np.searchsorted(groups, groups))[inverse]
    order = np.lexsort((pairs.objects, pairs.overlap, pairs.found, turn))
    edges = np.searchsorted(turn[order], np.arange(turn.max(initial=-1) + 2)).tolist()
    rounds = (slice(begin, end) for begin, end in pairwise(edges))
    return Pairs(pairs.found[order], pairs.objects[order], pairs.overlap[order]), rounds


def _nearest(pairs: Pairs, among: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each detection that has a pair among these: its place, the object it overlaps most, and by how much."""
    found, objects, overlap = pairs.found[among], pairs.objects[among], pairs.overlap[among]
    order = np.lexsort((objects, -overlap, found))
    firsts = order[np.flatnonzero(np.diff(found[order], prepend=-1))]
    return found[firsts], objects[firsts], overlap[firsts]
