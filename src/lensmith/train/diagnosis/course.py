"""One stage of a run as the rules read it: its losses by epoch, what guessing costs, and what was seen inside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Row = Mapping[str, float | None]

_ROUNDING = 1e-5  # of the loss


@dataclass(frozen=True, slots=True)
class Curve:
    """How one loss went: the whole one, or that of a task.

    Args:
        task: its name; empty where there is only one or it is the whole loss.
        loss: of training by epoch; None where it was no number.
        validation: likewise; empty where there is none.
        start: the loss of the first step, or of the first epoch where that is not known; None where that is none.
        chance: what guessing costs, the logarithm of the number of classes; None where it is not known.
    """

    task: str
    loss: tuple[float | None, ...]
    validation: tuple[float | None, ...]
    start: float | None
    chance: float | None

    @property
    def scale(self) -> float | None:
        """What a loss is large or small against: what guessing costs, or else the loss at the start."""
        found = self.start if self.chance is None else self.chance
        return found if found is not None and found > 0 else None

    @property
    def level(self) -> float | None:
        """The newest loss as a part of that scale; about 1 where nothing was learned."""
        last = self.loss[-1]
        return None if last is None or last < 0 or self.scale is None else last / self.scale

    def about(self) -> str:
        """How to begin a sentence about this loss."""
        return f"the loss of {self.task}" if self.task else "the loss"


@dataclass(frozen=True, slots=True)
class Course:
    """One stage of a run.

    Args:
        number: the stage's, from 1; None for a plan of one.
        epochs: counted over all stages.
        whole: the loss that is trained.
        tasks: of each task; the whole one where there is only one.
        rates: by epoch.
        watched: rows of ``watch.jsonl``, of the stage.
        first: whether no stage came before.
        penalty: what weight penalties added to the loss at the start, which the curves of a single task are without.
    """

    number: int | None
    epochs: tuple[int, ...]
    whole: Curve
    tasks: tuple[Curve, ...]
    rates: tuple[float | None, ...]
    watched: tuple[Mapping[str, Any], ...]
    first: bool
    penalty: float = 0.0

    def looks(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """What was seen before the first step of an epoch, with the epoch."""
        for row in self.watched:
            if row.get("seen"):
                yield int(row["epoch"]), row["seen"]

    def live(self) -> int:
        """How many epochs, the newest among them or not, were trained at a tenth of the highest rate at least."""
        highest = max((rate for rate in self.rates if rate is not None), default=0.0)
        return sum(rate is None or rate >= 0.1 * highest for rate in self.rates)

    @property
    def decayed(self) -> bool:
        """Whether the rate has fallen so far that the loss has to stand still."""
        highest = max((rate for rate in self.rates if rate is not None), default=0.0)
        last = self.rates[-1]
        return last is not None and last < 0.1 * highest


def courses(
    rows: Sequence[Row], watched: Sequence[Mapping[str, Any]], classes: Mapping[str, int] | None
) -> tuple[Course, ...]:
    """The stages of a run in their order."""
    stages = list(dict.fromkeys(row.get("stage") for row in rows))
    found = []
    for stage in stages:
        mine = [row for row in rows if row.get("stage") == stage]
        epochs = {row["epoch"] for row in mine}
        seen = tuple(row for row in watched if row["epoch"] in epochs)
        number = None if stage is None else int(stage)
        found.append(_course(number, mine, seen, classes))
    return tuple(found)


def _course(
    number: int | None,
    rows: Sequence[Row],
    watched: tuple[Mapping[str, Any], ...],
    classes: Mapping[str, int] | None,
) -> Course:
    known = _classes(watched, classes)
    names = [name.removesuffix("_loss") for name in rows[0] if name.endswith("_loss") and not name.startswith("val_")]
    only = next(iter(known.values())) if len(known) == 1 and not names else None
    whole = _curve("", "loss", rows, _first_loss(watched), only)
    penalties = () if names else _penalties(rows, watched)
    if any(penalties):
        whole = _without(whole, penalties)
    tasks = tuple(_curve(name, f"{name}_loss", rows, None, known.get(name)) for name in names) or (whole,)
    epochs = tuple(int(row["epoch"] or 0) for row in rows)
    return Course(
        number, epochs, whole, tasks, tuple(row.get("rate") for row in rows), watched, epochs[0] == 1, *penalties[:1]
    )


def _classes(watched: Sequence[Mapping[str, Any]], given: Mapping[str, int] | None) -> Mapping[str, int]:
    """The number of classes by task: those given that the stage has, or those that were seen."""
    seen: Mapping[str, Any] = next((row["seen"] for row in watched if row.get("seen")), {})
    if given is None:
        return dict(seen.get("classes", {}))
    tasks = seen.get("losses", given)
    return {task: number for task, number in given.items() if task in tasks}


def _first_loss(watched: Sequence[Mapping[str, Any]]) -> float | None:
    return finite(watched[0]["steps"].get("first")) if watched else None


def _curve(task: str, name: str, rows: Sequence[Row], start: float | None, classes: int | None) -> Curve:
    loss = tuple(finite(row.get(name)) for row in rows)
    validated = any(f"val_{name}" in row for row in rows)
    validation = tuple(finite(row.get(f"val_{name}")) for row in rows) if validated else ()
    chance = math.log(classes) if classes and classes > 1 else None
    return Curve(task, loss, validation, loss[0] if start is None else start, chance)


def _penalties(rows: Sequence[Row], watched: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """What weight penalties add to the loss of a single task, by epoch: what the newest look until then says."""
    seen = {row["epoch"]: row["seen"] for row in watched if row.get("seen")}
    found, newest = [], 0.0
    for row in rows:
        look = seen.get(row["epoch"], {})
        whole, parts = finite(look.get("loss")), [finite(value) for value in look.get("losses", {}).values()]
        if whole is not None and len(parts) == 1 and parts[0] is not None:
            newest = whole - parts[0] if whole - parts[0] > _ROUNDING * abs(whole) else 0.0
        found.append(newest)
    return tuple(found)


def _without(curve: Curve, penalties: Sequence[float]) -> Curve:
    def less(values: Sequence[float | None]) -> tuple[float | None, ...]:
        pairs = zip(values, penalties, strict=False)
        return tuple(None if value is None else max(value - penalty, 0.0) for value, penalty in pairs)

    start = None if curve.start is None else max(curve.start - penalties[0], 0.0)
    return replace(curve, loss=less(curve.loss), validation=less(curve.validation), start=start)


def finite(value: Any) -> float | None:
    """A number as it is; None for None, infinities and NaN."""
    return float(value) if value is not None and math.isfinite(value) else None
