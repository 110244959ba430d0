"""Integrated gradients: how much each number of an example adds to a model's answer.

References:
    M. Sundararajan, A. Taly, Q. Yan 2017, Axiomatic Attribution for Deep Networks, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import derivative, keras
from lensmith.probe import heads, targets
from lensmith.probe.inputs import entering, single
from lensmith.probe.targets import Target
from lensmith.probe.walking import Progress


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
    model = heads.flat(subject)
    example = single(model, x)
    start = _baseline(model, baseline, example)
    check.positive("steps", steps)
    found = heads.head_of(subject, head)
    logits = targets.predicted(heads.raw(subject, found.name), np.concatenate([example, start]))
    wanted = targets.target(found, logits[:1], target)
    scores = targets.by_unit(logits, found)[:, wanted.unit] * wanted.sign

    places, weights = np.polynomial.legendre.leggauss(steps)
    places, weights = (places + 1) / 2, weights / 2  # from −1..1 to 0..1
    traced = _traced(subject, found, example.shape[1:])
    total = np.zeros(example.shape[1:])
    size = min(check.positive("batch", batch), steps)
    for i in range(0, steps, size):
        shares = np.resize(places[i : i + size], size)  # always as many, so that nothing is compiled anew
        between = start + shares.reshape(-1, *[1] * (example.ndim - 1)) * (example - start)
        gradients = _gradients(traced, between.astype(np.float32), targets.choices(found, [wanted] * size))
        count = min(size, steps - i)
        total += np.tensordot(weights[i : i + count], gradients[:count], axes=1)
        if progress is not None:
            progress(i + count, steps)
    values = (total * (example - start)[0]).astype(np.float32)
    if not np.isfinite(values).all():
        raise check.LensmithError(check.sentence("integrated gradients", "finite derivatives", "NaN or infinity"))
    return Attribution(values, wanted, float(scores[0]), float(scores[1]), steps)


def _baseline(model: Any, baseline: float | np.ndarray | None, example: np.ndarray) -> np.ndarray:
    if baseline is None or np.ndim(baseline) == 0:
        return entering(model, np.full_like(example, 0 if baseline is None else baseline))
    given = np.asarray(baseline, np.float32)
    if given.size != example.size or given.shape not in (example.shape, example.shape[1:]):
        raise check.DataError(check.sentence("baseline", f"the shape of the example, {example.shape[1:]}", given.shape))
    return entering(model, given)


def _traced(subject: Any, head: heads.Head, shape: tuple[int, ...]) -> derivative.Differentiated:
    """The derivative of a head's logits, made once: by a row for each example, of its numbers and what is picked."""
    model = heads.raw(subject, head.name)
    return heads.kept(subject, ("by the example", head.place, shape), lambda: _differentiated(model, shape))


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
