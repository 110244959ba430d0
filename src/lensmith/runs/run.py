"""A run from its first step to its report: begun once, continued as often as need be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import data, ship, train
from lensmith.compose import Recipe
from lensmith.data import Augment
from lensmith.records import Record
from lensmith.runs import manifest, precision, pretrained, resolve, stopped
from lensmith.runs.begun import (
    begun,
    code_hashes,
    environment,
    mend,
    refuse_old_checkpoints,
    refuse_other_code,
    warn_of_changes,
)
from lensmith.runs.content import content
from lensmith.runs.examples import read_again
from lensmith.runs.folder import RunFolder, check_new, create, existing, locked, read_json, write_json, write_text
from lensmith.runs.job import Job
from lensmith.runs.judge import judge, proof_examples
from lensmith.runs.manifest import Parts
from lensmith.runs.outcomes import evaluations, never_given, told, trained, unfinished
from lensmith.runs.pictured import keep_pictures
from lensmith.runs.prepare import Plan, Prepared, prepare_records
from lensmith.runs.report import render
from lensmith.runs.spec import Spec, read_run_spec
from lensmith.runs.stages import carry_out


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has a folder.

    Args:
        folder: where its files stand.
        results: what the test part said, and the proof of the artifact; None before the run has finished.
    """

    folder: RunFolder
    results: dict[str, Any] | None

    @property
    def artifact(self) -> Path | None:
        """The shipped file; None where nothing was shipped."""
        name = (self.results or {}).get("artifact")
        return self.folder.path / name if name else None

    @property
    def finished(self) -> bool:
        """Whether nothing of its plan is left to do."""
        return self.results is not None and not unfinished(read_run_spec(self.folder.spec), self.results)

    @property
    def trained(self) -> bool:
        """Whether its whole plan was carried out and measured, so that the results are of it."""
        return self.results is not None and trained(read_run_spec(self.folder.spec), self.results)

    @property
    def diagnosis(self) -> list[dict[str, Any]]:
        """The troubles of its training, so far if it has not ended: ``kind``, ``epoch``, ``evidence``, ``advice``."""
        return list((self.results or {}).get("diagnosis") or ()) if self.trained else stopped.so_far(self.folder)

    def saved(self) -> ship.Saved:
        """The trained model with its recipe, labels and preprocessing."""
        return ship.load(self.folder.model)

    def report(self) -> Path:
        """Write ``report.html`` anew from what stands in the folder, and return its path; also of a run under way."""
        write_text(self.folder.report, render(content(self.folder)))
        return self.folder.report

    def report_if_stale(self) -> None:
        """Write ``report.html`` where it is missing or older than the results, as a kill between the two leaves it."""
        page = self.folder.report
        if not page.is_file() or page.stat().st_mtime_ns < self.folder.results.stat().st_mtime_ns:
            self.report()


def start(
    folder: str | Path,
    *,
    recipe: Recipe,
    data: Parts,  # the word a user expects; the room of this name is not needed here
    plan: Plan | None = None,
    batch: int | None = None,
    scaling: str | None = None,
    augment: Augment | None = None,
    cache: str | Path | None = None,
    memory: int | None = None,
    allow_leakage: bool = False,
    seed: int = 0,
    progress: train.Progress | None = None,
) -> Run:
    """Train a recipe on three parts, and leave everything in a folder that can continue by itself.

    Args:
        folder: new or empty.
        recipe: its input is the size images are brought to.
        data: training, validation and test records, as :func:`lensmith.data.split` gives them.
        plan: the training stage, or several in order: ``(Warmup(epochs=3), Fit(epochs=30))``.
        batch: examples a step; None suits their number.
        scaling: ``0..1``, ``-1..1``, ``standardise`` or ``none``; None suits the kind of data.
        augment: by how much training images are changed each time they are shown.
        cache: a folder that keeps decoded images for the next epoch and the next run.
        memory: what may be held ready, in MiB.
        allow_leakage: train although the parts share examples, or copies of one picture.
        seed: of initial weights, dropout and the order of the examples.
        progress: who is told how far it is.

    Raises:
        SettingError, DataError: something does not fit; nothing was begun.
    """
    section = {
        "batch": batch,
        "augment": None if augment is None else augment.to_dict(),
        "cache": None if cache is None else str(Path(cache).absolute()),
        "memory": memory,
        "allow_leakage": allow_leakage,
    }
    prepared = prepare_records(recipe, data, plan or train.Fit(), section=section, scaling=scaling, seed=seed)
    return begin(folder, prepared, progress=progress)


