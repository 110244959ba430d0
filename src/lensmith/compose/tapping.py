"""Taps: feature maps as outputs of a model, and as places where something can be added.

Every model made of connected layers can be tapped, whoever made it: models inside it are opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph, views
from lensmith.compose.graph import Tensor

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_SAID = re.compile("\x1b\\[1m(.+)\x1b\\[0m")  # Keras prints in bold what was raised, and lists the arguments below


def with_taps(model: Any, taps: Mapping[str, str], *, task: str = "label") -> Any:
    """The model with feature maps as outputs of their own beside those of its tasks.

    Args:
        model: any model made of connected layers; to train it, its :func:`lensmith.compose.logits`.
        taps: for each new output, by its name, where it comes from: a tap such as ``P3`` (see
            :func:`lensmith.compose.tap_names`) or the name of a layer; of a layer called several times, its last call.
        task: what the output of a model with a single one is called.

    Returns:
        A ``keras.Model`` whose output is a dict by task and then by tap, of shape ``(batch, height, width, channels)``
        for feature maps. It shares all layers with the model: training one trains the other.

    Raises:
        SettingError: there is no such tap or layer; a name is that of a task, or not of letters, digits, ``_ . -``; or
            the model is not made of connected layers.

    Example:
        >>> from lensmith.compose import logits, zoo
        >>> model = logits(zoo.get("compact").build(seed=0))
        >>> {name: tuple(tensor.shape) for name, tensor in with_taps(model, {"P2": "P2"}).output.items()}
        {'label': (None, 10), 'P2': (None, 16, 16, 128)}
    """
    model = graph.flat(model)
    outputs = dict(model.output) if isinstance(model.output, Mapping) else {task: _only(model)}
    for name, source in taps.items():
        if name in outputs or not _NAME.fullmatch(name):
            expected = "a name of letters, digits, '_', '.' and '-' that no task has"
            raise check.SettingError(check.sentence("taps", expected, repr(name)))
        place = f"taps.{name}" if name != source else "taps"
        # A layer of its own gives each output a name that no other output has.
        outputs[name] = keras.layers.Identity(name=f"tap-{name}")(_tapped(model, source, place))
    return keras.Model(model.input, outputs, name="tapped")


def layer_of(model: Any, tap: str, *, place: str = "layer") -> str:
    """The name of the layer that a tap, or a layer's own name, stands for.

    Args:
        model: any model made of connected layers.
        tap: such as ``P3``, or a layer's name.
        place: what a refusal calls it.

    Raises:
        SettingError: there is neither; the nearest name is suggested.
    """
    model = graph.flat(model)
    return str(graph.giver(_tapped(model, tap, place), graph.calls(model)).layer.name)


def tapped(model: Any, taps: Iterable[str], *, size: tuple[int, int] | None = None) -> Any:
    """The model as far as these feature maps, and nothing of it behind them.

    Args:
        model: any model made of connected layers, with one input.
        taps: taps such as ``P3``, or names of layers.
        size: height and width of the images it shall take; left out, what the model takes. Layers for which the
            size matters, such as a dense one on flattened maps, must then not stand before the taps.

    Returns:
        A ``keras.Model`` whose output is a dict by these names, in their order; it shares its layers with the model.

    Raises:
        SettingError: there is no such tap or layer; none is named; the model has several inputs, or does not take
            images of this size.

    Example:
        >>> from lensmith.compose import zoo
        >>> model = zoo.get("vgg19").build(seed=0)
        >>> tuple(tapped(model, ["P3"], size=(64, 96)).output["P3"].shape)
        (None, 8, 12, 512)
    """
    model = graph.flat(model)
    wanted = {tap: _tapped(model, tap, "taps") for tap in taps}
    if not wanted:
        raise check.SettingError(check.sentence("taps", "at least one tap or layer", "none"))
    if size is None:
        return keras.Model(model.input, _ending(wanted), name="tapped")
    source = _only_input(model)
    image = keras.Input((*size, source.shape[-1]), dtype=source.dtype, name="image")
    known = _again(model, list(wanted.values()), {id(source): image})
    return keras.Model(image, _ending({tap: known[id(tensor)] for tap, tensor in wanted.items()}), name="tapped")


def resizable(model: Any) -> Any:
    """The model for images of any size, with the same layers: for training at several sizes.

    Where a size differs from the model's own by a multiple of its largest stride, such as 32 pixels, a model built for
    that size would give the same; at other sizes it may pad otherwise, as zeros around feature maps stay as they are.

    Args:
        model: any model made of connected layers, with one input of images. Layers for which the size matters, such as
            a dense one on flattened maps, have no place in it. Of a detector take the :func:`lensmith.compose.logits`:
            what they mean depends on the size.

    Returns:
        A ``keras.Model`` that takes ``(batch, any, any, channels)``; its outputs have the structure of the model's.

    Raises:
        SettingError: the model has several inputs, or a layer cannot do without a size; names the layer.

    Example:
        >>> from lensmith.compose import zoo
        >>> resizable(zoo.get("compact").build(seed=0)).input.shape
        (None, None, None, 3)
    """
    model = graph.flat(model)
    source = _only_input(model)
    image = keras.Input((None, None, source.shape[-1]), dtype=source.dtype, name=source.name)
    known = _again(model, graph.outputs_of(model), {id(source): image})
    outputs = keras.tree.map_structure(lambda tensor: known[id(tensor)], model.output)
    if isinstance(model.output, dict):  # in its own order, which Keras would sort
        outputs = {task: known[id(tensor)] for task, tensor in model.output.items()}
    return keras.Model(image, outputs, name=model.name)


def with_offset(model: Any, tap: str) -> Any:
    """The model with one more input, which is added to feature maps: for derivatives by these.

    Args:
        model: any model made of connected layers, with one input and whatever outputs.
        tap: a tap such as ``P5``, or the name of a layer; of a layer called several times, its last call.

    Returns:
        A ``keras.Model`` that takes ``{"image": x, "offset": zeros of the shape of the maps}`` and gives
        ``{"maps": the maps with the offset, "outputs": what the model gives, in its own structure}``.

    Raises:
        SettingError: there is no such tap or layer, or the model has several inputs.
    """
    model = graph.flat(model)
    source, maps = _only_input(model), _tapped(model, tap, "layer")
    image = keras.Input(batch_shape=source.shape, dtype=source.dtype, name="image")
    offset = keras.Input(batch_shape=maps.shape, dtype=maps.dtype, name="offset")
    known = _again(model, [*graph.outputs_of(model), maps], {id(source): image}, {id(maps): offset})
    outputs = keras.tree.map_structure(lambda tensor: known[id(tensor)], model.output)
    if isinstance(model.output, dict):  # in its own order, which Keras would sort
        outputs = {task: known[id(tensor)] for task, tensor in model.output.items()}
    return keras.Model({"image": image, "offset": offset}, {"maps": known[id(maps)], "outputs": outputs}, name="offset")


def _again(
    model: Any, ends: list[Tensor], known: dict[int, Tensor], added: Mapping[int, Tensor] | None = None
) -> dict[int, Tensor]:
    """The calls that lead to some tensors once more, on other inputs; to some of what they give, a tensor is added."""
    added = added or {}
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    needed = {id(tensor) for call in graph.leading_to(ends, graph.calls(model)) for tensor in call.outputs}
    for node in nodes:
        if not any(id(tensor) in needed for tensor in node.outputs):
            continue
        args, kwargs = node.arguments.fill_in(known)
        try:
            given = keras.tree.flatten(node.operation(*args, **kwargs))
        except ValueError as error:
            sizes = " x ".join(str(side or "any") for side in next(iter(known.values())).shape[1:3])
            raise check.SettingError(_refusal(node.operation.name, sizes, error)) from None
        _check_rows(node, given)
        for tensor, new in zip(node.outputs, given, strict=True):
            other = added.get(id(tensor))
            known[id(tensor)] = new if other is None else keras.layers.Add(name="with-offset")([new, other])
    return known


def _refusal(layer: str, sizes: str, error: ValueError) -> str:
    """What a layer says to images of other sizes, without what Keras puts around it."""
    inside = _SAID.search(str(error))
    said = inside[1] if inside else check.reason(error)
    return said if said.startswith(f"{layer}: ") else f"{layer}: cannot be called for images of {sizes}: {said}"


def _check_rows(node: Any, given: list[Tensor]) -> None:
    """Refuse what gives rows whose length is not known any more, which no layer with weights can be called on."""
    for tensor, new in zip(node.outputs, given, strict=True):
        if len(new.shape) == 2 and new.shape[-1] is None and tensor.shape[-1] is not None:
            remedy = "Average the feature maps in place of laying them in a row"
            expected = f"{tensor.shape[-1]} numbers in a row for images of any size"
            raise check.SettingError(check.sentence(node.operation.name, expected, "more or fewer", remedy))


def _ending(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as outputs, each from a layer of its own: one may be asked for by two names."""
    return {
        tap: keras.layers.Identity(name=f"tap-{place}-" + re.sub(r"[^A-Za-z0-9_-]", "_", tap))(tensor)
        for place, (tap, tensor) in enumerate(found.items())
    }


def _only_input(model: Any) -> Tensor:
    if len(model.inputs) != 1:
        raise check.SettingError(check.sentence(model.name, "a model with one input", f"{len(model.inputs)}"))
    return model.inputs[0]


def _tapped(model: Any, tap: str, place: str) -> Tensor:
    """The feature maps that a tap or a layer's name stands for, of a flat model."""
    found = {call.layer.name: call.outputs[0] for call in graph.calls(model)}
    known = views.tap_names(model)
    layer = known.get(tap, tap)
    if layer not in found:
        raise check.SettingError(_unknown(place, tap, known, found))
    return found[layer]


def _only(model: Any) -> Any:
    outputs = graph.outputs_of(model)
    if len(outputs) != 1:
        expected = "one output, or a dict of them by task"
        raise check.SettingError(check.sentence("taps", expected, f"{len(outputs)} outputs"))
    return outputs[0]


def _unknown(place: str, tap: str, known: Mapping[str, str], layers: Mapping[str, Any]) -> str:
    listed = f"one of {', '.join(known)}, or the name of a layer" if known else "the name of a layer"
    return check.sentence(place, listed, repr(tap), check.nearest(tap, [*known, *layers]))
