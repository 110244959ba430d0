"""Which number of which head is looked at: one class of one task, as the logits before its softmax or sigmoid.

A probability near 1 hardly moves any more and its derivative is nearly 0, so that what explains a model works on the
logits. Of a model whose last activation cannot be left out, the outputs are taken as they are, and this is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import graph, views
from lensmith.compose.tasks import CORNERS
from lensmith.probe.subject import Subject
from lensmith.records import Labels

Tensor = Any
SEVERAL = 8  # of more names than these, a refusal lists only the first

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
    """

    name: str
    place: int
    names: tuple[str, ...]
    units: int
    classes: bool
    ending: str
    whole: bool
    activation: str

    @property
    def binary(self) -> bool:
        """Whether one logit stands for two classes."""
        return self.units == 1 and self.classes

    @property
    def probable(self) -> bool:
        """Whether probabilities are known of it."""
        return self.activation != "linear" or (self.whole and self.ending in views.PROBABILISTIC)


@dataclass(frozen=True, slots=True)
class Target:
    """The number that is looked at.

    Args:
        head: the name of the head.
        index: of the class, or of the number.
        name: of the class, or of the number.
        unit: which of the head's outputs it is; 0 for both classes of a single logit.
        sign: by which the output is multiplied: −1 for class 0 of a single logit, whose logit speaks for class 1.
    """

    head: str
    index: int
    name: str
    unit: int = field(default=-1)
    sign: float = 1.0

    def __post_init__(self) -> None:
        if self.unit < 0:
            object.__setattr__(self, "unit", self.index)


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """What was made of a model.

    Args:
        flat: the model without models inside it.
        logits: of each output, and whether they are the output itself though an activation is in it.
        raw: models that end at some of them, by the places and names of the heads.
    """

    flat: Any
    logits: tuple[tuple[Tensor, bool], ...]
    raw: dict[tuple[tuple[int, str], ...], Any] = field(default_factory=dict)


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


def heads_of(subject: Any) -> tuple[str, ...]:
    """The names of the heads of a subject, or of a model without labels.

    Example:
        >>> from lensmith.compose import zoo
        >>> heads_of(zoo.get("dense-multi-task").build(seed=0))
        ('age_group', 'sex')
    """
    return tuple(head.name for head in heads(subject))


def head_of(subject: Any, wanted: str | int | None = None) -> Head:
    """A head by its name or its number; left out, the first that is not auxiliary.

    Raises:
        SettingError: there is no such head; the nearest name is suggested.
    """
    known = heads(subject)
    names = [head.name for head in known]
    if wanted is None:
        main = [head for head in known if not _auxiliary(head.name, names)]
        return (main or list(known))[0]
    for number, head in enumerate(known):
        if wanted == head.name or (str(wanted) == str(number) and str(wanted) not in names):
            return head
    raise check.SettingError(
        check.sentence("head", f"one of {', '.join(names)}", repr(wanted), check.nearest(str(wanted), names))
    )


def target(subject: Any, outputs: Any, head: str | int | None = None, wanted: str | int | None = None) -> Target:
    """The number to look at.

    Args:
        subject: a :class:`~lensmith.probe.subject.Subject`, or a model.
        outputs: what the model gives for the examples, as arrays in the structure of its outputs; it decides where no
            class is named, by the mean over the examples. May be None where one is.
        head: by name or number; left out, the first.
        wanted: a class, or number, by its name or index; left out, the most probable class, or the first number.

    Raises:
        SettingError: there is no such head or class; the nearest name is suggested.

    Example:
        >>> import numpy as np
        >>> from lensmith.compose import zoo
        >>> model = zoo.get("compact").build(seed=0)
        >>> target(model, np.eye(10)[[3]]).index
        3
    """
    found = head_of(subject, head)
    if wanted is not None:
        return chosen(found, wanted)
    if outputs is None:
        raise check.SettingError(check.sentence("target", "the outputs, or a class", "neither"))
    values = np.asarray(keras.tree.flatten(outputs)[found.place], np.float64)
    return most_probable(found, by_unit(values, found).mean(axis=0), 0.5 if found.ending == "sigmoid" else 0.0)


