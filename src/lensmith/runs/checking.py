"""Whether a plan will do: everything that a stage would refuse after hours is refused before the first step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lensmith import check, compose, detect, train
from lensmith.backend import keras
from lensmith.compose import Classify, MultiLabel, Recipe
from lensmith.records import Records
from lensmith.reuse import distillation
from lensmith.runs import aims, detectors, plan, teaching
from lensmith.runs.custom import as_callback, load
from lensmith.runs.examples import unlabelled
from lensmith.runs.manifest import Parts
from lensmith.runs.spec import Spec
from lensmith.runs.stage_specs import (
    DrawSpec,
    EvaluateSpec,
    FitSpec,
    PretextSpec,
    PseudoLabelSpec,
    StageSpec,
    TeacherSpec,
    WarmupSpec,
)
from lensmith.train import objective as train_objective
from lensmith.train.frozen import frozen
from lensmith.train.gap_dropout import dropouts


def check_plan(spec: Spec, recipe: Recipe, parts: Parts) -> None:
    """Refuse a plan of which a stage cannot work.

    Args:
        spec: whose ``train`` is checked.
        recipe: of the model.
        parts: training, validation and test examples.

    Raises:
        SettingError, DataError: names the stage and the setting.
    """
    plan.check_order(spec.train)
    # Built once, and only for a plan that asks for more than the usual.
    model = functools.cache(lambda: compose.logits(recipe.build(seed=0, auxiliaries=True)))
    before: Any = None
    for place, stage in enumerate(spec.train):
        try:
            if not isinstance(stage, WarmupSpec | FitSpec):
                _check_other(stage, spec, recipe, parts[0])
                continue
            objectives = train_objective.describe(_check_learning(stage, spec, recipe, parts, model))
            if isinstance(stage, FitSpec) and stage.fall_back and stage.monitor.endswith("loss"):
                _check_comparable(before, objectives)
            before = objectives
        except check.SettingError as error:
            raise check.SettingError(_placed(f"train[{place}]", str(error), stage)) from None


def _check_other(stage: StageSpec, spec: Spec, recipe: Recipe, training: Records) -> None:
    """Refuse a stage that cannot work among those that do not learn from labels."""
    if isinstance(stage, PretextSpec | PseudoLabelSpec):
        if len(recipe.input) != 3:
            raise check.SettingError(check.sentence("stage", "a model of images", "one of rows of numbers"))
        if stage.source is not None:
            _check_source(stage.source)
    if isinstance(stage, PseudoLabelSpec):
        for task in recipe.tasks:
            if (kind := training.labels[task].kind) not in ("class", "classes"):
                expected = "tasks of classes, of which a model can be sure"
                raise check.SettingError(check.sentence("stage", expected, f"{task!r}, which is of the kind {kind!r}"))
    if isinstance(stage, PretextSpec):
        _check_size(recipe, stage.image)
        height, width, _ = stage.image or recipe.input
        stage.to_task().check_size((height, width))
        augment = stage.augmentation(spec.data.augmentation())
        if augment is not None and (augment.mixes or augment.mosaic):
            got, remedy = "mixup, cutmix or mosaic", "Say augment: false, or name others"
            raise check.SettingError(check.sentence("augment", "changes of one image at a time", got, remedy))
    if isinstance(stage, DrawSpec) and spec.model.weights is not None:
        raise check.SettingError("stage: expected weights that are drawn; got a plan that begins from trained ones")
    if isinstance(stage, DrawSpec | PretextSpec):
        train.optimizers.build(train.Fit(optimizer=stage.optimizer))


def _check_sizes(stage: FitSpec, recipe: Recipe, model: Callable[[], Any]) -> None:
    """Refuse training at several sizes where a layer, the backend or another setting needs one."""
    if len(recipe.input) != 3:
        raise check.SettingError(check.sentence("sizes", "images", "rows of numbers"))
    if stage.features is not None or stage.teacher is not None:
        got = "features" if stage.features is not None else "teacher"
        raise check.SettingError(check.sentence("sizes", "a stage that is shown images alone", got))
    if (backend := keras.config.backend()) == "tensorflow":  # which forgets how many candidates a batch has
        raise check.SettingError(check.sentence("sizes", "the backend torch or jax", backend))
    for size in stage.squares:
        _check_size(recipe, (*size, recipe.input[2]), "sizes")
    compose.resizable(model())


def _check_source(source: str) -> None:
    try:
        unlabelled(source)
    except check.DataError as error:
        raise check.SettingError(f"source: {error}") from None


def _check_learning(
    stage: WarmupSpec | FitSpec, spec: Spec, recipe: Recipe, parts: Parts, model: Callable[[], Any]
) -> Mapping[str, train.Objective]:
    """The objectives of a stage that learns from labels, if it can work."""
    _check_size(recipe, stage.image)
    mixed = mixes(stage, spec, recipe)
    objectives = aims.of_stage(stage, recipe, parts[0], mixed=mixed)
    if isinstance(stage, FitSpec) and stage.teacher is not None:
        objectives = _check_teacher(stage.teacher, objectives, parts, recipe)
    record = stage.to_record()
    train.check_stage(record, objectives, validated=bool(parts[1]))
    if isinstance(stage, FitSpec):
        _check_together(stage, mixed)
        _check_code(stage)
        if stage.features is not None:
            _check_features(stage, spec, recipe, record)
    if isinstance(stage, FitSpec) and stage.sizes:
        _check_sizes(stage, recipe, model)
    if record.freeze or record.tasks or record.hold_norms:
        with frozen(model(), record):
            pass
    rest = model
    if isinstance(stage, FitSpec) and stage.features is not None:
        halves = compose.halves(model(), record.freeze)
        rest = lambda: halves.rest  # noqa: E731, what is trained then
    if record.dropout is not None:
        dropouts(rest(), record.dropout, validated=bool(parts[1]))
    if isinstance(stage, FitSpec) and stage.taps:
        compose.with_taps(model(), {tap: tap for tap in stage.taps}, task=next(iter(recipe.tasks)))
    return objectives


def _check_teacher(
    asked: TeacherSpec, own: Mapping[str, train.Objective], parts: Parts, recipe: Recipe
) -> Mapping[str, train.Objective]:
    """The objectives with a teacher's, if it is one for this student."""
    tasks = {task: parts[0].labels[task] for task in recipe.tasks}
    common = teaching.check_teacher(asked, tasks)
    return distillation.objectives(own, distillation.Teaching(asked.temperature, asked.share), common)


