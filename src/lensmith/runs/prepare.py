"""From a spec, or from objects, to all that is decided before the first step. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lensmith import check, data, ship, train, trainable
from lensmith.compose import Chain, Classify, MultiLabel, Recipe
from lensmith.compose.auxiliary import named
from lensmith.records import PARTS, Records
from lensmith.runs import pretrained, resolve
from lensmith.runs.data_spec import DataSpec, SplitSpec
from lensmith.runs.examples import audited, earlier, refuse_leakage, split
from lensmith.runs.manifest import Parts
from lensmith.runs.spec import FitSpec, ModelSpec, Spec, validated


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that was decided before the first step.

    Args:
        spec: what was asked for, with every choice and default written out.
        recipe: of the model.
        parts: training, validation and test examples that can be read.
        preprocessing: of each example.
        audit: of the examples.
    """

    spec: Spec
    recipe: Recipe
    parts: Parts
    preprocessing: data.Preprocessing
    audit: data.Audit


def prepare(
    spec: Spec, records: Records | None = None, *, on_file: Callable[[int, int], None] | None = None
) -> Prepared:
    """Read the data, audit and split it, fit the recipe to it, and check whatever could fail later.

    Args:
        spec: what is asked for.
        records: used in place of what ``spec.data.source`` names.
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
        image = spec.data.image or resolve.image_size(audit)
        found = pretrained.backbone(spec.model)
        if found is None:
            preprocessing = data.preprocessing(parts[0], image=image, scaling=spec.data.scaling)
            recipe = resolve.resolve(spec.model, preprocessing.shape, parts[0].labels)
            return _checked(Prepared(spec, recipe, parts, preprocessing, audit))
        return _checked(_continued(spec, found, parts, audit, image))
    except check.SettingError as error:
        raise check.SettingError(spec.located(str(error))) from None


def _continued(
    spec: Spec, found: pretrained.Backbone, parts: Parts, audit: data.Audit, image: tuple[int, int, int] | None
) -> Prepared:
    """What is decided where a trained backbone decides some of it; the weights are tried on now, not after hours."""
    if image is None or len(found.recipe.input) != 3:
        raise check.SettingError(check.sentence("model.weights", "images, as the weights were trained on", "rows"))
    image = (image[0], image[1], found.recipe.input[2])
    model = spec.model
    if "learner" not in model.model_fields_set:
        own = ModelSpec.of(found.recipe)
        model = model.model_copy(update={name: getattr(own, name) for name in ("stem", "learner", "conventions")})
    recipe = resolve.resolve(model, image, parts[0].labels)
    settings = pretrained.load(recipe.build(seed=0), found)
    preprocessing = pretrained.preprocessing(settings, image, spec.data.scaling)
    if model.weights is not None:
        model = model.model_copy(update={"weights": pretrained.written(found, model.weights)})
        spec = spec.model_copy(update={"model": model})
    return Prepared(spec, recipe, parts, preprocessing, audit)


def prepare_records(
    recipe: Recipe, parts: Parts, plan: train.Fit, *, section: Mapping[str, Any], scaling: str | None, seed: int
) -> Prepared:
    """The same from objects: the parts are audited, and what cannot be read is set aside.

    Args:
        recipe: of the model.
        parts: training, validation and test examples.
        plan: the training stage.
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
    stage = FitSpec.from_stage(plan)
    spec = validated(Spec, {"data": found, "train": (stage,), "seed": seed})
    labels = parts[0].labels
    recipe = resolve.resolve(ModelSpec.of(recipe), preprocessing.shape, labels)
    return _checked(Prepared(spec, recipe, parts, preprocessing, audit))


def objectives(recipe: Recipe | Chain, *, mixed: bool = False) -> dict[str, train.Objective]:
    """What each task is trained for, and each auxiliary head.

    Args:
        recipe: of the model.
        mixed: whether images are mixed in training (MixUp, CutMix), so that a class target is a row of shares.
    """
    own = {
        name: train.Objective(
            "categorical_crossentropy" if mixed and isinstance(task, Classify) else task.loss,
            task.metrics,
            task.output_activation,
            task.weight,
        )
        for name, task in recipe.tasks.items()
    }
    helping = {
        name: replace(own[one.task], metrics=(), weight=own[one.task].weight * one.weight, target=one.task)
        for name, one in named(recipe.auxiliaries).items()
    }
    return own | helping


def _checked(prepared: Prepared) -> Prepared:
    """The same with its spec written out, if nothing in it would be refused after training has begun."""
    spec, recipe = prepared.spec, prepared.recipe
    for part in filter(None, prepared.parts):
        for task in recipe.tasks:
            data.to_array(part, task)  # has every example a target that the head can learn?
    recipe.count(auxiliaries=True)  # builds it, without weights: are the images large enough for its strides?
    stage = spec.train[0].to_stage()
    mixed = _mixes(spec, recipe)
    train.check_stage(stage, objectives(recipe, mixed=mixed), validated=bool(prepared.parts[1]))
    if stage.freeze:
        trainable.chosen("train[0].freeze", recipe.build(seed=0), stage.freeze)
    if spec.ship is not None and (refusal := ship.cannot_export()) is not None:
        if "ship" in spec.model_fields_set:
            raise refusal
        spec = spec.model_copy(update={"ship": None})
    written = _written_out(spec, recipe, prepared.preprocessing.scaling, len(prepared.parts[0]))
    return replace(prepared, spec=written)


def _mixes(spec: Spec, recipe: Recipe) -> bool:
    """Whether training mixes images.

    Raises:
        SettingError: an augmentation is wrong, or does not suit rows, or a head cannot learn from mixed images.
    """
    augment = spec.data.augmentation()
    if augment is None:
        return False
    if len(recipe.input) != 3:
        raise check.SettingError(check.sentence("data.augment", "images to change", "rows of numbers"))
    for name, task in recipe.tasks.items():
        if augment.mixes and not isinstance(task, Classify | MultiLabel):
            got = f"{type(task).__name__.lower()} for {name!r}"
            remedy = "Leave mixup and cutmix out, or train the tasks apart"
            raise check.SettingError(check.sentence("data.augment", "only heads of classes beside mixing", got, remedy))
    return augment.mixes


def _written_out(spec: Spec, recipe: Recipe, scaling: str, examples: int) -> Spec:
    """The spec with the sizes, scaling and parts that were chosen, so that it means the same wherever it is read."""
    image = recipe.input if len(recipe.input) == 3 else None
    batch = spec.data.batch or resolve.batch_size(examples)
    section = spec.data.model_copy(update={"image": image, "scaling": scaling, "batch": batch})
    model = ModelSpec.of(recipe).model_copy(update={"weights": spec.model.weights})
    return spec.model_copy(update={"model": model, "data": section})
