"""Activations of Keras by the names that Darknet has for them."""

from __future__ import annotations

from typing import Any

from lensmith.compose import views
from lensmith.compose.graph import Call
from lensmith.detect.darknet.writing_graph import Walk, refused
from lensmith.detect.darknet.writing_layers import Section

# What Darknet calls the activations that need no number of their own.
ACTIVATIONS = {
    "relu": "relu",
    "sigmoid": "logistic",
    "tanh": "tanh",
    "silu": "swish",
    "swish": "swish",
    "mish": "mish",
    "elu": "elu",
    "selu": "selu",
}
SLOPE = 0.1  # of Darknet's leaky rectifier


def own_activation(walk: Walk, call: Call) -> None:
    """The activation that a convolution or a fully connected layer ends in."""
    place = walk.places[id(call.outputs[0])]
    if views.activation_of(call.layer) == "softmax":
        _softmax(walk, call, place)
    elif views.activation_of(call.layer) != "linear":
        walk.activate(call, place, _activation(call, call.layer.activation), alone=True)


def activated(walk: Walk, call: Call) -> None:
    """A layer that is an activation."""
    layer, tensor = call.layer, call.inputs[0]
    name = type(layer).__name__
    if views.activation_of(layer) == "softmax":
        _softmax(walk, call, walk.place(tensor))
        return
    if name == "LeakyReLU":
        kind = _leaky(call, layer.negative_slope)
    elif name == "ReLU":
        kind = _rectifier(call)
    elif name == "ELU":
        kind = _exponential(call)
    else:
        kind = _activation(call, layer.activation)
    place = walk.place(tensor)
    walk.activate(call, place, kind, alone=walk.uses[id(tensor)] == 1)


def _softmax(walk: Walk, call: Call, place: int) -> None:
    shape = walk.sections.shape(place)
    if shape[:2] != (1, 1):
        raise refused(call, "a softmax over a vector", f"one over {shape[0]}×{shape[1]} pixels")
    section = Section("softmax", call.layer.name, shape, {"groups": 1}, positive=True)
    walk.put(call, walk.sections.add(section, place))


def _leaky(call: Call, slope: float) -> str:
    if abs(float(slope) - SLOPE) > 1e-7:
        raise refused(call, f"a leaky rectifier of slope {SLOPE}, which is Darknet's", float(slope))
    return "leaky"


def _exponential(call: Call) -> str:
    if call.layer.alpha != 1:
        raise refused(call, "an exponential unit of alpha 1", call.layer.alpha)
    return "elu"


def _rectifier(call: Call) -> str:
    layer = call.layer
    slope, most, least = float(layer.negative_slope or 0), layer.max_value, float(layer.threshold or 0)
    if least or (most is not None and (slope or float(most) != 6)):
        raise refused(call, "a plain, a leaky or a rectifier up to 6", f"threshold {least:g}, largest {most}")
    return "relu6" if most is not None else _leaky(call, slope) if slope else "relu"


def _activation(call: Call, function: Any) -> str:
    name = "linear" if function is None else str(getattr(function, "__name__", type(function).__name__)).lower()
    if name in ("linear", "relu6"):
        return name
    if name not in ACTIVATIONS:
        listed = ", ".join(["linear", "relu6", "leaky with slope 0.1", *ACTIVATIONS])
        raise refused(call, f"an activation that Darknet has ({listed})", name)
    return ACTIVATIONS[name]
