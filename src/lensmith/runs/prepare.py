"""From a spec, or from objects, to all that is decided before the first step. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lensmith import check, data, detect, reuse, ship, train
from lensmith.compose import Recipe
from lensmith.detect.anchors import Anchors
from lensmith.records import PARTS, Records
from lensmith.runs import checking, detectors, pretrained, resolve
from lensmith.runs.data_spec import DataSpec, SplitSpec
from lensmith.runs.examples import audited, earlier, refuse_leakage, split
from lensmith.runs.manifest import Parts
from lensmith.runs.spec import ModelSpec, Spec, validated
from lensmith.runs.stage_specs import FeaturesSpec, FitSpec, of_record

Stage = train.Fit | train.Warmup | train.Draw
Plan = Stage | Sequence[Stage]


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that was decided before the first step.

    Args:
        spec: what was asked for, with every choice and default written out.
        recipe: of the model.
        parts: training, validation and test examples that can be read.
        preprocessing: of each example.
        audit: of the examples.
        anchors: those that were fitted to the boxes of the training part, by detector.
    """

    spec: Spec
    recipe: Recipe
    parts: Parts
    preprocessing: data.Preprocessing
    audit: data.Audit
    anchors: Mapping[str, Anchors] = field(default_factory=dict)


def prepare(
    spec: Spec,
    records: Records | None = None,
    *,
    last: Mapping[str, Any] | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Read the data, audit and split it, fit the recipe to it, and check whatever could fail later.

    A spec without a plan gets the usual one: a stage ``fit``; with a trained backbone first the heads alone, on
    features that are computed once, then its last groups too, more slowly.

    Args:
        spec: what is asked for.
        records: used in place of what ``spec.data.source`` names.
        last: settings of the plan's last stage ``fit`` in place of its own, such as ``epochs``.
        on_file: called after each audited example with how many are done and how many there are.

    Raises:
        SettingError, DataError: the spec or the data are wrong; nothing was begun.
    """
    try:
        audit = audited(spec.data, records, on_file=on_file)
    except check.SettingError as error:
        raise check.SettingError(spec.located(str(error))) from None
    refuse_leakage(audit, allowed=spec.data.allow_leakage)
    if not audit.records.labels:
        remedy = "Put each class in a folder of its name, or see lensmith data formats"
        raise check.DataError(check.sentence(audit.records.name, "labels to learn", audit.records.layout, remedy))
    try:
        wanted = spec.data.split or SplitSpec()
        parts = split(audit, wanted, earlier(wanted))
        found = pretrained.backbone(spec.model)
        found_boxes = detectors.wanted(spec.model, parts[0].labels)
        _refuse_without_objects(parts[0], found_boxes)
        image = spec.data.image or resolve.image_size(audit, found.recipe.input if found else ())
        if found_boxes and spec.data.image is None and image is not None:
            image = (*detectors.image_size(parts[0], found_boxes[0], audit), image[2])
        if found is None:
            preprocessing = data.preprocessing(parts[0], image=image, scaling=spec.data.scaling)
            recipe, anchors = _resolved(spec.model, spec.model, preprocessing.shape, parts[0])
            found_out = Prepared(spec, recipe, parts, preprocessing, audit, anchors)
        else:
            found_out = _continued(spec, found, parts, audit, image, whole="freeze" in (last or {}))
        if found_boxes:
            found_out = _with_usual_plan(found_out, spec)
        return _checked(replace(found_out, spec=_with_last(found_out.spec, last or {})))
    except check.SettingError as error:
        raise check.SettingError(spec.located(str(error))) from None


def _refuse_without_objects(training: Records, tasks: Sequence[str]) -> None:
    for task in tasks:
        if not any(len(one.targets.get(task, ())) for one in training):  # type: ignore[arg-type]
            got = f"{len(training)} images without any"
            raise check.DataError(check.sentence(f"{training.name}: {task}", "labelled objects to learn", got))


def _resolved(
    asked: ModelSpec, model: ModelSpec, shape: tuple[int, ...], training: Records, trained: Recipe | None = None
) -> tuple[Recipe, Mapping[str, Anchors]]:
    """The recipe, its detectors on maps that suit their boxes, where none were asked for, and with fitted anchors."""
    recipe = resolve.resolve(model, shape, training.labels)
    tasks = detectors.wanted(asked, training.labels)
    unasked = [task for task in tasks if (asked.tasks or {}).get(task) is None]
    return detectors.with_anchors(detectors.suited(recipe, training, unasked, trained), training)


def _with_usual_plan(prepared: Prepared, asked: Spec) -> Prepared:
    """The same with the usual plan of a detector, where none was asked for."""
    spec = prepared.spec
    if "train" in asked.model_fields_set:
        return prepared
    trained, validated = spec.model.weights is not None, bool(prepared.parts[1])
    examples = len(prepared.parts[0])
    plan = detectors.usual_plan(prepared.recipe, examples, trained=trained, validated=validated)
    spec = spec.model_copy(update={"train": plan})
    if "augment" not in spec.data.model_fields_set:
        spec = spec.model_copy(
            update={"data": spec.data.model_copy(update={"augment": detectors.augment(prepared.recipe)})}
        )
    return replace(prepared, spec=spec)


def _with_last(spec: Spec, last: Mapping[str, Any]) -> Spec:
    """The spec with these settings in its last stage ``fit``.

    Raises:
        SettingError: a setting is wrong, or no stage is a ``fit``.
    """
    if not last:
        return spec
    place = max((place for place, stage in enumerate(spec.train) if isinstance(stage, FitSpec)), default=None)
    if place is None:
        got = ", ".join(stage.stage for stage in spec.train)
        raise check.SettingError(check.sentence(f"train: {', '.join(last)}", "a stage fit to give it to", got))
    stage = spec.train[place]
    kept = {name: getattr(stage, name) for name in stage.model_fields_set}
    if isinstance(epochs := last.get("epochs"), int) and kept.get("warmup", 0) > epochs > 0:
        kept["warmup"] = epochs / 4  # what was meant for many epochs
    changed = validated(FitSpec, kept | dict(last))
    return spec.model_copy(update={"train": (*spec.train[:place], changed, *spec.train[place + 1 :])})


def _transfer(recipe: Recipe) -> tuple[FitSpec, FitSpec]:
    """The usual plan with a trained backbone."""
    heads, tuning = (FitSpec.from_record(stage) for stage in reuse.plan(recipe.build(seed=0)))
    return heads.model_copy(update={"features": FeaturesSpec()}), tuning.model_copy(update={"fall_back": True})


def _continued(
    spec: Spec,
    found: pretrained.Backbone,
    parts: Parts,
    audit: data.Audit,
    image: tuple[int, int, int] | None,
    *,
    whole: bool,
) -> Prepared:
    """What is decided where a trained backbone decides some of it; the weights are tried on now, not after hours.

    ``whole`` says that one stage trains all that is not frozen, even where the spec has no plan.
    """
    if image is None or len(found.recipe.input) != 3:
        raise check.SettingError(check.sentence("model.weights", "images, as the weights were trained on", "rows"))
    channels = found.recipe.input[2]
    if spec.data.image is not None and image[2] != channels:
        expected = f"{channels} channels, as the weights were trained on"
        raise check.SettingError(check.sentence("data.image", expected, f"{image[2]}"))
    image = (image[0], image[1], channels)
    model = spec.model
    if "learner" not in model.model_fields_set:
        own = ModelSpec.of(found.recipe)
        model = model.model_copy(update={name: getattr(own, name) for name in ("stem", "learner", "conventions")})
    recipe, anchors = _resolved(spec.model, model, image, parts[0], found.recipe)
    settings = pretrained.load(recipe.build(seed=0), recipe, found)
    preprocessing = pretrained.preprocessing(settings, image, spec.data.scaling)
    if model.weights is not None:
        model = model.model_copy(update={"weights": pretrained.written(found, model.weights)})
        spec = spec.model_copy(update={"model": model})
    if "train" not in spec.model_fields_set and not whole:
        spec = spec.model_copy(update={"train": _transfer(recipe)})
    return Prepared(spec, recipe, parts, preprocessing, audit, anchors)


def prepare_records(
    recipe: Recipe, parts: Parts, plan: Plan, *, section: Mapping[str, Any], scaling: str | None, seed: int
) -> Prepared:
    """The same from objects: the parts are audited, and what cannot be read is set aside.

    Args:
        recipe: of the model.
        parts: training, validation and test examples.
        plan: the training stage, or several in order.
        section: settings of the spec's ``data`` beside the source and the parts.
        scaling: of the preprocessing; None suits the kind of data.
        seed: of initial weights, dropout and order.

    Raises:
        SettingError, DataError: a setting is wrong, or the parts do not belong together.
    """
    if not isinstance(recipe, Recipe):
        remedy = "Train the two models of a chain by themselves, then join them: lensmith.ship.chain"
        raise check.SettingError(check.sentence("recipe", "a Recipe", type(recipe).__name__, remedy))
    for part in parts[1:]:
        if part and dict(part.labels) != dict(parts[0].labels):
            expected = "parts with the same labels in the same order"
            raise check.DataError(check.sentence(part.name, expected, "others", "Split one reading of the data"))
    named = [replace(record, part=name) for name, part in zip(PARTS, parts, strict=True) for record in part]
    audit = data.audit(replace(parts[0], items=tuple(named)))
    refuse_leakage(audit, allowed=bool(section.get("allow_leakage")))
    train_part, validation, test = (audit.records.part(name) for name in PARTS)
    parts = (train_part, replace(validation, set_aside=()), replace(test, set_aside=()))
    image = recipe.input if len(recipe.input) == 3 else None
    preprocessing = data.preprocessing(parts[0], image=image, scaling=scaling)
    there = Path(parts[0].name)
    source = str(there.absolute()) if there.exists() else parts[0].name
    found = validated(DataSpec, {**section, "source": source, "split": None})
    stages = tuple(of_record(stage) for stage in (plan if isinstance(plan, Sequence) else (plan,)))
    spec = validated(Spec, {"data": found, "train": stages, "seed": seed})
    labels = parts[0].labels
    recipe = resolve.resolve(ModelSpec.of(recipe), preprocessing.shape, labels)
    recipe, anchors = detectors.with_anchors(recipe, parts[0])
    return _checked(Prepared(spec, recipe, parts, preprocessing, audit, anchors))


def _checked(prepared: Prepared) -> Prepared:
    """The same with its spec written out, if nothing in it would be refused after training has begun."""
    spec, recipe = prepared.spec, prepared.recipe
    for part in filter(None, prepared.parts):
        for task in recipe.tasks:
            several = data.most_boxes(part, task) if task in detect.detectors(recipe) else None
            _check_targets(prepared.audit, part, task, several)
    recipe.count(auxiliaries=True)  # builds it, without weights: are the images large enough for its strides?
    checking.check_plan(spec, recipe, prepared.parts)
    if spec.ship is not None and (refusal := ship.cannot_export()) is not None:
        if "ship" in spec.model_fields_set:
            raise refusal
        spec = spec.model_copy(update={"ship": None})
    written = _written_out(spec, recipe, prepared.preprocessing.scaling, len(prepared.parts[0]))
    return replace(prepared, spec=written)


def _check_targets(audit: data.Audit, part: Records, task: str, several: int | None) -> None:
    """Refuse a part of which an example has no target that the head can learn; with what the audit says of all such."""
    try:
        data.to_array(part, task, several=several)
    except check.DataError as error:
        wrong = [one for one in audit.findings if one.kind == "label" and one.severity == "severe"]
        said = next((one for one in wrong if any(str(error).startswith(f"{file}: {task}") for file in one.files)), None)
        if said is None:
            raise
        raise check.DataError(f"{audit.records.name}: {said.message}, such as {error}. {said.remedy}") from None


def _written_out(spec: Spec, recipe: Recipe, scaling: str, examples: int) -> Spec:
    """The spec with the sizes, scaling and parts that were chosen, so that it means the same wherever it is read."""
    image = recipe.input if len(recipe.input) == 3 else None
    most = detectors.MOST_BATCH if detect.detectors(recipe) else examples
    batch = spec.data.batch or min(resolve.batch_size(examples), most)
    section = spec.data.model_copy(update={"image": image, "scaling": scaling, "batch": batch})
    kept = {"weights": spec.model.weights, "precision": spec.model.precision}
    model = ModelSpec.of(recipe).model_copy(update=kept)
    return spec.model_copy(update={"model": model, "data": section})
