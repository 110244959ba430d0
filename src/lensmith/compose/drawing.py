"""The macro-architecture of a recipe: stem, groups of blocks, tasks; as boxes to draw and as text for a terminal.

The terms are those of Ferlitsch 2021, Deep Learning Patterns and Practices: a stem takes the image in, groups of
blocks learn from it, tasks answer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lensmith.compose import views, written
from lensmith.compose.auxiliary import named
from lensmith.compose.blocks import Pool, Step
from lensmith.compose.cells import CellGroup, Cells
from lensmith.compose.layers import Maker, sides
from lensmith.compose.outline import Part, outline, part_of
from lensmith.compose.parts import ConvStem, Dense, Groups, Steps
from lensmith.compose.recipe import Recipe, assemble

Role = Literal["input", "stem", "learner", "task", "auxiliary"]
_LONGEST = 4  # so many different steps or blocks are named one by one


@dataclass(frozen=True, slots=True)
class Tap:
    """Feature maps to build on: ``P3`` is 8 times smaller than the image.

    Args:
        name: see :func:`.views.tap_names`.
        layer: that gives them.
        shape: their height, width and channels.
    """

    name: str
    layer: str
    shape: tuple[int, ...]

    @property
    def stride(self) -> int:
        """How many times smaller than the input they are."""
        number = int(self.name[1:])
        return int(2**number) if self.name.startswith("P") else number


@dataclass(frozen=True, slots=True)
class Box:
    """One part of the macro-architecture.

    Args:
        name: ``group 2``, or the task's own.
        role: of the part in the model.
        says: what it is made of, such as ``4 × bottleneck 128``.
        blocks: how many; 0 where it is not made of blocks.
        taps: those that it holds, by size.
        part: its figures.
    """

    name: str
    role: Role
    says: str
    blocks: int
    taps: tuple[Tap, ...]
    part: Part


def plan(recipe: Recipe) -> tuple[Box, ...]:
    """The boxes in the order data passes through them; auxiliary heads come last.

    Raises:
        SettingError: the parts do not fit each other or the input.

    >>> from lensmith.compose import zoo
    >>> [box.says for box in plan(zoo.get("resnet18-v1"))][1:3]
    ['conv 7×7 /2 64 → max pool 3 /2', '2 × basic 64']
    """
    make = Maker(seed=0, empty=True, conventions=recipe.conventions)
    model = assemble(recipe, make, auxiliaries=True)
    taps = [
        Tap(name, layer, tuple(model.get_layer(layer).output.shape[1:]))
        for name, layer in views.tap_names(model).items()
    ]
    blocks: dict[str, set[str]] = {}
    for layer in model.layers:
        before, found, after = layer.name.partition("-block")
        if found:
            blocks.setdefault(before, set()).add(after.split("-")[0])
    return tuple(
        Box(
            name=_name(part.name),
            role=_role(part.name, recipe),
            says=_says(part.name, recipe) or part.detail,
            blocks=len(blocks.get(part.name, ())),
            taps=tuple(tap for tap in taps if part_of(tap.layer) == part.name),
            part=part,
        )
        for part in outline(model)
    )


def as_text(boxes: Sequence[Box], width: int = 18) -> str:
    """The boxes one under the other, each as wide as its feature maps are high, by logarithm.

    Args:
        boxes: from :func:`plan`.
        width: of the widest, in characters.
    """
    largest = max((box.part.shape[0] for box in boxes if len(box.part.shape) == 3), default=1)
    rows = [(_name_in_tree(box, boxes), *_bar(box.part.shape, largest, width), box) for box in boxes]
    sizes = [shape_in_words(box.part.shape) for box in boxes]
    name_width, size_width = max(len(row[0]) for row in rows), max(map(len, sizes))
    tap_width = max(len(_taps(box)) for box in boxes)
    text = []
    for (name, before, bar, box), size in zip(rows, sizes, strict=True):
        drawn = (" " * before + bar).ljust(width)
        line = f"{name:{name_width}}  {drawn}  {size:{size_width}}  {_taps(box):{tap_width}}  {box.says}"
        text.append((line + "  (training only)" * (box.role == "auxiliary")).rstrip())
    return "\n".join(text)


def shape_in_words(shape: Iterable[Any]) -> str:
    """A shape without the batch, as a person writes it.

    >>> shape_in_words((28, 28, 512))
    '28×28×512'
    """
    return "×".join("?" if size is None else str(size) for size in shape)


def _bar(shape: Sequence[int], largest: int, width: int) -> tuple[int, str]:
    """Where a bar begins and the bar itself: feature maps full, rows of numbers thin."""
    if len(shape) != 3:
        return (width - 2) // 2, "▕▏"
    wide = round(width / 2 * math.log2(shape[0] + 1) / math.log2(largest + 1)) or 1
    return width // 2 - wide, "█" * (2 * wide)


def _taps(box: Box) -> str:
    return " ".join(tap.name for tap in box.taps)


def _name_in_tree(box: Box, boxes: Sequence[Box]) -> str:
    """Tasks hang on the trunk like files in a folder."""
    if box.role not in ("task", "auxiliary"):
        return box.name
    return f"{'└─' if box is boxes[-1] else '├─'} {box.name}"


def _name(part: str) -> str:
    if part.startswith("learner-group"):
        return f"group {part.removeprefix('learner-group')}"
    return part.removeprefix("task-")


def _role(part: str, recipe: Recipe) -> Role:
    if part.startswith("task-"):
        return "task" if part.removeprefix("task-") in recipe.tasks else "auxiliary"
    if part in ("input", "stem"):
        return "input" if part == "input" else "stem"
    return "learner"


def _says(part: str, recipe: Recipe) -> str:
    """What the recipe says of a part; empty where it says nothing of that name."""
    if part == "input":
        return "image" if len(recipe.input) == 3 else "row"
    if part == "stem":
        return _stem(recipe.stem)
    if part.startswith("task-"):
        return _head(part.removeprefix("task-"), recipe)
    if part.startswith("learner-group") and isinstance(recipe.learner, Groups | Cells):
        return _group(recipe.learner.groups[int(part.removeprefix("learner-group")) - 1])
    if isinstance(recipe.learner, Dense):
        return "dense " + " → ".join(map(str, recipe.learner.units))
    return ""


def _stem(stem: Any) -> str:
    if isinstance(stem, ConvStem):
        conv = _step(Step(stem.filters, stem.kernel, stem.stride))
        return conv + (f" → max pool {stem.pool} /2" if stem.pool else "")
    if isinstance(stem, Steps):
        return _shortened([_step(step) for step in stem.steps], " → ")
    return _kind(stem)


def _step(step: Any) -> str:
    """A convolution or a pool of a stem: its window, its stride where it has one, its channels."""
    stride = getattr(step, "stride", None)
    strides = f" /{stride}" if stride not in (None, 1) else ""
    if isinstance(step, Step):
        return f"conv {'×'.join(map(str, sides(step.kernel)))}{strides} {step.filters}"
    return f"{step.kind} pool {step.size}{strides}" if isinstance(step, Pool) else _kind(step)


def _group(group: Any) -> str:
    """The blocks of a group, those that are alike together, and its pool."""
    if not hasattr(group, "each_block"):
        return f"{group.cells + group.reduce} × cell {group.filters}" if isinstance(group, CellGroup) else ""
    blocks = zip(group.each_block, group.each_filters, strict=True)
    words = [f"{_kind(block)} {filters or ''}".strip() for block, filters in blocks]
    runs = [(word, len(list(alike))) for word, alike in itertools.groupby(words)]
    said = _shortened([f"{count} × {word}" if count > 1 else word for word, count in runs], ", ")
    return said + (f" → {_step(group.pool)}" if isinstance(group.pool, Pool) else "")


def _head(name: str, recipe: Recipe) -> str:
    """From pool to logits; of an auxiliary head, whose it is and with what weight."""
    if name in recipe.tasks:
        task: Any = recipe.tasks[name]
        size = getattr(task, "units", "")
        pool = getattr(task, "pool", "")
        first = [pool + " pool" * (pool in ("average", "max"))] if pool and recipe.input[1:] else []
        return " → ".join([*first, *map(str, getattr(task, "hidden", ())), f"{_kind(task)} {size}".strip()])
    helper = named(recipe.auxiliaries)[name]
    return f"after {helper.tap.removeprefix('learner-')} · {helper.weight:g}"


def _kind(part: Any) -> str:
    return str(written.to_plain(part).get("part", "")) if part is not None else ""


def _shortened(words: Sequence[str], between: str) -> str:
    if len(words) <= _LONGEST:
        return between.join(words)
    return between.join([*words[: _LONGEST - 2], f"… {len(words) - _LONGEST + 1} more", words[-1]])
