"""What a model costs: parameters and multiply-adds, layer by layer, without spending memory on weights.

FLOPs are counted as the papers of the field count them: one multiply-add is one (He et al. 2016, Table 1: "FLOPs
(multiply-adds)"), for one forward pass of one image. Convolutions and fully connected layers count; biases,
normalisation, activations, pools and sums are free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.graph import Call
from lensmith.compose.layers import Maker
from lensmith.compose.recipe import Recipe, assemble
from lensmith.compose.sketch import Shape, Sketch, Sketches

# Layers whose kernels meet each place of the output once, and those whose kernels meet each place of the input.
_AT_OUTPUT: tuple[str, ...] = ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D")
_AT_OUTPUT += ("SeparableConv1D", "SeparableConv2D", "Dense")
_AT_INPUT = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_ONCE = ("LocallyConnected",)  # each number of whose kernel meets one place
_COUNTED = (*_AT_OUTPUT, *_AT_INPUT, *_ONCE)


@dataclass(frozen=True, slots=True)
class Line:
    """One layer of a model in figures.

    Args:
        name: of the layer; a layer of a nested model has that model's name and a slash before its own.
        kind: Keras' class name.
        shape: of what it passes on, without the batch.
        parameters: all of them, and the trainable ones.
        flops: multiply-adds for one image, over all times that the layer is applied.
        sources: the layers whose output it takes.
    """

    name: str
    kind: str
    shape: tuple[Any, ...]
    parameters: int
    trainable: int
    flops: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """A whole model in figures: its parameters, the trainable ones among them, and its multiply-adds an image."""

    parameters: int
    trainable: int
    flops: int


def cost(what: Any) -> Cost:
    """Parameters and multiply-adds of a model, or of a recipe without building its weights.

    Raises:
        SettingError: as for :func:`flops`.

    >>> from lensmith.compose import zoo
    >>> cost(zoo.get("vgg16"))
    Cost(parameters=138357544, trainable=138357544, flops=15470264320)
    """
    found = lines(what)
    _check_sizes(found, what)
    return Cost(*(sum(getattr(line, name) for line in found) for name in ("parameters", "trainable", "flops")))


def flops(what: Any) -> int:
    """The multiply-adds of one forward pass for one image.

    Counted are ``Conv``, ``DepthwiseConv``, ``SeparableConv``, ``ConvTranspose`` and ``Dense`` layers, also of nested
    models, once for each time they are applied: the kernel's size times the places of the output (of the input
    for a transposed convolution); and ``LocallyConnected`` ones, whose kernel has all places in it. All else is free.
    Many programs count a multiply-add as two; halve theirs.

    Args:
        what: a model or a recipe.

    Raises:
        SettingError: it is neither, or its feature maps have no fixed size.

    References: He et al. 2016, Deep Residual Learning for Image Recognition, Table 1.

    >>> from lensmith.compose import zoo
    >>> round(flops(zoo.get("resnet50-v1")) / 1e9, 2)
    3.86
    """
    return cost(what).flops


def sketch(recipe: Recipe) -> Any:
    """A model of the recipe's shape and layer names that holds no weights and cannot compute.

    Raises:
        SettingError: the parts do not fit each other or the input.
    """
    return assemble(
        recipe, Maker(seed=0, empty=True, conventions=recipe.conventions, layers=Sketches()), auxiliaries=False
    )


def lines(what: Any) -> tuple[Line, ...]:
    """The layers of a model or a recipe in the order data passes through them, each with what it costs.

    Raises:
        SettingError: ``what`` is neither, or a model whose layers are not known to be connected.
    """
    model = sketch(what) if isinstance(what, Recipe) else what
    if not isinstance(model, keras.Model):
        raise check.SettingError(check.sentence("model", "a model or a recipe", repr(what)))
    return tuple(_lines(model, "", 1))


def _lines(model: Any, prefix: str, times: int) -> Iterator[Line]:
    """Of a nested model too, applied so many times."""
    applied: dict[int, list[Call]] = {}
    for call in graph.calls(model):
        applied.setdefault(id(call.layer), []).append(call)
    for calls in applied.values():
        layer = calls[0].layer
        if isinstance(layer, keras.Model):
            yield from _lines(layer, f"{prefix}{layer.name}/", times * len(calls))
        else:
            yield _line(layer, prefix, calls, times)


def _line(layer: Any, prefix: str, calls: list[Call], times: int) -> Line:
    kind = layer.kind if isinstance(layer, Sketch) else _kind(layer)
    trained, fixed = _weights(layer)
    kernels = [shape for name, shape in trained + fixed if name.endswith("kernel")]
    shapes = [(_shape(call.inputs), _shape(call.outputs)) for call in calls]
    return Line(
        name=f"{prefix}{layer.name}",
        kind=kind,
        shape=shapes[-1][1][1:],
        parameters=sum(math.prod(shape) for _, shape in trained + fixed),
        trainable=sum(math.prod(shape) for _, shape in trained),
        flops=times * sum(_multiply_adds(kind, kernels, *shape) for shape in shapes),
        sources=tuple(f"{prefix}{tensor._keras_history.operation.name}" for tensor in calls[-1].inputs),
    )


def _shape(tensors: tuple[Any, ...]) -> Shape:
    return tuple(tensors[0].shape) if tensors else ()


def _weights(layer: Any) -> tuple[list[tuple[str, Shape]], list[tuple[str, Shape]]]:
    """The trainable weights of a layer and the others, as names and shapes."""
    if isinstance(layer, Sketch):
        return list(layer.drawn.trained.items()), list(layer.drawn.fixed.items())
    if not isinstance(layer, keras.layers.Layer):  # a bare operation, such as a sum written with +
        return [], []
    kinds = (layer.trainable_weights, layer.non_trainable_weights)
    trained, fixed = ([(weight.name, tuple(weight.shape)) for weight in weights] for weights in kinds)
    return trained, fixed


def _kind(layer: Any) -> str:
    """Keras' name of the layer's class or of the nearest that is counted: a subclass costs what its parent does."""
    names = [each.__name__ for each in type(layer).__mro__]
    return next((name for name in names if name in _COUNTED), names[0])


def _multiply_adds(kind: str, kernels: list[Shape], taken: Shape, given: Shape) -> int:
    if kind not in _COUNTED:
        return 0
    if kind in _ONCE:
        return sum(math.prod(kernel) for kernel in kernels)
    places = (taken if kind in _AT_INPUT else given)[1:-1]
    if None in places:
        return -1  # told apart by _check_sizes, so that a table of layers can still be shown
    return sum(math.prod(kernel) for kernel in kernels) * math.prod(places)


def _check_sizes(found: tuple[Line, ...], what: Any) -> None:
    for line in found:
        if line.flops < 0:
            remedy = "Give the model's input a fixed height and width"
            raise check.SettingError(check.sentence(line.name, "feature maps of a fixed size", line.shape, remedy))
