"""From a spec, or from objects, to all that is decided before the first step. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lensmith import check, data, ship, train
from lensmith.compose import Recipe
from lensmith.records import Records
from lensmith.runs import resolve
from lensmith.runs.manifest import Parts
from lensmith.runs.spec import DataSpec, FitSpec, ModelSpec, Spec, SplitSpec, validated


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
    audit = data.audit(data.read(spec.data.source) if records is None else records, on_file=on_file)
    split = spec.data.split or SplitSpec()
    parts = data.split(audit.records, split.train, split.validation, split.test, seed=split.seed)
    try:
        image = spec.data.image or resolve.image_size(audit)
        preprocessing = data.preprocessing(parts[0], image=image, scaling=spec.data.scaling)
        recipe = resolve.resolve(spec.model, preprocessing.shape, parts[0].labels)
        return _checked(Prepared(spec, recipe, parts, preprocessing, audit))
    except check.SettingError as error:
        raise check.SettingError(spec.located(str(error))) from None


def prepare_records(
    recipe: Recipe, parts: Parts, plan: train.Fit, *, batch: int | None, scaling: str | None, seed: int
) -> Prepared:
    """The same from objects: the parts are audited, and what cannot be read is set aside.

    Raises:
        SettingError, DataError: a setting is wrong, or the parts do not belong together.
    """
    for part in parts[1:]:
        if part and dict(part.labels) != dict(parts[0].labels):
            expected = "parts with the same labels in the same order"
            raise check.DataError(check.sentence(part.name, expected, "others", "Split one reading of the data"))
    audit = data.audit(replace(parts[0], items=tuple(record for part in parts for record in part)))
    usable = {id(record) for record in audit.records}
    train_part, validation, test = (
        replace(part, items=tuple(record for record in part if id(record) in usable)) for part in parts
    )
    parts = (replace(train_part, set_aside=audit.records.set_aside), validation, test)
    image = recipe.input if len(recipe.input) == 3 else None
    preprocessing = data.preprocessing(parts[0], image=image, scaling=scaling)
    there = Path(parts[0].name)
    source = str(there.absolute()) if there.exists() else parts[0].name
    section = validated(DataSpec, {"source": source, "batch": batch, "split": None})
    stage = FitSpec.from_stage(plan)
    spec = validated(Spec, {"data": section, "train": (stage,), "seed": seed})
    labels = parts[0].labels
    recipe = resolve.resolve(ModelSpec.of(recipe), preprocessing.shape, labels)
    return _checked(Prepared(spec, recipe, parts, preprocessing, audit))


def objectives(recipe: Recipe) -> dict[str, train.Objective]:
    """What each task is trained for."""
    return {
        name: train.Objective(task.loss, task.metrics, task.output_activation, task.weight)
        for name, task in recipe.tasks.items()
    }


def _checked(prepared: Prepared) -> Prepared:
    """The same with its spec written out, if nothing in it would be refused after training has begun."""
    spec, recipe = prepared.spec, prepared.recipe
    recipe.count()  # builds it, without weights: are the images large enough for its strides?
    train.check_stage(spec.train[0].to_stage(), objectives(recipe), validated=bool(prepared.parts[1]))
    if spec.ship is not None and (refusal := ship.cannot_export()) is not None:
        if "ship" in spec.model_fields_set:
            raise refusal
        spec = spec.model_copy(update={"ship": None})
    written = _written_out(spec, recipe, prepared.preprocessing.scaling, len(prepared.parts[0]))
    return replace(prepared, spec=written)


def _written_out(spec: Spec, recipe: Recipe, scaling: str, examples: int) -> Spec:
    """The spec with the sizes, scaling and parts that were chosen, so that it means the same wherever it is read."""
    image = recipe.input if len(recipe.input) == 3 else None
    batch = spec.data.batch or resolve.batch_size(examples)
    section = spec.data.model_copy(update={"image": image, "scaling": scaling, "batch": batch})
    return spec.model_copy(update={"model": ModelSpec.of(recipe), "data": section})
