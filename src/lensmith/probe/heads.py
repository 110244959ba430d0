"""The heads of a model: what each of its outputs is about, and the model as far as their logits.

A probability near 1 hardly moves any more and its derivative is nearly 0, so that what explains a model works on the
logits. Of a model whose last activation cannot be left out, the outputs are taken as they are, and this is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph, views
from lensmith.compose.tasks import CORNERS
from lensmith.probe.subject import Subject
from lensmith.records import Labels

Tensor = Any
Made = TypeVar("Made")

_PART = re.compile(r"(?:task-)?(.+?)(?:-(?:logits|probabilities|output))?")
_AUXILIARY = re.compile(r"(.+)_aux\d+")
# Activations that grow with their logit, and say no more than it does.
_LEFT_OUT = (*views.PROBABILISTIC, "log_softmax", "log_sigmoid")
_CHOOSING = ("class", "classes", "mask")  # the kinds of labels whose outputs stand for classes


@dataclass(frozen=True, slots=True)
class Head:
    """One output of a model.

    Args:
        name: of the task; for a model of the user's own, of the layer that gives the output.
        place: which of the model's outputs, flattened, it is.
        names: of its numbers: classes, or what the numbers mean; of a single logit, those of its two classes.
        units: how many numbers it gives, for each pixel if it is about pixels.
        classes: whether the numbers stand for classes.
        ending: the model's own last activation, such as ``softmax``; ``linear`` where there is none.
        whole: whether that activation could not be left out, so that the outputs are taken as they are.
        activation: what makes probabilities of what :func:`raw` gives: ``softmax``, ``sigmoid``, or ``linear`` where
            nothing does.
        objects: whether it finds objects: its numbers are those of boxes, and none of them stands for the image.
    """

    name: str
    place: int
    names: tuple[str, ...]
    units: int
    classes: bool
    ending: str
    whole: bool
    activation: str
    objects: bool = False

    @property
    def binary(self) -> bool:
        """Whether one logit stands for two classes."""
        return self.units == 1 and self.classes

    @property
    def probable(self) -> bool:
        """Whether probabilities are known of it."""
        return self.activation != "linear" or (self.whole and self.ending in views.PROBABILISTIC)


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """What was made of a model.

    Args:
        flat: the model without models inside it.
        logits: of each output, and whether they are the output itself though an activation is in it.
        kept: what :func:`kept` made.
    """

    flat: Any
    logits: tuple[tuple[Tensor, bool], ...]
    kept: dict[Hashable, Any] = field(default_factory=dict)


_opened: WeakKeyDictionary[Any, _Opened] = WeakKeyDictionary()


def heads(subject: Any) -> tuple[Head, ...]:
    """The heads of a subject, or of a model without labels, in the order of its outputs.

    Raises:
        SettingError: the model is not made of connected layers.
    """
    model, labels = parts(subject)
    opened = _open(model)
    steps, tensors = graph.calls(opened.flat), graph.outputs_of(opened.flat)
    layers = [graph.giver(tensor, steps).layer for tensor in tensors]
    names = _head_names(opened.flat, layers, labels)
    order = sorted(range(len(tensors)), key=lambda place: _position(opened.flat.output, place))
    return tuple(
        _head(names[i], i, layers[i], tensors[i], labels.get(names[i]), whole=opened.logits[i][1]) for i in order
    )


def head_of(subject: Any, wanted: str | int | None = None) -> Head:
    """A head by its name or its number; left out, the first that is not auxiliary, if possible none of objects.

    Raises:
        SettingError: there is no such head; the nearest name is suggested.
    """
    known = heads(subject)
    names = [head.name for head in known]
    if wanted is None:
        main = [head for head in known if not _auxiliary(head.name, names)]
        return min(main or known, key=lambda head: head.objects)
    for number, head in enumerate(known):
        if wanted == head.name or (str(wanted) == str(number) and str(wanted) not in names):
            return head
    raise check.SettingError(
        check.sentence("head", f"one of {', '.join(names)}", repr(wanted), check.nearest(str(wanted), names))
    )


def raw(subject: Any, *names: str) -> Any:
    """The model as far as the logits of its heads.

    Args:
        subject: a :class:`~lensmith.probe.subject.Subject`, or a model.
        names: of the heads that are wanted; left out, all.

    Returns:
        A ``keras.Model`` without models inside it, that shares the layers of the model; its output is a dict by the
        names of the heads. It is made once for each model.

    Raises:
        SettingError: there is no such head, or the model is not made of connected layers.
    """
    wanted = [head_of(subject, name) for name in names] or list(heads(subject))
    opened = _open(parts(subject)[0])
    outputs = {head.name: opened.logits[head.place][0] for head in wanted}
    key = ("raw", *((head.place, head.name) for head in wanted))
    return kept(subject, key, lambda: keras.Model(opened.flat.input, outputs, name="raw"))


def flat(subject: Any) -> Any:
    """The model of a subject without models inside it, sharing its layers; made once for each model.

    Raises:
        SettingError: the model is not made of connected layers.
    """
    return _open(parts(subject)[0]).flat


def parts(subject: Any) -> tuple[Any, Mapping[str, Labels]]:
    """The model of a subject and the labels of its tasks; a model alone has none."""
    return (subject.model, subject.labels) if isinstance(subject, Subject) else (subject, {})


def kept(subject: Any, key: Hashable, make: Callable[[], Made]) -> Made:
    """What is made once for a model, by a key, and let go with it: it must not hold the model itself."""
    made = _open(parts(subject)[0]).kept
    if key not in made:
        made[key] = make()
    found: Made = made[key]
    return found


def _open(model: Any) -> _Opened:
    if model not in _opened:
        whole = graph.flat(model)
        if whole is model:  # what is kept must not keep the model itself alive
            whole = keras.Model(model.input, model.output, name=model.name)
        steps = graph.calls(whole)
        _opened[model] = _Opened(whole, tuple(_logits(tensor, steps) for tensor in graph.outputs_of(whole)))
    return _opened[model]


def _logits(tensor: Tensor, steps: tuple[graph.Call, ...]) -> tuple[Tensor, bool]:
    """What comes before the last activation that makes probabilities, and whether that could not be left out."""
    call = graph.giver(tensor, steps)
    if views.activation_of(call.layer) not in _LEFT_OUT:
        return tensor, False
    if not getattr(call.layer, "weights", ()):
        return call.inputs[0], False
    # The layer alone, as a model whose logits can be asked for: the same variables, and no activation.
    inputs = [keras.Input(batch_shape=one.shape, dtype=one.dtype) for one in call.inputs]
    try:
        alone = views.logits(keras.Model(inputs, call.layer(*inputs)))
        return graph.giver(alone.outputs[0], graph.calls(alone)).layer(*call.inputs), False
    except (check.SettingError, TypeError, ValueError):  # a layer of the user's own
        return tensor, True


def _head(name: str, place: int, layer: Any, tensor: Tensor, labels: Labels | None, *, whole: bool) -> Head:
    units = int(tensor.shape[-1]) if len(tensor.shape) > 1 and tensor.shape[-1] else 1
    ending = views.activation_of(layer)
    kind = labels.kind if labels else None
    # Without labels: what ends in probabilities, what a recipe calls logits, and several numbers are about classes.
    own = not layer.name.startswith("task-") and units > 1 and len(tensor.shape) == 2
    classes = kind in _CHOOSING if kind else ending in _LEFT_OUT or layer.name.endswith("-logits") or own
    activation = "linear" if whole else _activation(kind, units, ending, classes=classes)
    # A localiser's one box is four numbers of the image; a detector's boxes are rows.
    boxes = kind == "boxes" or (layer.name.startswith("task-") and layer.name.endswith("-detections"))
    objects = boxes and len(tensor.shape) == 3
    return Head(name, place, _names(labels, units, classes), units, classes, ending, whole, activation, objects)


def _activation(kind: str | None, units: int, ending: str, *, classes: bool) -> str:
    """What makes probabilities of the logits: the model's own last activation, or what the labels tell."""
    for known in ("softmax", "sigmoid"):
        if ending in (known, f"log_{known}"):
            return known
    if not classes or ending != "linear":
        return "linear"
    if units == 1 or kind == "classes":
        return "sigmoid"
    return "softmax" if kind in ("class", "mask") else "linear"


