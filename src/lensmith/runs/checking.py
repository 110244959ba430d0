"""Whether a plan will do: everything that a stage would refuse after hours is refused before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lensmith import check, compose, data, train, trainable
from lensmith.compose import Classify, MultiLabel, Recipe
from lensmith.reuse import distillation
from lensmith.runs import aims, plan, teaching
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


def check_plan(spec: Spec, recipe: Recipe, parts: Parts, preprocessing: data.Preprocessing) -> None:
    """Refuse a plan of which a stage cannot work.

    Args:
        spec: whose ``train`` is checked.
        recipe: of the model.
        parts: training, validation and test examples.
        preprocessing: of each example.

    Raises:
        SettingError, DataError: names the stage and the setting.
    """
    plan.check_order(spec.train)
    for place, stage in enumerate(spec.train):
        try:
            _check(stage, spec, recipe, parts)
        except check.SettingError as error:
            raise check.SettingError(_placed(f"train[{place}]", str(error), stage)) from None


def _check(stage: StageSpec, spec: Spec, recipe: Recipe, parts: Parts) -> None:
    if isinstance(stage, PretextSpec | PseudoLabelSpec) and stage.source is not None:
        unlabelled(stage.source)
    if isinstance(stage, PretextSpec | WarmupSpec | FitSpec) and stage.image is not None:
        _check_size(recipe, stage.image)
    if isinstance(stage, PseudoLabelSpec | EvaluateSpec):
        return
    if isinstance(stage, DrawSpec | PretextSpec):
        if isinstance(stage, DrawSpec) and spec.model.weights is not None:
            raise check.SettingError("stage: expected weights that are drawn; got a plan that begins from trained ones")
        train.optimizers.build(train.Fit(optimizer=stage.optimizer))
        return
    mixed = mixes(stage, spec, recipe)
    objectives = aims.of_stage(stage, recipe, parts[0], mixed=mixed)
    if isinstance(stage, FitSpec) and stage.teacher is not None:
        objectives = _check_teacher(stage.teacher, objectives, parts, recipe)
    record = stage.to_record()
    train.check_stage(record, objectives, validated=bool(parts[1]))
    if record.freeze:
        model = compose.logits(recipe.build(seed=0))
        trainable.chosen("freeze", model, record.freeze)
        if isinstance(stage, FitSpec) and stage.features is not None:
            compose.halves(model, record.freeze)
    elif isinstance(stage, FitSpec) and stage.features is not None:
        remedy = "Say freeze: [stem, learner]"
        raise check.SettingError(check.sentence("features", "parts that are frozen, to run once", "none", remedy))
    if isinstance(stage, FitSpec):
        _check_extras(stage, recipe, mixed)


def _check_teacher(
    asked: TeacherSpec, own: Mapping[str, train.Objective], parts: Parts, recipe: Recipe
) -> Mapping[str, train.Objective]:
    """The objectives with a teacher's, if it is one for this student."""
    tasks = {task: parts[0].labels[task] for task in recipe.tasks}
    common = teaching.check_teacher(asked, tasks)
    return distillation.objectives(own, distillation.Teaching(asked.temperature, asked.share), common)


def _check_extras(stage: FitSpec, recipe: Recipe, mixed: bool) -> None:
    for reference in stage.callbacks:
        as_callback(load(reference, aims.ANYWHERE), reference)
    if stage.taps:
        task = next(iter(recipe.tasks))
        compose.with_taps(compose.logits(recipe.build(seed=0)), {tap: tap for tap in stage.taps}, task=task)
    together = [name for name in ("features", "teacher", "taps") if getattr(stage, name)]
    if len(together) > 1:
        raise check.SettingError(check.sentence(together[1], f"it in a stage without {together[0]}", "both"))
    if mixed and together and together[0] != "taps":
        expected = f"images that are not mixed beside {together[0]}"
        raise check.SettingError(check.sentence("augment", expected, "mixup or cutmix"))


def _check_size(recipe: Recipe, image: tuple[int, int, int]) -> None:
    """Refuse a size at which the model would have other weights."""
    if len(recipe.input) != 3 or image[2] != recipe.input[2]:
        expected = f"images like the model's input, {recipe.input}, of another height and width"
        raise check.SettingError(check.sentence("image", expected, list(image)))
    if replace(recipe, input=image).count() != recipe.count():
        remedy = "Give the heads pool: average, or train at one size"
        expected = "a size at which the model has the same weights"
        raise check.SettingError(check.sentence("image", expected, list(image), remedy))


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
    return augment.mixes


def _placed(place: str, message: str, stage: StageSpec) -> str:
    """The message with the stage's place in front where it begins with one of the stage's settings."""
    first = message.partition(":")[0].partition(".")[0]
    return f"{place}.{message}" if first in type(stage).model_fields else message
