"""What is noted of a network while it trains, so that its troubles can be named: gradients by layer and dead units.

How the loss went inside an epoch is noted by :class:`~lensmith.train.trace.Trace`.

All of it is looked at without changing a bit of what is trained, and follows from the run alone, never from the clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lensmith import backend, files
from lensmith.backend import keras
from lensmith.train.batch import first_of, size_of
from lensmith.train.compiled import Compiled
from lensmith.train.history import number
from lensmith.train.trace import Trace, short
from lensmith.trainable import places

WATCH = "watch.jsonl"
MOST_LAYERS = 60  # of a row; a list of hundreds of layers would be read by nobody
MOST_EXAMPLES = 32  # for finding dead units
_WORTH_A_LOOK = 200  # steps: a look costs about two of them
_MOST_VALUES = 2**24  # held at a time for finding dead units: 64 MiB of float32
# By the activation that goes with them.
_CROSS_ENTROPIES = {
    "BinaryCrossentropy": "sigmoid",
    "CategoricalCrossentropy": "softmax",
    "SparseCategoricalCrossentropy": "softmax",
}

_views: WeakKeyDictionary[Any, tuple[tuple[int, ...], Any, tuple[str, ...]]] = WeakKeyDictionary()


def due(epoch: int, steps: int) -> bool:
    """Whether to look at the gradients before the first step of an epoch.

    Always before the epochs 0, 1, 2, 4, 8, …; before every epoch when it is so long that a look, which costs about two
    steps, is a hundredth of it at most.

    Args:
        epoch: how many epochs of the stage are finished.
        steps: of the epoch.

    Example:
        >>> [epoch for epoch in range(20) if due(epoch, steps=30)]
        [0, 1, 2, 4, 8, 16]
        >>> due(3, steps=200)
        True
    """
    return steps >= _WORTH_A_LOOK or epoch & (epoch - 1) == 0


def look(steps: Compiled, x: Any, y: Any) -> dict[str, Any]:
    """The gradients and units of a network on one batch, as when not training; nothing is changed.

    Args:
        steps: the compiled model, which has been built.
        x: the batch, float32 of shape ``(n, …)``, or a dict of such arrays by input.
        y: its targets, as ``steps.train`` takes them.

    Returns:
        Plain values, ready for JSON: ``loss`` (in all), ``losses`` (by task), ``classes`` (see
        :func:`classes`), ``normalised`` (whether there is batch
        normalisation that trains), ``layers`` (of each trained layer with a matrix of weights, in the order of the
        data, its ``name`` and the norms of its ``gradient`` and its ``weights``; at most 60 of them, the first and the
        last among these), and ``dead`` (by trained relu layer, the share of its output channels, 0..1, that are 0 for
        all of ``examples`` examples, everywhere in them). A number that is not finite is None.
    """
    from lensmith.backend.gradients import gradients

    found = gradients(steps.model, x, y)
    some = first_of(x, MOST_EXAMPLES)
    seen = {
        "loss": number(found.loss),
        "losses": _by_task(steps, found.losses),
        "classes": classes(steps),
        "normalised": any(
            isinstance(place.layer, keras.layers.BatchNormalization) and place.trains for place in places(steps.model)
        ),
        "layers": thinned(_layers(steps.model, found.norms), MOST_LAYERS),
        "examples": size_of(some),
        "dead": _dead(steps.model, some),
    }
    return files.finite(seen)  # type: ignore[no-any-return]


def classes(steps: Compiled) -> dict[str, int]:
    """How many classes there are to guess among, by task whose loss is a plain cross-entropy.

    Guessing costs their logarithm then. It does not where classes are weighed, labels smoothed or the loss is focal,
    nor where the loss of the only task that trains is multiplied with a weight.
    """
    losses = steps.model.loss
    if not isinstance(losses, Mapping):
        losses = dict.fromkeys(steps.tasks, losses)
    if len(losses) == 1 and any(steps.tasks[task].weight != 1 for task in losses if task in steps.tasks):
        return {}
    kinds = {task: type(losses[task]).__name__ for task in steps.tasks if task in losses}
    found = {task: _CROSS_ENTROPIES.get(kind) for task, kind in kinds.items()}
    return {
        task: 2 if activation == "sigmoid" else int(steps.tasks[task].shape[-1] or 0)
        for task, activation in found.items()
        if activation and activation == steps.tasks[task].activation
    }


def thinned(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the values, evenly spaced, the first and the last among them.

    >>> thinned(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _by_task(steps: Compiled, losses: Mapping[str, float]) -> dict[str, float]:
    trained = list(steps.model.loss) if isinstance(steps.model.loss, Mapping) else list(steps.tasks)
    if len(trained) == len(losses) == 1:
        return {trained[0]: number(next(iter(losses.values())))}
    named = {steps.names.get(name, name).removesuffix("_loss"): value for name, value in losses.items()}
    return {name: number(value) for name, value in named.items()}


def _layers(model: Any, norms: Sequence[float | None]) -> list[dict[str, Any]]:
    from lensmith.backend.gradients import norm

    by_weight = dict(zip(map(id, model.trainable_weights), norms, strict=True))
    found = []
    for place in places(model):
        weights = [weight for weight in place.layer.trainable_weights if by_weight.get(id(weight)) is not None]
        if any(len(weight.shape) > 1 for weight in weights):  # a lone scale or shift says nothing of the depth
            gradient = _together(by_weight[id(weight)] for weight in weights)
            size = _together(norm(weight.value) for weight in weights)
            found.append({"name": place.path, "gradient": short(gradient), "weights": short(size)})
    return found


def _together(norms: Iterable[float | None]) -> float:
    return math.hypot(*(value for value in norms if value is not None))


def _dead(model: Any, x: Any) -> dict[str, float]:
    """The share of the channels that are 0 in the whole batch, by relu layer that trains."""
    view, names = _view(model)
    if view is None:
        return {}
    each = sum(math.prod(size or 1 for size in output.shape[1:]) for output in view.outputs)
    size = size_of(x)
    piece = max(1, min(size, _MOST_VALUES // max(each, 1)))
    alive: list[np.ndarray] = []
    for start in range(0, size, piece):
        part = keras.tree.map_structure(lambda array, at=start: array[at : at + piece], x)
        outputs = backend.predict(view, part)
        flat = [output.reshape(-1, output.shape[-1]) for output in keras.tree.flatten(outputs)]
        lit = [(part != 0).any(axis=0) for part in flat]
        alive = [before | now for before, now in zip(alive, lit, strict=True)] if alive else lit
    return {name: short(float(1 - part.mean())) for name, part in zip(names, alive, strict=True)}


def _view(model: Any) -> tuple[Any, tuple[str, ...]]:
    """A model of the outputs of the relu layers that train, which shares the layers; None where there are none.

    Of a model that is no graph of layers, and of models inside a model, nothing is known.
    """
    trained = tuple(map(id, model.trainable_weights))
    if model not in _views or _views[model][0] != trained:
        found = thinned(list(_rectified(model)), MOST_LAYERS)
        view = keras.Model(model.input, [output for _, output in found], name="rectified") if found else None
        _views[model] = trained, view, tuple(name for name, _ in found)
    return _views[model][1:]


def _rectified(model: Any) -> Iterator[tuple[str, Any]]:
    """The names and outputs of the relu layers of a graph whose weights train, in the order of the data."""
    by_depth = getattr(model, "_nodes_by_depth", {})
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if _is_relu(node.operation) and any(weight.trainable for weight in _weights_before(node)):
                yield node.operation.name, node.outputs[0]


def _is_relu(operation: Any) -> bool:
    if isinstance(operation, keras.layers.ReLU):
        return not operation.negative_slope
    relus = (keras.activations.relu, keras.activations.relu6)
    return type(operation).__name__ in ("Relu", "Relu6") or getattr(operation, "activation", None) in relus


def _weights_before(node: Any) -> Sequence[Any]:
    """The weights of the nearest layer with a matrix of them, going back from a node."""
    while True:
        weights = getattr(node.operation, "weights", ())
        if any(len(weight.shape) > 1 for weight in weights):
            return weights
        if not node.input_tensors:
            return ()
        history = node.input_tensors[0]._keras_history
        node = history.operation._inbound_nodes[history.node_index]


def row(epoch: int, trace: Trace, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """One line of ``watch.jsonl``: ``epoch``, ``steps`` (see :meth:`Trace.summary`) and ``seen``.

    Args:
        epoch: which one, from 1, over all stages.
        trace: of its steps.
        seen: what :func:`look` saw before its first step; None when it did not look.
    """
    return {"epoch": epoch, "steps": trace.summary(), "seen": None if seen is None else dict(seen)}
