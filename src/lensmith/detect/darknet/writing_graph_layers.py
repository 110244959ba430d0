"""The layers that networks of Darknet have and Keras has not, as the sections they came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lensmith.backend import keras
from lensmith.compose.graph import Call
from lensmith.compose.learners.layer_graph_layers import (
    Channels,
    DarknetActivation,
    DarknetReorg,
    LocallyConnected,
    LowestPadding,
)
from lensmith.detect.darknet.writing_graph import Walk, refused
from lensmith.detect.darknet.writing_layers import Array, Section


def _reorg(walk: Walk, call: Call) -> None:
    place = walk.place(call.inputs[0])
    _, height, width, channels = call.outputs[0].shape
    settings = {"stride": call.layer.stride}
    walk.put(call, walk.sections.add(Section("reorg", call.layer.name, (height, width, channels), settings), place))


def _activation(walk: Walk, call: Call) -> None:
    tensor = call.inputs[0]
    walk.activate(call, walk.place(tensor), call.layer.kind, alone=walk.uses[id(tensor)] == 1)


def _channels(walk: Walk, call: Call) -> None:
    """One of several parts of the channels is a route with groups."""
    layer, place = call.layer, walk.place(call.inputs[0])
    height, width, channels = walk.sections.shape(place)
    if layer.step != 1 or channels % layer.count or layer.first % layer.count or layer.first >= channels:
        expected = "one of several equal parts of the channels"
        raise refused(call, expected, f"{layer.count} of {channels}, from {layer.first} on")
    if place < 0:
        place = walk.sections.copy(place, layer.name)
    settings = {
        "layers": place - len(walk.sections.made),
        "groups": channels // layer.count,
        "group_id": layer.first // layer.count,
    }
    shape = (height, width, layer.count)
    walk.sections.made.append(Section("route", layer.name, shape, settings, positive=walk.sections.positive(place)))
    walk.put(call, walk.sections.last)


def _lowest(walk: Walk, call: Call) -> None:
    """What a maximum pool leaves out; the pool writes it."""
    walk.put(call, walk.place(call.inputs[0]))
    walk.lowest[id(call.outputs[0])] = call.layer.padding


def _local(walk: Walk, call: Call) -> None:
    layer, place = call.layer, walk.place(call.inputs[0])
    rows, columns, filters = layer.bias.shape
    settings = {"filters": filters, "size": layer.kernel_size, "stride": layer.strides, "pad": 0}
    kernel = _numbers(layer.kernel).transpose(0, 1, 5, 4, 2, 3)
    bias = _numbers(layer.bias).transpose(2, 0, 1)
    section = Section("local", layer.name, (rows, columns, filters), settings, kernel, bias, "linear")
    walk.put(call, walk.sections.add(section, place))


def _numbers(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


WRITERS: tuple[tuple[type, Callable[[Walk, Call], None]], ...] = (
    (DarknetReorg, _reorg),
    (DarknetActivation, _activation),
    (Channels, _channels),
    (LowestPadding, _lowest),
    (LocallyConnected, _local),
)
