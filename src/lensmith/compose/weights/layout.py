"""Arrays in our order of axes: height, width, in, out for convolutions, in, out for dense layers."""

from __future__ import annotations

import numpy as np

from lensmith.compose.weights.names import Layout, Weight


def ordered(array: np.ndarray, weight: Weight, layout: Layout) -> np.ndarray:
    """The array with its axes in our order; where it has not the axes of such a weight, as it came.

    A dense layer may come as a convolution over the whole map, and a 1×1 convolution as a dense layer.

    Args:
        array: as the file has it.
        weight: where it belongs.
        layout: of the file.
    """
    if weight.name not in ("kernel", "depthwise_kernel", "pointwise_kernel"):
        return array
    if array.ndim == 2:
        array = array if layout == "keras" else array.T
        return array[None, None] if len(weight.shape) == 4 else _row_order(array, weight, layout)
    if array.ndim != 4:
        return array
    if weight.kind == "depthwise":
        return array if layout == "keras" else _depthwise(array, weight)
    array = array if layout == "keras" else array.transpose(2, 3, 1, 0)
    return array.reshape(-1, array.shape[-1]) if len(weight.shape) == 2 else array


def _depthwise(array: np.ndarray, weight: Weight) -> np.ndarray:
    """(channels · multiplier, 1, height, width) → (height, width, channels, multiplier)."""
    multiplier = weight.shape[-1]
    if array.shape[1] != 1 or array.shape[0] % multiplier:
        return array.transpose(2, 3, 1, 0)
    height, width = array.shape[2:]
    return array.transpose(2, 3, 0, 1).reshape(height, width, -1, multiplier)


def _row_order(array: np.ndarray, weight: Weight, layout: Layout) -> np.ndarray:
    """The rows of a dense layer on flattened feature maps, which torch lists channel by channel."""
    if layout == "keras" or weight.flattened is None or array.shape[0] != np.prod(weight.flattened):
        return array
    height, width, channels = weight.flattened
    units = array.shape[1]
    return array.reshape(channels, height, width, units).transpose(1, 2, 0, 3).reshape(-1, units)
