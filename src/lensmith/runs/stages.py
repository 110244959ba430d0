"""The stages of a run, one after the other: what is finished is skipped, what was begun goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from lensmith import compose, reuse, train
from lensmith.records import Problem, Records
from lensmith.reuse import distillation, teacher
from lensmith.runs import aims, comparing, manifest, plan, precision, resolve, stage_folder, teaching
from lensmith.runs.custom import as_callback, load
from lensmith.runs.examples import unlabelled
from lensmith.runs.job import Job, batch_size, batches, sized
from lensmith.runs.job import objectives as objectives_of
from lensmith.runs.manifest import Parts
from lensmith.runs.stage_folder import Outcome
from lensmith.runs.stage_specs import (
    DrawSpec,
    FeaturesSpec,
    FitSpec,
    PretextSpec,
    PseudoLabelSpec,
    StageSpec,
    TeacherSpec,
    WarmupSpec,
)
from lensmith.train.state import arrays_of, put


def carry_out(job: Job) -> tuple[Outcome, ...]:
    """Run every stage of the plan that is not finished; the model ends with the weights of the last.

    Raises:
        LensmithError: a stage could not go on; what it had reached is in the folder.
        Interrupted: it was asked to stop.
    """
    names = plan.names(job.spec.train)
    done = list(stage_folder.finished(job.folder.stages, names))
    if done:
        stage_folder.restore(job.folder.stages, done[-1], job.model)
    for number, stage in enumerate(job.spec.train):
        if number >= len(done):
            stage_folder.forget_later(job.folder.path / "checkpoints", number + 1)
            done.append(_run(job, stage, names[number], done))
            stage_folder.write(job.folder.stages, done[-1], job.model)
            stage_folder.prune(job.folder.stages, names[: len(done)])
        if isinstance(stage, PseudoLabelSpec):
            job = _with_labelled(job, stage, done[number])
    return tuple(done)


def _run(job: Job, stage: StageSpec, name: str, done: Sequence[Outcome]) -> Outcome:
    earlier = stage_folder.earlier(done, len(job.spec.train))
    if isinstance(stage, DrawSpec):
        return _draw(job, stage, name)
    if isinstance(stage, PretextSpec):
        return _pretext(job, stage, name, earlier)
    if isinstance(stage, WarmupSpec | FitSpec):
        return _fit(job, stage, name, done, earlier)
    if isinstance(stage, PseudoLabelSpec):
        return _pseudo_labels(job, stage, name)
    return Outcome(name)  # the test part is measured when all stages are done


def _draw(job: Job, stage: DrawSpec, name: str) -> Outcome:
    recipe, shown = job.recipe, FitSpec()

    def build(seed: int) -> Any:
        return compose.logits(precision.build(recipe, job.spec.model.precision, seed=seed))

    drawn = train.draw(
        build,
        batches(job, shown, job.parts[0], list(recipe.tasks), learning=True),
        stage=stage.to_record(),
        objectives=objectives_of(job, shown),
        seed=job.spec.seed,
        folder=job.folder.stages / f"{name}-draws",
        progress=job.progress,
    )
    put(list(compose.logits(job.model).variables), arrays_of(list(drawn.model.variables)), name)
    return Outcome(name, notes={"losses": list(drawn.losses), "best": drawn.best, "seed": drawn.seed})


def _pretext(job: Job, stage: PretextSpec, name: str, earlier: train.Earlier) -> Outcome:
    records = job.parts[0] if stage.source is None else unlabelled(stage.source)
    with sized(job, stage, name) as here:
        history = reuse.pretext(
            here.model,
            records,
            here.saved.preprocessing,
            task=stage.to_task(),
            stage=stage.to_record(),
            size=stage.batch or job.spec.data.batch or resolve.batch_size(len(records)),
            augment=stage.augmentation(job.spec.data.augmentation()),
            folder=job.folder.path,
            resume=True,
            seed=job.spec.seed,
            earlier=earlier,
            progress=job.progress,
        )
    return _outcome(name, history, earlier)


def _fit(job: Job, stage: WarmupSpec | FitSpec, name: str, done: Sequence[Outcome], earlier: train.Earlier) -> Outcome:
    """Train, at the size the stage asks for."""
    before = arrays_of(list(job.model.variables)) if isinstance(stage, FitSpec) and stage.fall_back else {}
    with sized(job, stage, name) as here:
        if isinstance(stage, FitSpec) and stage.features is not None:
            history, lost = _on_features(here, stage, earlier)
        else:
            history, lost = _on_examples(here, stage, earlier)
    outcome = _outcome(name, history, earlier, lost)
    if before and not comparing.better(outcome, done, stage.to_record(), objectives_of(job, stage)):
        put(list(job.model.variables), before, name)
        outcome = replace(outcome, restored=None, notes={comparing.FELL_BACK: True})
    return outcome


def _on_examples(
    job: Job, stage: WarmupSpec | FitSpec, earlier: train.Earlier
) -> tuple[train.History, Sequence[Problem]]:
    model, objectives = compose.logits(job.model), objectives_of(job, stage)
    if isinstance(stage, FitSpec) and stage.sizes:
        model = compose.resizable(model)
    if isinstance(stage, FitSpec) and stage.taps:
        model = compose.with_taps(model, {tap: tap for tap in stage.taps}, task=next(iter(job.recipe.tasks)))
    parts, tasks = job.parts, list(job.recipe.tasks)
    if isinstance(stage, FitSpec) and stage.teacher:
        parts = _answered(job, stage.teacher, model)
        taught = teaching.tasks_of(parts[0])
        objectives = teaching.objectives(stage.teacher, objectives, parts[0])
        model = distillation.student(model, taught)
        tasks += [f"{task}{teacher.SUFFIX}" for task in taught]
    record = _with_teacher(stage.to_record(), tasks)
    training = batches(job, stage, parts[0], tasks, learning=True)
    validation = batches(job, stage, parts[1], tasks, learning=False) if parts[1] else None
    varied = stage.augmentation(job.spec.data.augmentation()) is not None
    history = _trained(job, stage, model, objectives, (training, validation), earlier, record, augmented=varied)
    return history, [*training.lost, *(validation.lost if validation else ())]


def _with_teacher(record: train.Fit, tasks: Sequence[str]) -> train.Fit:
    """A stage that trains only some tasks, with the teacher's answers for these."""
    if record.tasks is None:
        return record
    told = [f"{task}{teacher.SUFFIX}" for task in record.tasks]
    return replace(record, tasks=(*record.tasks, *(name for name in told if name in tasks)))


