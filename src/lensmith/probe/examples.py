"""The images of a data set that a unit of a layer answers to most."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.compose import receptive, tapping
from lensmith.probe.subject import Example, Subject
from lensmith.probe.walking import Block, Progress, as_pixels, listed, none_left, walk
from lensmith.records import Problem

BY = ("maximum", "mean")
Patch = tuple[int, int, int, int]  # top, left, bottom, right in pixels; bottom and right are the first not seen


@dataclass(frozen=True, slots=True, eq=False)
class Activating:
    """An example that a unit answers to.

    Args:
        place: among the examples, from 0.
        source: what it is called.
        value: of the unit.
        position: row and column in pixels of the image at the model's size: the middle of what the strongest
            position of the feature maps sees; None for what is no feature map, and for means.
        patch: the pixels that this position sees, as far as they lie in the image; None where it may see all.
        content: the image at the model's size, uint8 ``(height, width, channels)``; or the row, float32.
    """

    place: int
    source: str
    value: float
    position: tuple[float, float] | None
    patch: Patch | None
    content: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class MostActivating:
    """What :func:`most_activating` found.

    Args:
        layer: the name of the layer.
        unit: its number, from 0.
        by: ``maximum`` or ``mean``.
        found: the strongest first.
        seen: how many examples were looked at.
        set_aside: those that could not be, and why.
    """

    layer: str
    unit: int
    by: str
    found: tuple[Activating, ...]
    seen: int
    set_aside: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds, without the images."""
        fields = ("source", "value", "position", "patch")
        found = [{name: getattr(one, name) for name in fields} for one in self.found]
        named = {"layer": self.layer, "unit": self.unit, "by": self.by, "seen": self.seen, "found": found}
        return named | {"set_aside": listed(self.set_aside)}


def most_activating(
    subject: Subject,
    examples: Iterable[Example],
    layer: str,
    unit: int,
    *,
    count: int = 9,
    by: str = "maximum",
    batch: int = 32,
    progress: Progress | None = None,
) -> MostActivating:
    """The examples of a data set for which a unit is largest (Zeiler and Fergus 2014, Section 4).

    No more than a batch of examples, and those found so far, are in memory at once, however many there are.

    Args:
        subject: the model and what it takes.
        examples: records, files, pixels or rows; read once, in order.
        layer: its name, or a tap.
        unit: the channel of feature maps, or the place in a vector, from 0.
        count: how many to give, at most.
        by: of feature maps, their ``maximum``, or their ``mean`` over the image.
        batch: examples at a time.
        progress: told how many are done after each batch.

    Returns:
        The strongest first; of equal maxima the larger mean, of equal ones the earlier. Examples that cannot be read,
        and those for which the unit is no number, are set aside.

    Raises:
        SettingError: there is no such layer or unit, or a setting is wrong.
        DataError: there are no examples, or not one of them can be used.

    Example:
        >>> from dataclasses import replace
        >>> from lensmith.compose import zoo
        >>> from lensmith.data import Preprocessing, bundled
        >>> model = replace(zoo.get("compact"), input=(8, 8, 1)).build(seed=0)
        >>> subject = Subject(model, Preprocessing(image=(8, 8, 1)))
        >>> best = most_activating(subject, bundled("digits")[:64], "P1", 3, count=2)
        >>> [one.content.shape for one in best.found], best.seen
        ([(8, 8, 1), (8, 8, 1)], 64)
    """
    check.positive("count", count)
    check.one_of("by", by, BY)
    name = tapping.layer_of(subject.model, layer)
    model = tapping.tapped(subject.model, [name])
    check_unit(name, unit, model.output[name].shape)
    best: list[tuple[float, float, int, Activating]] = []
    lost: list[Problem] = []
    where = _Where.of(subject, name) if by == "maximum" else None

    def look(block: Block) -> None:
        maps = np.asarray(backend.predict(model, block.inputs)[name])[..., unit]
        for row, values in enumerate(maps):
            value = float(values.mean(dtype=np.float64) if by == "mean" else values.max())
            if not np.isfinite(value):
                lost.append(Problem(block.sources[row], f"the unit is {value} for it"))
                continue
            # An activation that is cut off, such as relu6, has the same maximum for many: the mean tells them apart.
            rank = value, float(values.mean(dtype=np.float64))
            if len(best) < count or rank > best[0][:2]:
                found = _activating(block, row, value, values, where)
                # Of equal values the later is the smaller, so that it goes first.
                (heapq.heappush if len(best) < count else heapq.heappushpop)(best, (*rank, -found.place, found))

    seen, set_aside = walk(subject, examples, look, batch=batch, progress=progress)
    set_aside = (*set_aside, *lost)
    if not best:
        raise none_left(set_aside)
    ordered = tuple(found for *_, found in sorted(best, key=lambda one: one[:3], reverse=True))
    return MostActivating(name, unit, by, ordered, seen - len(lost), set_aside)


def check_unit(layer: str, unit: int, shape: tuple[int | None, ...]) -> int:
    """Return the number of a unit if a layer whose output has this shape has it.

    Raises:
        SettingError: it has not.
    """
    count = shape[-1] if len(shape) > 1 else None
    if count is None:
        raise check.SettingError(check.sentence(layer, "a layer whose output has channels or units", shape))
    if isinstance(unit, bool) or not isinstance(unit, int | np.integer) or not 0 <= unit < count:
        raise check.SettingError(
            check.sentence(f"unit of {layer}", f"a whole number from 0 to {count - 1}", repr(unit))
        )
    return int(unit)


@dataclass(frozen=True, slots=True)
class _Where:
    """Where a position of feature maps lies in the image: its size, and what a position sees if that is known."""

    height: int
    width: int
    field: receptive.Field | None

    @staticmethod
    def of(subject: Subject, layer: str) -> _Where | None:
        image = subject.preprocessing.image
        return None if image is None else _Where(*image[:2], receptive.receptive_fields(subject.model).get(layer))

    def __call__(self, values: np.ndarray) -> tuple[tuple[float, float] | None, Patch | None]:
        """The place of the largest value of one map, and the pixels it sees."""
        if values.ndim != 2:
            return None, None
        place = np.unravel_index(int(values.argmax()), values.shape)
        sides = (self.height, self.width)
        if self.field is None:
            row, column = (
                (int(p) + 0.5) * side / n - 0.5 for p, side, n in zip(place, sides, values.shape, strict=True)
            )
            return (row, column), None
        (top, bottom), (left, right) = (
            _seen(int(p), self.field, axis, side) for axis, (p, side) in enumerate(zip(place, sides, strict=True))
        )
        middle = ((top + bottom - 1) / 2, (left + right - 1) / 2)
        return middle, (max(top, 0), max(left, 0), min(bottom, self.height), min(right, self.width))


def _seen(position: int, field: receptive.Field, axis: int, side: int) -> tuple[int, int]:
    first = int(field.start[axis] + position * field.stride[axis])
    return first, first + field.size[axis]


def _activating(block: Block, row: int, value: float, values: np.ndarray, where: _Where | None) -> Activating:
    position, patch = (None, None) if where is None else where(values)
    raw = block.raw[row]
    content = as_pixels(raw) if raw.ndim == 3 else raw.copy()  # a view would hold the batch
    return Activating(block.places[row], block.sources[row], value, position, patch, content)
