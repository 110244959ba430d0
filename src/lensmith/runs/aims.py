"""What each stage trains a model for: the objectives of its tasks, changed as the stage asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from lensmith import check, detect, train
from lensmith.compose import Chain, Classify, Recipe
from lensmith.compose.auxiliary import named
from lensmith.compose.detection import DETECTORS
from lensmith.records import Labels, Records
from lensmith.runs import loss_spec
from lensmith.runs.stage_specs import FitSpec, StageSpec

ANYWHERE = Path("/")  # a spec that has been read names the user's own code by its full path


def objectives(
    recipe: Recipe | Chain,
    labels: Mapping[str, Labels] | None = None,
    *,
    mixed: bool = False,
    sizes: Sequence[tuple[int, int]] = (),
) -> dict[str, train.Objective]:
    """What each task is trained for, and each auxiliary head.

    Args:
        recipe: of the model.
        labels: what its outputs mean, by task; left out, the classes of detectors are called by their numbers.
        mixed: whether images are mixed in training (MixUp, CutMix), so that a class target is a row of shares.
        sizes: further heights and widths of the images that it is trained at.
    """
    make = partial(_objective, recipe, labels=labels, mixed=mixed, sizes=sizes)
    own = {name: make(name) for name in recipe.tasks}
    helping = {
        name: replace(own[one.task], metrics=(), measures=(), weight=own[one.task].weight * one.weight, target=one.task)
        for name, one in named(recipe.auxiliaries).items()
    }
    return own | helping


def _objective(
    recipe: Recipe | Chain,
    name: str,
    *,
    labels: Mapping[str, Labels] | None,
    mixed: bool,
    sizes: Sequence[tuple[int, int]],
) -> train.Objective:
    task = recipe.tasks[name]
    if isinstance(task, DETECTORS):
        names = labels[name].names if labels else tuple(str(index) for index in range(task.classes))
        return detect.objective(_whole(recipe), name, names, sizes=sizes)
    loss = "categorical_crossentropy" if mixed and isinstance(task, Classify) else task.loss
    return train.Objective(loss, task.metrics, task.output_activation, task.weight)


def _whole(recipe: Recipe | Chain) -> Recipe:
    return recipe.find if isinstance(recipe, Chain) else recipe  # only the first model of a chain may detect


def of_stage(stage: StageSpec, recipe: Recipe, training: Records, *, mixed: bool) -> Mapping[str, train.Objective]:
    """The objectives of one stage.

    Args:
        stage: whose ``losses`` and ``taps`` change the usual ones.
        recipe: of the model.
        training: the training part; classes are weighed by how often it has them.
        mixed: whether the stage mixes images.

    Raises:
        SettingError: a task, a class, a loss or a metric is unknown.
    """
    labels = {task: training.labels[task] for task in recipe.tasks}
    sizes = stage.squares if isinstance(stage, FitSpec) else ()
    own = objectives(recipe, labels, mixed=mixed, sizes=sizes)
    if not isinstance(stage, FitSpec) or not (stage.losses or stage.taps):
        return own
    _check_losses(stage.losses or {}, recipe)
    return loss_spec.objectives(
        own,
        stage.losses or {},
        stage.taps or {},
        labels=labels,
        counts={task: counts(training, task) for task, one in labels.items() if one.kind in ("class", "classes")},
        folder=ANYWHERE,
    )


def _check_losses(losses: Mapping[str, loss_spec.LossSpec], recipe: Recipe) -> None:
    """Refuse to change of a detector's loss what it has not."""
    for task, asked in losses.items():
        changed = asked.model_fields_set - {"weight"}
        if task in detect.detectors(recipe) and changed:
            expected = "weight alone, for a detector has a loss and measures of its own"
            raise check.SettingError(check.sentence(f"losses.{task}", expected, ", ".join(sorted(changed))))


def counts(records: Records, task: str) -> tuple[int, ...]:
    """How many examples have each class of a task of classes."""
    given = [record.targets[task] for record in records]
    classes = [place for target in given for place in (target if isinstance(target, tuple) else (target,))]
    return tuple(np.bincount(np.asarray(classes, dtype=int), minlength=len(records.labels[task].names)).tolist())
