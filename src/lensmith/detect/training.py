"""What a detector is trained for: the loss of its kind, and the mean average precision of the validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lensmith import check, train
from lensmith.compose import Recipe
from lensmith.compose.cost import sketch
from lensmith.compose.detection import DETECTORS, Candidates, Decode
from lensmith.detect.losses import loss_of
from lensmith.detect.measure import MeanAveragePrecision

ROW = 6  # numbers of an object among the targets


def detectors(recipe: Recipe) -> tuple[str, ...]:
    """The tasks of a recipe that are detectors."""
    return tuple(name for name, task in recipe.tasks.items() if isinstance(task, DETECTORS))


def objective(
    recipe: Recipe, task: str, names: Sequence[str], *, sizes: Sequence[tuple[int, int]] = ()
) -> train.Objective:
    """The objective of one detector.

    Args:
        recipe: whose task it is.
        task: its name.
        names: of the classes.
        sizes: further heights and widths of the input that it is trained at.

    Raises:
        SettingError: the recipe cannot be built, at one of the sizes.
    """
    head = recipe.tasks[check.one_of("task", task, recipe.tasks)]
    if not isinstance(head, DETECTORS):
        raise check.SettingError(check.sentence(f"tasks.{task}", "a detector", type(head).__name__))
    decode = decode_layer(recipe, task)
    channels = recipe.input[2]
    known = [decode.candidates]
    known += [decode_layer(replace(recipe, input=(*size, channels)), task).candidates for size in sizes]
    candidates = {len(one): one for one in known}
    return train.Objective(
        loss_of(head, candidates),
        weight=head.weight,
        shape=(None, ROW),
        measures=(MeanAveragePrecision(decode, tuple(names)),),
    )


def decode_layer(recipe: Recipe, task: str) -> Decode:
    """The layer that makes boxes of the raw numbers, without building any weights."""
    layer: Decode = sketch(recipe).get_layer(f"task-{task}-detections")
    return layer


def candidates_of(recipe: Recipe, task: str) -> Candidates:
    """The candidate boxes of a detector."""
    return decode_layer(recipe, task).candidates
