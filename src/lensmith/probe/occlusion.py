"""Occlusion: what happens to a model's answer when one patch of the image after the other is covered.

References:
    M. D. Zeiler, R. Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.probe import heads, targets
from lensmith.probe.inputs import single
from lensmith.probe.targets import Target
from lensmith.probe.walking import Progress

_PATCHES = 8  # to a side of the image, where no patch is given
_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """How much less probable the target becomes when a patch of the image is covered.

    Args:
        drops: float32 ``(rows, columns)``: the target's probability without cover less that with the patch covered;
            above 0 where the patch speaks for the target. Of a head without known probabilities, the drop of the
            output itself.
        values: float32 ``(height, width)``, the image's size: the mean drop of the patches that cover a pixel.
        target: the class, or number, that was looked at.
        tops: the upper edge of each row of patches, in pixels.
        lefts: the left edge of each column of patches.
        patch: height and width of the patches.
        whole: the target's probability, or output, of the image without cover.
        probable: whether the drops are of probabilities.
    """

    drops: np.ndarray
    values: np.ndarray
    target: Target
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    patch: tuple[int, int]
    whole: float
    probable: bool

    @property
    def facts(self) -> dict[str, Any]:
        """The numbers worth saying, as JSON holds them."""
        row, column = (int(i) for i in np.unravel_index(int(self.drops.argmax()), self.drops.shape))
        return {
            "method": "occlusion",
            "head": self.target.head,
            "target": self.target.name,
            "index": self.target.index,
            "measure": "probability" if self.probable else "output",
            "whole": self.whole,
            "patch": list(self.patch),
            "patches": list(self.drops.shape),
            "largest_drop": float(self.drops.max()),
            "largest_drop_at": [self.tops[row], self.lefts[column]],
            "largest_rise": float(max(-self.drops.min(), 0.0)),
        }


def occlusion(
    subject: Any,
    x: np.ndarray,
    target: str | int | None = None,
    *,
    head: str | int | None = None,
    patch: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: float | Sequence[float] | None = None,
    batch: int = _BATCH,
    progress: Progress | None = None,
) -> Occlusion:
    """Cover one patch of an image after the other, and see how much less probable the target becomes.

    The last row and the last column of patches end at the image's edge, be they nearer to those before.

    Args:
        subject: a :class:`~lensmith.probe.subject.Subject`, or any model made of connected layers.
        x: what enters the model, float32 ``(height, width, channels)``, or a batch of one.
        target: a class, or number, by name or index; left out, the most probable.
        head: by name or number; left out, the first.
        patch: the patch's side in pixels, or its height and width; left out, an eighth of the image's.
        stride: pixels from one patch to the next; left out, half a patch.
        fill: what covers a patch, in the numbers that enter the model, one or one for each channel; left out, the
            image's mean of each channel.
        batch: how many covered images are looked at together.
        progress: is told how many patches are done, and of how many.

    Raises:
        SettingError: there is no such head or class, the patch is larger than the image, or the stride leaves pixels
            between patches.
        DataError: the image has another shape than the model takes, or is no image.

    Example:
        >>> from lensmith.compose import zoo
        >>> model = zoo.get("compact").build(seed=0)
        >>> found = occlusion(model, np.ones((64, 64, 3), np.float32), target=7, patch=24, stride=20)
        >>> found.tops, found.drops.shape, found.values.shape
        ((0, 20, 40), (3, 3), (64, 64))
    """
    images = single(heads.flat(subject), x)
    if images.ndim != 4:
        remedy = "Integrated gradients take rows too"
        raise check.DataError(check.sentence("x", "an image (height, width, channels)", images.shape[1:], remedy))
    height, width, channels = images.shape[1:]
    sides = _sides("patch", patch, (max(height // _PATCHES, 1), max(width // _PATCHES, 1)), (height, width))
    strides = _sides("stride", stride, (max(sides[0] // 2, 1), max(sides[1] // 2, 1)), sides)
    tops, lefts = (_starts(all_, side, step) for all_, side, step in zip((height, width), sides, strides, strict=True))
    colour = images[0].mean(axis=(0, 1)) if fill is None else _colour(fill, channels)

    found = heads.head_of(subject, head)
    model = heads.raw(subject, found.name)
    logits = targets.predicted(model, images)
    wanted = targets.target(found, logits, target)
    whole = float(targets.probability(logits, found, wanted)[0])
    drops: list[float] = []
    places = [(top, left) for top in tops for left in lefts]
    for covered, count in _covered(images[0], places, sides, colour, check.positive("batch", batch)):
        drops += (whole - targets.probability(targets.predicted(model, covered), found, wanted)[:count]).tolist()
        if progress is not None:
            progress(len(drops), len(places))
    grid = np.asarray(drops, np.float32).reshape(len(tops), len(lefts))
    values = _averaged(grid, tops, lefts, sides, (height, width))
    return Occlusion(grid, values, wanted, tops, lefts, sides, whole, found.probable)


def _sides(
    name: str, given: int | tuple[int, int] | None, usual: tuple[int, int], largest: tuple[int, int]
) -> tuple[int, int]:
    sides = usual if given is None else (given, given) if isinstance(given, int) else tuple(given)
    if len(sides) != 2:
        raise check.SettingError(check.sentence(name, "a number of pixels, or two", repr(given)))
    for side, most in zip(sides, largest, strict=True):
        if check.positive(name, side) > most:
            what = "the image" if name == "patch" else "the patch, so that every pixel is covered"
            raise check.SettingError(check.sentence(name, f"at most {most} pixels, the side of {what}", side))
    return sides[0], sides[1]


def _starts(length: int, side: int, step: int) -> tuple[int, ...]:
    """Where patches begin, so that the last ends at the edge.

    >>> _starts(10, 4, 3), _starts(10, 4, 4), _starts(4, 4, 2)
    ((0, 3, 6), (0, 4, 6), (0,))
    """
    starts = list(range(0, length - side + 1, step))
    return tuple(starts if starts[-1] == length - side else [*starts, length - side])


def _colour(fill: float | Sequence[float], channels: int) -> np.ndarray:
    colour = np.asarray(fill, np.float32)
    if colour.shape not in ((), (1,), (channels,)) or not np.isfinite(colour).all():
        raise check.SettingError(check.sentence("fill", f"one finite number, or {channels}", repr(fill)))
    return colour


def _covered(
    image: np.ndarray, places: Sequence[tuple[int, int]], sides: tuple[int, int], colour: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of the image with one patch covered, and how many of each count: the last is filled up."""
    size = min(size, len(places))
    for i in range(0, len(places), size):
        batch = np.repeat(image[None], size, axis=0)
        here = places[i : i + size]
        for one, (top, left) in zip(batch, here, strict=False):
            one[top : top + sides[0], left : left + sides[1]] = colour
        yield batch, len(here)


def _averaged(
    drops: np.ndarray, tops: Sequence[int], lefts: Sequence[int], sides: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """At each pixel the mean of the patches that cover it."""
    # A pixel's row is covered by some rows of patches, its column by some columns: two products do it.
    down, across = (
        np.asarray([[start <= i < start + side for start in starts] for i in range(length)], np.float64)
        for starts, side, length in zip((tops, lefts), sides, size, strict=True)
    )
    counts = np.outer(down.sum(axis=1), across.sum(axis=1))
    return np.asarray(down @ drops @ across.T / counts, np.float32)
