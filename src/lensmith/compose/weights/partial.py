"""Weights files that end before the network does: loaded as far as they go.

Encoders for style transfer are often a VGG cut off after some convolution. What such a file has must still be the
beginning of the network: arrays of another shape, arrays without a place, and gaps are refused as :func:`load` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.weights.assigning import Report, assign
from lensmith.compose.weights.layout import ordered
from lensmith.compose.weights.names import Arrays, NameMap, Weight, weights_of
from lensmith.compose.weights.reading import read
from lensmith.compose.weights.rows import maps_for, unrecognised
from lensmith.compose.weights.vgg import preparing


def load_as_far_as(model: Any, row: str, path: Path | str) -> tuple[Report, tuple[str, ...]]:
    """Read a weights file and put every array in its place, in a network that may go on behind it.

    The layers of the tasks stay as they are, and what the file has for them is left unused.

    Encoders that prepare the image by a convolution of their own (see :func:`scaling_in`) were run on images and maps
    continued by reflection at the border; our layers continue them by zeros, as the VGG whose weights these are was
    trained. So maps differ from theirs near the border, and nowhere else.

    Args:
        model: what ``Recipe.build`` made.
        row: the name of the zoo's row that the recipe comes from.
        path: of the file.

    Returns:
        What was loaded, and the layers that have weights but got none, in the order in which they were made; those of
        the tasks are not among them.

    Raises:
        DataError: the file cannot be read, has nothing that fits, or is of another network; one line names it, and
            the model is as it was.
    """
    arrays = read(path)
    weights = [weight for weight in weights_of(model) if not weight.in_head]
    names = _recognised(weights, row, arrays, str(path))
    found = _found(weights, arrays, names)
    layers = tuple(dict.fromkeys(weight.layer for weight in weights))
    reached = [layer for layer in layers if any(w.path in found for w in weights if w.layer == layer)]
    # A model that ends with these layers: assigning to it refuses whatever is missing before them.
    view = keras.Model(model.input, [model.get_layer(layer).output for layer in reached])
    try:
        report = assign(view, arrays, names, head=False)
    except check.DataError as error:
        raise check.DataError(f"{path}, read as {names.name}: {error}") from error
    left = tuple(weight.path for weight in weights_of(model) if weight.path not in set(report.loaded))
    return replace(report, left=left), tuple(layer for layer in layers if layer not in reached)


def scaling_in(arrays: Arrays) -> Mapping[str, Any] | None:
    """What a convolution of 1×1 pixels at the start of a file says of how its network wants its pixels.

    Such encoders take pixels 0..1 and have a first layer that orders, scales and shifts their channels.

    Args:
        arrays: of the file, as :func:`read` gives them.

    Returns:
        The same as settings of ``lensmith.data.Preprocessing``, told from the layer's numbers; None where the file
        has no such layer.

    Raises:
        DataError: the layer mixes channels, so that it is no scaling.

    Example:
        >>> kernel = np.zeros((3, 3, 1, 1))
        >>> kernel[[0, 1, 2], [2, 1, 0]] = 255
        >>> scaling_in({"0.weight": kernel, "0.bias": np.array([-104.0, -117.0, -123.0])})["mean"]
        (104.0, 117.0, 123.0)
    """
    first = preparing(arrays)
    if first is None:
        return None
    kernel = np.asarray(arrays[f"{first}.weight"], np.float64)[:, :, 0, 0]
    bias = np.asarray(arrays.get(f"{first}.bias", np.zeros(3)), np.float64)
    for channels, matrix in (("rgb", kernel), ("bgr", kernel[:, ::-1])):
        factors = np.diag(matrix)
        if np.array_equal(matrix, np.diag(factors)) and (factors > 0).all() and np.isfinite(bias).all():
            # factor · pixel / 255 + bias = (pixel − mean) / deviation.
            deviation = 255 / factors
            mean = tuple(float(value) for value in np.round(-bias * deviation, 4))
            values = {"scaling": "standardise", "mean": mean, "deviation": tuple(deviation.tolist())}
            return MappingProxyType(values | {"channels": channels})
    expected = "a first layer that scales each channel, in order or turned round"
    raise check.DataError(check.sentence(f"{first}.weight", expected, np.round(kernel, 3).tolist()))


def _found(weights: Sequence[Weight], arrays: Arrays, names: NameMap) -> dict[str, str]:
    """The places for which a file has an array, by a map's names."""
    offered = {name: array for name, array in arrays.items() if not names.is_head(name) and not names.is_ignored(name)}
    return {place: name for place, name in names.find(weights, offered).items() if name in offered}


def _recognised(weights: Sequence[Weight], row: str, arrays: Arrays, place: str) -> NameMap:
    """The map by which most arrays fit their places; the first where several do."""
    maps = maps_for(row)
    by_path = {weight.path: weight for weight in weights}

    def fitting(names: NameMap) -> int:
        found = _found(weights, arrays, names)
        return sum(
            ordered(arrays[name], by_path[path], names.layout).shape == by_path[path].shape
            for path, name in found.items()
        )

    best = max(maps, key=fitting)
    if not fitting(best):
        raise unrecognised(weights, maps, arrays, place)
    return best
