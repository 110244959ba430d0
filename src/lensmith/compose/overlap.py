"""How far boxes overlap, one pair at a time and differentiable: losses and metrics of heads that give boxes.

The measures are those of :mod:`lensmith.boxes.overlap`, which tells their sources. Neither they nor their gradients
are ever NaN, also for boxes without extent or with corners in the wrong order: where a divisor is below ``TINY`` the
quotient is 0, and so is its gradient.

The weight α of CIoU counts as a constant in the gradient (Zheng et al. 2020, section 3.4).
"""

from __future__ import annotations

import math
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras

Tensor = Any
OverlapKind = Literal["iou", "giou", "diou", "ciou"]
OVERLAPS: tuple[OverlapKind, ...] = ("iou", "giou", "diou", "ciou")
TINY = 1e-12  # areas below it are none; of a whole image it is a square of a millionth of its side


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union, pair by pair.

    Args:
        first: ``(..., 4)``, ``xyxy``: x1, y1, x2, y2.
        second: likewise, in the same unit; leading axes are matched as in any sum.

    Returns:
        ``(...)``, 0..1; 0 where neither box has an area.
    """
    one, other = _sides(first, second)
    return _quotient(*_shared_and_union(one, other))


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al. 2019, algorithm 1), pair by pair: -1..1. Arguments as for :func:`iou`."""
    one, other = _sides(first, second)
    shared, union = _shared_and_union(one, other)
    width, height = _around(one, other)
    around = width * height
    return _quotient(shared, union) - _quotient(keras.ops.maximum(around - union, 0.0), around)


def diou(first: Tensor, second: Tensor) -> Tensor:
    """Distance IoU (Zheng et al. 2020, section 3.3), pair by pair: -1..1. Arguments as for :func:`iou`."""
    one, other = _sides(first, second)
    return _quotient(*_shared_and_union(one, other)) - _distance(one, other)


def ciou(first: Tensor, second: Tensor) -> Tensor:
    """Complete IoU (Zheng et al. 2020, section 3.4), pair by pair: -1.5..1. Arguments as for :func:`iou`."""
    one, other = _sides(first, second)
    overlap = _quotient(*_shared_and_union(one, other))
    differ = keras.ops.square(_angle(one) - _angle(other)) * (4 / math.pi**2)
    trade = keras.ops.stop_gradient(_quotient(differ, 1 - overlap + differ))
    return overlap - _distance(one, other) - trade * differ


MEASURES = {"iou": iou, "giou": giou, "diou": diou, "ciou": ciou}


def disorder(boxes: Tensor) -> Tensor:
    """By how much the corners of each box are in the wrong order: 0 for a box with an extent.

    Args:
        boxes: ``(..., 4)``, ``xyxy``.

    Returns:
        ``(...)``: by how much x1 is above x2, and y1 above y2, together.
    """
    return keras.ops.sum(keras.ops.relu(boxes[..., :2] - boxes[..., 2:]), axis=-1)


class OverlapLoss(keras.losses.Loss):  # type: ignore[misc]
    """One minus a measure of overlap, so 0 for the true box.

    All measures are blind to how far the corners of a box lie in the wrong order, so that a network whose first
    guesses have no extent could not learn; for such a box :func:`disorder` is added.

    Args:
        kind: ``iou``, ``giou``, ``diou`` or ``ciou``.
            For a box that does not meet the true one ``iou`` has no gradient.
        name: of the loss.
        reduction: Keras' own: how the examples' losses become one number.

    Raises:
        SettingError: there is no measure of that name.
    """

    def __init__(self, kind: OverlapKind, name: str = "overlap_loss", reduction: str = "sum_over_batch_size") -> None:
        super().__init__(name=name, reduction=reduction)
        self.kind = check.one_of("overlap loss", kind, OVERLAPS)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of each example, ``(batch,)``, of boxes ``(batch, 4)``."""
        return 1 - MEASURES[self.kind](y_true, y_pred) + disorder(y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "reduction": self.reduction}


_Sides = tuple[Tensor, Tensor, Tensor, Tensor]  # x1, y1, x2, y2


def _sides(first: Tensor, second: Tensor) -> tuple[_Sides, _Sides]:
    """The corners as columns of one floating type, of no less than 32 bits."""
    ops = keras.ops
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    dtype = keras.backend.result_type(first.dtype, second.dtype, "float32")
    one, other = (tuple(ops.cast(boxes, dtype)[..., i] for i in range(4)) for boxes in (first, second))
    return one, other


def _extent(box: _Sides) -> tuple[Tensor, Tensor]:
    return keras.ops.relu(box[2] - box[0]), keras.ops.relu(box[3] - box[1])


def _shared_and_union(one: _Sides, other: _Sides) -> tuple[Tensor, Tensor]:
    ops = keras.ops
    width = ops.relu(ops.minimum(one[2], other[2]) - ops.maximum(one[0], other[0]))
    height = ops.relu(ops.minimum(one[3], other[3]) - ops.maximum(one[1], other[1]))
    shared = width * height
    (first_width, first_height), (second_width, second_height) = _extent(one), _extent(other)
    return shared, first_width * first_height + second_width * second_height - shared


def _around(one: _Sides, other: _Sides) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around all corners of both."""
    ops = keras.ops
    sides = []
    for axis in (0, 1):
        high = ops.maximum(ops.maximum(one[axis], one[axis + 2]), ops.maximum(other[axis], other[axis + 2]))
        low = ops.minimum(ops.minimum(one[axis], one[axis + 2]), ops.minimum(other[axis], other[axis + 2]))
        sides.append(high - low)
    return sides[0], sides[1]


def _distance(one: _Sides, other: _Sides) -> Tensor:
    """The square of the centres' distance, as a share of the square of the diagonal around both."""
    ops = keras.ops
    width, height = _around(one, other)
    across, down = (one[i] + one[i + 2] - other[i] - other[i + 2] for i in (0, 1))
    return _quotient((ops.square(across) + ops.square(down)) / 4, ops.square(width) + ops.square(height))


def _angle(box: _Sides) -> Tensor:
    """atan(width / height); 0, with no gradient, for a box that is a point."""
    ops = keras.ops
    width, height = _extent(box)
    real = ops.square(width) + ops.square(height) > TINY
    return ops.arctan2(ops.where(real, width, 0.0), ops.where(real, height, 1.0))


def _quotient(number: Tensor, divisor: Tensor) -> Tensor:
    """0, with no gradient, where the divisor is below ``TINY``."""
    ops = keras.ops
    real = divisor > TINY
    # The inner choice keeps the gradient of what is not chosen finite: 0 times infinity would be NaN.
    return ops.where(real, number / ops.where(real, divisor, 1.0), 0.0)
