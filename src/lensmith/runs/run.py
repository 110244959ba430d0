"""A run from its first step to its report: begun once, continued as often as need be."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lensmith import backend, compose, data, ship, train
from lensmith.compose import Recipe
from lensmith.records import Records
from lensmith.runs import manifest, resolve
from lensmith.runs.content import content
from lensmith.runs.folder import RunFolder, create, existing, read_json, write_json, write_text
from lensmith.runs.judge import judge
from lensmith.runs.manifest import Parts
from lensmith.runs.report import render
from lensmith.runs.spec import DataSpec, FitSpec, ModelSpec, Spec, parse_spec


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has a folder.

    Args:
        folder: where its files stand.
        results: what the test part said, and the proof of the artifact; None before the run has finished.
    """

    folder: RunFolder
    results: dict[str, Any] | None

    def saved(self) -> ship.Saved:
        """The trained model with its recipe, labels and preprocessing."""
        return ship.load(self.folder.model)

    def report(self) -> Path:
        """Write ``report.html`` anew from what stands in the folder, and return its path."""
        return write_report(self.folder)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that was decided before the first step."""

    spec: Spec
    recipe: Recipe
    parts: Parts
    preprocessing: data.Preprocessing
    audit: data.Audit


def prepare(spec: Spec, records: Records | None = None) -> Prepared:
    """Read the data, audit and split it, and fit the recipe to it; writes nothing.

    Args:
        spec: what is asked for.
        records: used in place of what ``spec.data.source`` names.

    Raises:
        SettingError, DataError: the spec or the data are wrong; nothing was begun.
    """
    audit = data.audit(data.read(spec.data.source) if records is None else records)
    split = spec.data.split
    parts = data.split(audit.records, split.train, split.validation, split.test, seed=split.seed)
    image = spec.data.image or resolve.image_size(audit)
    preprocessing = data.preprocessing(parts[0], image=image, scaling=spec.data.scaling)
    recipe = resolve.resolve(spec.model, preprocessing.shape, parts[0].labels)
    return Prepared(_written_out(spec, recipe, preprocessing.scaling), recipe, parts, preprocessing, audit)


def start(
    folder: str | Path,
    *,
    recipe: Recipe,
    data: Parts,  # the word a user expects; the room of this name is not needed here
    plan: train.Fit | None = None,
    batch: int = 32,
    scaling: str | None = None,
    seed: int = 0,
    progress: train.Progress | None = None,
) -> Run:
    """Train a recipe on three parts, and leave everything in a folder that can continue by itself.

    Args:
        folder: new or empty.
        recipe: its input is the size images are brought to.
        data: training, validation and test records, as :func:`lensmith.data.split` gives them.
        plan: the training stage.
        batch: examples a step.
        scaling: ``0..1``, ``-1..1``, ``standardise`` or ``none``; None suits the kind of data.
        seed: of initial weights, dropout and the order of the examples.
        progress: who is told how far it is.
    """
    prepared = _from_records(recipe, data, plan or train.Fit(), batch=batch, scaling=scaling, seed=seed)
    return begin(folder, prepared, progress=progress)


def begin(folder: str | Path, prepared: Prepared, *, progress: train.Progress | None = None) -> Run:
    """Write down what was prepared, then train, evaluate, ship and report."""
    noted = manifest.describe(prepared.parts)
    noted |= {"preprocessing": prepared.preprocessing.to_dict(), "audit": prepared.audit.to_dict()}
    made = create(Path(folder))
    write_json(made.environment, environment())
    write_text(made.spec, prepared.spec.to_yaml())
    write_json(made.data, noted)  # last: with it the folder is a run
    return _carry_on(made, prepared.spec, prepared.parts, progress=progress)


def resume(folder: str | Path, *, records: Sequence[Any] | None = None, progress: train.Progress | None = None) -> Run:
    """Continue a run that was stopped, at the very step it had come to; a finished one only reports again.

    Args:
        folder: of the run.
        records: the examples, where they did not come from files or from a bundled table.
        progress: who is told how far it is.

    Raises:
        SettingError: the folder is not a run.
        DataError: an example is gone or has changed since.
    """
    found = existing(Path(folder))
    spec = parse_spec(found.spec.read_text(encoding="utf-8"), str(found.spec))
    records = data.read(spec.data.source) if records is None else records
    parts = manifest.restore(read_json(found.data), records, spec.data.source)
    return _carry_on(found, spec, parts, progress=progress)


def open_run(folder: str | Path) -> Run:
    """The run in a folder as it stands."""
    found = existing(Path(folder))
    return Run(found, read_json(found.results) if found.results.is_file() else None)


def environment() -> dict[str, Any]:
    """What a run's numbers depend on besides its spec."""
    choice = backend.choose()
    return {
        "backend": choice.name,
        "reason": choice.reason,
        "versions": backend.versions(),
        "devices": list(backend.devices()),
        "threads": backend.threads(),
        "platform": platform.platform(),
    }


