"""The outline of a model: its parts in order, with sizes and parameters. Tables and diagrams are drawn from it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"stem|learner-group\d+|learner|task-[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a model.

    Args:
        name: ``input``, ``stem``, ``learner-group2`` or ``task-label``.
        layers: how many Keras layers it has.
        shape: of what it passes on, without the batch.
        parameters: all of them, and the trainable ones.
        detail: what it is made of in a few words, such as ``13 Conv2D, 12 BatchNormalization``.
    """

    name: str
    layers: int
    shape: tuple[int, ...]
    parameters: int
    trainable: int
    detail: str


def outline(model: Any) -> tuple[Part, ...]:
    """The parts of a model built from a recipe, in the order data passes through them.

    >>> from lensmith.compose import zoo
    >>> [part.name for part in outline(zoo.get("conv-digits").build())]
    ['input', 'learner-group1', 'task-label']
    """
    parts: dict[str, list[Any]] = {}
    for layer in model.layers:
        match = _PART.match(layer.name)
        parts.setdefault(match[0] if match else "input", []).append(layer)
    tasks = [f"task-{name}" for name in model.output] if isinstance(model.output, dict) else []
    return tuple(_part(name, parts[name]) for name in sorted(parts, key=lambda name: _position(name, tasks)))


def _position(name: str, tasks: list[str]) -> tuple[int, int]:
    """Input, stem, groups by number, what closes the learner, then the tasks in the recipe's order."""
    order = ["input", "stem", "learner-group", "learner", "task"]
    place = next(i for i, prefix in enumerate(order) if name.startswith(prefix))
    if name in tasks:
        return place, tasks.index(name)
    number = re.search(r"group(\d+)", name)
    return place, int(number[1]) if number else 0


def _part(name: str, layers: list[Any]) -> Part:
    counts: dict[str, int] = {}
    for layer in layers:
        if layer.weights:
            kind = type(layer).__name__
            counts[kind] = counts.get(kind, 0) + 1
    return Part(
        name=name,
        layers=len(layers),
        shape=tuple(layers[-1].output.shape[1:]),
        parameters=sum(math.prod(weight.shape) for layer in layers for weight in layer.weights),
        trainable=sum(math.prod(weight.shape) for layer in layers for weight in layer.trainable_weights),
        detail=", ".join(f"{count} {kind}" for kind, count in counts.items()),
    )
