"""What layers give and what they look for: feature maps, kernels, and an image before and after a layer.

Arrays only; :mod:`lensmith.probe.layer_figures` draws them. A layer is asked for by its name, be it in a model inside
the model, or by a tap such as ``P3``; of a layer called several times, its last call is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.graph import Tensor
from lensmith.compose.tapping import layer_of, tapped
from lensmith.probe.inputs import checked

# Layers whose kernels Keras keeps as (height, width, out, in).
_TURNED = ("Conv2DTranspose",)


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """What a layer was called on and what it gave.

    Args:
        layer: its name, and ``kind`` its class.
        sources: the names of the layers whose output it takes.
        before: one float32 array ``(batch, …)`` for each source: two for an ``Add`` of two.
        after: float32 ``(batch, …)``.
    """

    layer: str
    kind: str
    sources: tuple[str, ...]
    before: tuple[np.ndarray, ...]
    after: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Pooling:
    """Feature maps before and after they are made smaller.

    Args:
        layer: its name, and ``kind`` its class.
        before: float32 ``(batch, height, width, channels)``, and ``after`` likewise (``(batch, channels)`` where the
            average over the whole image is taken).
        factor: how many times smaller, down and across; not whole where a border is left over.
    """

    layer: str
    kind: str
    before: np.ndarray
    after: np.ndarray
    factor: tuple[float, float]


def feature_maps(model: Any, x: Any, layers: Iterable[str]) -> dict[str, np.ndarray]:
    """What layers give for a batch, computed in one pass that goes no further than the last of them.

    Args:
        model: any model made of connected layers.
        x: what enters it, ``(batch, …)``.
        layers: taps such as ``P3`` or names of layers.

    Returns:
        By the names asked for, float32: ``(batch, height, width, channels)``, or ``(batch, units)`` of dense layers.

    Raises:
        SettingError: there is no such tap or layer (the nearest is named), or none is named.
        DataError: ``x`` is not what the model takes.

    Example:
        >>> from lensmith.compose import zoo
        >>> model = zoo.get("compact").build(seed=0)
        >>> maps = feature_maps(model, np.zeros((1, 64, 64, 3), "float32"), ["P2", "task-label-logits"])
        >>> {name: array.shape for name, array in maps.items()}
        {'P2': (1, 16, 16, 128), 'task-label-logits': (1, 10)}
    """
    asked = list(dict.fromkeys(layers))
    outputs = backend.predict(tapped(model, asked), checked(model, x))
    return {name: _float32(outputs[name]) for name in asked}


def strongest(maps: np.ndarray, count: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The channels with the largest mean activation.

    Args:
        maps: ``(…, channels)``.
        count: how many at most, at least 1.

    Returns:
        The channels' indices, int64, the strongest first (of equals the first), and their means, float32. Channels
        whose mean is not a number come last.

    Example:
        >>> indices, means = strongest(np.array([[0.0, 2.0, 1.0], [0.0, 4.0, 1.0]]), 2)
        >>> indices.tolist(), means.tolist()
        ([1, 2], [3.0, 1.0])
    """
    check.positive("count", count)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs have no mean
        means = np.asarray(maps, "float64").reshape(-1, np.shape(maps)[-1]).mean(axis=0)
        order = np.argsort(-means, kind="stable")[:count]  # numpy puts what is no number at the end
        return order.astype("int64"), means[order].astype("float32")


def kernels(model: Any, layer: str) -> dict[str, np.ndarray]:
    """The kernels of a layer.

    Args:
        model: any model made of connected layers.
        layer: a tap or the name of a layer.

    Returns:
        By what Keras calls them (``kernel``; ``depthwise_kernel`` and ``pointwise_kernel`` of a separable
        convolution), float32: ``(height, width, in, out)`` of convolutions, transposed ones too; ``(height, width,
        in, multiplier)`` of depthwise ones; ``(in, units)`` of dense layers.

    Raises:
        SettingError: there is no such layer, or it has no kernels; the nearest that has some is named.

    Example:
        >>> from lensmith.compose import zoo
        >>> model = zoo.get("compact").build(seed=0)
        >>> {name: array.shape for name, array in kernels(model, "learner-group1-block1-conv").items()}
        {'kernel': (3, 3, 3, 32)}
    """
    steps = graph.calls(graph.flat(model))
    name = layer_of(model, layer)
    found = {call.layer.name: _kernels(call.layer) for call in steps}
    if not found[name]:
        names = [each for each in found if found[each] or each == name]
        remedy = f"{_beside(names, name)} has some" if len(names) > 1 else ""
        raise check.SettingError(check.sentence("layer", "a layer with kernels", repr(name), remedy))
    return found[name]


