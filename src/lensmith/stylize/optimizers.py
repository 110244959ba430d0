"""Adam and L-BFGS on pixels that stay within 0..1, and what they do when the loss is no number.

Both are told where they stand by a :class:`Point` and tell after each step where they have come, so that they can be
stopped and go on to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np

from lensmith.backend import keras

# Kingma & Ba 2015, algorithm 1, but for epsilon: a loss that is a mean over the image has a derivative of a millionth
# by one pixel, beside which the 1e-8 of the paper would not be small.
BETAS, EPSILON = (0.9, 0.999), 1e-12
ROUND = 50  # L-BFGS iterations after which its memory of the curvature begins anew
MEMORY = 10  # pairs of differences that L-BFGS keeps
HALVINGS = 6  # how often the rate is halved, or a round begun anew, before giving up

Tensor = Any  # of the backend in use
Ended = Literal["done", "stopped", "not finite", "nothing to gain"]


class Evaluated(Protocol):
    """The loss of pixels."""

    @property
    def loss(self) -> Tensor:
        """A float32 scalar."""

    @property
    def terms(self) -> Mapping[str, Tensor]:
        """What the loss is the sum of, by name."""

    @property
    def gradient(self) -> Tensor:
        """The derivative of the loss by the pixels, of their shape."""


Evaluate = Callable[[Tensor], Evaluated]


@dataclass(frozen=True, slots=True)
class Point:
    """Where an optimiser stands: all it needs to go on.

    Args:
        pixels: tensor ``(1, h, w, 3)``, 0..1.
        mean: Adam's running mean of the gradient, like pixels; None before the first step, and of L-BFGS.
        square: Adam's running mean of the gradient's square, likewise.
        step: how many steps were made at this size.
        halved: how often the loss was no number.
    """

    pixels: Tensor
    mean: Tensor | None = None
    square: Tensor | None = None
    step: int = 0
    halved: int = 0

    def converted(self, to: Callable[[Any], Any]) -> Point:
        """The same with its arrays as tensors, or its tensors as arrays."""
        mean, square = (None if one is None else to(one) for one in (self.mean, self.square))
        return replace(self, pixels=to(self.pixels), mean=mean, square=square)


@dataclass(frozen=True, slots=True)
class Step:
    """A picture on the way whose loss and derivatives are finite numbers.

    Args:
        number: how many steps were made at this size; 0 is the picture that was begun with.
        loss: of the picture.
        terms: of the loss, as tensors: reading them waits for the device.
        pixels: the picture.
        point: where to go on from; None inside a round of L-BFGS.
        halved: how often the loss was no number so far.
    """

    number: int
    loss: float
    terms: Mapping[str, Tensor]
    pixels: Tensor
    point: Point | None
    halved: int


# Says whether to stop. What was told once may be told again.
Told = Callable[[Step], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How optimising ended.

    Args:
        point: where to go on from.
        pixels: the last good picture; newer than the point where L-BFGS was stopped inside a round.
        ended: why. ``not finite``: the loss was no number again and again; if it was none at the first picture,
            nothing was told.
    """

    point: Point
    pixels: Tensor
    ended: Ended


def adam_step(point: Point, gradient: Tensor, rate: float) -> Point:
    """One step of Adam, the pixels clipped to 0..1. A pure function of tensors: nothing leaves the device.

    Args:
        point: where to step from.
        gradient: of the loss by its pixels.
        rate: α of the paper, in units of pixels.

    References:
        Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1 with the corrections for the bias
        in the rate, as the end of section 2 has it.

    The first step has the length of the rate, whatever the gradient's:

    >>> moved = adam_step(Point(keras.ops.full((1, 1, 1, 3), 0.5)), keras.ops.full((1, 1, 1, 3), 4.0), rate=0.1)
    >>> keras.ops.convert_to_numpy(moved.pixels)[0, 0, 0].round(4)
    array([0.4, 0.4, 0.4], dtype=float32)
    """
    ops, (first, second), step = keras.ops, BETAS, point.step + 1
    if point.mean is None or point.square is None:
        mean, square = (1 - first) * gradient, (1 - second) * gradient * gradient
    else:
        mean = first * point.mean + (1 - first) * gradient
        square = second * point.square + (1 - second) * gradient * gradient
    length = rate * math.sqrt(1 - second**step) / (1 - first**step)
    pixels = ops.clip(point.pixels - length * mean / (ops.sqrt(square) + EPSILON), 0.0, 1.0)
    return replace(point, pixels=pixels, mean=mean, square=square, step=step)


def adam(evaluate: Evaluate, point: Point, steps: int, rate: float, told: Told) -> Outcome:
    """Make steps of Adam until there are so many.

    Where the loss or a derivative is no finite number after a step, that step is made again with half the rate, and so
    are all that follow; after :data:`HALVINGS` it ends with the last good picture.

    Args:
        evaluate: gives loss and gradient of pixels ``(1, h, w, 3)``.
        point: where to begin.
        steps: that are to be made, with those that the point has behind it.
        rate: of the first step.
        told: is called for the first picture and after each step.
    """
    good: tuple[Point, Tensor] | None = None  # the last picture whose loss is a number, with its gradient
    while True:
        found = evaluate(point.pixels)
        loss, finite = _finite(found)
        if finite:
            good = point, found.gradient
            if told(Step(point.step, loss, found.terms, point.pixels, point, point.halved)):
                return Outcome(point, point.pixels, "stopped")
            if point.step >= steps:
                return Outcome(point, point.pixels, "done")
        elif good is None or good[0].halved >= HALVINGS:
            last = point if good is None else good[0]
            return Outcome(last, last.pixels, "not finite")
        else:
            good = replace(good[0], halved=good[0].halved + 1), good[1]
        point = adam_step(*good, rate / 2 ** good[0].halved)


