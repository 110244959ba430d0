"""The loss of YOLO v1 (Redmon et al. 2016, You Only Look Once, section 2.2, equation 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith.backend import keras
from lensmith.compose import overlap
from lensmith.compose.detection import Candidates, Grid
from lensmith.detect import assigning
from lensmith.detect.losses.base import YoloLoss, corners, over_objects
from lensmith.detect.losses.sizes import Grids

Tensor = Any


@keras.saving.register_keras_serializable("lensmith")
class YoloV1Loss(YoloLoss):
    """Squared errors of equation 3.

    - localisation: ``coord`` · Σ (x − x̂)² + (y − ŷ)² + (√w − √ŵ)² + (√h − √ĥ)² over the objects, of the box that is
      responsible; x and y in cells, w and h shares of the image.
    - confidence: Σ (C − IoU)² of those boxes, IoU being that of the box and the object, which is taken as it is and not
      differentiated; and ``no_object`` · Σ C² of all other boxes.
    - classification: Σ (p(c) − p̂(c))² over the classes of the cells with an object. All rows of a cell hold its
      classes, and count once together. With ``softmax`` it is their cross-entropy, whose derivative is Darknet's.

    Boxes that overlap a crowd or a difficult object by more than ``ignore`` are not punished for their confidence.

    Args:
        sizes: for each input size its one map.
        sqrt: whether the numbers of width and height are square roots; else the sides themselves.
        softmax: whether the classes' numbers go through a softmax.
        coord, no_object: λ of the paper.
        ignore: 0..1.
        name, reduction, dtype: as of any Keras loss.

    Example:
        >>> import numpy as np
        >>> loss = YoloV1Loss([[Grid(1, 1, ((0.0, 0.0),))]])
        >>> truth, raw = np.float32([[[0, 0, 1, 1, 0, 1]]]), np.float32([[[0.5, 0.5, 0.8, 1, 0.64, 1]]])
        >>> {name: round(float(value[0]), 3) for name, value in loss.parts(truth, raw).items()}  # 5 (0.8 − 1)²
        {'localisation': 0.2, 'confidence': 0.0, 'classification': 0.0}
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[Grid | Mapping[str, Any]]],
        sqrt: bool = True,
        softmax: bool = False,
        coord: float = 5.0,
        no_object: float = 0.5,
        ignore: float = 0.5,
        name: str = "yolo_v1",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(sizes, {"coord": coord, "no_object": no_object}, ignore, name, reduction, dtype)
        self.sqrt, self.softmax = bool(sqrt), bool(softmax)

    def _parts(
        self, things: assigning.Objects, raw: Tensor, grids: Grids, candidates: Candidates
    ) -> tuple[Tensor, Tensor, Tensor]:
        ops, (grid,) = keras.ops, grids
        cells, counts = (ops.convert_to_tensor(one, dtype="float32") for one in (candidates.cells, candidates.grid))
        sides = ops.square(raw[..., 2:4]) if self.sqrt else raw[..., 2:4]
        boxes = ops.stop_gradient(corners((cells + raw[..., :2]) / counts, sides))
        asked = assigning.responsible(things, boxes, grid)
        place = asked.index[..., None]
        own, box = ops.take_along_axis(raw, place, axis=1), ops.take_along_axis(boxes, place, axis=1)
        known = ops.stop_gradient(overlap.iou(box, ops.stack(things[:4], axis=-1)))
        seen = over_objects(ops.square(own[..., 4] - known), asked.has)
        alone = ops.logical_or(
            assigning.taken(asked, len(candidates)),
            assigning.overlapping(boxes, things, self.ignore, all_of_them=False),
        )
        unseen = ops.sum(ops.where(alone, 0.0, ops.square(raw[..., 4])), axis=1)
        located = over_objects(self._apart(things, own, grid), asked.has)
        classified = over_objects(self._classes(things, raw, asked.index, grid), asked.has)
        return self.weights["coord"] * located, seen + self.weights["no_object"] * unseen, classified

    def _apart(self, things: assigning.Objects, own: Tensor, grid: Grid) -> Tensor:
        """The squared distance of each object and its box, ``(batch, M)``."""
        ops = keras.ops
        across, down = things.centre_x * grid.columns, things.centre_y * grid.rows
        x = across - ops.cast(assigning.in_cell(things.centre_x, grid.columns), "float32")
        y = down - ops.cast(assigning.in_cell(things.centre_y, grid.rows), "float32")
        sides = [ops.sqrt(side) if self.sqrt else side for side in (things.width, things.height)]
        return ops.sum(ops.square(own[..., :4] - ops.stack([x, y, *sides], axis=-1)), axis=-1)

    def _classes(self, things: assigning.Objects, raw: Tensor, index: Tensor, grid: Grid) -> Tensor:
        """The error of the classes in each object's cell, ``(batch, M)``: the mean of the rows that hold them."""
        ops = keras.ops
        count, units = len(grid.anchors), raw.shape[-1]
        first = index // count * count
        error = 0.0
        for number in range(count):
            found = ops.take_along_axis(raw, (first + number)[..., None], axis=1)[..., 5:]
            sought = ops.one_hot(things.classes, units - 5, dtype="float32")
            if self.softmax:
                error -= ops.sum(sought * ops.log_softmax(found, axis=-1), axis=-1) / count
            else:
                error += ops.sum(ops.square(found - sought), axis=-1) / count
        return error

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {**super().get_config(), "sqrt": self.sqrt, "softmax": self.softmax}
