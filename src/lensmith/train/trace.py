"""How the loss went over the steps of an epoch, in few numbers however many steps there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_LOSSES = 64


@dataclass(slots=True)
class Trace:
    """How the loss went over the steps of an epoch, in at most 64 numbers however long the epoch is.

    The losses are means over so many steps each, a number that doubles whenever there are too many of them.

    Args:
        steps: how many steps were made.
        total: the sum of their losses.
        first: the loss of the first one.
        lowest: of any one.
        highest: of any one.
        moved: the sum of the changes from one to the next, each taken without its sign.
        last: the newest.
        every: how many steps a value of ``sums`` stands for.
        sums: of the losses of so many steps each, in order; the last one may not be full.
    """

    steps: int = 0
    total: float = 0.0
    first: float | None = None
    lowest: float | None = None
    highest: float | None = None
    moved: float = 0.0
    last: float | None = None
    every: int = 1
    sums: list[float] = field(default_factory=list)

    def add(self, mean: float, step: int) -> None:
        """Note the loss after a step.

        Args:
            mean: of the losses of the epoch's steps so far, as the loop reads it. Where a step was not told, the
                next one stands for both.
            step: which step of the epoch it was, from 1; one that was told before is left out.
        """
        new = step - self.steps
        if new < 1 or not math.isfinite(mean):
            return
        loss = (mean * step - self.total) / new
        self.total = mean * step
        if self.last is None or self.lowest is None or self.highest is None:
            self.first = self.last = self.lowest = self.highest = loss
        self.moved += abs(loss - self.last)
        self.lowest, self.highest, self.last = min(self.lowest, loss), max(self.highest, loss), loss
        for at in range(self.steps, step):
            self._put(at, loss)
        self.steps = step

    def _put(self, at: int, loss: float) -> None:
        if at // self.every == MOST_LOSSES:
            pairs = [self.sums[i : i + 2] for i in range(0, MOST_LOSSES, 2)]
            self.sums, self.every = [sum(pair) for pair in pairs], 2 * self.every
        if at // self.every == len(self.sums):
            self.sums.append(0.0)
        self.sums[-1] += loss

    def losses(self) -> tuple[float, ...]:
        """The mean losses of so many steps each, in order; at most 64.

        Example:
            >>> trace = Trace()
            >>> for step, mean in enumerate((4.0, 3.0, 2.0), start=1):  # so the losses were 4, 2 and 0
            ...     trace.add(mean, step)
            >>> trace.losses()
            (4.0, 2.0, 0.0)
        """
        full = [self.every] * len(self.sums)
        if full:
            full[-1] = self.steps - self.every * (len(self.sums) - 1)
        return tuple(sum_ / count for sum_, count in zip(self.sums, full, strict=True))

    def summary(self) -> dict[str, Any]:
        """What is kept of an epoch: its steps, the first, the lowest and the highest loss, the mean of the last
        quarter, the roughness (the mean change from step to step, as a part of the mean loss) and ``losses``."""
        losses = self.losses()
        quarter = losses[-max(1, len(losses) // 4) :]
        mean = abs(self.total) / max(self.steps, 1)
        rough = self.moved / max(self.steps - 1, 1) / mean if mean else 0.0
        return {
            "count": self.steps,
            "first": self.first,
            "lowest": self.lowest,
            "highest": self.highest,
            "end": sum(quarter) / len(quarter) if quarter else None,
            "roughness": short(rough),
            "losses": [short(loss) for loss in losses],
        }

    def to_dict(self) -> dict[str, Any]:
        """The trace as plain values, from which it goes on to the same bits."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Trace:
        """The trace that ``to_dict`` gave these values."""
        return Trace(**dict(values) | {"sums": list(values["sums"])})


def short(value: float) -> float:
    """Five digits, which is more than anyone compares."""
    return float(f"{value:.5g}")
