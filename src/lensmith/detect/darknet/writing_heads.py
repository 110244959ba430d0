"""What a detector's output is made of, as the sections of Darknet that give boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.detection import Decode, Grid
from lensmith.compose.detection.space import CellsToRows
from lensmith.compose.graph import Call, Tensor, giver
from lensmith.detect.darknet.writing_layers import Section

# What Darknet trains with, where the network is trained on there: those of yolov3.cfg, yolov2.cfg and yolov1.cfg.
YOLO = {"jitter": 0.3, "ignore_thresh": 0.7, "truth_thresh": 1, "random": 0}
REGION = {"bias_match": 1, "jitter": 0.2, "rescore": 1, "object_scale": 5, "noobject_scale": 1, "class_scale": 1}
DETECTION = {"rescore": 1, "jitter": 0.2, "object_scale": 1, "noobject_scale": 0.5, "class_scale": 1, "coord_scale": 5}


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One section that gives boxes.

    Args:
        tensor: what it reads.
        section: as it will stand.
    """

    tensor: Tensor
    section: Section


def heads_of(decode: Call, steps: Sequence[Call], shape: Sequence[int]) -> list[Head]:
    """The heads of a detector, in the order of its candidates.

    Args:
        decode: the call of its :class:`Decode`.
        steps: all calls of the flat model.
        shape: height, width and channels of the input.

    Raises:
        SettingError: Darknet has no such detector; names the layer.
    """
    layer = decode.layer
    rows = giver(decode.inputs[0], steps)
    classes = int(decode.inputs[0].shape[-1]) - 5
    if layer.kind == "cells":
        return [_cells(layer, _as(CellsToRows, rows), classes)]
    given = [giver(tensor, steps) for tensor in rows.inputs]
    parts = given if isinstance(rows.layer, keras.layers.Concatenate) else [rows]
    maps = [_as(keras.layers.Reshape, part).inputs[0] for part in parts]
    if layer.softmax:
        return [_region(layer, maps, classes)]
    return _yolo(layer, maps, classes, shape)


def _as(kind: type, call: Call) -> Call:
    if not isinstance(call.layer, kind):
        expected = f"a {kind.__name__} before the boxes, as the tasks of lensmith have"
        raise check.SettingError(check.sentence(call.layer.name, expected, type(call.layer).__name__))
    return call


def _yolo(layer: Decode, maps: Sequence[Tensor], classes: int, shape: Sequence[int]) -> list[Head]:
    """One section a map; all of them name all anchors, the small ones first, and mask their own."""
    groups = [_sides(grid, shape[1], shape[0]) for grid in layer.grids]
    anchors = [pair for group in reversed(groups) for pair in group]
    heads = []
    ends = len(anchors)
    for tensor, grid, group in zip(maps, layer.grids, groups, strict=True):
        mask = ",".join(str(number) for number in range(ends - len(group), ends))
        ends -= len(group)
        settings = {"mask": mask, "anchors": _listed(anchors), "classes": classes, "num": len(anchors), **YOLO}
        settings |= {"scale_x_y": _written(grid.scale_xy)} if grid.scale_xy != 1 else {}
        heads.append(Head(tensor, Section("yolo", layer.name, tuple(tensor.shape[1:]), settings)))
    return heads


def _region(layer: Decode, maps: Sequence[Tensor], classes: int) -> Head:
    """Of YOLO v2, with anchors in cells."""
    if len(maps) != 1 or layer.grids[0].scale_xy != 1:
        expected = "one map whose classes exclude each other, with centres inside their cells"
        got = f"{len(maps)} maps, scale_xy {layer.grids[0].scale_xy:g}"
        raise check.SettingError(check.sentence(layer.name, expected, got))
    [grid] = layer.grids
    anchors = _sides(grid, grid.columns, grid.rows)
    settings = {"anchors": _listed(anchors), "classes": classes, "coords": 4, "num": len(anchors), "softmax": 1}
    return Head(maps[0], Section("region", layer.name, tuple(maps[0].shape[1:]), settings | REGION))


def _cells(layer: Decode, rows: Call, classes: int) -> Head:
    """Of YOLO v1."""
    maker = rows.layer
    settings = {"classes": classes, "coords": 4, "side": maker.grid, "num": maker.boxes}
    settings |= {"softmax": int(layer.softmax), "sqrt": int(layer.sqrt)}
    shape = (1, 1, int(rows.inputs[0].shape[-1]))
    return Head(rows.inputs[0], Section("detection", layer.name, shape, settings | DETECTION))


def _sides(grid: Grid, width: float, height: float) -> list[tuple[float, float]]:
    return [(across * width, down * height) for across, down in grid.anchors]


def _listed(anchors: Sequence[tuple[float, float]]) -> str:
    return ",  ".join(f"{_written(width)},{_written(height)}" for width, height in anchors)


def _written(number: Any) -> str:
    """A number with what a float32 holds of it: ``10``, not ``10.000000000000002``."""
    return f"{float(number):.9g}"
