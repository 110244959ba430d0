"""What a model's answer rests on, pixel by pixel: occlusion, and integrated gradients.

References:
    M. D. Zeiler, R. Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2.
    M. Sundararajan, A. Taly, Q. Yan 2017, Axiomatic Attribution for Deep Networks, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lensmith import check
from lensmith.backend import derivative, keras
from lensmith.probe import targets
from lensmith.probe.cam import choices, entering
from lensmith.probe.targets import Head, Target

Progress = Callable[[int, int], None]  # how many are done, of how many
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


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """How much each number of an example adds to a score, compared with a baseline.

    Args:
        values: float32 of the example's shape; above 0 what speaks for the target, below 0 what speaks against it.
        target: the class, or number, that was looked at.
        score: the target's logit for the example; the output itself where that is all there is.
        baseline: the score of the baseline.
        steps: at how many places between the two the derivative was taken.
    """

    values: np.ndarray
    target: Target
    score: float
    baseline: float
    steps: int

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self.values.sum(dtype=np.float64))

    @property
    def gap(self) -> float:
        """What is missing to completeness: the sum of the values less the difference of the scores; 0 at best."""
        return self.total - (self.score - self.baseline)

    @property
    def pixels(self) -> np.ndarray:
        """The sum over an image's channels: float32 ``(height, width)``; of a row, its values."""
        summed: np.ndarray = self.values.sum(axis=-1) if self.values.ndim == 3 else self.values
        return summed

    @property
    def facts(self) -> dict[str, Any]:
        """The numbers worth saying, as JSON holds them."""
        return {
            "method": "integrated gradients",
            "head": self.target.head,
            "target": self.target.name,
            "index": self.target.index,
            "score": self.score,
            "baseline_score": self.baseline,
            "sum": self.total,
            "completeness_gap": self.gap,
            "steps": self.steps,
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
    images = _single(subject, x)
    if images.ndim != 4:
        remedy = "integrated_gradients() takes rows too"
        raise check.DataError(check.sentence("x", "an image (height, width, channels)", images.shape[1:], remedy))
    height, width, channels = images.shape[1:]
    sides = _sides("patch", patch, (max(height // _PATCHES, 1), max(width // _PATCHES, 1)), (height, width))
    strides = _sides("stride", stride, (max(sides[0] // 2, 1), max(sides[1] // 2, 1)), sides)
    tops, lefts = (_starts(all_, side, step) for all_, side, step in zip((height, width), sides, strides, strict=True))
    colour = images[0].mean(axis=(0, 1)) if fill is None else _colour(fill, channels)

    found = targets.head_of(subject, head)
    model = targets.raw(subject, found.name)
    logits = targets.predicted(model, images)
    wanted = _wanted(found, logits, target)
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


def integrated_gradients(
    subject: Any,
    x: np.ndarray,
    target: str | int | None = None,
    *,
    head: str | int | None = None,
    baseline: float | np.ndarray | None = None,
    steps: int = 32,
    batch: int = 8,
    progress: Progress | None = None,
) -> Attribution:
    """What each number of an example adds to the target's score on the straight way from a baseline.

    ``(x − baseline) · ∫₀¹ ∂score/∂x at baseline + a (x − baseline) da``, the integral by the Gauss-Legendre rule. The
    values add up to the difference of the two scores, but for the error of the rule, which is told.

    Args:
        subject: a :class:`~lensmith.probe.subject.Subject`, or any model made of connected layers.
        x: what enters the model, float32: an image or a row, or a batch of one.
        target: a class, or number, by name or index; left out, the most probable.
        head: by name or number; left out, the first.
        baseline: what stands for nothing, in the numbers that enter the model: one number or an example; left out, 0,
            which is black for pixels scaled to 0..1 and gray for pixels about their mean.
        steps: at how many places the derivative is taken.
        batch: how many of them together.
        progress: is told how many are done, and of how many.

    Raises:
        SettingError: there is no such head or class, or the number of steps is none.
        DataError: the example, or the baseline, has another shape than the model takes.

    Example:
        >>> from lensmith.compose import zoo
        >>> model = zoo.get("compact").build(seed=0)
        >>> found = integrated_gradients(model, np.ones((64, 64, 3), np.float32), target=7, steps=64)
        >>> found.values.shape, abs(found.gap) < 0.01 * abs(found.score - found.baseline)
        ((64, 64, 3), True)
    """
    example = _single(subject, x)
    start = _baseline(subject, baseline, example)
    check.positive("steps", steps)
    found = targets.head_of(subject, head)
    logits = targets.predicted(targets.raw(subject, found.name), np.concatenate([example, start]))
    wanted = _wanted(found, logits[:1], target)
    scores = targets.by_unit(logits, found)[:, wanted.unit] * wanted.sign

    places, weights = np.polynomial.legendre.leggauss(steps)
    places, weights = (places + 1) / 2, weights / 2  # from −1..1 to 0..1
    traced = _traced(subject, found, example.shape[1:])
    total = np.zeros(example.shape[1:])
    size = min(check.positive("batch", batch), steps)
    for i in range(0, steps, size):
        shares = np.resize(places[i : i + size], size)  # always as many, so that nothing is compiled anew
        between = start + shares.reshape(-1, *[1] * (example.ndim - 1)) * (example - start)
        gradients = _gradients(traced, between.astype(np.float32), choices(found, [wanted] * size))
        count = min(size, steps - i)
        total += np.tensordot(weights[i : i + count], gradients[:count], axes=1)
        if progress is not None:
            progress(i + count, steps)
    values = (total * (example - start)[0]).astype(np.float32)
    if not np.isfinite(values).all():
        raise check.LensmithError(check.sentence("integrated gradients", "finite derivatives", "NaN or infinity"))
    return Attribution(values, wanted, float(scores[0]), float(scores[1]), steps)


def _single(subject: Any, x: np.ndarray) -> np.ndarray:
    batch = entering(subject, x)
    if len(batch) != 1:
        raise check.DataError(check.sentence("x", "one example", f"{len(batch)}"))
    return batch


def _wanted(head: Head, logits: np.ndarray, wanted: str | int | None) -> Target:
    if wanted is not None:
        return targets.chosen(head, wanted)
    return targets.most_probable(head, targets.probabilities(logits, head)[0], 0.5 if head.probable else 0.0)


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


def _baseline(subject: Any, baseline: float | np.ndarray | None, example: np.ndarray) -> np.ndarray:
    if baseline is None or np.ndim(baseline) == 0:
        return entering(subject, np.full_like(example, 0 if baseline is None else baseline))
    given = np.asarray(baseline, np.float32)
    if given.size != example.size or given.shape not in (example.shape, example.shape[1:]):
        raise check.DataError(check.sentence("baseline", f"the shape of the example, {example.shape[1:]}", given.shape))
    return entering(subject, given)


_kept: WeakKeyDictionary[Any, dict[Any, derivative.Differentiated]] = WeakKeyDictionary()


def _traced(subject: Any, head: Head, shape: tuple[int, ...]) -> derivative.Differentiated:
    """The derivative of a head's logits, made once: by a row for each example, of its numbers and what is picked."""
    made = _kept.setdefault(targets.parts(subject)[0], {})
    if (head.place, shape) not in made:
        made[head.place, shape] = _differentiated(targets.raw(subject, head.name), shape)
    return made[head.place, shape]


def _differentiated(model: Any, shape: tuple[int, ...]) -> derivative.Differentiated:
    ops, size = keras.ops, int(np.prod(shape))

    def function(rows: Any) -> tuple[Any, Any]:
        [output] = derivative.call(model, ops.reshape(rows[:, :size], (-1, *shape))).values()
        return ops.sum(targets.by_unit(output) * ops.stop_gradient(rows[:, size:])), ()

    return derivative.differentiated(function, model)


def _gradients(traced: derivative.Differentiated, x: np.ndarray, picked: np.ndarray) -> np.ndarray:
    _, _, found = traced(np.concatenate([x.reshape(len(x), -1), picked], axis=1))
    values: np.ndarray = keras.ops.convert_to_numpy(found)
    return values[:, : -picked.shape[1]].reshape(x.shape)
