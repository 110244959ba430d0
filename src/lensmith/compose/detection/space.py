"""Layers of detector heads that only move numbers, and the bias that their last convolutions begin with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras

Tensor = Any
PRIOR = 0.01  # the objectness that every candidate begins with (Lin et al. 2017, Focal Loss, section 4.1)


@keras.saving.register_keras_serializable("lensmith")
class SpaceToDepth(keras.layers.Layer):  # type: ignore[misc]
    """Neighbouring pixels laid beside each other as channels: the pass-through of YOLO v2 (YOLO9000, section 2).

    Args:
        block: the side of the square whose pixels are joined.

    Shapes:
        ``(batch, height, width, channels)`` in, ``(batch, height / block, width / block, block² · channels)`` out, the
        channels of the upper left pixel first.
    """

    def __init__(self, block: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.block = check.positive("space-to-depth.block", block)

    def call(self, inputs: Tensor) -> Tensor:
        ops, block = keras.ops, self.block
        _, height, width, channels = inputs.shape
        if height is None or width is None:
            height, width = ops.shape(inputs)[1:3]
        x = ops.reshape(inputs, (-1, height // block, block, width // block, block, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height // block, width // block, block * block * channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        if any(side is not None and side % self.block for side in sides):
            expected = f"feature maps whose sides {self.block} divides"
            raise check.SettingError(check.sentence(self.name, expected, "×".join(map(str, sides))))
        return (batch, *(None if side is None else side // self.block for side in sides), channels * self.block**2)  # type: ignore[operator]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block": self.block}


@keras.saving.register_keras_serializable("lensmith")
class CellsToRows(keras.layers.Layer):  # type: ignore[misc]
    """The numbers of YOLO v1 in Darknet's order, as a row for each candidate box.

    Args:
        grid: S, cells a side.
        boxes: B, of each cell.
        classes: C.

    Shapes:
        ``(batch, S · S · (C + 5 B))`` in: the classes of all cells, then all confidences, then all boxes (x, y, w, h);
        ``(batch, S · S · B, 5 + C)`` out: x, y, w, h, confidence and the cell's classes.
    """

    def __init__(self, grid: int, boxes: int, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.grid, self.boxes, self.classes = grid, boxes, classes

    def call(self, inputs: Tensor) -> Tensor:
        ops, cells, boxes = keras.ops, self.grid**2, self.boxes
        ends = np.cumsum([cells * self.classes, cells * boxes]).tolist()
        classes = ops.reshape(inputs[:, : ends[0]], (-1, cells, 1, self.classes))
        classes = ops.reshape(ops.repeat(classes, boxes, axis=2), (-1, cells * boxes, self.classes))
        confidences = ops.reshape(inputs[:, ends[0] : ends[1]], (-1, cells * boxes, 1))
        places = ops.reshape(inputs[:, ends[1] :], (-1, cells * boxes, 4))
        return ops.concatenate([places, confidences, classes], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.grid**2 * self.boxes, 5 + self.classes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "grid": self.grid, "boxes": self.boxes, "classes": self.classes}


@keras.saving.register_keras_serializable("lensmith")
class DetectorBias(keras.initializers.Initializer):  # type: ignore[misc]
    """A bias with which hardly a candidate holds an object: without it the many empty ones drown the first steps.

    Args:
        units: numbers a candidate; the fifth is the objectness.
        prior: of it, above 0 and below 1.
    """

    def __init__(self, units: int, prior: float = PRIOR) -> None:
        self.units, self.prior = units, prior

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        numbers = np.zeros(shape, np.float32)
        numbers[4 :: self.units] = math.log(self.prior / (1 - self.prior))
        return keras.ops.convert_to_tensor(numbers, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "prior": self.prior}
