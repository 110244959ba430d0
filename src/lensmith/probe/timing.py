"""How long each layer of a model takes: a measurement on this machine, not a property of the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.probe.inputs import checked

Node = Any  # of Keras: one call of a layer, with everything it was given


@dataclass(frozen=True, slots=True)
class LayerTime:
    """One layer.

    Args:
        name: its own, and ``kind`` its class.
        calls: how often it is called in one pass.
        milliseconds: of all its calls in one pass, the median over the passes.
        share: of the sum over all layers, 0 to 1.
    """

    name: str
    kind: str
    calls: int
    milliseconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Times:
    """What was measured.

    Args:
        rows: the layers in the order data passes through them.
        sum: of all layers called one after the other, in milliseconds.
        whole: the model at once, as it predicts, in milliseconds, the median. It may be less, where the backend
            compiles or does several layers in one go, or more, where handing over the images counts.
        images: in the batch.
        repeats: the passes measured, after one that was not.
        backend: what computed it, and ``devices`` what it has to compute on.
    """

    rows: tuple[LayerTime, ...]
    sum: float
    whole: float
    images: int
    repeats: int
    backend: str
    devices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def times(model: Any, x: Any, repeats: int = 10) -> Times:
    """The time of each layer for a batch: each is called by itself, on what it is called on in the model.

    Each call is waited for before the clock is stopped. What is measured so holds what calling a layer costs, which
    is more than its computation where that is small.

    Args:
        model: any model made of connected layers.
        x: what enters it, ``(batch, …)``.
        repeats: passes that are measured, at least 1.

    Raises:
        SettingError: ``repeats`` is no such number, or the layers are not known to be connected.
        DataError: ``x`` is not what the model takes.

    Example:
        >>> from lensmith.compose import zoo
        >>> found = times(zoo.get("conv-digits").build(seed=0), np.zeros((1, 28, 28, 1), "float32"), repeats=1)
        >>> bool(abs(sum(row.share for row in found.rows) - 1) < 1e-6)
        True
    """
    check.positive("repeats", repeats)
    whole = graph.flat(model)
    inputs = keras.tree.flatten(checked(whole, x))
    nodes = _nodes(whole)
    passes = [_pass(whole, nodes, inputs) for _ in range(repeats + 1)][1:]
    by_layer = np.median(np.asarray(passes), axis=0) * 1000
    total = float(by_layer.sum())
    grouped: dict[str, list[tuple[Node, float]]] = {}
    for node, milliseconds in zip(nodes, by_layer, strict=True):
        grouped.setdefault(node.operation.name, []).append((node, float(milliseconds)))
    rows = tuple(_row(name, found, total) for name, found in grouped.items())
    predicted = [_timed(lambda: backend.predict(model, x))[0] for _ in range(repeats + 1)][1:]
    return Times(
        rows=rows,
        sum=total,
        whole=float(np.median(predicted)) * 1000,
        images=len(inputs[0]),
        repeats=repeats,
        backend=str(keras.config.backend()),
        devices=backend.devices(),
    )


def _row(name: str, found: Sequence[tuple[Node, float]], total: float) -> LayerTime:
    spent = sum(milliseconds for _, milliseconds in found)
    return LayerTime(name, type(found[0][0].operation).__name__, len(found), spent, spent / total)


def _nodes(model: Any) -> list[Node]:
    """The calls of a flat model in order, its inputs left out."""
    by_depth = model._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


def _pass(model: Any, nodes: Sequence[Node], inputs: Iterable[Any]) -> list[float]:
    """Seconds of each call in one pass through the model; what no later call reads is let go."""
    known = {
        id(symbol): keras.ops.convert_to_tensor(value, dtype=symbol.dtype)
        for symbol, value in zip(model.inputs, inputs, strict=True)
    }
    last = {id(tensor): place for place, node in enumerate(nodes) for tensor in node.input_tensors}
    spent = []
    for place, node in enumerate(nodes):
        args, kwargs = node.arguments.fill_in(known)
        if "training" in getattr(node.operation, "_call_context_args", ()):
            kwargs = {**kwargs, "training": False}  # as when the model predicts, whatever was noted with the call
        seconds, given = _timed(_called(node.operation, args, kwargs))
        spent.append(seconds)
        # Detached, so that torch does not keep every layer's input for a derivative that nobody asks for.
        known |= {id(symbol): keras.ops.stop_gradient(value) for symbol, value in zip(node.outputs, given, strict=True)}
        for tensor in (*node.input_tensors, *node.outputs):
            if last.get(id(tensor), -1) <= place:
                known.pop(id(tensor), None)
    return spent


def _called(layer: Any, args: Any, kwargs: Any) -> Callable[[], list[Any]]:
    return lambda: keras.tree.flatten(layer(*args, **kwargs))


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds until what a function gives is there, and that."""
    start = time.perf_counter()
    given = function()
    for value in keras.tree.flatten(given):
        keras.ops.convert_to_numpy(value[(0,) * len(value.shape)])  # a number that is read has been computed
    return time.perf_counter() - start, given
