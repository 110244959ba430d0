"""The schedule of a warm-up stage: up to the rate in a line, and more slowly where the loss diverges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lensmith import check
from lensmith.train.moment import NOTHING, Memory, Moment, recalled


@dataclass(frozen=True, slots=True)
class Ramp:
    """The rate grows in a line from near 0 to the stage's rate, which it reaches; more slowly where the loss diverges.

    The loss is smoothed over ten steps. Where it comes to lie clearly above the lowest so far, by more than a part of
    it and by more than batches differ from each other, or where one step's loss is many times as large, the rate
    falls back to half of what it had reached, and grows at half the speed from there; the stage then lasts longer,
    but not longer than ``most`` times its epochs.

    Args:
        tolerance: by what part of itself the smoothed loss may rise.
        most: how many times its epochs the stage may last.

    References:
        Goyal et al., Accurate, Large Minibatch SGD, 2017, Section 2.2 (the ramp).
    """

    tolerance: float = 0.3
    most: int = 3

    def __post_init__(self) -> None:
        check.between("warmup.tolerance", self.tolerance, 0.0, math.inf)
        check.positive("warmup.most", self.most)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial * min(self._grown(memory) / (at.steps * at.epochs), 1.0)

    def after_step(self, memory: Memory, at: Moment, loss: float) -> Memory:
        """What to remember after a step that was made at ``at``.

        Args:
            memory: of the step before.
            at: which step it was.
            loss: of this step's batch alone, before the weights changed; not the mean over the epoch.
        """
        grown, slowed, total = self._grown(memory), recalled(memory, "slowed", 0.0), float(at.steps * at.epochs)
        seen = _smoothed(memory, loss)
        if self._diverges(memory, seen, loss):
            # From here on it is compared with how far it has come: it has to fall, or the rate falls again.
            level = max(loss, seen["loss"])
            seen |= {"count": float(_SMOOTHED_OVER), "loss": level, "lowest": level, "below": memory["below"] or 0.0}
            return {"grown": grown / 2, "progress": grown / 2 / total, "slowed": slowed + 1} | seen
        return {"grown": min(grown, total), "progress": min(grown / total, 1.0), "slowed": slowed} | seen

    def unfinished(self, epoch: int, epochs: int, memory: Memory) -> bool:
        """Whether the stage has to go on after so many epochs, as the rate is not reached yet."""
        return epoch < epochs * self.most and recalled(memory, "progress", 0.0) < 1.0

    def _grown(self, memory: Memory) -> float:
        """How far the next step is up the ramp, in steps of full speed: their sums, and halves of these, are exact."""
        return recalled(memory, "grown", 0.0) + float(0.5 ** recalled(memory, "slowed", 0.0))

    def _diverges(self, before: Memory, seen: Mapping[str, float], loss: float) -> bool:
        """Whether the loss left the ground: it is compared with the lowest and with how it differs by batch."""
        if before.get("loss") is None:
            return False
        below, scale = recalled(before, "below", 0.0), _scale(seen)
        if loss > recalled(before, "loss", 0.0) + max(10 * scale, 20 * below):
            return True
        noise = min(5 * below, 1.5 * max(abs(seen["lowest"]), abs(seen["first"])))
        return seen["loss"] > seen["lowest"] + max(self.tolerance * scale, noise)


_SMOOTHED_OVER = 10


def _scale(memory: Memory) -> float:
    """What a change of the loss is compared with: what is small beside the loss at the start may be noise."""
    return max(abs(recalled(memory, "lowest", 0.0)), abs(recalled(memory, "first", 0.0)) / 4)


def _smoothed(memory: Memory, loss: float) -> dict[str, float]:
    """The loss with its noise taken off: a mean over the first steps, a moving mean from then on.

    ``below`` is how far losses lie under that mean, which a diverging loss does not make larger as it rises;
    ``lowest`` is the mean's lowest from the tenth step on, and ``first`` what it was then.
    """
    count = recalled(memory, "count", 0.0) + 1
    before, below = recalled(memory, "loss", loss), recalled(memory, "below", 0.0)
    if count > _SMOOTHED_OVER:  # one hard batch does not count for more than its place
        loss = min(loss, before + max(_scale(memory), 5 * below))
    part = max(1 / count, 1 / _SMOOTHED_OVER)
    smooth = before + part * (loss - before)
    below += part * (max(before - loss, 0.0) - below)
    settling = count <= _SMOOTHED_OVER
    lowest = smooth if settling else min(smooth, recalled(memory, "lowest", smooth))
    first = smooth if settling else recalled(memory, "first", smooth)
    return {"count": count, "loss": smooth, "below": below, "lowest": lowest, "first": first}