def _check_code(stage: FitSpec) -> None:
    for reference in stage.callbacks:
        try:
            as_callback(load(reference, aims.ANYWHERE), reference)
        except check.SettingError as error:
            raise check.SettingError(f"callbacks: {error}") from None


def _check_together(stage: FitSpec, mixed: bool) -> None:
    together = [name for name in ("features", "teacher", "taps") if getattr(stage, name)]
    if len(together) > 1:
        raise check.SettingError(check.sentence(together[1], f"it in a stage without {together[0]}", "both"))
    if mixed and together and together[0] != "taps":
        expected = f"images that are not mixed beside {together[0]}"
        raise check.SettingError(check.sentence("augment", expected, "mixup or cutmix"))


def _check_features(stage: FitSpec, spec: Spec, recipe: Recipe, record: train.Fit) -> None:
    if found := detect.detectors(recipe):
        expected = "tasks with one target of one size an image"
        raise check.SettingError(
            check.sentence("features", expected, f"the detector {found[0]!r}", "Leave features out")
        )
    if not record.freeze:
        remedy = "Say freeze: [stem, learner]"
        raise check.SettingError(check.sentence("features", "parts that are frozen, to run once", "none", remedy))
    if stage.features is None or not stage.features.views:
        return
    augment = stage.augmentation(spec.data.augmentation())
    if augment is None:
        expected, remedy = "changes by which the views differ", "Name some in augment, or leave views out"
        raise check.SettingError(check.sentence("augment", expected, "none", remedy))
    if augment.mosaic:
        raise check.SettingError(check.sentence("augment", "changes of one image at a time", "mosaic"))


def _check_comparable(before: Any, objectives: Any) -> None:
    """Refuse to compare losses that are not the same function."""
    if before is not None and before != objectives:
        expected = "a value that the stage before has too, such as val_accuracy, as the losses of the two differ"
        raise check.SettingError(check.sentence("monitor", expected, "a loss", "Name one, or leave fall_back out"))


def _check_size(recipe: Recipe, image: tuple[int, int, int] | None, place: str = "image") -> None:
    """Refuse a size at which the model would have other weights."""
    if image is None or image == recipe.input:
        return
    if len(recipe.input) != 3 or image[2] != recipe.input[2]:
        expected = f"images like the model's input, {recipe.input}, of another height and width"
        raise check.SettingError(check.sentence(place, expected, list(image)))
    if replace(recipe, input=image).count() != recipe.count():
        remedy = "Give the heads pool: average, or train at one size"
        expected = "a size at which the model has the same weights"
        raise check.SettingError(check.sentence(place, expected, list(image), remedy))


def mixes(stage: StageSpec, spec: Spec, recipe: Recipe) -> bool:
    """Whether a stage mixes images.

    Raises:
        SettingError: an augmentation is wrong, or does not suit rows, or a head cannot learn from mixed images.
    """
    if isinstance(stage, DrawSpec | PseudoLabelSpec | EvaluateSpec):
        return False
    own = stage.augment is not None
    place = "augment" if own else "data.augment"
    augment = stage.augmentation(spec.data.augmentation())
    if augment is None:
        return False
    if len(recipe.input) != 3:
        raise check.SettingError(check.sentence(place, "images to change", "rows of numbers"))
    for name, task in recipe.tasks.items():
        if augment.mixes and not isinstance(task, Classify | MultiLabel):
            got = f"{type(task).__name__.lower()} for {name!r}"
            remedy = "Leave mixup and cutmix out, or train the tasks apart"
            raise check.SettingError(check.sentence(place, "only heads of classes beside mixing", got, remedy))
        if augment.mosaic and not detectors.in_mosaic(task):
            got = f"{type(task).__name__.lower()} for {name!r}"
            expected, remedy = (
                "detectors and several classes beside mosaic",
                "Set mosaic to 0, or train the tasks apart",
            )
            raise check.SettingError(check.sentence(place, expected, got, remedy))
    return augment.mixes


def _placed(place: str, message: str, stage: StageSpec) -> str:
    """The message with the stage's place in front; what it says of the data stays where it is."""
    first = message.partition(":")[0].partition(".")[0]
    if first in type(stage).model_fields:
        return f"{place}.{message}"
    return message if first in ("data", "model") else f"{place}: {message}"