def _names(labels: Labels | None, units: int, classes: bool) -> tuple[str, ...]:
    count = 2 if units == 1 and classes else units
    if labels is not None and labels.kind == "boxes" and units == len(CORNERS):
        return CORNERS
    if labels is not None and len(labels.names) == count:
        return labels.names
    return tuple(str(i) for i in range(count))


def _head_names(model: Any, givers: list[Any], labels: Mapping[str, Labels]) -> list[str]:
    """By the key of a dict; else by the layer, with the number where two heads would have one name."""
    if len(givers) == 1 and len(labels) == 1:
        return list(labels)
    names = []
    for (path, _), layer in zip(keras.tree.flatten_with_path(model.output), givers, strict=True):
        keys = [str(key) for key in path if isinstance(key, str)]
        match = _PART.fullmatch(layer.name)
        names.append("/".join(keys) or (match[1] if match and layer.name.startswith("task-") else layer.name))
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [f"{name}-{place}" if name in twice else name for place, name in enumerate(names)]


def _position(structure: Any, place: int) -> tuple[int, int]:
    """Where an output stands in the structure as it was written: Keras sorts the keys of a dict when it flattens."""
    path = keras.tree.flatten_with_path(structure)[place][0]
    return (list(structure).index(path[0]) if isinstance(structure, Mapping) else 0, place)


def _auxiliary(name: str, names: list[str]) -> bool:
    match = _AUXILIARY.fullmatch(name)
    return match is not None and match[1] in names