def begin(folder: str | Path, prepared: Prepared, *, progress: train.Progress | None = None) -> Run:
    """Write down what was prepared, then train, evaluate, ship and report.

    Raises:
        SettingError: the folder is not new or empty.
    """
    check_new(Path(folder))
    noted = manifest.describe(prepared.parts) | {
        "preprocessing": prepared.preprocessing.to_dict(),
        "audit": prepared.audit.to_dict(),
        "spec": prepared.spec.model_dump(mode="json"),
        "code": code_hashes(prepared.spec),
    }
    made = create(Path(folder))
    write_json(made.environment, environment())
    write_text(made.spec, prepared.spec.to_yaml())
    keep_pictures(made, prepared.audit)
    write_json(made.data, noted)  # last: with it the folder is a run
    with locked(made):
        return _carry_on(made, prepared.spec, noted, prepared.parts, progress=progress)


def resume(
    folder: str | Path, *, records: Sequence[Record] | None = None, progress: train.Progress | None = None
) -> Run:
    """Continue a run that was stopped, at the very step it had come to; a finished one is returned as it is.

    Args:
        folder: of the run.
        records: the examples, where they did not come from files or from a bundled table.
        progress: who is told how far it is.

    Raises:
        SettingError: the folder is not a run, its spec was changed, or another process is at work in it.
        DataError: an example is gone or has changed since.
    """
    found = existing(Path(folder))
    spec, noted = begun(found)
    run = open_run(folder)
    if run.results is not None and not unfinished(spec, run.results):
        run.report_if_stale()
        return run
    with locked(found):
        mend(found, spec)
        warn_of_changes(found)
        refuse_other_code(noted.get("code", {}), code_hashes(spec))
        records = read_again(spec.data) if records is None else records
        parts = manifest.restore(noted, records, spec.data.source)
        return _carry_on(found, spec, noted, parts, progress=progress)


def open_run(folder: str | Path) -> Run:
    """The run in a folder as it stands."""
    found = existing(Path(folder))
    return Run(found, read_json(found.results) if found.results.is_file() else None)


def _carry_on(
    folder: RunFolder, spec: Spec, noted: Mapping[str, Any], parts: Parts, *, progress: train.Progress | None
) -> Run:
    """Each step of this either finds its work done or does it; so it can be called again after any end."""
    run = open_run(folder.path)
    if run.results is None or not trained(spec, run.results):
        refuse_old_checkpoints(folder, noted)
        run = _trained(folder, spec, noted, parts, progress=progress)
    if spec.ship is not None and run.artifact is None:
        # After the report: shipping may refuse, and what was learnt is then not lost.
        run = record_artifact(run, ship.export(run.saved(), folder.artifact, proof_examples(parts)))
    run.report_if_stale()
    return run


def _trained(
    folder: RunFolder, spec: Spec, noted: Mapping[str, Any], parts: Parts, *, progress: train.Progress | None
) -> Run:
    """Carry out the plan, and measure what came of it on the test part."""
    began = time.monotonic()
    preprocessing = data.Preprocessing.from_dict(noted["preprocessing"])
    recipe = resolve.resolve(spec.model, preprocessing.shape, parts[0].labels)
    model = precision.build(recipe, spec.model.precision, seed=spec.seed)
    if (found := pretrained.backbone(spec.model)) is not None:
        pretrained.load(model, recipe, found)
    used = precision.used(model, recipe, spec.model.precision)
    saved = ship.Saved(used, recipe, parts[0].labels, preprocessing)
    with stopped.noted(folder):
        outcomes = carry_out(Job(folder, spec, saved, model, parts, progress))
    precision.settle(saved.model, model)
    ship.save(folder.model, saved)
    judged, trained_so = judge(folder, saved, parts), told(outcomes, spec)
    results = judged | trained_so | {"lost": [*trained_so["lost"], *judged["lost"]]}
    results["diagnosis"] = [*trained_so["diagnosis"], *never_given(judged, trained_so["diagnosis"])]
    # A run that was extended measured the model it had on the same part before.
    looked = 1 + ("before" in noted)
    results |= {"evaluations": evaluations(folder) + looked, "seconds": round(time.monotonic() - began, 2)}
    results["before"] = noted.get("before")
    write_json(folder.results, results)
    run = Run(folder, results)
    run.report()
    return run


def record_artifact(run: Run, proof: ship.Proof) -> Run:
    """Note in a run that its artifact was made and proven."""
    results = (run.results or {}) | {"artifact": run.folder.artifact.name, "proof": proof.to_dict()}
    write_json(run.folder.results, results)
    run = Run(run.folder, results)
    run.report()
    return run
