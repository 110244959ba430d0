"""Views of a model: other outputs of the same layers, and its feature maps by stride.

A view shares every layer with the model it was taken from: training one trains the other.
"""

from __future__ import annotations

import re
from typing import Any

from lensmith import check
from lensmith.backend import keras

_HEAD = re.compile(r"task-([A-Za-z0-9_]+)-(?:logits|output)")
# Where a part of the model ends: the last layer of each of these is a candidate for a tap.
_PART = re.compile(r"stem-pool|stem(?=-)|learner-group\d+-block\d+|learner-group\d+-pool|learner(?=-(?:norm|relu)$)")


def heads(model: Any) -> dict[str, str]:
    """The layer of each task that gives its logits, or its numbers for a regression, in the order of the tasks.

    Raises:
        SettingError: the model has none, so it was not built from a recipe.
    """
    found = {match[1]: layer.name for layer in model.layers if (match := _HEAD.fullmatch(layer.name))}
    if not found:
        raise check.SettingError("model: expected layers named task-NAME-logits; got none. Was it built from a recipe?")
    # Keras sorts layers by depth, which is not the order of the tasks.
    order = model.output if isinstance(model.output, dict) else found
    return {name: found[name] for name in order if name in found}


def logits(model: Any) -> Any:
    """The model without its last activations, in the same structure: what a loss should be computed from."""
    outputs = {name: model.get_layer(layer).output for name, layer in heads(model).items()}
    return keras.Model(model.input, outputs if len(outputs) > 1 else next(iter(outputs.values())), name="logits")


def embedding(model: Any) -> Any:
    """The vector that the first task's logits are computed from, of shape ``(batch, features)``.

    It is the pooled feature maps, or the last hidden layer where the head has hidden layers.
    """
    layer = model.get_layer(next(iter(heads(model).values())))
    return keras.Model(model.input, layer.input, name="embedding")


def tap_names(model: Any) -> dict[str, str]:
    """The layer that holds the last feature maps of each size, by how many times smaller they are.

    ``P3`` is 2³ times smaller than the input in each direction; where the factor is not a power of two the
    name is ``S6`` for six times. The names are layer names, so they survive saving and loading.

    >>> from lensmith.compose import zoo
    >>> tap_names(zoo.get("resnet18-v1").build())["P5"]
    'learner-group4-block2-relu'
    """
    strides = _strides(model)
    ends = {}
    for layer in model.layers:
        match = _PART.match(layer.name)
        if match and layer.name in strides:
            ends[match[0]] = layer.name
    taps: dict[int, str] = {}
    for name in ends.values():  # a later part of the same size replaces an earlier one
        taps[strides[name]] = name
    return {tap_name(stride): name for stride, name in sorted(taps.items())}


def tap_name(stride: int) -> str:
    """``P`` and the exponent for a power of two, else ``S`` and the stride itself."""
    return f"P{stride.bit_length() - 1}" if stride & (stride - 1) == 0 else f"S{stride}"


def _strides(model: Any) -> dict[str, int]:
    """How many times smaller than the input each layer's feature maps are; others are left out."""
    found: dict[str, int] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            found[layer.name] = 1
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        before = [found.get(tensor._keras_history.operation.name, 0) for tensor in sources]
        if len(layer.output.shape) == 4 and all(before):
            own = getattr(layer, "strides", 1)
            found[layer.name] = max(before) * (own[0] if isinstance(own, tuple | list) else own)
    return found
