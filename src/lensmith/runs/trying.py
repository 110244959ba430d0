"""Before a training: whether the model can learn one batch by heart, and which way of reusing a backbone is best."""

from __future__ import annotations

from typing import Any

from lensmith import check, compose, data, detect, reuse, train
from lensmith.records import Records
from lensmith.runs import aims, precision, pretrained, resolve
from lensmith.runs.checking import mixes
from lensmith.runs.prepare import Prepared
from lensmith.runs.stage_specs import FitSpec, WarmupSpec


def try_one_batch(prepared: Prepared) -> train.Trial:
    """See whether the model can learn one batch of the training part by heart, with the settings of the first stage.

    Nothing is written. Images are taken as they are, without augmentation.
    """
    spec, recipe, part = prepared.spec, prepared.recipe, prepared.parts[0]
    stage = next(one for one in spec.train if isinstance(one, WarmupSpec | FitSpec))
    mixed = mixes(stage, spec, recipe)
    shown = _batches(prepared, part, stage.batch, one_hot=mixed)
    objectives = aims.of_stage(stage, recipe, part, mixed=mixed)
    return train.try_one_batch(
        _model(prepared),
        next(shown.epoch(0)),
        stage=stage.to_record(),
        objectives=objectives,
        seed=spec.seed,
    )


def advise(prepared: Prepared, *, progress: train.Progress | None = None) -> reuse.Advice:
    """Measure which way is best with these weights and these data: heads alone, fine-tuning, or from scratch.

    Each way is trained for the same few epochs and measured on the validation part. Nothing is written.

    Raises:
        SettingError: the spec begins from no weights, there is no validation part, or a task is a detector.
    """
    spec, recipe = prepared.spec, prepared.recipe
    if spec.model.weights is None:
        raise check.SettingError(check.sentence("--advise", "trained weights to begin from", "none", "Say --from"))
    if not prepared.parts[1]:
        raise check.SettingError(check.sentence("--advise", "a validation part to measure on", "none"))
    if found := detect.detectors(recipe):
        expected = "tasks with one target of one size an image"
        raise check.SettingError(check.sentence("--advise", expected, f"the detector {found[0]!r}"))
    return reuse.compare(
        lambda: _model(prepared),
        lambda: compose.logits(precision.build(recipe, spec.model.precision, seed=spec.seed, auxiliaries=False)),
        _batches(prepared, prepared.parts[0]),
        _batches(prepared, prepared.parts[1], shuffle=False),
        objectives=aims.objectives(recipe, prepared.parts[0].labels),
        seed=spec.seed,
        progress=progress,
    )


def _model(prepared: Prepared) -> Any:
    """The model as a run begins with it; its outputs are logits."""
    model = precision.build(prepared.recipe, prepared.spec.model.precision, seed=prepared.spec.seed)
    if (found := pretrained.backbone(prepared.spec.model)) is not None:
        pretrained.load(model, prepared.recipe, found)
    return compose.logits(model)


def _batches(
    prepared: Prepared, part: Records, size: int | None = None, *, shuffle: bool = True, one_hot: bool = False
) -> data.Batches:
    """The batches of a part, its images as they are."""
    section = prepared.spec.data
    return data.batches(
        part,
        prepared.preprocessing,
        size=size or section.batch or resolve.batch_size(len(prepared.parts[0])),
        seed=prepared.spec.seed,
        shuffle=shuffle,
        tasks=list(prepared.recipe.tasks),
        one_hot=one_hot,
        several=detect.detectors(prepared.recipe),
        exact=not shuffle,
    )
