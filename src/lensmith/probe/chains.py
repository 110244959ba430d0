"""Layers that are looked at as one: convolution, normalisation and activation, where each only follows the other."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lensmith.backend import keras
from lensmith.compose import graph, views
from lensmith.compose.graph import Call

# Layers and operations that have no attribute to tell their activation by.
_KINDS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid",
    "HardTanh": "hard_tanh",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
}


def chains(model: Any) -> list[tuple[Any, ...]]:
    """Layers with weights and activations of a flat model, those that only follow another with it."""
    steps = [call for call in graph.calls(model) if call.inputs]
    last = {call.layer.name: call for call in steps}
    readers = Counter(id(tensor) for call in steps for tensor in call.inputs)
    readers.update(id(tensor) for tensor in graph.outputs_of(model))
    found: dict[int, tuple[Any, ...]] = {}  # by the tensor that each gives in the end
    for call in last.values():
        if not _counts(call):
            continue
        before = found.get(id(call.inputs[0]), ()) if len(call.inputs) == 1 else ()
        if not before or readers[id(call.inputs[0])] != 1 or has_kernel(call.layer) or _activated(before[-1]):
            before = ()
        else:
            del found[id(call.inputs[0])]
        found[id(call.outputs[0])] = (*before, call.layer)
    return list(found.values())


def _counts(call: Call) -> bool:
    floating = "float" in str(call.outputs[0].dtype)
    return floating and bool(getattr(call.layer, "weights", ()) or _activated(call.layer))


def has_kernel(layer: Any) -> bool:
    """Whether a layer weighs what it is called on: a convolution or a dense layer, of any kind."""
    return any(weight.name.endswith("kernel") for weight in getattr(layer, "weights", ()))


def _activated(layer: Any) -> bool:
    return activation_of(layer) != "linear"


def activation_of(layer: Any) -> str:
    """The name of the activation a layer or an operation is or ends in; ``linear`` where there is none."""
    if isinstance(layer, keras.layers.ReLU):
        if layer.negative_slope or layer.threshold:
            return "leaky_relu" if layer.negative_slope else "thresholded_relu"
        return "relu6" if layer.max_value == 6 else "relu"
    name = views.activation_of(layer)
    return _KINDS.get(type(layer).__name__, name) if name == "linear" else name
