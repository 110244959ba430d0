"""What the stages of a run came to together: what its results and its report say of the training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lensmith import reuse, train
from lensmith.reuse import transfer
from lensmith.runs import comparing, plan
from lensmith.runs.folder import RunFolder, read_json
from lensmith.runs.spec import Spec
from lensmith.runs.stage_folder import Outcome
from lensmith.runs.stage_specs import FitSpec

# Who has one of these gives some class to nothing because of it.
_CAUSES = frozenset(
    {
        "exploding-gradients",
        "initial-loss",
        "dead-units",
        "vanishing-gradients",
        "rate-too-high",
        "divergence",
        "rate-too-low",
        "underfitting",
    }
)


def told(outcomes: Sequence[Outcome], spec: Spec) -> dict[str, Any]:
    """The training as ``results.json`` holds it.

    Args:
        outcomes: of the stages, in order.
        spec: whose plan they carried out.

    Returns:
        ``stages``, one a stage: its ``name``, ``epochs``, ``steps``, what chose its ``best_epoch``, whether it
        stopped early and what it gained, in words; the same of the last stage whose weights were kept, for short;
        ``gains``, of all; ``diagnosis``; and the ``lost`` examples.
    """
    last, gains = comparing.learnt(outcomes)[-1], _gains(outcomes, spec)
    return {
        "stages": [_stage(one, gains.get(number)) for number, one in enumerate(outcomes, start=1)],
        "best_epoch": last.restored,
        "monitor": last.monitor,
        "stopped_early": last.stopped,
        "gains": "; ".join(gains.values()) or None,
        "diagnosis": once(finding for one in outcomes for finding in one.diagnoses),
        "lost": list({one["source"]: one for stage in outcomes for one in stage.lost}.values()),
    }


def once(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each kind of trouble the first, which is that of the first stage that had it.

    >>> once([{"kind": "plateau", "epoch": 2}, {"kind": "dead-units", "epoch": 1}, {"kind": "plateau", "epoch": 5}])
    [{'kind': 'plateau', 'epoch': 2}, {'kind': 'dead-units', 'epoch': 1}]
    """
    first: dict[str, dict[str, Any]] = {}
    for one in found:
        first.setdefault(one["kind"], dict(one))
    return list(first.values())


def never_given(judged: Mapping[str, Any], beside: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """A diagnosis for each task with classes that the trained model gave to no example of the part that judges.

    There is none beside a trouble of the training that explains it.
    """
    if any(one["kind"] in _CAUSES for one in beside):
        return []
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
    return not trained(spec, results) or (spec.ship is not None and results["artifact"] is None)


def trained(spec: Spec, results: Mapping[str, Any]) -> bool:
    """Whether these results are of the whole plan; those of a version without plans say nothing of stages."""
    stages = results.get("stages")
    return stages is None or [stage["name"] for stage in stages] == list(plan.names(spec.train))


def _gains(outcomes: Sequence[Outcome], spec: Spec) -> Mapping[int, str]:
    """What each stage gained, by its number, where several learnt from the labels; empty where only one did."""
    stages = {
        number: stage.to_record()
        for number, (stage, outcome) in enumerate(zip(spec.train, outcomes, strict=True), start=1)
        if isinstance(stage, FitSpec) and outcome.rows
    }
    if len(stages) < 2:
        return {}
    rows = [{"stage": number, **row} for number, one in enumerate(outcomes, start=1) for row in one.rows]
    kept: dict[int, train.Fit] = {}
    found: dict[int, str] = {}
    for number, stage in stages.items():
        told = [gain for gain in reuse.gains(rows, {**kept, number: stage}) if gain.stage == number]
        undone = comparing.fell_back(outcomes[number - 1])
        if told:
            found[number] = transfer.sentence(told) + ", undone as it was no better" * undone
        if not undone:  # what was undone is nothing that a later stage could have begun with
            kept[number] = stage
    return found


def _stage(outcome: Outcome, gain: str | None) -> Mapping[str, Any]:
    notes = {name: value for name, value in (outcome.notes or {}).items() if name != "examples"}
    return {
        "name": outcome.name,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "monitor": outcome.monitor,
        "best_epoch": outcome.restored,
        "stopped_early": outcome.stopped,
        "gain": gain,
        **notes,
    }
