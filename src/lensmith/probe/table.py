"""A model in a table: what each layer costs and sees, and how much memory an image takes on its way through."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.cost import Line, lines
from lensmith.compose.graph import Tensor
from lensmith.compose.receptive import Field, receptive_fields


@dataclass(frozen=True, slots=True)
class Row:
    """One layer.

    Args:
        name: its own; a layer of a nested model has that model's name and a slash before it.
        kind: Keras' class name.
        shape: of what it gives for one image; a side that is not known is None.
        parameters: all of them, and ``trainable`` those that would be trained.
        flops: multiply-adds for one image over all its calls (see :func:`lensmith.compose.flops`); None where the
            sizes of its feature maps are not known.
        weight_bytes: of its parameters, in the types they are kept in.
        output_bytes: of what it gives for one image, over all its calls; None where the sizes are not known.
        field: height and width in pixels of what one position of its output sees; None for the whole image, or where
            that is not known.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int
    trainable: int
    flops: int | None
    weight_bytes: int
    output_bytes: int | None
    field: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Table:
    """All layers, and the sums.

    Args:
        rows: in the order data passes through them.
        parameters: all of them, and ``trainable`` the trainable ones.
        flops: multiply-adds for one image; None where a size is not known, and so for what follows.
        weight_bytes: of all parameters.
        output_bytes: of the outputs of all layers for one image: about what training has to keep.
        peak_bytes: the most that prediction needs at once for one image besides the weights, where each output is
            freed after the last layer that reads it. Every output counts, also where a backend would pass on the very
            memory of the input; what a layer needs inside itself does not.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    flops: int | None
    weight_bytes: int
    output_bytes: int | None
    peak_bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; what is not known is ``None``."""
        return asdict(self)


def table(model: Any) -> Table:
    """Every layer of a model with its costs, its memory and its receptive field.

    Args:
        model: any model made of connected layers; models inside it are opened.

    Raises:
        SettingError: its layers are not known to be connected.

    Example:
        >>> from lensmith.compose import zoo
        >>> found = table(zoo.get("compact").build(seed=0))
        >>> found.parameters, found.flops, found.output_bytes, found.peak_bytes
        (289642, 154535168, 5784656, 1048576)
        >>> [row.field for row in found.rows if row.kind == "Conv2D"][:3]
        [(3, 3), (5, 5), (10, 10)]
    """
    numbers: dict[int, int] = {}
    whole = graph.connected(model)  # once: of a Sequential, each has tensors of its own
    steps = tuple(_steps(whole, "", numbers, itertools.count()))
    by_name: dict[str, list[_Step]] = {}
    for step in steps:
        by_name.setdefault(step.name, []).append(step)
    fields = _fields(model)
    rows = tuple(_row(line, by_name[line.name], fields) for line in lines(model) if line.name in by_name)
    return Table(
        rows=rows,
        parameters=sum(row.parameters for row in rows),
        trainable=sum(row.trainable for row in rows),
        flops=_sum(row.flops for row in rows),
        weight_bytes=sum(row.weight_bytes for row in rows),
        output_bytes=_sum(row.output_bytes for row in rows),
        peak_bytes=_peak(steps, [numbers[id(tensor)] for tensor in graph.outputs_of(whole)]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One call of a layer, of a nested model too: the tensors it reads and gives, and the bytes of each it gives."""

    name: str
    layer: Any
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    sizes: tuple[int | None, ...]


def _steps(model: Any, prefix: str, numbers: dict[int, int], fresh: Iterator[int]) -> Iterator[_Step]:
    """The calls in order, nested models gone through.

    Args:
        model: whose calls.
        prefix: of the names of its layers.
        numbers: of each tensor; those of a nested model that is called twice have other ones each time.
        fresh: numbers that no tensor has yet.
    """
    for call in graph.calls(model):
        if isinstance(call.layer, keras.Model):
            inside = graph.connected(call.layer)
            numbers |= _renamed(call.inputs, inside.inputs, numbers)
            yield from _steps(inside, f"{prefix}{inside.name}/", numbers, fresh)
            numbers |= _renamed(graph.outputs_of(inside), call.outputs, numbers)
        elif call.inputs or not prefix:  # the input of a nested model was counted where it was made
            numbers |= {id(tensor): next(fresh) for tensor in call.outputs}
            reads, gives = (tuple(numbers[id(each)] for each in some) for some in (call.inputs, call.outputs))
            yield _Step(f"{prefix}{call.layer.name}", call.layer, reads, gives, tuple(map(_bytes, call.outputs)))


def _renamed(known: Iterable[Tensor], others: Iterable[Tensor], numbers: Mapping[int, int]) -> dict[int, int]:
    """The numbers of tensors for others that are the same."""
    return {id(other): numbers[id(tensor)] for tensor, other in zip(known, others, strict=True)}


def _peak(steps: Sequence[_Step], outputs: Iterable[int]) -> int | None:
    """The most bytes alive at once: what a call reads and gives, and what is still to be read by later ones."""
    size = {number: size for step in steps for number, size in zip(step.gives, step.sizes, strict=True)}
    last = {number: place for place, step in enumerate(steps) for number in (*step.gives, *step.reads)}
    last |= dict.fromkeys(outputs, len(steps))
    alive, most = 0, 0
    if None in size.values():
        return None
    for place, step in enumerate(steps):
        alive += sum(size[number] or 0 for number in step.gives)
        most = max(most, alive)
        alive -= sum(size[number] or 0 for number in {*step.gives, *step.reads} if last[number] == place)
    return most


def _row(line: Line, steps: Sequence[_Step], fields: Mapping[str, Field | None]) -> Row:
    sizes = [size for step in steps for size in step.sizes]
    field = fields.get(line.name.rsplit("/", 1)[-1])
    return Row(
        name=line.name,
        kind=line.kind,
        shape=line.shape,
        parameters=line.parameters,
        trainable=line.trainable,
        flops=None if line.flops and None in sizes else line.flops,
        weight_bytes=sum(math.prod(each.shape) * _item(each.dtype) for each in getattr(steps[-1].layer, "weights", ())),
        output_bytes=_sum(sizes),
        field=None if field is None else field.size,
    )


def _fields(model: Any) -> Mapping[str, Field | None]:
    """Of layers by their own names; none where two nested models have layers of one name."""
    try:
        return receptive_fields(model)
    except check.SettingError:
        return {}


def _bytes(tensor: Tensor) -> int | None:
    """Of a symbolic tensor, for one image."""
    sides = tuple(tensor.shape)[1:]
    return None if None in sides else math.prod(sides) * _item(tensor.dtype)


def _item(dtype: Any) -> int:
    """Bytes of one number of a type such as ``float32``, ``bfloat16`` or ``bool``."""
    bits = re.search(r"\d+", str(dtype))
    return max(int(bits[0]) // 8, 1) if bits else 1


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum; None where one is not known."""
    found = list(values)
    return None if None in found else sum(value or 0 for value in found)