def write_report(folder: RunFolder) -> Path:
    """Write the report of a finished run."""
    write_text(folder.report, render(content(folder)))
    return folder.report


def objectives(recipe: Recipe) -> dict[str, train.Objective]:
    """What each task is trained for."""
    return {
        name: train.Objective(task.loss, task.metrics, task.output_activation, task.weight)
        for name, task in recipe.tasks.items()
    }


def _written_out(spec: Spec, recipe: Recipe, scaling: str) -> Spec:
    """The spec with the size, scaling and parts that were chosen, so that it means the same wherever it is read."""
    plain = recipe.to_dict()
    model = ModelSpec(learner=plain["learner"], stem=plain["stem"], tasks=plain["tasks"])
    image = recipe.input if len(recipe.input) == 3 else None
    data_section = spec.data.model_copy(update={"image": image, "scaling": scaling})
    return spec.model_copy(update={"model": model, "data": data_section})


def _from_records(
    recipe: Recipe, parts: Parts, plan: train.Fit, *, batch: int, scaling: str | None, seed: int
) -> Prepared:
    """What :func:`prepare` makes of a spec, made of objects."""
    image = recipe.input if len(recipe.input) == 3 else None
    preprocessing = data.preprocessing(parts[0], image=image, scaling=scaling)
    everything = replace(parts[0], items=tuple(record for part in parts for record in part))
    spec = Spec(
        data=DataSpec.model_validate({"source": parts[0].name, "image": image, "scaling": scaling, "batch": batch}),
        train=(FitSpec.from_stage(plan),),
        seed=seed,
    )
    spec = _written_out(spec, recipe, preprocessing.scaling)
    recipe = resolve.resolve(spec.model, preprocessing.shape, parts[0].labels)
    return Prepared(spec, recipe, parts, preprocessing, data.audit(everything))


def _carry_on(folder: RunFolder, spec: Spec, parts: Parts, *, progress: train.Progress | None) -> Run:
    """Each step of this either finds its work done or does it; so it can be called again after any end."""
    began = time.monotonic()
    noted = read_json(folder.data)
    preprocessing = data.Preprocessing.from_dict(noted["preprocessing"])
    recipe = resolve.resolve(spec.model, preprocessing.shape, parts[0].labels)
    model = recipe.build(seed=spec.seed)
    tasks = list(recipe.tasks)
    training, validation = (
        data.batches(part, preprocessing, size=spec.data.batch, seed=spec.seed, shuffle=shuffle, tasks=tasks)
        for part, shuffle in ((parts[0], True), (parts[1] or parts[0], False))
    )
    history = train.fit(
        compose.logits(model),
        training,
        stage=spec.train[0].to_stage(),
        objectives=objectives(recipe),
        validation=validation if parts[1] else None,
        folder=folder.path,
        resume=True,
        seed=spec.seed,
        progress=progress,
    )
    saved = ship.Saved(model, recipe, parts[0].labels, preprocessing)
    ship.save(folder.model, saved)
    results = judge(folder, spec, saved, parts) | {
        "best_epoch": history.best.epoch if history.best and parts[1] else None,
        "monitor": history.monitor,
        "stopped_early": history.stopped,
        "seconds": round(time.monotonic() - began, 2),
    }
    write_json(folder.results, results)
    write_report(folder)
    return Run(folder, results)
