"""A model as the graph it is: which layer was called on which tensors, in the order that data passes through them.

A layer may be called several times, and models may be layers of other models; so views and cuts are taken from this
graph and not from a layer's own ``input`` and ``output``, which tell of its first call only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lensmith import check
from lensmith.backend import keras

Tensor = Any  # a symbolic Keras tensor


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of one layer.

    Args:
        layer: a Keras layer, or an operation of ``keras.ops``.
        inputs: the tensors it was called on; none for the model's own inputs.
        outputs: the tensors it gave.
    """

    layer: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def connected(model: Any) -> Any:
    """The model as a functional one, with the same layers and tensors.

    Raises:
        SettingError: its layers are not known to be connected: it is of a class of its own, or not built.
    """
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name) if model.built else _unconnected(model)
    return model if hasattr(model, "_nodes_by_depth") else _unconnected(model)


def flat(model: Any) -> Any:
    """The model without models inside it: their layers, shared, stand in the model itself.

    Raises:
        SettingError: two layers would have one name, or the model is not made of connected layers.
    """
    graph = connected(model)
    if not any(_opens(layer) for layer in graph.layers):
        return graph
    sources = keras.tree.map_structure(_another, graph.input)
    outputs = _passed(graph, sources)
    if isinstance(graph.output, dict):
        outputs = {name: outputs[name] for name in graph.output}  # Keras sorts them, and the first one matters
    try:
        return keras.Model(sources, outputs, name=model.name)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise check.SettingError(f"{model.name}: its inner models cannot be opened: {reason}") from None


def calls(model: Any) -> tuple[Call, ...]:
    """Every call of a layer, a layer after those whose tensors it takes.

    Raises:
        SettingError: the model is not made of connected layers.
    """
    by_depth = connected(model)._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return tuple(Call(node.operation, tuple(node.input_tensors), tuple(node.outputs)) for node in nodes)


def leading_to(tensors: Iterable[Tensor], steps: Iterable[Call]) -> tuple[Call, ...]:
    """Those of the calls that these tensors are computed from, in their order."""
    wanted = {id(tensor) for tensor in tensors}
    found = []
    for call in reversed(tuple(steps)):
        if any(id(tensor) in wanted for tensor in call.outputs):
            wanted |= {id(tensor) for tensor in call.inputs}
            found.append(call)
    return tuple(reversed(found))


def giver(tensor: Tensor, steps: Iterable[Call]) -> Call:
    """The call that a tensor comes from."""
    return next(call for call in steps if any(tensor is output for output in call.outputs))


def outputs_of(model: Any) -> list[Tensor]:
    """The model's outputs, one after the other."""
    return list(keras.tree.flatten(model.output))


def _unconnected(model: Any) -> Any:
    expected = "a built Sequential or functional model, whose layers are connected"
    remedy = "Build it: give it an Input, or make keras.Model(inputs, outputs)"
    raise check.SettingError(check.sentence(str(model.name), expected, type(model).__name__, remedy))


def _opens(layer: Any) -> bool:
    return isinstance(layer, keras.Model) and (isinstance(layer, keras.Sequential) or hasattr(layer, "_nodes_by_depth"))


def _another(source: Tensor) -> Tensor:
    return keras.Input(batch_shape=source.shape, dtype=source.dtype, name=source.name)


def _passed(graph: Any, inputs: Any) -> Any:
    """What the graph gives for other inputs, every layer called once more and inner models gone through."""
    return graph._run_through_graph(inputs, operation_fn=_opened)


def _opened(layer: Any) -> Any:
    return partial(_through, layer) if _opens(layer) else layer


def _through(model: Any, inputs: Any, **_: Any) -> Any:
    outputs = _passed(connected(model), inputs)
    flattened = keras.tree.flatten(outputs)
    return flattened[0] if len(flattened) == 1 else outputs