def chosen(head: Head, wanted: str | int) -> Target:
    """The class or number of a head that a name or an index stands for.

    Raises:
        SettingError: there is none; the nearest name is suggested, and few of many are listed.
    """
    if isinstance(wanted, str) and wanted in head.names:
        return at(head, head.names.index(wanted))
    number = str(wanted)
    if not isinstance(wanted, bool) and number.isdecimal() and int(number) < len(head.names):
        return at(head, int(number))
    last = len(head.names) - 1
    named = head.names != tuple(str(i) for i in range(last + 1))
    shown = ", ".join(head.names[:SEVERAL]) + (", …" if last >= SEVERAL else "")
    expected = f"a number from 0 to {last}" + f" or a name ({shown})" * named
    remedy = check.nearest(number, head.names) if named else ""
    raise check.SettingError(check.sentence(f"target of {head.name}", expected, repr(wanted), remedy))


def at(head: Head, index: int) -> Target:
    """The target of an index that the head has."""
    sign = -1.0 if head.binary and index == 0 else 1.0
    return Target(head.name, index, head.names[index], 0 if head.binary else index, sign)


def most_probable(head: Head, values: np.ndarray, threshold: float = 0.0) -> Target:
    """The most probable class of a head, whose numbers ``(units,)`` are these; the first number if it has no classes.

    Args:
        head: one of :func:`heads`.
        values: its logits, or its probabilities.
        threshold: above which a single output speaks for class 1: 0 for a logit, 0.5 for a probability.
    """
    if not head.classes:
        return at(head, 0)
    return at(head, int(values[0] > threshold) if head.binary else int(np.argmax(values)))


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
    key = tuple((head.place, head.name) for head in wanted)
    if key not in opened.raw:
        outputs = {head.name: opened.logits[head.place][0] for head in wanted}
        opened.raw[key] = keras.Model(opened.flat.input, outputs, name="raw")
    return opened.raw[key]


def predicted(model: Any, x: np.ndarray) -> np.ndarray:
    """What a model that :func:`raw` made of one head gives for a batch: float32 ``(batch, …, units)``."""
    [output] = backend.predict(model, x).values()
    return np.asarray(output, np.float32)


def score(outputs: Any, of: Target) -> Tensor:
    """The number that is looked at, for each example: a tensor ``(batch,)`` that can be differentiated.

    Of feature maps, or whatever else stands between the first axis and the last, the mean is taken.

    Args:
        outputs: what :func:`raw` gives, as tensors by head; or the tensor of this head, ``(batch, …, units)``.
        of: which number.
    """
    output = outputs[of.head] if isinstance(outputs, Mapping) else outputs
    return by_unit(output)[:, of.unit] * of.sign


def by_unit(output: Any, head: Head | None = None) -> Any:
    """The outputs ``(batch, units)`` of a head, averaged over what stands between; arrays stay arrays."""
    if isinstance(output, np.ndarray):
        return output.reshape(len(output), -1, head.units if head else output.shape[-1]).mean(axis=1)
    output = keras.ops.cast(output, "float32")
    if len(output.shape) < 2:
        return output[:, None]
    between = tuple(range(1, len(output.shape) - 1))
    return keras.ops.mean(output, axis=between) if between else output


def probabilities(logits: np.ndarray, head: Head) -> np.ndarray:
    """The probabilities of logits ``(batch, …, units)``, averaged to ``(batch, units)``; float64, 0..1.

    Of a head without probabilities, the numbers themselves.
    """
    values = np.asarray(logits, np.float64)
    if head.activation == "softmax":
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        values = powers / powers.sum(axis=-1, keepdims=True)
    elif head.activation == "sigmoid":
        values = 0.5 * (1 + np.tanh(values / 2))  # 1 / (1 + exp(−x)) without overflow
    averaged: np.ndarray = by_unit(values, head)
    return averaged


def probability(logits: np.ndarray, head: Head, of: Target) -> np.ndarray:
    """How probable the target is, ``(batch,)``: of class 0 of a single logit, one minus the other's probability.

    Of a head without probabilities, the number itself.
    """
    values: np.ndarray = probabilities(logits, head)[:, of.unit]
    if of.sign > 0:
        return values
    return 1 - values if head.probable else -values


def flat(subject: Any) -> Any:
    """The model of a subject without models inside it, sharing its layers; made once for each model.

    Raises:
        SettingError: the model is not made of connected layers.
    """
    return _open(parts(subject)[0]).flat


def parts(subject: Any) -> tuple[Any, Mapping[str, Labels]]:
    """The model of a subject and the labels of its tasks; a model alone has none."""
    return (subject.model, subject.labels) if isinstance(subject, Subject) else (subject, {})


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
    return Head(name, place, _names(labels, units, classes), units, classes, ending, whole, activation)


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
