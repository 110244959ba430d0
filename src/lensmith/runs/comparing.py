"""Whether a stage made the model better than the stage before it had left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lensmith import train
from lensmith.runs.plan import LEARNS
from lensmith.runs.stage_folder import Outcome
from lensmith.train.monitor import Direction, Monitor
from lensmith.train.objective import direction, metrics_of

FELL_BACK = "fell_back"


def fell_back(outcome: Outcome) -> bool:
    """Whether a stage was undone, as it was no better than the one before."""
    return bool((outcome.notes or {}).get(FELL_BACK))


def learnt(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The stages that learnt from labels and whose weights were kept."""
    return [one for one in outcomes if one.name.partition("-")[2] in LEARNS and one.rows and not fell_back(one)]


def better(
    outcome: Outcome, before: Sequence[Outcome], stage: train.Fit, objectives: Mapping[str, train.Objective]
) -> bool:
    """Whether a stage ended with a better value of its monitor than what it began with; so too where that is unknown.

    Args:
        outcome: of the stage.
        before: of all earlier stages.
        stage: its ``mode`` says which way is better, or its objectives do.
        objectives: whose metrics the monitor may be one of.
    """
    began_with = next((_ended_with(one, outcome.monitor) for one in reversed(learnt(before))), None)
    if began_with is None:
        return True
    monitor = Monitor(outcome.monitor, _direction(outcome.monitor, stage, objectives))
    return monitor.improves(_ended_with(outcome, outcome.monitor), on=began_with)


def _ended_with(outcome: Outcome, name: str) -> float | None:
    """A value of the epoch whose weights a stage ended with."""
    row = next((row for row in outcome.rows if row["epoch"] == outcome.restored), outcome.rows[-1])
    value: float | None = row.get(name)
    return value


def _direction(name: str, stage: train.Fit, objectives: Mapping[str, train.Objective]) -> Direction:
    """Which way a value of the history is better; training has refused a monitor of which nobody knows."""
    if stage.mode != "auto":
        return stage.mode
    own = name.removeprefix("val_")
    for task, objective in objectives.items():
        for measure in objective.measures:
            for known, way in measure.directions.items():
                if own in (known, f"{task}_{known}"):
                    return way  # type: ignore[no-any-return]
        for metric in metrics_of(objective):
            if own in (metric.name, f"{task}_{metric.name}"):
                return direction(metric) or "min"
    return "min"  # a loss
