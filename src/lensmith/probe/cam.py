"""Class activation maps: where on the feature maps of a layer the evidence for a class lies.

Grad-CAM weighs each feature map by how much the class's logit grows with it; Grad-CAM++ looks at each place on its own,
so that several objects of a class, and small ones, are all found.

References:
    R. R. Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization,
    section 3.
    A. Chattopadhay et al. 2018, Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
    Networks, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from lensmith import check
from lensmith.backend import derivative, keras
from lensmith.compose import graph, tapping, views
from lensmith.probe import targets
from lensmith.probe.targets import Head, Target

Method = Literal["grad-cam", "grad-cam++"]
METHODS: tuple[Method, ...] = ("grad-cam", "grad-cam++")
_BATCH = 16  # images whose feature maps are held at a time


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Where the evidence for a class lies.

    Args:
        values: float32 ``(height, width)`` of the layer's feature maps, 0 and more, not scaled.
        weights: float32 ``(channels,)``: by what each feature map was multiplied.
        target: the class, or number, that was looked at.
        layer: whose feature maps they are.
        method: ``grad-cam`` or ``grad-cam++``.
        score: the target's logit for this image; the output itself where that is all there is.
        probability: of the target, 0..1; None where no probabilities are known of the head.
        connected: whether the head depends on the layer at all; all values are 0 where it does not.
        logits: whether the score is a logit, or number, and no probability.
    """

    values: np.ndarray
    weights: np.ndarray
    target: Target
    layer: str
    method: Method
    score: float
    probability: float | None
    connected: bool = True
    logits: bool = True

    def scaled(self, size: tuple[int, int]) -> np.ndarray:
        """The map at the size of an image, as shares of its largest value: float32 ``size``, 0..1, bilinear.

        Args:
            size: height and width in pixels.
        """
        largest = float(self.values.max())
        shares = self.values / largest if largest > 0 else self.values
        enlarged = cv2.resize(
            shares, (size[1], size[0]), interpolation=cv2.INTER_LINEAR
        )  # OpenCV wants the width first
        return np.asarray(np.clip(enlarged, 0, 1), np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        """The numbers worth saying, as JSON holds them."""
        facts: dict[str, Any] = {
            "method": self.method,
            "head": self.target.head,
            "target": self.target.name,
            "index": self.target.index,
            "layer": self.layer,
            "size": list(self.values.shape),
            "score": self.score,
            "score_of": "logits" if self.logits else "outputs as they are, whose activation cannot be left out",
            "largest": float(self.values.max()),
        }
        if self.probability is not None:
            facts["probability"] = self.probability
        if not self.connected:
            facts["remark"] = f"the head {self.target.head} does not depend on {self.layer}: all values are 0"
        elif facts["largest"] == 0:
            facts["remark"] = "nothing on these feature maps speaks for the target: all values are 0"
        return facts


def grad_cam(
    subject: Any,
    x: np.ndarray,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
) -> Heat:
    """Grad-CAM of one image: ReLU(Σₖ wₖ Aₖ), where wₖ is the mean of the logit's derivatives by feature map Aₖ.

    Args:
        subject: a :class:`~lensmith.probe.subject.Subject`, or any model made of connected layers.
        x: what enters the model, float32 ``(height, width, channels)``, or a batch of one.
        layer: a tap such as ``P5`` or a layer's name, its last call if there are several; left out, the last feature
            maps before the head.
        head: by name or number; left out, the first.
        target: a class, or number, by name or index; left out, the most probable.

    Raises:
        SettingError: there is no such layer, head or class; the layer, or the model, has no feature maps.
        DataError: the image has another shape than the model takes.

    Example:
        >>> from lensmith.compose import zoo
        >>> heat = grad_cam(zoo.get("compact").build(seed=0), np.ones((64, 64, 3), np.float32), target=7)
        >>> heat.values.shape, heat.target.index, float(heat.values.min()) >= 0
        ((8, 8), 7, True)
    """
    return _one(subject, x, layer, head, target, "grad-cam")


def grad_cam_plus_plus(
    subject: Any,
    x: np.ndarray,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
) -> Heat:
    """Grad-CAM++ of one image: as :func:`grad_cam`, but wₖ = Σ α · ReLU(g) over the places of a feature map.

    g is the logit's derivative by the feature map at a place, and α = g² / (2g² + g³ Σ Aₖ): equation 19, with the
    exponential of the logit as the score, whose second and third derivatives are g² and g³ times itself. Equation 19
    takes the logit's own second derivatives as 0, as they are behind rectified layers. The factor exp(logit), the
    same for all feature maps of an image, is left out: it would overflow. Choose a layer after an activation that
    gives nothing below 0: elsewhere Σ Aₖ can make α negative, or as large as you like. Arguments and errors are those
    of :func:`grad_cam`.
    """
    return _one(subject, x, layer, head, target, "grad-cam++")


def heats(
    subject: Any,
    x: np.ndarray,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
    method: Method = "grad-cam",
) -> Iterator[Heat]:
    """The maps of many images, one after the other; left out, the target is each image's most probable class.

    Arguments and errors are those of :func:`grad_cam`, but for:

    Args:
        x: float32 ``(images, height, width, channels)``.
        method: ``grad-cam`` or ``grad-cam++``.
    """
    check.one_of("method", method, METHODS)
    images = entering(subject, x)
    found = targets.head_of(subject, head)
    wanted = None if target is None else targets.chosen(found, target)
    place = _place(subject, found, layer)
    return (one for i in range(0, len(images), _BATCH) for one in _batch(place, images[i : i + _BATCH], wanted, method))


def entering(subject: Any, x: np.ndarray) -> np.ndarray:
    """A batch of float32 as the model takes it; one example becomes a batch of one.

    Raises:
        DataError: the examples have another shape, or numbers that are not finite.
        SettingError: the model has several inputs.
    """
    model = targets.flat(subject)
    if len(model.inputs) != 1:
        raise check.SettingError(check.sentence(model.name, "a model with one input", f"{len(model.inputs)}"))
    expected = tuple(model.inputs[0].shape[1:])
    batch = np.asarray(x, np.float32)
    batch = batch[None] if batch.ndim == len(expected) else batch
    fits = batch.ndim == len(expected) + 1 and len(batch) > 0
    if not fits or not all(want in (None, got) for want, got in zip(expected, batch.shape[1:], strict=True)):
        raise check.DataError(check.sentence("x", f"what the model takes, {expected}, or a batch", np.shape(x)))
    if not np.isfinite(batch).all():
        raise check.DataError(check.sentence("x", "finite numbers", "NaN or infinity"))
    return batch


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A layer that a head is looked at from."""

    subject: Any
    head: Head
    layer: str
    connected: bool


def _one(
    subject: Any,
    x: np.ndarray,
    layer: str | None,
    head: str | int | None,
    target: str | int | None,
    method: Method,
) -> Heat:
    found = list(heats(subject, x, layer=layer, head=head, target=target, method=method))
    if len(found) != 1:
        raise check.DataError(check.sentence("x", "one image", f"{len(found)}", "heats() takes a batch"))
    return found[0]


def _place(subject: Any, head: Head, layer: str | None) -> _Place:
    model = targets.raw(subject, head.name)
    if layer is None:
        return _Place(subject, head, _last_maps(model, head), connected=True)
    name = tapping.layer_of(targets.flat(subject), layer)
    call = [call for call in graph.calls(targets.flat(subject)) if call.layer.name == name][-1]
    if len(call.outputs[0].shape) != 4 or not call.inputs:
        got = f"{name}, which gives {tuple(call.outputs[0].shape[1:])}" if call.inputs else f"{name}, the image itself"
        remedy = f"The last feature maps are those of {_last_maps(model, head)}"
        raise check.SettingError(check.sentence("layer", "one that gives feature maps", got, remedy))
    return _Place(subject, head, name, connected=any(one.name == name for one in model.layers))


def _last_maps(model: Any, head: Head) -> str:
    """The layer of the last feature maps before a head, of its logits' model."""
    [output] = graph.outputs_of(model)
    steps = [call for call in graph.calls(model) if call.inputs and call.outputs[0] is not output]
    with_maps = [call for call in steps if _has_maps(call.outputs[0].shape)]
    if any(layer.name.startswith("task-") for layer in model.layers):
        # Of a recipe, what its head is called on: the head may have maps of its own, and a decoder is part of it.
        encoded = views.encoding(model)
        giver = graph.giver(encoded.outputs[0], graph.calls(encoded))
        if giver.inputs and _has_maps(giver.outputs[0].shape):
            return str(giver.layer.name)
    if not with_maps:
        expected = f"a model with feature maps of more than one pixel before {head.name}"
        remedy = "integrated_gradients() explains models without them"
        raise check.SettingError(check.sentence("layer", expected, "none in it", remedy))
    return str(with_maps[-1].layer.name)


def _has_maps(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and tuple(shape[1:3]) != (1, 1)


def _batch(place: _Place, images: np.ndarray, wanted: Target | None, method: Method) -> Iterator[Heat]:
    head = place.head
    logits = targets.predicted(targets.raw(place.subject, head.name), images)
    averaged = targets.probabilities(logits, head)
    threshold = 0.5 if head.probable else 0.0
    chosen = [wanted or targets.most_probable(head, row, threshold) for row in averaged]
    maps, gradients = _derivatives(place, images, choices(head, chosen))
    for i, target in enumerate(chosen):
        values, weights = _combined(maps[i], gradients[i], method)
        score = float(targets.by_unit(logits[i : i + 1], head)[0, target.unit] * target.sign)
        probable = float(targets.probability(logits[i : i + 1], head, target)[0]) if head.probable else None
        yield Heat(values, weights, target, place.layer, method, score, probable, place.connected, not head.whole)


def choices(head: Head, chosen: list[Target]) -> np.ndarray:
    """What picks each example's target from the outputs ``(examples, units)`` by multiplication: float32, 0 and ±1."""
    picked = np.zeros((len(chosen), head.units), np.float32)
    for row, target in zip(picked, chosen, strict=True):
        row[target.unit] = target.sign
    return picked


def _combined(maps: np.ndarray, gradients: np.ndarray, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """The map and the weights of the feature maps ``(height, width, channels)`` of one image."""
    if not np.isfinite(gradients).all() or not np.isfinite(maps).all():
        raise check.LensmithError(check.sentence(method, "finite derivatives", "NaN or infinity"))
    if method == "grad-cam":
        weights = gradients.mean(axis=(0, 1))
    else:
        # g² is cancelled: g³ of a small derivative would be rounded to 0.
        below = 2 + gradients * maps.sum(axis=(0, 1))
        alpha = np.divide(1, below, out=np.zeros_like(below), where=(gradients != 0) & (below != 0))
        weights = (alpha * np.maximum(gradients, 0)).sum(axis=(0, 1))
    return np.maximum(maps @ weights, 0).astype(np.float32), weights.astype(np.float32)


def _derivatives(place: _Place, images: np.ndarray, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The feature maps ``(images, height, width, channels)`` and the derivatives of the picked logits by them."""
    if not place.connected:
        maps = targets.predicted(_made(place, "maps", lambda: _tapped(place)), images)
        return maps, np.zeros_like(maps)
    shape = _shape(place, images)
    size = int(np.prod(shape))
    traced = _made(place, (*images.shape[1:], "derivative"), lambda: _traced(place, images.shape[1:], shape))
    rows = [images.reshape(len(images), -1), np.zeros((len(images), size), np.float32), picked]
    _, maps, found = traced(np.concatenate(rows, axis=1))
    start = rows[0].shape[1]
    gradients = np.asarray(keras.ops.convert_to_numpy(found))[:, start : start + size]
    return np.asarray(keras.ops.convert_to_numpy(maps), np.float32), gradients.reshape(len(images), *shape)


def _traced(place: _Place, image: tuple[int, ...], maps: tuple[int, ...]) -> derivative.Differentiated:
    """The derivative of logits, by a row for each image: its pixels, what is added to the maps, and what is picked.

    Everything comes in as one array, so that nothing is compiled anew for another image or another class.
    """
    model = tapping.with_offset(targets.raw(place.subject, place.head.name), place.layer)
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


_kept: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


def _made(place: _Place, key: Any, make: Callable[[], Any]) -> Any:
    """What is made once for each model, head and layer."""
    model, _ = targets.parts(place.subject)
    made = _kept.setdefault(model, {})
    whole = (place.head.place, place.layer, key)
    if whole not in made:
        made[whole] = make()
    return made[whole]


def _shape(place: _Place, images: np.ndarray) -> tuple[int, ...]:
    """The shape of an image's feature maps; where the model takes images of any size, they are computed for one."""
    model = targets.raw(place.subject, place.head.name)
    shape = [call.outputs[0].shape[1:] for call in graph.calls(model) if call.layer.name == place.layer][-1]
    if None not in shape:
        return tuple(shape)
    maps = _made(place, "maps", lambda: _tapped(place))
    return tuple(_made(place, images.shape[1:], lambda: targets.predicted(maps, images[:1]).shape[1:]))


def _tapped(place: _Place) -> Any:
    model = targets.raw(place.subject, place.head.name) if place.connected else targets.flat(place.subject)
    return tapping.tapped(model, [place.layer])
