"""Where the tiles of an image lie, so that what is computed in them is exactly that of the whole image.

Each tile has a core, and around it all pixels that the core's positions see: its receptive field. The cores share out
the positions of every layer among the tiles. Tiles begin where all layers begin a new position, and are shorter than
the image by a multiple of the same number, so that strides, pools and what they drop at the right and lower border
fall as they do in the whole image. All tiles have one size: what computes them is compiled once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.receptive import Field, receptive_fields

Network = Any  # lensmith.stylize.network.Network
Slices = tuple[slice, slice]  # down, across


@dataclass(frozen=True, slots=True)
class Reach:
    """How tiles must lie along one axis.

    Args:
        stride: tiles and cores begin at its multiples, in pixels.
        before: pixels that a tile needs before its core, a multiple of the stride.
        after: pixels that a tile needs after its core.
    """

    stride: int = 1
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """A tile along one axis, in pixels.

    Args:
        begin: of the tile.
        end: of the tile, not itself in it.
        first: of the core.
        last: of the core, not itself in it.
    """

    begin: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The positions of a layer: how many of the whole image and of a tile, and the pixels from one to the next."""

    whole: tuple[int, int]
    tile: tuple[int, int]
    strides: tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """An image cut into tiles.

    Args:
        model: gives the layers' maps of one tile, as a dict.
        size: of a tile: height and width in pixels.
        tiles: each down and across.
        grids: by layer.
    """

    model: Any
    size: tuple[int, int]
    tiles: tuple[tuple[Span, Span], ...]
    grids: Mapping[str, Grid]

    def pixels(self, tile: tuple[Span, Span]) -> Slices:
        """Where the tile lies in the image."""
        return slice(tile[0].begin, tile[0].end), slice(tile[1].begin, tile[1].end)

    def positions(self, tile: tuple[Span, Span], layer: str) -> Slices:
        """Where the tile's maps lie in those of the whole image."""
        grid = self.grids[layer]
        starts = [int(span.begin / stride) for span, stride in zip(tile, grid.strides, strict=True)]
        down, across = (slice(start, start + count) for start, count in zip(starts, grid.tile, strict=True))
        return down, across

    def core(self, tile: tuple[Span, Span], layer: str) -> Slices:
        """Where the core's maps lie in those of the tile. The cores of all tiles are the whole image's maps."""
        grid, found = self.grids[layer], []
        for span, stride, count, whole in zip(tile, grid.strides, grid.tile, grid.whole, strict=True):
            begin, first, last = (int(place / stride) for place in (span.begin, span.first, span.last))
            ends = span.end == span.last and begin + count == whole
            found.append(slice(first - begin, count if ends else last - begin))
        return found[0], found[1]


def tiling(network: Network, layers: Iterable[str], size: tuple[int, int], tile: int) -> Tiling:
    """Cut images of a size into tiles.

    Args:
        network: see :mod:`lensmith.stylize.network`.
        layers: whose maps are wanted, by the names that the network was asked for.
        size: height and width of the image.
        tile: the longest side of a tile. Where what the layers see needs more, a tile is half of this and what is
            seen around it.

    Returns:
        The tiles; one of the whole image where that is no larger than ``tile``.

    Raises:
        SettingError: there is no such layer; the image is too small for the network; or it has to be cut and
            a layer sees all of it, or nobody knows what of it.
    """
    whole = tapped(network, layers, size)
    if max(size) <= tile:
        reaches, side, model = (Reach(), Reach()), size, whole
        fields = dict.fromkeys(whole.output, Field((1, 1), (1, 1), (0, 0)))
    else:
        every = _known_fields(whole, size, tile)
        fields = {name: every[_layer(tensor)] for name, tensor in whole.output.items()}
        reaches = _reach(whole, every, fields, size, 0), _reach(whole, every, fields, size, 1)
        side = _side(size[0], tile, reaches[0]), _side(size[1], tile, reaches[1])
        model = tapped(network, layers, side)
    down, across = (spans(length, part, reach) for length, part, reach in zip(size, side, reaches, strict=True))
    grids = {
        name: Grid(_rows(tensor), _rows(model.output[name]), fields[name].stride)
        for name, tensor in whole.output.items()
    }
    return Tiling(model, side, tuple(product(down, across)), grids)