def _finite(found: Evaluated) -> tuple[float, bool]:
    """The loss, and whether it and every derivative are finite numbers; the device is waited for once."""
    ops = keras.ops
    loss = ops.cast(found.loss, "float32")
    # As one number: 0 where all is finite, else NaN, for 0 times infinity is none.
    trace = ops.sum(ops.cast(found.gradient, "float32") * 0.0)
    value, rest = ops.convert_to_numpy(ops.stack([loss, trace])).tolist()
    return value, math.isfinite(value) and math.isfinite(rest)


class _Stopped(Exception):  # noqa: N818, as StopIteration it is no error
    """Ends a round of L-BFGS from within."""


@dataclass(slots=True)
class _Round:
    """What is known inside one round of L-BFGS: SciPy calls back for each trial, and then for each iterate."""

    evaluate: Evaluate
    told: Told
    point: Point
    steps: int
    pixels: np.ndarray  # of the last iterate, as float32
    done: int = 0
    loss: float = math.nan  # of the last trial
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    ended: Ended | None = None

    def value(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient, in the float64 that SciPy wants."""
        found = self.evaluate(_shaped(flat, self.pixels))
        first, (loss, finite) = math.isnan(self.loss), _finite(found)
        if not finite:
            self.ended = "not finite"
            raise _Stopped
        self.loss, self.terms = loss, found.terms
        if first:
            self.tell()
        return loss, keras.ops.convert_to_numpy(found.gradient).astype(np.float64).ravel()

    def iterate(self, flat: np.ndarray) -> None:
        """An iteration is done: the last trial was good."""
        self.pixels = _shaped(flat, self.pixels)
        self.done += 1
        self.tell()

    def reached(self) -> Point:
        return replace(self.point, pixels=keras.ops.convert_to_tensor(self.pixels), step=self.point.step + self.done)

    def tell(self) -> None:
        point = self.reached() if self.done in (0, self.steps) else None
        number = self.point.step + self.done
        if self.told(Step(number, self.loss, self.terms, self.pixels, point, self.point.halved)):
            self.ended = "stopped"
            raise _Stopped


def lbfgs(evaluate: Evaluate, point: Point, steps: int, told: Told) -> Outcome:
    """Make iterations of L-BFGS with bounds 0..1 until there are so many.

    They are made in rounds of :data:`ROUND`, at whose ends the memory of the curvature begins anew: from there one can
    go on to the same bits. Where the loss is no number a new round begins at the last good picture.

    Args:
        evaluate: as of :func:`adam`.
        point: where to begin.
        steps: iterations that are to be made, with those that the point has behind it.
        told: is called for the first picture and after each iteration; with a point at the ends of rounds only.

    References:
        Byrd, Lu, Nocedal & Zhu 1995, "A limited memory algorithm for bound constrained optimization", in SciPy.
    """
    if point.step >= steps:
        return _look(evaluate, point, told)
    while point.step < steps:
        # Rounds end at whole multiples, so that asking for more steps later changes none that are made.
        length = min(steps, (point.step // ROUND + 1) * ROUND) - point.step
        state = _Round(evaluate, told, point, length, keras.ops.convert_to_numpy(point.pixels).astype(np.float32))
        _run(state)
        reached = state.reached()
        if state.ended == "stopped":
            return Outcome(reached if state.done == length else point, reached.pixels, "stopped")
        if state.ended == "not finite":
            if math.isnan(state.loss) or point.halved >= HALVINGS:
                return Outcome(reached, reached.pixels, "not finite")
            reached = replace(reached, halved=point.halved + 1)
        elif state.done == 0:
            return Outcome(reached, reached.pixels, "nothing to gain")
        point = reached
    return Outcome(point, point.pixels, "done")


def _look(evaluate: Evaluate, point: Point, told: Told) -> Outcome:
    """No step is left to be made: what was come to is told all the same."""
    found = evaluate(point.pixels)
    loss, finite = _finite(found)
    stopped = finite and told(Step(point.step, loss, found.terms, point.pixels, point, point.halved))
    return Outcome(point, point.pixels, ("stopped" if stopped else "done") if finite else "not finite")


def _run(state: _Round) -> None:
    from scipy.optimize import minimize

    options = {"maxiter": state.steps, "maxfun": 20 * state.steps + 20, "maxcor": MEMORY, "ftol": 0.0, "gtol": 0.0}
    start = state.pixels.astype(np.float64).ravel()
    bounds = np.broadcast_to([[0.0, 1.0]], (start.size, 2))
    try:
        minimize(
            state.value, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=state.iterate, options=options
        )
    except _Stopped:
        return


def _shaped(flat: np.ndarray, like: np.ndarray) -> np.ndarray:
    return flat.astype(np.float32).reshape(like.shape)
