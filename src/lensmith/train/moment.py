"""When a step is made, and what a schedule remembers of the steps before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

By = Literal["epoch", "step"]
BYS: tuple[By, ...] = ("epoch", "step")

Memory = Mapping[str, float | None]
NOTHING: Memory = {}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a step is made.

    Args:
        step: how many steps of the stage were made before, from 0.
        steps: of an epoch.
        epochs: of the stage.
    """

    step: int
    steps: int
    epochs: int

    @property
    def epoch(self) -> int:
        """How many whole epochs were finished before."""
        return self.step // self.steps

    @property
    def done(self) -> float:
        """What part of the stage was done before, 0 to 1."""
        return min(self.step / (self.steps * self.epochs), 1.0)

    def count(self, by: By) -> int:
        """How many steps or epochs were finished before."""
        return self.step if by == "step" else self.epoch


def recalled(memory: Memory, name: str, default: float) -> float:
    """A number that is remembered; another one where it is not, or is None."""
    value = memory.get(name)
    return default if value is None else value
