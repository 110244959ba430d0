"""Why a loss is no longer a finite number, as far as it can be known: the data, the rate, or a weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lensmith import check
from lensmith.train.diagnosis.kinds import Diagnosis
from lensmith.train.state import arrays_of

# A loss that is so many times the lowest of the last steps is one that grows.
_GROWN = 2.0


class Diverged(check.LensmithError):
    """Training has ended as a loss or a weight is no finite number any more.

    Args:
        message: for a person, in one line.
        diagnosis: the same as a trouble of the run, from the epoch on that it happened in.
    """

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis


def broken(x: Any, y: Any) -> str:
    """What of a batch holds numbers that are not finite; empty where all are.

    >>> broken(np.array([[1.0, np.nan]]), {"mass": np.array([1.0]), "age": np.array([np.inf])})
    'the images or features x hold 1 value that is no finite number'
    >>> broken(np.array([1]), {"mass": np.array([1.0]), "age": np.array([np.inf])})
    'the targets of age hold 1 value that is no finite number'
    >>> broken({"P3": np.array([np.inf, np.nan])}, np.array([1]))
    'the images or features x: P3 hold 2 values that are no finite number'
    """
    named = {**_parts("the images or features x", ": {}", x), **_parts("the targets", " of {}", y)}
    for name, values in named.items():
        array = np.asarray(values)
        count = int((~np.isfinite(array)).sum()) if array.dtype.kind == "f" else 0
        if count:
            return f"{name} hold {count} value{'s that are' if count > 1 else ' that is'} no finite number"
    return ""


def _parts(name: str, of: str, values: Any) -> dict[str, Any]:
    """Arrays by what to call them in a message."""
    if not isinstance(values, Mapping):
        return {name: values}
    return {name + of.format(part): array for part, array in values.items()}


def broken_in(batches: Iterable[tuple[Any, Any]]) -> str:
    """The same of the first batch of several that holds such numbers, with its place."""
    for place, (x, y) in enumerate(batches, start=1):
        if found := broken(x, y):
            return f"{found} in batch {place}"
    return ""


def why(found: str, losses: Sequence[float], rate: float, model: Any) -> tuple[str, str]:
    """The most likely reason, and what to do.

    Args:
        found: what of the batch is broken; empty where nothing is.
        losses: of the steps before that were still finite, the newest last.
        rate: the learning rate at the time.
        model: as it is now.

    Example:
        >>> why("", [2.3, 2.2, 40.0, 1e6], 0.1, None)[0]
        'the loss grew from 2.2 to 1e+06 over the last 2 steps: the rate of 0.1 is too high'
    """
    if found:
        return found, "Put the data right: training cannot go on with such numbers"
    lower = f"Try a tenth of the rate, {rate / 10:.2g}"
    if losses and losses[-1] > _GROWN * min(losses):
        lowest = min(range(len(losses)), key=losses.__getitem__)
        steps = len(losses) - 1 - lowest
        over = "the last step" if steps == 1 else f"the last {steps} steps"
        grown = f"the loss grew from {losses[lowest]:g} to {losses[-1]:g} over {over}"
        return f"{grown}: the rate of {rate:g} is too high", lower
    weight = _infinite(model)
    if weight:
        return f"the weights {weight} are no finite numbers any more, at a rate of {rate:g}", lower
    return f"the data and the weights are finite, and the rate is {rate:g}", lower


def refusal(place: str, loss: float, reason: str, last_good: str, remedy: str, epoch: int) -> Diverged:
    """The error to raise."""
    text = check.sentence(place, "a loss that is a finite number", f"{loss}")
    evidence = f"the loss is {loss} in epoch {epoch}: {reason}"
    return Diverged(f"{text}: {reason}. {last_good}. {remedy}", Diagnosis("divergence", epoch, evidence, remedy))


def _infinite(model: Any) -> str:
    """The first variable that holds an infinity, else the first that holds a NaN: one step makes NaN of them all."""
    arrays = arrays_of(model.variables) if model is not None else {}
    real = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
    first = [name for name, array in real.items() if np.isinf(array).any()]
    return next(iter(first + [name for name, array in real.items() if np.isnan(array).any()]), "")
