"""What the stages of a run came to together: what its results and its report say of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith import reuse, train
from lensmith.reuse import transfer
from lensmith.runs import plan
from lensmith.runs.folder import RunFolder, read_json
from lensmith.runs.spec import Spec
from lensmith.runs.stage_folder import Outcome
from lensmith.runs.stage_specs import FitSpec


def told(outcomes: Sequence[Outcome], spec: Spec) -> dict[str, Any]:
    """The training as ``results.json`` holds it.

    Args:
        outcomes: of the stages, in order.
        spec: whose plan they carried out.

    Returns:
        ``stages``, one a stage: its ``name``, ``epochs``, ``steps``, what chose its ``best_epoch`` and whether it
        stopped early; the same of the last stage that learnt, for short; ``gains``, what each of several fits came to,
        in words; ``diagnosis``; and the ``lost`` examples.
    """
    learnt = [one for one in outcomes if one.rows]
    last = learnt[-1]
    return {
        "stages": [_stage(one) for one in outcomes],
        "best_epoch": last.restored,
        "monitor": last.monitor,
        "stopped_early": last.stopped,
        "gains": _gains(outcomes, spec),
        "diagnosis": [finding for one in outcomes for finding in one.diagnoses],
        "lost": list({one["source"]: one for stage in outcomes for one in stage.lost}.values()),
    }


def never_given(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A diagnosis for each class that the trained model gave to no example of the part that judges."""
    several = len(judged["confusion"]) > 1
    found = [
        train.never_predicted(table, [row["name"] for row in judged["classes"][task]], task if several else "")
        for task, table in judged["confusion"].items()
    ]
    return [one.to_dict() for one in found if one is not None]


def evaluations(folder: RunFolder) -> int:
    """How often the test part of a run was measured on before."""
    return int(read_json(folder.results).get("evaluations", 0)) if folder.results.is_file() else 0


def unfinished(spec: Spec, results: Mapping[str, Any]) -> bool:
    """Whether a run with these results has something left to do: a stage that was added, or an artifact to make."""
    done = [stage["name"] for stage in results["stages"]]
    return done != list(plan.names(spec.train)) or (spec.ship is not None and results["artifact"] is None)


def _gains(outcomes: Sequence[Outcome], spec: Spec) -> str | None:
    """What each stage gained, where several learnt from the labels; None where there is nothing to compare."""
    stages = {
        number: stage.to_record()
        for number, (stage, outcome) in enumerate(zip(spec.train, outcomes, strict=True), start=1)
        if isinstance(stage, FitSpec) and outcome.rows
    }
    if len(stages) < 2:
        return None
    rows = [{"stage": number, **row} for number, one in enumerate(outcomes, start=1) for row in one.rows]
    return transfer.sentence(reuse.gains(rows, stages)) or None


def _stage(outcome: Outcome) -> Mapping[str, Any]:
    notes = {name: value for name, value in (outcome.notes or {}).items() if name != "examples"}
    return {
        "name": outcome.name,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "monitor": outcome.monitor,
        "best_epoch": outcome.restored,
        "stopped_early": outcome.stopped,
        **notes,
    }
