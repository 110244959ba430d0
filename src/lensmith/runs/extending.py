"""Continuous learning: a finished run trains on when new examples arrive, with its old split kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lensmith import check, data, ship
from lensmith.records import PARTS, Records
from lensmith.runs import checking, detectors, manifest
from lensmith.runs.begun import begun, refuse_old_checkpoints
from lensmith.runs.data_spec import SplitSpec
from lensmith.runs.examples import read_again
from lensmith.runs.folder import existing, locked, read_json, write_json, write_text
from lensmith.runs.judge import judged
from lensmith.runs.manifest import Parts
from lensmith.runs.matching import match_labels
from lensmith.runs.outcomes import unfinished
from lensmith.runs.scoring import score
from lensmith.runs.spec import Spec
from lensmith.runs.stage_specs import FitSpec

# Of the last stage's rate: the weights are good already, and a full rate would first make them worse.
GENTLER = 0.3


def extend(
    folder: str | Path,
    source: str | Path,
    *,
    last: Mapping[str, Any] | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> Spec:
    """Add examples to a finished run, and to its plan a stage that trains on from its best weights.

    Examples that the run knows keep their part; new ones are dealt out beside them, and copies of known pictures join
    these. Nothing is trained yet: :func:`lensmith.runs.resume` does that.

    Args:
        folder: of the run.
        source: of the new examples; in any layout, with the run's own tasks and classes.
        last: settings of the new stage, such as ``epochs``; the others are those of the last stage ``fit``, at
            0.3 of its rate.
        on_file: told of each new example that is looked at.

    Returns:
        The spec that the run has now.

    Raises:
        SettingError: it is no finished run.
        DataError: there is nothing new, or a class that the run does not know.
    """
    found = existing(Path(folder))
    spec, noted = begun(found)
    results = read_json(found.results) if found.results.is_file() else None
    if results is None or unfinished(spec, results):
        remedy = f"Finish it first: lensmith train --resume {folder}"
        raise check.SettingError(check.sentence(f"{folder}", "a run that has finished", "one that has not", remedy))
    refuse_old_checkpoints(found, noted)
    with locked(found):
        parts = _parts(spec, noted, str(source), on_file)
        stage = _stage(spec, last or {})
        grown = spec.model_copy(
            update={
                "data": spec.data.model_copy(update={"more": (*spec.data.more, str(Path(source).absolute()))}),
                "train": (*(one for one in spec.train if one.stage != "evaluate"), stage),
            }
        )
        saved = ship.load(found.model)
        checking.check_plan(grown, saved.recipe, parts)  # type: ignore[arg-type]
        name, part = judged(parts)
        before = score(saved, part)
        write_json(
            found.data,
            noted
            | manifest.describe(parts)
            | {
                "spec": grown.model_dump(mode="json"),
                "grown_from": noted["spec"],
                "before": {"part": name, "examples": before.examples, "loss": before.loss, **before.metrics},
            },
        )
        write_text(found.spec, grown.to_yaml())
    return grown


def _parts(spec: Spec, noted: Mapping[str, Any], source: str, on_file: Any) -> Parts:
    """The run's parts with the new examples dealt out among them."""
    old = manifest.restore(noted, read_again(spec.data), spec.data.source)
    labels = old[0].labels
    given = match_labels(data.read(source), labels, detectors.wanted(spec.model, labels))
    audit = data.audit(given, on_file=on_file)
    known = {manifest.content_hash(record) for part in old for record in part}
    fresh = [record for record in audit.records if manifest.content_hash(record) not in known]
    if not fresh:
        raise check.DataError(check.sentence(source, "examples that the run does not know", "none"))
    everything = Records((*(record for part in old for record in part), *fresh), old[0].labels, "")
    together = data.audit(everything).together
    stated = {manifest.key_of(record): name for name, part in zip(PARTS, old, strict=True) for record in part}
    wanted = spec.data.split or SplitSpec()
    shares = (wanted.train, wanted.validation, wanted.test)
    previous = data.Split(shares, wanted.seed, stated)
    return data.split(everything, *shares, seed=wanted.seed, together=together, previous=previous)


def _stage(spec: Spec, last: Mapping[str, Any]) -> FitSpec:
    """The stage that trains on: as the last one did, more gently."""
    before = next((one for one in reversed(spec.train) if isinstance(one, FitSpec)), FitSpec())
    # It has another validation part than the stage before: their values say nothing of which is better.
    gentler = before.model_copy(update={"rate": before.rate * GENTLER, "warmup": 0.0, "fall_back": False})
    return FitSpec.model_validate(gentler.model_dump() | dict(last))
