"""Detector heads: from taps to the raw numbers of every candidate, and what they mean.

Layers are named ``task-NAME-scale1-conv1-…``, the coarsest scale first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.detection.candidates import Grid
from lensmith.compose.detection.decode import Decode
from lensmith.compose.detection.space import CellsToRows, DetectorBias, SpaceToDepth
from lensmith.compose.detection.taps import Taps
from lensmith.compose.detection.tasks import Anchors, Detector, YoloMaps, YoloV1, YoloV2, YoloV3, YoloV3Tiny
from lensmith.compose.layers import HE, Maker

Tensor = Any
PASSED = 64  # channels of the pass-through before its pixels are laid beside each other (yolov2.cfg)
SLOPE = 0.1  # of the leaky rectifier (Redmon et al. 2016, equation 2)


def build_detector(task: Detector, taps: Taps, make: Maker, name: str) -> Tensor:
    """Add a detector's head.

    Returns:
        ``(batch, N, 5 + C)``: for each candidate x1, y1, x2, y2 as shares of the image, objectness, class scores.

    Raises:
        SettingError: a tap does not exist, its size does not fit, or the anchors were not fitted yet.
    """
    if isinstance(task, YoloV1):
        return _cells(task, taps.last, make, name)
    if isinstance(task, YoloMaps):
        maps = [taps.get(one.tap, f"tasks.{name}.outputs") for one in task.outputs]
        shapes = [(one.anchors, one.scale_xy) for one in task.outputs]
        return _decoded(task, maps, shapes, taps, make, name)
    if not task.anchors:
        remedy = "lensmith train fits them to the boxes; by hand: lensmith.detect.fit_anchors"
        raise check.SettingError(check.sentence(f"tasks.{name}.anchors", "width and height of each", "none", remedy))
    maps = _passed_through(task, taps, make, name) if isinstance(task, YoloV2) else _scales(task, taps, make, name)
    share = len(task.anchors) // len(maps)
    groups = [task.anchors[place * share : (place + 1) * share] for place in range(len(maps))]
    return _decoded(task, maps, [(group, 1.0) for group in reversed(groups)], taps, make, name)


def _decoded(
    task: YoloMaps | YoloV2 | YoloV3 | YoloV3Tiny,
    maps: Sequence[Tensor],
    shapes: Sequence[tuple[Anchors, float]],
    taps: Taps,
    make: Maker,
    name: str,
) -> Tensor:
    """Rows of raw numbers from all maps, and their meaning."""
    height, width = taps.size
    rows, grids = [], []
    for number, (x, (anchors, scale_xy)) in enumerate(zip(maps, shapes, strict=True), start=1):
        if len(x.shape) != 4 or x.shape[-1] != len(anchors) * task.units:
            expected = f"maps of {len(anchors)} · {task.units} channels, as the anchors and classes ask"
            raise check.SettingError(check.sentence(f"tasks.{name}: map {number}", expected, tuple(x.shape[1:])))
        last = f"task-{name}-logits" if len(maps) == 1 else f"task-{name}-scale{number}-rows"
        rows.append(make.layers.Reshape((-1, task.units), name=last)(x))
        shares = tuple((across / width, down / height) for across, down in anchors)
        grids.append(Grid(x.shape[1], x.shape[2], shares, scale_xy))
    logits = rows[0] if len(rows) == 1 else make.layers.Concatenate(axis=1, name=f"task-{name}-logits")(rows)
    return Decode(grids, "anchors", softmax=task.softmax, name=f"task-{name}-detections")(logits)


def _scales(task: YoloV3 | YoloV3Tiny, taps: Taps, make: Maker, name: str) -> list[Tensor]:
    """The raw maps of YOLO v3: at each scale convolutions of 1×1 and 3×3 in turn, and a way up to the next one."""
    maps: list[Tensor] = []
    passed = None
    for number, tap in enumerate(task.taps, start=1):
        x, width = taps.get(tap, f"tasks.{name}.taps"), max(task.width >> (number - 1), 8)
        place = f"task-{name}-scale{number}"
        if passed is not None:
            up = _conv(passed, make, f"{place}-lateral", width, 1)
            up = make.layers.UpSampling2D(2, interpolation="nearest", name=f"{place}-up")(up)
            x = make.concatenate([_like(up, x, f"tasks.{name}.taps: {tap}"), x], f"{place}-concatenate")
        for step in range(1, task.convolutions):
            small = step % 2 == 1
            x = _conv(x, make, f"{place}-conv{step}", width if small else 2 * width, 1 if small else 3)
        passed = x
        x = _conv(x, make, f"{place}-conv{task.convolutions}", 2 * width, 3)
        share = len(task.anchors) // len(task.taps)
        maps.append(_output(x, make, f"{place}-output", share, task.units))
    return maps


def _like(x: Tensor, other: Tensor, place: str) -> Tensor:
    """The maps, if they are as large as the others."""
    if tuple(x.shape[1:3]) == tuple(other.shape[1:3]):
        return x
    expected = f"feature maps of {x.shape[1]}×{x.shape[2]}, twice as large as the coarser ones"
    remedy = "Take an image size that the strides divide, such as a multiple of 32"
    raise check.SettingError(check.sentence(place, expected, f"{other.shape[1]}×{other.shape[2]}", remedy))


def _passed_through(task: YoloV2, taps: Taps, make: Maker, name: str) -> list[Tensor]:
    """The raw map of YOLO v2."""
    place = f"task-{name}-scale1"
    x = taps.get(task.tap, f"tasks.{name}.tap")
    x = _conv(x, make, f"{place}-conv1", task.width, 3)
    x = _conv(x, make, f"{place}-conv2", task.width, 3)
    if task.passthrough is not None:
        finer = _conv(taps.get(task.passthrough, f"tasks.{name}.passthrough"), make, f"{place}-passed", PASSED, 1)
        finer = SpaceToDepth(2, name=f"{place}-depth")(finer)
        _like(finer, x, f"tasks.{name}.passthrough")
        x = make.concatenate([finer, x], f"{place}-concatenate")
    x = _conv(x, make, f"{place}-conv3", task.width, 3)
    return [_output(x, make, f"{place}-output", len(task.anchors), task.units)]


def _conv(x: Tensor, make: Maker, name: str, filters: int, kernel: int) -> Tensor:
    """Convolution, batch normalisation, leaky rectifier."""
    x = make.norm(make.conv(x, name, filters, kernel, bias=False), f"{name}-norm")
    return make.layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}-leaky")(x)


def _output(x: Tensor, make: Maker, name: str, anchors: int, units: int) -> Tensor:
    """The last convolution, 1×1; at the start hardly a candidate holds an object."""
    kernel = keras.initializers.get(
        {"class_name": "VarianceScaling", "config": {**HE, "scale": 0.1, "seed": make.seed_for(name)}}
    )
    layer = make.layers.Conv2D(
        anchors * units,
        1,
        kernel_initializer="zeros" if make.empty else kernel,
        bias_initializer=DetectorBias(units),
        name=name,
    )
    return layer(x)


def _cells(task: YoloV1, x: Tensor, make: Maker, name: str) -> Tensor:
    """The rows of YOLO v1, from a vector or from feature maps laid flat."""
    count = task.grid**2 * (task.classes + 5 * task.boxes)
    if len(x.shape) > 2:
        x = make.layers.Flatten(name=f"task-{name}-flat")(x)
    if not task.given:
        for step, width in enumerate(task.hidden, start=1):
            x = make.dense(x, f"task-{name}-dense{step}", width)
            x = make.layers.LeakyReLU(negative_slope=SLOPE, name=f"task-{name}-leaky{step}")(x)
            x = make.dropout(x, f"task-{name}-dropout{step}", task.dropout)
        x = make.dense(x, f"task-{name}-numbers", count)
    if x.shape[-1] != count:
        expected = f"{count} numbers: {task.grid}·{task.grid}·({task.classes} + 5·{task.boxes})"
        raise check.SettingError(check.sentence(f"tasks.{name}", expected, x.shape[-1]))
    x = CellsToRows(task.grid, task.boxes, task.classes, name=f"task-{name}-logits")(x)
    grid = Grid(task.grid, task.grid, ((0.0, 0.0),) * task.boxes)
    layer = Decode([grid], "cells", softmax=task.softmax, sqrt=task.sqrt, name=f"task-{name}-detections")
    return layer(x)
