"""The outline of a model: its parts in order, with sizes and parameters. Tables and diagrams are drawn from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lensmith.compose.cost import Line, lines

_PART = re.compile(r"stem|learner-group\d+|learner|decoder-group\d+|decoder|task-[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a model.

    Args:
        name: ``input``, ``stem``, ``learner-group2`` or ``task-label``.
        layers: how many Keras layers it has.
        shape: of what it passes on, without the batch.
        parameters: all of them, and the trainable ones.
        detail: what it is made of in a few words, such as ``13 Conv2D, 12 BatchNormalization``.
        flops: its multiply-adds for one image, see :func:`.cost.flops`.
        sources: the parts whose output it takes.
    """

    name: str
    layers: int
    shape: tuple[int, ...]
    parameters: int
    trainable: int
    detail: str
    flops: int = 0
    sources: tuple[str, ...] = ()


def outline(model: Any) -> tuple[Part, ...]:
    """The parts of a recipe, or of a model built from one, in the order data passes through them.

    Raises:
        SettingError: it is neither a recipe nor a model whose layers are connected.

    >>> from lensmith.compose import zoo
    >>> [part.name for part in outline(zoo.get("conv-digits").build())]
    ['input', 'learner-group1', 'task-label']
    """
    parts: dict[str, list[Line]] = {}
    for line in lines(model):
        parts.setdefault(part_of(line.name), []).append(line)
    outputs = getattr(model, "tasks", None) or getattr(model, "output", None)  # of a recipe, of a model
    tasks = [f"task-{name}" for name in outputs] if isinstance(outputs, Mapping) else []
    return tuple(_part(name, parts[name]) for name in sorted(parts, key=lambda name: _position(name, tasks)))


def part_of(layer: str) -> str:
    """The part that a layer of this name belongs to.

    >>> part_of("learner-group2-block1-conv"), part_of("image")
    ('learner-group2', 'input')
    """
    match = _PART.match(layer.rsplit("/", 1)[-1])
    return match[0] if match else "input"


def _position(name: str, tasks: list[str]) -> tuple[int, int]:
    """Input, stem, groups by number, what closes the learner, a decoder likewise, the tasks in the recipe's order."""
    order = ["input", "stem", "learner-group", "learner", "decoder-group", "decoder", "task"]
    place = next(i for i, prefix in enumerate(order) if name.startswith(prefix))
    if name in tasks:
        return place, tasks.index(name)
    number = re.search(r"group(\d+)", name)
    return place, int(number[1]) if number else 0


def _part(name: str, found: list[Line]) -> Part:
    counts: dict[str, int] = {}
    for line in found:
        if line.parameters:
            counts[line.kind] = counts.get(line.kind, 0) + 1
    sources = dict.fromkeys(part_of(source) for line in found for source in line.sources)
    return Part(
        name=name,
        layers=len(found),
        shape=found[-1].shape,
        parameters=sum(line.parameters for line in found),
        trainable=sum(line.trainable for line in found),
        detail=", ".join(f"{count} {kind}" for kind, count in counts.items()),
        flops=sum(line.flops for line in found),
        sources=tuple(source for source in sources if source != name),
    )
