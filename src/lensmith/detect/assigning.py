"""Which candidate box learns which object, and which is left alone.

Pure functions in ``keras.ops`` over a batch with padded truths. What they say is no function to differentiate: boxes
predicted by a network are given to them without a gradient. All are deterministic.

Where two objects ask for one candidate, the later one in the truths has it alone, as in Darknet, where its numbers
overwrite those of the earlier one. (Darknet's ``yolo`` layer lets the earlier one's class stand beside the later one's;
here it does not.)

Sources:
    Redmon et al. 2016, You Only Look Once, section 2; Redmon & Farhadi 2017, YOLO9000, section 2; Redmon & Farhadi
    2018, YOLOv3, section 2.1; Darknet's ``detection``, ``region`` and ``yolo`` layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lensmith.backend import keras
from lensmith.compose.detection import Grid

Tensor = Any


class Objects(NamedTuple):
    """The objects of a batch, each field of shape ``(batch, M)``.

    Args:
        x1, y1, x2, y2: float32, shares of the image; 0, 0, 1, 1 in a row without an object, so that nothing that is
            computed for it is infinite.
        classes: int32, 0 in a row without an object.
        present: bool: there is an object.
        learned: bool: there is one, and it counts.
    """

    x1: Tensor
    y1: Tensor
    x2: Tensor
    y2: Tensor
    classes: Tensor
    present: Tensor
    learned: Tensor

    @property
    def width(self) -> Tensor:
        return self.x2 - self.x1

    @property
    def height(self) -> Tensor:
        return self.y2 - self.y1

    @property
    def centre_x(self) -> Tensor:
        return (self.x1 + self.x2) / 2

    @property
    def centre_y(self) -> Tensor:
        return (self.y1 + self.y2) / 2


class Asked(NamedTuple):
    """Which candidate each object asks for.

    Args:
        index: int32 ``(batch, M)``: the candidate; in rows without an object some candidate.
        has: bool ``(batch, M)``: whether the object counts and no later one took it away.
    """

    index: Tensor
    has: Tensor


def objects(truth: Tensor) -> Objects:
    """The objects in the targets of a batch.

    Args:
        truth: ``(batch, M, 6)``: x1, y1, x2, y2 (shares of the image), class, counted. Rows of a class below 0 or
            without an area hold no object. Counted is 0 for crowds and difficult objects, which are not learned.

    Example:
        >>> found = objects(np.array([[[0.0, 0.0, 0.5, 0.5, 3, 1], [0.1, 0.1, 0.2, 0.2, 1, 0], [0, 0, 0, 0, -1, 0]]]))
        >>> [np.asarray(found[place]).tolist() for place in (4, 5, 6)]
        [[[3, 1, 0]], [[True, True, False]], [[True, False, False]]]
    """
    ops = keras.ops
    truth = ops.cast(ops.convert_to_tensor(truth), "float32")
    x1, y1, x2, y2, classes, counted = (truth[..., place] for place in range(6))
    present = ops.logical_and(classes >= 0, ops.logical_and(x2 > x1, y2 > y1))
    return Objects(
        x1=ops.where(present, x1, 0.0),
        y1=ops.where(present, y1, 0.0),
        x2=ops.where(present, x2, 1.0),
        y2=ops.where(present, y2, 1.0),
        classes=ops.cast(ops.where(present, classes, 0.0), "int32"),
        present=present,
        learned=ops.logical_and(present, counted > 0.5),
    )


def in_cell(centre: Tensor, count: Tensor) -> Tensor:
    """The number of the column (or row) that a centre lies in; one on the last edge or outside is in the outermost.

    Args:
        centre: float32, a share of the image.
        count: how many columns (or rows) there are, of a shape that goes with it.

    Returns:
        int32, 0 to ``count - 1``.

    Example:
        >>> np.asarray(in_cell(np.float32([0.0, 0.49, 0.5, 1.0]), 4)).tolist()
        [0, 1, 2, 3]
    """
    ops = keras.ops
    centre, count = ops.convert_to_tensor(centre), ops.cast(count, "float32")
    return ops.cast(ops.floor(ops.clip(centre * count, 0.0, count - 1.0)), "int32")


def later_wins(index: Tensor, asks: Tensor) -> Tensor:
    """Which objects have what they ask for, if the last one to ask for a candidate has it.

    Args:
        index: int32 ``(batch, M)``: the candidate each asks for.
        asks: bool ``(batch, M)``.

    Returns:
        bool ``(batch, M)``.

    Example:
        >>> np.asarray(later_wins(np.array([[7, 7, 2, 7]]), np.array([[True, True, True, False]]))).tolist()
        [[False, True, True, False]]
    """
    ops = keras.ops
    index, asks = ops.convert_to_tensor(index), ops.convert_to_tensor(asks)
    order = ops.cumsum(ops.cast(asks, "int32"), axis=1)
    same = index[:, :, None] == index[:, None, :]
    later = ops.logical_and(order[:, None, :] > order[:, :, None], asks[:, None, :])
    return ops.logical_and(asks, ops.logical_not(ops.any(ops.logical_and(same, later), axis=2)))


def best_anchors(things: Objects, grids: Sequence[Grid]) -> Asked:
    """The anchor most like each object in size, over all maps, in the cell of that map where its centre lies.

    Alike is measured by the intersection over union of both on one corner (YOLOv3, section 2.1; Darknet's ``region``
    and ``yolo`` layers). Of anchors that are equally alike the first has it.

    Args:
        things: the objects.
        grids: the maps, in the order of the candidates.

    Example:
        >>> grids = [Grid(1, 2, ((0.4, 0.4),)), Grid(2, 4, ((0.1, 0.1), (0.2, 0.2)))]  # 2 candidates, then 16
        >>> truth = np.array([[[0.6, 0.6, 0.8, 0.8, 0, 1], [0.0, 0.0, 0.5, 0.5, 0, 1]]])
        >>> asked = best_anchors(objects(truth), grids)  # the first in row 1, column 2 of the second: 2 + (4 + 2) 2 + 1
        >>> np.asarray(asked.index).tolist(), np.asarray(asked.has).tolist()
        ([[15, 0]], [[True, True]])
    """
    ops = keras.ops
    kinds = _kinds(grids)
    width, height = things.width[..., None], things.height[..., None]
    across, down = (ops.convert_to_tensor(kinds[:, place], dtype="float32") for place in (5, 6))
    shared = ops.minimum(width, across) * ops.minimum(height, down)
    best = ops.argmax(shared / (width * height + across * down - shared), axis=-1)
    numbers = kinds[:, :5].astype(np.int32)
    first, step, columns, rows, anchor = (ops.take(numbers[:, place], best, axis=0) for place in range(5))
    column, row = in_cell(things.centre_x, columns), in_cell(things.centre_y, rows)
    index = first + (row * columns + column) * step + anchor
    return Asked(index, later_wins(index, things.learned))


def _kinds(grids: Sequence[Grid]) -> np.ndarray:
    """Each anchor of each map: first candidate and anchors of its map, columns, rows, its number, width, height."""
    rows, first = [], 0
    for grid in grids:
        count = len(grid.anchors)
        rows += [(first, count, grid.columns, grid.rows, number, *grid.anchors[number]) for number in range(count)]
        first += grid.rows * grid.columns * count
    return np.array(rows, np.float64)


def responsible(things: Objects, boxes: Tensor, grid: Grid) -> Asked:
    """Of the boxes predicted in the cell where an object's centre lies, the one that overlaps it most (YOLO v1).

    "We assign one predictor to be "responsible" for predicting an object based on which prediction has the highest
    current IOU with the ground truth" (section 2.2). Where none overlaps it, it is the one of least squared distance in
    centre and size, as in Darknet; of equal ones the first. A cell has one set of classes and so one object: the last
    one whose centre lies in it. (Darknet shuffles the objects and keeps the first.)

    Args:
        things: the objects.
        boxes: float32 ``(batch, N, 4)``, predicted: x1, y1, x2, y2 as shares of the image.
        grid: of which N are the candidates.
    """
    ops = keras.ops
    count, cells = len(grid.anchors), grid.rows * grid.columns
    cell = in_cell(things.centre_y, grid.rows) * grid.columns + in_cell(things.centre_x, grid.columns)
    boxes = ops.stop_gradient(ops.convert_to_tensor(boxes))
    by_cell = ops.reshape(boxes, (-1, cells, count * 4))
    near = ops.take_along_axis(by_cell, cell[..., None], axis=1)
    x1, y1, x2, y2 = (near[..., side::4] for side in range(4))
    shared, union = _overlap((x1, y1, x2, y2), tuple(side[..., None] for side in things[:4]))
    touching = shared > 0
    apart = ops.square((x1 + x2) / 2 - things.centre_x[..., None]) + ops.square(x2 - x1 - things.width[..., None])
    apart += ops.square((y1 + y2) / 2 - things.centre_y[..., None]) + ops.square(y2 - y1 - things.height[..., None])
    rank = ops.where(touching, shared / ops.where(touching, union, 1.0), -apart)
    index = cell * count + ops.cast(ops.argmax(rank, axis=-1), "int32")
    return Asked(index, later_wins(cell, things.learned))


def overlapping(boxes: Tensor, things: Objects, threshold: float, *, all_of_them: bool = True) -> Tensor:
    """Which predicted boxes overlap an object so far that they are not punished for seeing something there.

    Args:
        boxes: float32 ``(batch, N, 4)``, predicted: x1, y1, x2, y2 as shares of the image.
        things: the objects.
        threshold: their intersection over union is above it.
        all_of_them: whether all objects are looked at, or only those that are not learned (crowds, difficult ones).

    Returns:
        bool ``(batch, N)``. At most a few arrays ``(batch, N, M)`` of float32 are held at a time.

    Example:
        >>> found = objects(np.array([[[0.0, 0.0, 1.0, 1.0, 0, 1]]]))
        >>> np.asarray(overlapping(np.float32([[[0, 0, 1, 0.5], [0, 0, 1, 0.75]]]), found, 0.5)).tolist()
        [[False, True]]
    """
    ops = keras.ops
    boxes = ops.stop_gradient(ops.convert_to_tensor(boxes))
    among = things.present if all_of_them else ops.logical_and(things.present, ops.logical_not(things.learned))
    first = tuple(boxes[..., side][:, :, None] for side in range(4))
    shared, union = _overlap(first, tuple(side[:, None, :] for side in things[:4]))
    return ops.any(ops.logical_and(shared > threshold * union, among[:, None, :]), axis=2)


def taken(asked: Asked, count: int) -> Tensor:
    """Which of so many candidates have an object: bool ``(batch, N)``.

    Example:
        >>> np.asarray(taken(Asked(np.array([[3, 0]]), np.array([[True, False]])), 4)).tolist()
        [[False, False, False, True]]
    """
    ops = keras.ops
    index, has = ops.convert_to_tensor(asked.index), ops.convert_to_tensor(asked.has)
    same = ops.equal(index[:, None, :], np.arange(count, dtype=np.int32)[None, :, None])
    return ops.any(ops.logical_and(same, has[:, None, :]), axis=2)


def _overlap(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The areas of intersection and union of boxes given by their four sides; a box upside down has no area."""
    ops = keras.ops
    across = ops.relu(ops.minimum(first[2], second[2]) - ops.maximum(first[0], second[0]))
    down = ops.relu(ops.minimum(first[3], second[3]) - ops.maximum(first[1], second[1]))
    shared = across * down
    both = sum(ops.relu(x2 - x1) * ops.relu(y2 - y1) for x1, y1, x2, y2 in (first, second))
    return shared, both - shared
