"""Which number of a head is looked at: one class or number, and its score, the logit before the softmax or sigmoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.probe.heads import Head

Tensor = Any
SEVERAL = 8  # of more names than these, a refusal lists only the first


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


def target(head: Head, logits: np.ndarray, wanted: str | int | None = None) -> Target:
    """The class or number that is named; left out, what the head finds most probable, or its first number.

    Args:
        head: one of :func:`~lensmith.probe.heads.heads`.
        logits: what :func:`~lensmith.probe.heads.raw` gives of this head for the examples, ``(batch, …, units)``; of
            several, the mean of the probabilities decides.
        wanted: a class, or number, by its name or index.

    Raises:
        SettingError: there is no such class; the nearest name is suggested. Or the head finds objects.

    Example:
        >>> from lensmith.compose import zoo
        >>> from lensmith.probe.heads import heads
        >>> [head] = heads(zoo.get("compact").build(seed=0))
        >>> target(head, np.eye(10)[[3]]).index
        3
    """
    if wanted is not None:
        return chosen(head, wanted)
    refuse_objects(head)
    if not head.classes:
        return at(head, 0)
    values = probabilities(logits, head).mean(axis=0)
    # A single output speaks for class 1: a probability above one half, a logit above 0.
    return at(head, int(values[0] > (0.5 if head.probable else 0.0)) if head.binary else int(np.argmax(values)))


def chosen(head: Head, wanted: str | int) -> Target:
    """The class or number of a head that a name or an index stands for.

    Raises:
        SettingError: there is none; the nearest name is suggested, and few of many are listed. Or the head finds
            objects.
    """
    refuse_objects(head)
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


def refuse_objects(head: Head) -> None:
    """Refuse to explain a class or a number by a head that has none of the whole image.

    Raises:
        SettingError: the head finds objects.
    """
    if head.objects:
        expected = "a task whose classes or numbers are of the whole image"
        remedy = "See lensmith detect; lensmith probe shows its feature maps: --show maps"
        raise check.SettingError(check.sentence(head.name, expected, "one that finds boxes", remedy))


def at(head: Head, index: int) -> Target:
    """The target of an index that the head has."""
    sign = -1.0 if head.binary and index == 0 else 1.0
    return Target(head.name, index, head.names[index], 0 if head.binary else index, sign)


def choices(head: Head, targets: Sequence[Target]) -> np.ndarray:
    """What picks each example's target from the outputs ``(examples, units)`` by multiplication: float32, 0 and ±1."""
    picked = np.zeros((len(targets), head.units), np.float32)
    for row, one in zip(picked, targets, strict=True):
        row[one.unit] = one.sign
    return picked


def predicted(model: Any, x: np.ndarray) -> np.ndarray:
    """What a model with a dict of one output gives for a batch: float32 ``(batch, …, units)``."""
    [output] = backend.predict(model, x).values()
    return np.asarray(output, np.float32)


def score(outputs: Any, of: Target) -> Tensor:
    """The number that is looked at, for each example: a tensor ``(batch,)`` that can be differentiated.

    Of feature maps, or whatever else stands between the first axis and the last, the mean is taken.

    Args:
        outputs: what :func:`~lensmith.probe.heads.raw` gives, as tensors by head; or the tensor of this head,
            ``(batch, …, units)``.
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