def _answered(job: Job, asked: TeacherSpec, model: Any) -> Parts:
    """The parts with a teacher's answers; the test part has none."""
    training, validation = (
        teaching.answered(asked, model, part, job.folder.features) if part else part for part in job.parts[:2]
    )
    return training, validation, job.parts[2]


def _on_features(job: Job, stage: FitSpec, earlier: train.Earlier) -> tuple[train.History, Sequence[Problem]]:
    """Run what is frozen once over the data, and train the rest of the model on what came out."""
    made = [_features(job, stage, part, learning=part is job.parts[0]) for part in job.parts[:2] if part]
    size = batch_size(job, stage)
    training = made[0].batches(size, seed=job.spec.seed, shuffle=True)
    validation = made[1].batches(size, shuffle=False) if len(made) > 1 else None
    record = replace(stage.to_record(), freeze=made[0].frozen)
    objectives = objectives_of(job, stage)
    varied = stage.features is not None and stage.features.views > 0
    shown = training, validation
    history = _trained(job, stage, made[0].rest, objectives, shown, earlier, record, augmented=varied)
    return history, [problem for one in made for problem in one.lost]


def _features(job: Job, stage: FitSpec, part: Records, *, learning: bool) -> reuse.Features:
    asked, record = stage.features or FeaturesSpec(), stage.to_record()
    views = asked.views if learning else 0
    return reuse.features(
        compose.logits(job.model),
        part,
        job.saved.preprocessing,
        freeze=record.freeze,
        cache=job.folder.features,
        augment=stage.augmentation(job.spec.data.augmentation()) if views else None,
        views=views,
        seed=job.spec.seed,
        limit=asked.limit << 20 if asked.limit else None,
        tasks=list(job.recipe.tasks),
    )


def _trained(
    job: Job,
    stage: WarmupSpec | FitSpec,
    model: Any,
    objectives: Mapping[str, train.Objective],
    shown: tuple[Any, Any],
    earlier: train.Earlier,
    record: train.Fit,
    *,
    augmented: bool,
) -> train.History:
    return train.fit(
        model,
        shown[0],
        stage=record,
        objectives=objectives,
        validation=shown[1],
        folder=job.folder.path,
        resume=True,
        seed=job.spec.seed,
        progress=job.progress,
        callbacks=callbacks(stage),
        earlier=earlier,
        augmented=augmented,
    )


def callbacks(stage: StageSpec) -> tuple[Any, ...]:
    """The user's own callbacks that a stage names."""
    named = stage.callbacks if isinstance(stage, FitSpec) else ()
    return tuple(as_callback(load(reference, aims.ANYWHERE), reference) for reference in named)


def _pseudo_labels(job: Job, stage: PseudoLabelSpec, name: str) -> Outcome:
    """Label what the model is sure of; what stands in one of the parts is left out."""
    records = reuse.held_out(unlabelled(stage.source), *job.parts, groups=job.parts[1:])
    precision.settle(job.saved.model, job.model)
    found = reuse.label(
        job.saved.model,
        records,
        job.saved.preprocessing,
        job.saved.labels,
        above=stage.above,
        most=stage.most,
    )
    notes = {"examples": manifest.entries(found.records), "left": found.left, "by_class": dict(found.by_class)}
    return Outcome(name, notes=notes)


def _with_labelled(job: Job, stage: PseudoLabelSpec, outcome: Outcome) -> Job:
    """The job whose training part has the examples that a finished stage labelled, too."""
    noted = (outcome.notes or {})["examples"]
    more = manifest.restored(noted, job.saved.labels, unlabelled(stage.source), stage.source)
    return replace(job, parts=(replace(job.parts[0], items=(*job.parts[0].items, *more.items)), *job.parts[1:]))


def _outcome(name: str, history: train.History, earlier: train.Earlier, lost: Sequence[Problem] = ()) -> Outcome:
    return Outcome(
        name=name,
        epochs=history.epochs,
        steps=history.steps,
        rows=history.rows,
        monitor=history.monitor,
        restored=history.restored,
        stopped=history.stopped,
        lost=tuple(asdict(one) for one in lost),
        diagnoses=tuple(one.to_dict() for one in history.diagnoses),
    )
