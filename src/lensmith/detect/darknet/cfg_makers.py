"""What each section of a Darknet file becomes: a record of a layer graph, and the size of what it gives.

References: Redmon 2013-2018, Darknet, src/parser.c and the layers' own files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lensmith import check
from lensmith.compose.learners.layer_graph import GraphLayer
from lensmith.compose.learners.layer_graph_joins import Product, Route, Shortcut
from lensmith.compose.learners.layer_graph_plain import (
    Activate,
    AveragePool,
    Crop,
    Dropout,
    MaxPool,
    Passing,
    Reorg,
    Upsample,
)
from lensmith.compose.learners.layer_graph_records import GRAPH_ACTIVATIONS, Connected, Convolution, Local, Norm
from lensmith.detect.darknet.cfg import Section

Shape = tuple[int, ...]  # (height, width, channels) of feature maps, or (numbers,) of a row

MOST_NUMBERS = 2**28  # in the feature maps of one image: 1 GiB
WINDOW = 1024
_WIDTH = 2**20
ENDS = ("yolo", "region", "detection", "softmax", "cost")


@dataclass(frozen=True, slots=True)
class Step:
    """A section, the record it became, what comes in, what it gives, and how many numbers ``.weights`` has for it."""

    section: Section
    record: GraphLayer
    source: Shape
    shape: Shape
    floats: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """What a section becomes: see :class:`Step`."""

    record: GraphLayer
    shape: Shape
    floats: int = 0


def written(shape: Shape) -> str:
    """A shape as people write it."""
    return "×".join(str(size) for size in shape) if len(shape) == 3 else f"{shape[0]} numbers in a row"


def check_numbers(section: Section, shape: Shape) -> None:
    """Refuse feature maps that nobody has the memory for."""
    if math.prod(shape) > MOST_NUMBERS:
        raise section.wrong("", f"feature maps of at most {MOST_NUMBERS:,} numbers", f"{written(shape)}")


def _image(section: Section, source: Shape) -> tuple[int, int, int]:
    if len(source) != 3:
        raise section.wrong("", "feature maps from the layer before", written(source))
    return source[0], source[1], source[2]


def _activation(section: Section, default: str) -> str:
    name = section.text("activation", default)
    if name not in GRAPH_ACTIVATIONS:
        hint = check.nearest(name[:40], GRAPH_ACTIVATIONS)
        raise section.wrong("activation", f"one of {', '.join(GRAPH_ACTIVATIONS)}", repr(name[:40]), hint)
    return name


def _slid(section: Section, shape: Shape, size: int, stride: int, padding: int) -> tuple[int, int]:
    """Rows and columns that a window leaves; ``padding`` is that of both sides together."""
    height, width, channels = _image(section, shape)
    if min(height, width) + padding < size:
        expected = f"feature maps of at least {max(size - padding, 1)}×{max(size - padding, 1)} for this window"
        raise section.wrong("size", expected, f"{height}×{width}")
    check_numbers(section, (height + padding, width + padding, channels))
    return (height + padding - size) // stride + 1, (width + padding - size) // stride + 1


def _norms(filters: int, norm: bool) -> int:
    """Numbers beside the kernel: biases, and of a normalisation scales, means and variances."""
    return 4 * filters if norm else filters


# --- layers with weights -------------------------------------------------------------------------------------------


def _convolutional(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    channels = _image(section, source)[2]
    filters, size = section.whole("filters", 1, 1, _WIDTH), section.whole("size", 1, 1, WINDOW)
    stride, groups = section.whole("stride", 1, 1, WINDOW), section.whole("groups", 1, 1, _WIDTH)
    padding = section.whole("padding", 0, 0, WINDOW)
    padding = size // 2 if section.whole("pad", 0) else padding
    if channels % groups or filters % groups:
        expected = f"groups that divide {channels} channels and {filters} filters"
        raise section.wrong("groups", expected, groups)
    norm = section.whole("batch_normalize", 0) != 0
    activation = _activation(section, "logistic")
    rows, columns = _slid(section, source, size, stride, 2 * padding)
    record = Convolution(filters, size, stride, padding, groups, norm, activation)
    floats = size * size * (channels // groups) * filters + _norms(filters, norm)
    return Made(record, (rows, columns, filters), floats)


def _connected(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    units = section.whole("output", 1, 1, 2**24)
    norm = section.whole("batch_normalize", 0) != 0
    record = Connected(units, norm, _activation(section, "logistic"))
    return Made(record, (units,), math.prod(source) * units + _norms(units, norm))


def _local(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    height, width, channels = _image(section, source)
    filters, size = section.whole("filters", 1, 1, _WIDTH), section.whole("size", 1, 1, WINDOW)
    stride, padding = section.whole("stride", 1, 1, WINDOW), section.whole("pad", 0, 0, WINDOW)
    rows, columns = _slid(section, source, size, stride, 2 * padding)
    # Darknet counts the places as if any padding were half the window, and then reads one pixel of it.
    if padding and ((height - 1) // stride + 1, (width - 1) // stride + 1, padding) != (rows, columns, 1):
        raise section.wrong("pad", "0, or 1 for windows of 3 pixels, as Darknet computes it", padding)
    floats = rows * columns * filters * (size * size * channels + 1)
    return Made(
        Local(filters, size, stride, padding, _activation(section, "logistic")), (rows, columns, filters), floats
    )


def _batchnorm(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    return Made(Norm(), source, 3 * _image(section, source)[2])


# --- layers without weights ----------------------------------------------------------------------------------------


def _maxpool(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    stride = section.whole("stride", 1, 1, WINDOW)
    size = section.whole("size", stride, 1, WINDOW)
    padding = section.whole("padding", size - 1, 0, 2 * size - 1)
    rows, columns = _slid(section, source, size, stride, padding)
    return Made(MaxPool(size, stride, None if padding == size - 1 else padding), (rows, columns, source[2]))


def _avgpool(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    return Made(AveragePool(), (1, 1, _image(section, source)[2]))


def _upsample(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    height, width, channels = _image(section, source)
    stride = section.whole("stride", 2, 1, 64)
    scale = section.number("scale", 1.0)
    if abs(scale) > 1e6:
        raise section.wrong("scale", "a factor from -1e6 to 1e6", section.text("scale", ""))
    return Made(Upsample(stride, scale), (height * stride, width * stride, channels))


def _reorg(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    height, width, channels = _image(section, source)
    stride = section.whole("stride", 1, 1, 64)
    if height % stride or width % stride or channels % stride**2:
        expected = f"height and width that {stride} divides, and channels that {stride**2} divides"
        raise section.wrong("stride", expected, written(source))
    return Made(Reorg(stride), (height // stride, width // stride, channels * stride**2))


def _dropout(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    rate = section.number("probability", 0.5)
    if not 0 <= rate <= 1:
        raise section.wrong("probability", "a share from 0 to 1", section.text("probability", ""))
    return Made(Dropout(rate), source)


def _crop(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    height, width, channels = _image(section, source)
    rows, columns = section.whole("crop_height", 1, 1, height), section.whole("crop_width", 1, 1, width)
    return Made(Crop(rows, columns, not section.whole("noadjust", 0)), (rows, columns, channels))


def _activate(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    return Made(Activate(_activation(section, "linear")), source)


# --- layers that look back -----------------------------------------------------------------------------------------


def _named(section: Section, key: str, before: Sequence[Step]) -> tuple[int, ...]:
    """The places of layers that a setting names, backwards from the section where it is negative."""
    given = section.wholes(key)
    if not given:
        raise section.wrong(key, "the number of a layer before this one", "none")
    if len(given) > WINDOW:
        raise section.wrong(key, f"at most {WINDOW:,} layers", f"{len(given):,}")
    places = tuple(len(before) + place if place < 0 else place for place in given)
    for written_as, place in zip(given, places, strict=True):
        if not 0 <= place < len(before):
            expected = f"layers before this one, 0 to {len(before) - 1}" if before else "a layer before this one"
            raise section.wrong(key, expected, f"{written_as}, which is layer {place}")
        if before[place].section.kind in ENDS:
            got = f"layer {place}, [{before[place].section.kind}]"
            raise section.wrong(key, "layers that give feature maps to others", got)
    return places


def _route(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    places = _named(section, "layers", before)
    groups, group = section.whole("groups", 1, 1, _WIDTH), section.whole("group_id", 0, 0, _WIDTH)
    if group >= groups:
        raise section.wrong("group_id", f"0 to {groups - 1}, as there are {groups} groups", group)
    shapes = [_image(section, before[place].shape) for place in places]
    if len({shape[:2] for shape in shapes}) > 1:
        got = ", ".join(f"{height}×{width}" for height, width, _ in shapes)
        raise section.wrong("layers", "feature maps of one size", got)
    if any(shape[2] % groups for shape in shapes):
        got = ", ".join(str(channels) for *_, channels in shapes)
        raise section.wrong("groups", f"channels that {groups} divides", got)
    channels = sum(shape[2] // groups for shape in shapes)
    return Made(Route(places, groups, group), (*shapes[0][:2], channels))


def _shortcut(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    weights = section.text("weights_type", "none")
    if weights != "none":
        raise section.wrong("weights_type", "none, or no such setting", repr(weights[:40]))
    places = _named(section, "from", before)
    if len(places) > 1:
        raise section.wrong("from", "one layer", len(places))
    _check_sum(section, _image(section, source), _image(section, before[places[0]].shape))
    return Made(Shortcut(places[0], _activation(section, "linear")), source)


def _check_sum(section: Section, own: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    step = other[0] // own[0]
    if step < 1 or (-(-other[0] // step), -(-other[1] // step)) != own[:2]:
        expected = f"feature maps of {own[0]}×{own[1]}, or so many times larger"
        raise section.wrong("from", expected, f"{other[0]}×{other[1]}")


def _product(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    """Of [sam], two feature maps of one size; of [scale_channels], factors for channels or pixels of the other."""
    places = _named(section, "from", before)
    if len(places) > 1:
        raise section.wrong("from", "one layer", len(places))
    own, other = _image(section, source), _image(section, before[places[0]].shape)
    wanted = other if section.kind == "sam" else (1, 1, other[2])
    if section.kind != "sam" and section.whole("scale_wh", 0):
        wanted = (*other[:2], 1)
    if own != wanted:
        expected = f"feature maps of {written(wanted)} from the layer before"
        raise section.wrong("from", expected, written(own))
    return Made(Product(places[0], _activation(section, "linear")), other)


# --- ends ----------------------------------------------------------------------------------------------------------


def _end(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    return Made(Passing(section.kind), source)


def _softmax(section: Section, source: Shape, before: Sequence[Step]) -> Made:
    if "tree" in section.settings:
        raise section.wrong("tree", "classes beside each other", "a tree of classes, which cannot be had here")
    temperature = section.number("temperature", 1.0)
    if not 1e-3 <= temperature <= 1e3:
        raise section.wrong("temperature", "a number from 0.001 to 1000", section.text("temperature", ""))
    return Made(Passing("softmax", 1 / temperature), source)


MAKERS: Mapping[str, Callable[[Section, Shape, Sequence[Step]], Made]] = {
    "convolutional": _convolutional,
    "connected": _connected,
    "local": _local,
    "batchnorm": _batchnorm,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "upsample": _upsample,
    "reorg": _reorg,
    "dropout": _dropout,
    "crop": _crop,
    "activation": _activate,
    "empty": _activate,
    "route": _route,
    "shortcut": _shortcut,
    **dict.fromkeys(("sam", "scale_channels"), _product),
    "softmax": _softmax,
    **dict.fromkeys(("yolo", "region", "detection", "cost"), _end),
}