def tapped(network: Network, layers: Iterable[str], size: tuple[int, int]) -> Any:
    """The network as far as these layers and no further, for images of one size; outputs are a dict by these names.

    Raises:
        SettingError: there is no such layer, or it has no positions left for images of this size.
    """
    model = network.taps(size=size)
    for name in (layers := list(layers)):
        if name not in model.output:
            expected = f"one of {', '.join(model.output)}"
            raise check.SettingError(check.sentence("layers", expected, repr(name), check.nearest(name, model.output)))
        if 0 in model.output[name].shape[1:]:
            got = f"{size[1]} x {size[0]} pixels, of which nothing reaches {name}"
            raise check.SettingError(check.sentence("size", "an image large enough for its layers", got))
    return keras.Model(model.input, {name: model.output[name] for name in layers}, name="taps")


def spans(length: int, side: int, reach: Reach) -> tuple[Span, ...]:
    """Tiles of one length along one axis, as few as cover it.

    Args:
        length: of the image, in pixels.
        side: of a tile: the length or less by a multiple of the stride, and enough for a core of one stride.
        reach: what each tile needs around its core.

    >>> spans(11, 7, Reach(2, 2, 1))
    (Span(begin=0, end=7, first=0, last=6), Span(begin=4, end=11, first=6, last=11))
    """
    found: list[Span] = []
    first = 0
    while first < length:
        begin = max(0, min(first - reach.before, length - side))
        end = begin + side
        last = length if end == length else (end - reach.after) // reach.stride * reach.stride
        found.append(Span(begin, end, first, last))
        first = last
    return tuple(found)


def _side(length: int, tile: int, reach: Reach) -> int:
    """How long a tile is: at most ``tile``, unless its core would be less than half of that."""
    if length <= tile:
        return length
    around = reach.before + reach.after
    most = max(tile, around + tile // 2)
    side = length - math.ceil(max(length - most, 0) / reach.stride) * reach.stride
    while side < around + reach.stride:
        side += reach.stride
    return min(side, length)


def _known_fields(model: Any, size: tuple[int, int], tile: int) -> dict[str, Field]:
    """The receptive fields of all layers, none of which may see the whole image."""
    found = {}
    for name, field in receptive_fields(model).items():
        if field is None:
            expected = f"layers that see a known part of the image, to compute {size[1]} x {size[0]} pixels in parts"
            remedy = f"Take layers before it, or a tile of {max(size)}"
            got = f"{name}, which sees all of it or is of a kind not known"
            raise check.SettingError(check.sentence("tile", expected, got, remedy))
        found[name] = field
    return found


def _reach(
    model: Any, every: Mapping[str, Field], wanted: Mapping[str, Field], size: tuple[int, int], axis: int
) -> Reach:
    """What tiles need along an axis so that positions of the core see what they see in the whole image."""
    stride = math.lcm(*(field.stride[axis].numerator for field in every.values()))
    before = max(0, *(-field.start[axis] for field in wanted.values()))
    after = max(0, *(math.ceil(field.start[axis] + field.size[axis] - field.stride[axis]) for field in wanted.values()))
    # After cropping, a tile lacks positions of the whole image that see nothing but pixels of the tile.
    before += max(0, *(field.start[axis] for field in every.values()))
    steps = graph.calls(model)
    after += max(0, *(_left_over(every[step.layer.name], step.outputs[0].shape, size[axis], axis) for step in steps))
    strides = [(every[_layer(tensor)], every[step.layer.name]) for step in steps for tensor in step.inputs]
    if any(source.stride[axis] > field.stride[axis] for source, field in strides):
        # Maps were made larger: their fields are known to a stride only.
        before, after = before + stride, after + stride
    return Reach(stride, math.ceil(before / stride) * stride, after)


def _left_over(field: Field, shape: tuple[int, ...], length: int, axis: int) -> int:
    """The pixels from the end of the field of the position after a layer's last one to the image's end."""
    if len(shape) != 4:
        return 0
    return math.ceil(length - (field.start[axis] + shape[1 + axis] * field.stride[axis] + field.size[axis] - 1))


def _layer(tensor: Any) -> str:
    return str(tensor._keras_history.operation.name)


def _rows(tensor: Any) -> tuple[int, int]:
    return tensor.shape[1], tensor.shape[2]
