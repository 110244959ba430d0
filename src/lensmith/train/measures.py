"""Measures that need all examples at once, such as mean average precision: taken of the validation after an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np

from lensmith import backend
from lensmith.train.objective import Objective

Direction = Literal["min", "max"]


class Gathering(Protocol):
    """A measure while examples come in."""

    def add(self, y: np.ndarray, outputs: np.ndarray) -> None:
        """Take in the targets and the model's outputs of one batch, as the loss sees them."""

    def result(self) -> Mapping[str, float]:
        """The values of all examples, by the names of the measure's ``directions``."""


class Measure(Protocol):
    """What can be said of a task only when all examples were seen.

    ``directions`` holds the names of its values, and whether less (``min``) or more (``max``) is better.
    """

    @property
    def directions(self) -> Mapping[str, Direction]: ...
    def begin(self) -> Gathering: ...


def directions(objectives: Mapping[str, Objective]) -> dict[str, Direction]:
    """The names of all values that measures give; with several outputs they begin with the task's.

    >>> directions({"label": Objective("mse")})
    {}
    """
    several = len(objectives) > 1
    return {
        f"{task}_{name}" if several else name: way
        for task, objective in objectives.items()
        for measure in objective.measures
        for name, way in measure.directions.items()
    }


def leading(objectives: Mapping[str, Objective]) -> tuple[str, ...]:
    """The name of the first value of each measure, which is the one that tells most."""
    several = len(objectives) > 1
    return tuple(
        f"{task}_{next(iter(measure.directions))}" if several else next(iter(measure.directions))
        for task, objective in objectives.items()
        for measure in objective.measures
    )


class Gathered:
    """The measures of all tasks over one pass.

    Args:
        model: whose outputs are measured.
        objectives: by task.
    """

    def __init__(self, model: Any, objectives: Mapping[str, Objective]) -> None:
        self._model, self._several = model, len(objectives) > 1
        self._begun = [(task, one.begin()) for task, objective in objectives.items() for one in objective.measures]

    def add(self, x: Any, y: Any) -> None:
        """Take in a batch; costs a forward pass where there is something to measure."""
        if not self._begun:
            return
        outputs = backend.predict(self._model, x)
        for task, one in self._begun:
            given = (values[task] if isinstance(values, Mapping) else values for values in (y, outputs))
            one.add(*(np.asarray(values) for values in given))

    def result(self) -> dict[str, float]:
        """All values by name."""
        return {
            f"{task}_{name}" if self._several else name: float(value)
            for task, one in self._begun
            for name, value in one.result().items()
        }
