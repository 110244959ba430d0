"""What is decided of a detector by looking at the boxes: the size of the images, its maps, its anchors, its plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from lensmith import detect
from lensmith.compose import Classify, Localise, Recipe, YoloV2, YoloV3, YoloV3Tiny, tap_names, zoo
from lensmith.compose.cost import sketch
from lensmith.compose.layers import USUAL
from lensmith.compose.tasks import Task
from lensmith.data import Audit
from lensmith.data.augmentation import mosaic
from lensmith.detect.anchors import Anchors, fit_anchors, sizes_of
from lensmith.records import Labels, Records
from lensmith.runs.spec import ModelSpec
from lensmith.runs.stage_specs import FitSpec

# Of the zoo, where none is named: for images up to this side, and for larger ones, which need maps at all strides.
SMALL, LEARNER, LARGE_LEARNER = 128, "compact", "mobilenet-v1-0.25"
MOST_BATCH = 16  # examples a step where nobody said: an image has many objects
EXAMPLES, LEAST_EPOCHS, MOST_EPOCHS = 18_000, 20, 60  # seen in all by the usual plan, in so many epochs
SIZES = (224, 320, 416)  # sides of the input, of which the first is taken at which the boxes are large enough
LEAST_SIDE = 24.0  # pixels of the input that the shorter side of a usual box should have
FITTED = (YoloV2, YoloV3, YoloV3Tiny)  # detectors whose anchors can be fitted
STRIDES = (8, 16, 32)  # of the maps that boxes are looked for in
# Of the training images, where nobody says otherwise. Nothing is mirrored: of digits and letters the mirror image is
# another thing or none.
AUGMENT = {"zoom": [0.7, 1.3], "shift": 0.15, "brightness": 0.25, "contrast": 0.25, "saturation": 0.25, "mosaic": 0.3}


def wanted(model: ModelSpec, labels: Mapping[str, Labels]) -> tuple[str, ...]:
    """The tasks that will be detectors: those of boxes for which no other head was asked for."""
    asked = model.tasks if model.tasks is not None else dict.fromkeys(labels)
    parts = {name: one.get("part") if isinstance(one, Mapping) else one for name, one in asked.items()}
    boxed = [name for name in asked if name in labels and labels[name].kind == "boxes"]
    return tuple(name for name in boxed if parts[name] is None or str(parts[name]).startswith("yolo-"))


def start(shape: tuple[int, ...]) -> Recipe:
    """The recipe whose backbone a detector has where nobody named one and nothing was trained before.

    Its moving averages follow ten steps: a hundred would lag behind the weights through short epochs.
    """
    recipe = zoo.get(LEARNER if max(shape[:2]) <= SMALL else LARGE_LEARNER)
    return replace(recipe, conventions=replace(recipe.conventions, momentum=USUAL.momentum))


def image_size(records: Records, task: str, audit: Audit) -> tuple[int, int]:
    """Height and width of the input at which the boxes of a task are neither tiny nor cost more than they must.

    Images that have one size up to 416 pixels, which 32 divides, are taken as they are; others become squares.
    """
    (low, height, high), (left, width, right) = audit.heights or (0, 0, 1), audit.widths or (0, 0, 1)
    if low == high and left == right and max(height, width) <= SIZES[-1] and not (height % 32 or width % 32):
        return int(height), int(width)
    shares = sizes_of(records, task, (1, 1))
    shorter = float(np.median(shares.min(axis=1))) if len(shares) else 1.0
    side = next((side for side in SIZES if side * shorter >= LEAST_SIDE), SIZES[-1])
    return side, side


def usual_head(start: Recipe, shape: tuple[int, ...], classes: int, *, shorter: float = math.inf) -> YoloV3Tiny:
    """A small detector on two maps of a backbone that are 8 to 32 times smaller than the image.

    Args:
        start: the recipe whose backbone it is.
        shape: of the input.
        classes: how many.
        shorter: the shorter side of a usual box in pixels of the input: the coarsest map's cells are no larger, as far
            as there are finer ones. A backbone without such maps gives its coarsest ones.
    """
    model = sketch(replace(start, input=shape, tasks={"label": Classify(2)}, auxiliaries=()))  # of its backbone
    widths = {layer.name: layer.output.shape[-1] for layer in model.operations}
    channels = {name: widths[layer] for name, layer in tap_names(model).items()}
    usable = [f"P{stride.bit_length() - 1}" for stride in STRIDES if stride <= max(shorter, STRIDES[1])]
    taps = tuple(reversed([name for name in usable if name in channels] or list(channels)))[:2]
    if not _adjacent(taps):
        taps = taps[:1]
    width = min(256, max(32, channels[taps[0]] // 2)) if taps else 256
    return YoloV3Tiny(classes, taps=taps or ("P5", "P4"), width=width)


def suited(recipe: Recipe, training: Records, tasks: Sequence[str], trained: Recipe | None = None) -> Recipe:
    """The recipe with the heads of these tasks on maps that suit the size of their boxes.

    Args:
        recipe: of the model.
        training: whose boxes they are.
        tasks: whose heads nobody asked for.
        trained: of weights to begin with; where it has a detector, the heads are like that one, for its backbone may
            end where that one reads it.
    """
    heads: dict[str, Task] = {}
    like = next((head for head in trained.tasks.values() if isinstance(head, FITTED)), None) if trained else None
    for task in tasks:
        if like is not None:
            heads[task] = replace(like, classes=len(training.labels[task].names), anchors=())
            continue
        sizes = sizes_of(training, task, (recipe.input[0], recipe.input[1]))
        shorter = float(np.median(sizes.min(axis=1))) if len(sizes) else math.inf
        heads[task] = usual_head(recipe, recipe.input, len(training.labels[task].names), shorter=shorter)
    return replace(recipe, tasks={**recipe.tasks, **heads})


def _adjacent(taps: Sequence[str]) -> bool:
    """Whether each map is twice as large as the one before."""
    levels = [int(name[1:]) for name in taps if name.startswith("P")]
    return len(levels) == len(taps) and all(a - b == 1 for a, b in pairwise(levels))


def with_anchors(recipe: Recipe, training: Records) -> tuple[Recipe, Mapping[str, Anchors]]:
    """The recipe with anchors fitted to the boxes of the training part, where its detectors have none yet.

    Returns:
        The recipe, and what was fitted, by task.
    """
    open_ones = {name: task for name, task in recipe.tasks.items() if isinstance(task, FITTED) and not task.anchors}
    size = (recipe.input[0], recipe.input[1]) if open_ones else (1, 1)
    found = {name: fit_anchors(sizes_of(training, name, size), task.count) for name, task in open_ones.items()}
    tasks = {name: replace(task, anchors=_pairs(found[name])) for name, task in open_ones.items()}
    return replace(recipe, tasks={**recipe.tasks, **tasks}), MappingProxyType(found)


def _pairs(anchors: Anchors) -> tuple[tuple[float, float], ...]:
    return tuple((round(width, 2), round(height, 2)) for width, height in anchors.sizes.tolist())


def augment(recipe: Recipe) -> dict[str, Any]:
    """The usual changes of training images; four images make one only where each task has a target for that."""
    return {name: by for name, by in AUGMENT.items() if name != "mosaic" or all(map(in_mosaic, recipe.tasks.values()))}


def in_mosaic(task: Task) -> bool:
    """Whether a task has a target where four images make one: any number of boxes, or several classes."""
    return task.kind in mosaic.KINDS and not isinstance(task, Localise)


def usual_plan(recipe: Recipe, examples: int, *, trained: bool, validated: bool) -> tuple[FitSpec, ...]:
    """The stages of a detector where nobody named any: with a trained backbone first its head alone.

    The mean average precision of the validation decides which epoch was the best.
    """
    name = detect.detectors(recipe)[0]
    value = "val_map50" if len(recipe.tasks) == 1 else f"val_{name}_map50"
    monitor = value if validated else "val_loss"
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, EXAMPLES // max(examples, 1)))
    whole = FitSpec(epochs=epochs, rate=1e-3, warmup=2, monitor=monitor, fall_back=trained and validated)
    if not trained:
        return (whole,)
    backbone = ("learner",) if recipe.stem is None else ("stem", "learner")
    return FitSpec(epochs=5, freeze=backbone, monitor=monitor), whole
