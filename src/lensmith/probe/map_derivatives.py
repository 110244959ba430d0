"""A head looked at from feature maps: the derivatives of its logits by the maps of a layer, in one pass for a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import derivative, keras
from lensmith.compose import graph, tapping, views
from lensmith.probe import heads, targets
from lensmith.probe.heads import Head


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A layer that a head is looked at from.

    Args:
        subject: a subject, or a model.
        head: of it.
        layer: the name of one that gives feature maps.
        connected: whether the head depends on it.
    """

    subject: Any
    head: Head
    layer: str
    connected: bool


def place_of(subject: Any, head: Head, layer: str | None = None) -> Place:
    """The layer of this name or tap, its last call; left out, the last feature maps before the head.

    Raises:
        SettingError: there is no such layer; the layer, or the model, has no feature maps.
    """
    model = heads.raw(subject, head.name)
    if layer is None:
        last = last_maps(model)
        if last is None:
            expected = f"a model with feature maps of more than one pixel before {head.name}"
            remedy = "Integrated gradients need none: --show gradients"
            raise check.SettingError(check.sentence("layer", expected, "none in it", remedy))
        return Place(subject, head, last, connected=True)
    whole = heads.flat(subject)
    name = tapping.layer_of(whole, layer)
    call = [call for call in graph.calls(whole) if call.layer.name == name][-1]
    if len(call.outputs[0].shape) != 4 or not call.inputs:
        got = f"{name}, which gives {tuple(call.outputs[0].shape[1:])}" if call.inputs else f"{name}, the image itself"
        last = last_maps(model)
        remedy = f"The last feature maps are those of {last}" if last else "The model has none"
        raise check.SettingError(check.sentence("layer", "one that gives feature maps", got, remedy))
    return Place(subject, head, name, connected=any(one.name == name for one in model.layers))


def last_maps(model: Any) -> str | None:
    """The layer of the last feature maps, of more than one pixel, before a head; None where there are none.

    Args:
        model: what :func:`~lensmith.probe.heads.raw` gives for this head.
    """
    [output] = graph.outputs_of(model)
    if any(layer.name.startswith("task-") for layer in model.layers):
        # Of a recipe, what its head is called on: the head may have maps of its own, and a decoder is part of it.
        encoded = views.encoding(model)
        giver = graph.giver(encoded.outputs[0], graph.calls(encoded))
        if giver.inputs and _has_maps(giver.outputs[0].shape):
            return str(giver.layer.name)
    steps = [call for call in graph.calls(model) if call.inputs and call.outputs[0] is not output]
    return next((str(call.layer.name) for call in reversed(steps) if _has_maps(call.outputs[0].shape)), None)


def _has_maps(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and tuple(shape[1:3]) != (1, 1)


def derivatives(place: Place, images: np.ndarray, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The feature maps ``(images, height, width, channels)`` and the derivatives of the picked logits by them.

    Args:
        place: the layer, and the head.
        images: float32, as they enter the model.
        picked: float32 ``(images, units)``: by what each logit is multiplied.
    """
    if not place.connected:
        maps = targets.predicted(_tapped(place), images)
        return maps, np.zeros_like(maps)
    shape, image = _shape(place, images), images.shape[1:]
    size = int(np.prod(shape))
    key = ("by maps", place.head.place, place.layer, image)
    traced = heads.kept(place.subject, key, lambda: _traced(place, image, shape))
    rows = [images.reshape(len(images), -1), np.zeros((len(images), size), np.float32), picked]
    _, maps, found = traced(np.concatenate(rows, axis=1))
    start = rows[0].shape[1]
    gradients = np.asarray(keras.ops.convert_to_numpy(found))[:, start : start + size]
    return np.asarray(keras.ops.convert_to_numpy(maps), np.float32), gradients.reshape(len(images), *shape)


def _traced(place: Place, image: tuple[int, ...], maps: tuple[int, ...]) -> derivative.Differentiated:
    """The derivative of logits, by a row for each image: its pixels, what is added to the maps, and what is picked.

    Everything comes in as one array, so that nothing is compiled anew for another image or another class.
    """
    model = tapping.with_offset(heads.raw(place.subject, place.head.name), place.layer)
    ends = np.cumsum([int(np.prod(image)), int(np.prod(maps))]).tolist()
    ops = keras.ops

    def function(rows: Any) -> tuple[Any, Any]:
        pixels = ops.stop_gradient(ops.reshape(rows[:, : ends[0]], (-1, *image)))
        offset = ops.reshape(rows[:, ends[0] : ends[1]], (-1, *maps))
        picked = ops.stop_gradient(rows[:, ends[1] :])
        found = derivative.call(model, {"image": pixels, "offset": offset})
        [output] = found["outputs"].values()
        return ops.sum(targets.by_unit(output) * picked), found["maps"]

    return derivative.differentiated(function, model)


def _shape(place: Place, images: np.ndarray) -> tuple[int, ...]:
    """The shape of an image's feature maps; where the model takes images of any size, they are computed for one."""
    calls = graph.calls(heads.raw(place.subject, place.head.name))
    shape = [call.outputs[0].shape[1:] for call in calls if call.layer.name == place.layer][-1]
    if None not in shape:
        return tuple(shape)
    key = ("shape of maps", place.head.place, place.layer, images.shape[1:])
    return heads.kept(place.subject, key, lambda: targets.predicted(_tapped(place), images[:1]).shape[1:])


def _tapped(place: Place) -> Any:
    model = heads.raw(place.subject, place.head.name) if place.connected else heads.flat(place.subject)
    key = ("maps", place.head.place, place.layer)
    return heads.kept(place.subject, key, lambda: tapping.tapped(model, [place.layer]))