def before_and_after(model: Any, x: Any, layer: str) -> Around:
    """What a layer was called on and what it gave for it.

    Args:
        model: any model made of connected layers.
        x: what enters it, ``(batch, …)``.
        layer: a tap or the name of a layer.

    Raises:
        SettingError: there is no such layer, or it is the model's input.
        DataError: ``x`` is not what the model takes.
    """
    whole = graph.flat(model)
    name = layer_of(whole, layer)
    steps = graph.calls(whole)
    call = next(call for call in reversed(steps) if call.layer.name == name)
    if not call.inputs:
        raise check.SettingError(check.sentence("layer", "a layer that is called on something", f"the input {name!r}"))
    *before, after = _values(whole, x, (*call.inputs, call.outputs[0]))
    sources = tuple(str(graph.giver(tensor, steps).layer.name) for tensor in call.inputs)
    return Around(name, type(call.layer).__name__, sources, tuple(before), after)


def pooling(model: Any, x: Any, layer: str | None = None) -> Pooling:
    """The input of a pooling layer beside its output.

    Args:
        model: any model made of connected layers.
        x: what enters it, ``(batch, …)``.
        layer: which; left out, the first that pools with a window, or else the first that pools over the whole image.

    Raises:
        SettingError: the model has no pooling layer, or the one named is of another kind.
        DataError: ``x`` is not what the model takes.
    """
    names = pooling_layers(graph.flat(model))
    if not names:
        expected = "a model with a pooling layer"
        raise check.SettingError(check.sentence("pooling", expected, f"none among the layers of {model.name}"))
    name = names[0] if layer is None else layer_of(model, layer)
    if name not in names:
        raise check.SettingError(check.sentence("pooling", f"one of {', '.join(names[:20])}", repr(layer)))
    found = before_and_after(model, x, name)
    [before] = found.before
    high, wide = before.shape[1:3]
    down, across = found.after.shape[1:3] if found.after.ndim == 4 else (1, 1)
    return Pooling(name, found.kind, before, found.after, (high / down, wide / across))


def pooling_layers(model: Any) -> list[str]:
    """The pooling layers of a flat model in order, those over the whole image after the others."""
    steps = graph.calls(model)
    kinds = {call.layer.name: {each.__name__ for each in type(call.layer).__mro__} for call in steps}
    windows = [name for name, kind in kinds.items() if kind & {"MaxPooling2D", "AveragePooling2D"}]
    return windows + [n for n, kind in kinds.items() if kind & {"GlobalMaxPooling2D", "GlobalAveragePooling2D"}]


def _values(model: Any, x: Any, tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """What these tensors of a flat model are for a batch."""
    ends = {f"t{i}": keras.layers.Identity(name=f"end-{i}")(tensor) for i, tensor in enumerate(tensors)}
    outputs = backend.predict(keras.Model(model.input, ends, name="ends"), checked(model, x))
    return [_float32(outputs[name]) for name in ends]


def _kernels(layer: Any) -> dict[str, np.ndarray]:
    kinds = {each.__name__ for each in type(layer).__mro__}
    found: dict[str, np.ndarray] = {}
    for weight in getattr(layer, "weights", ()):
        if not weight.name.endswith("kernel"):
            continue
        name = weight.name if weight.name not in found else f"{weight.name}-{len(found) + 1}"
        values = _float32(keras.ops.convert_to_numpy(weight))
        found[name] = values.swapaxes(-1, -2) if kinds & {*_TURNED} else values
    return found


def _beside(names: Sequence[str], name: str) -> str:
    """The name before this one, else the one after it."""
    place = list(names).index(name)
    return names[place - 1] if place else names[1]


def _float32(values: Any) -> np.ndarray:
    return np.asarray(values).astype("float32", copy=False)
