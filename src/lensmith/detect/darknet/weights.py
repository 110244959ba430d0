"""Darknet's ``.weights``: a header, then the numbers of each layer in float32, with no name and no count.

What they mean follows from the network alone, so the file is read along the records of its recipe's layer graph, and
every byte has to find its place: the smallest mistake in a network would shift all that follows.

=============  ======================================================================================
header         int32 major, minor, revision; then how many images were seen in training: int64 where
               major · 10 + minor is at least 2 and both are below 1000, else int32
convolutional  biases; with batch normalisation scales, means, variances; kernels (out, in, high, wide)
connected      biases; weights (out, in), or (in, out) where major or minor is above 1000; with batch
               normalisation scales, means, variances
local          biases (out, rows, columns); kernels (rows, columns, out, in, high, wide)
batchnorm      scales, means, variances
=============  ======================================================================================

All little endian. Source: Redmon 2013-2018, Darknet, src/parser.c, ``load_weights_upto``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check, files
from lensmith.backend import keras
from lensmith.compose.layers import Maker
from lensmith.compose.learners.layer_graph import LayerGraph, layer_name
from lensmith.compose.learners.layer_graph_records import Connected, Convolution, Local, Norm
from lensmith.compose.recipe import Recipe, assemble

Array = np.ndarray[Any, Any]

_TRANSPOSED = 1000  # a major or minor version above it
_LATEST = 100  # no part of a version is larger: such a file is none of weights


@dataclass(frozen=True, slots=True)
class Header:
    """What a file of weights begins with.

    Args:
        version: major, minor and revision; 0.2.5 is what Darknet writes.
        seen: images that the network was trained on.
    """

    version: tuple[int, int, int] = (0, 2, 5)
    seen: int = 0

    @property
    def transposed(self) -> bool:
        """Whether the weights of connected layers stand as (in, out)."""
        return max(self.version[:2]) > _TRANSPOSED

    @property
    def layout(self) -> str:
        """The bytes, as :mod:`struct` writes it."""
        major, minor, _ = self.version
        return "<iiiq" if major * 10 + minor >= 2 and major < 1000 and minor < 1000 else "<iiii"

    def to_bytes(self) -> bytes:
        """The header as it stands in the file.

        Raises:
            SettingError: a number is too large for it.

        >>> len(Header().to_bytes()), len(Header((0, 1, 0)).to_bytes())
        (20, 16)
        """
        try:
            return struct.pack(self.layout, *self.version, self.seen)
        except struct.error:
            expected = f"numbers of {'64' if self.layout.endswith('q') else '32'} bits, as version {self.version} has"
            raise check.SettingError(check.sentence("header.seen", expected, self.seen)) from None

    @staticmethod
    def from_bytes(content: bytes, place: str) -> Header:
        """The header that some bytes begin with.

        Raises:
            DataError: there are too few, or they are of no version of Darknet.
        """
        version = struct.unpack("<iii", content[:12]) if len(content) >= 12 else (0, 0, 0)
        # Above 1000 is a mark, not a version: the weights of connected layers are transposed.
        plain = [part - _TRANSPOSED if part > _TRANSPOSED else part for part in version[:2]]
        if min(version) < 0 or max(*plain, version[2]) > _LATEST:
            got = f"a header of version {'.'.join(map(str, version))}"
            raise check.DataError(check.sentence(place, "weights of Darknet, such as of version 0.2.5", got))
        layout = Header(version).layout
        size = struct.calcsize(layout)
        if len(content) < size:
            raise check.DataError(check.sentence(place, f"a header of {size} bytes", f"{len(content)}"))
        return Header(version, struct.unpack(layout, content[:size])[3])


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some numbers of a layer, as they stand in the file and in Keras.

    Args:
        place: the number of the layer.
        name: such as ``biases``.
        variable: of Keras.
        split: the variable's shape, with its axes taken apart.
        axes: of ``split``, in the order of the file.
    """

    place: int
    name: str
    variable: Any
    split: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """In the file."""
        return tuple(self.split[axis] for axis in self.axes)

    @property
    def label(self) -> str:
        return f"{layer_name(self.place)}/{self.name}"

    def put(self, numbers: Array) -> None:
        turned = numbers.reshape(self.shape).transpose(np.argsort(self.axes)).reshape(self.variable.shape)
        self.variable.assign(np.ascontiguousarray(turned, np.float32))

    def taken(self) -> Array:
        numbers = np.asarray(keras.ops.convert_to_numpy(self.variable), "<f4")
        return np.ascontiguousarray(numbers.reshape(self.split).transpose(self.axes))


def read_weights(path: Path, recipe: Recipe, *, layers: int | None = None) -> dict[str, Array]:
    """The arrays of a file by layer and name, such as ``learner-layer0/kernels``, in the layout of the file.

    Args:
        path: of the ``.weights``.
        recipe: of the network, as :func:`.recipe.recipe` gives it.
        layers: of a file that holds the first layers only (``darknet53.conv.74``), how many; None is all.

    Raises:
        DataError: the file cannot be read, is too short or too long, or holds numbers that are not finite; one line
            names the layer.
        SettingError: the recipe has no layer graph.
    """
    model = assemble(recipe, Maker(seed=0, empty=True, conventions=recipe.conventions), auxiliaries=False)
    _, found = _read(Path(path), model, recipe, layers)
    return {part.label: numbers.reshape(part.shape) for part, numbers in found}


def load_weights(model: Any, recipe: Recipe, path: Path, *, layers: int | None = None) -> Header:
    """Put the numbers of a file into a model that was built from the recipe: all of them, or none.

    Args and errors as of :func:`read_weights`; layers beyond the first ``layers`` keep what they have.

    Returns:
        What the file says of itself.
    """
    header, found = _read(Path(path), model, recipe, layers)
    for part, numbers in found:
        part.put(numbers)
    return header


def save_weights(
    path: Path, model: Any, recipe: Recipe, *, header: Header | None = None, layers: int | None = None
) -> None:
    """Write the numbers of a model that was built from a recipe of a Darknet network.

    What was read from a file and not changed is the same file again, byte by byte.

    Args:
        path: of the file; one that is there is replaced.
        model: the model.
        recipe: its recipe.
        header: what the file says of itself; None is version 0.2.5 and no image seen.
        layers: to write the first layers only, how many; None is all.

    Raises:
        SettingError: the recipe has no layer graph.
        LensmithError: the disk refuses.
    """
    head = header or Header()
    parts = _parts(model, recipe, head, layers)

    def write(target: Path) -> None:
        with target.open("wb") as opened:
            opened.write(head.to_bytes())
            for part in parts:
                opened.write(part.taken().tobytes())

    files.put_file(Path(path), write)


def _read(path: Path, model: Any, recipe: Recipe, layers: int | None) -> tuple[Header, list[tuple[_Part, Array]]]:
    header, numbers, rest = _opened(path)
    parts = _parts(model, recipe, header, layers)
    found, start = [], 0
    for part in parts:
        count = math.prod(part.shape)
        given = numbers[start : start + count]
        if len(given) < count:
            layer = layer_name(part.place)
            expected = f"{_several(count, 'number')} for its {part.name}"
            remedy = f"The file ends in {layer}; is it of another .cfg, or was it cut short?"
            raise check.DataError(check.sentence(f"{path}: {layer}", expected, f"{len(given):,}", remedy))
        if not np.isfinite(given).all():
            got = f"{int((~np.isfinite(given)).sum()):,} that are not"
            place = f"{path}: {layer_name(part.place)}"
            raise check.DataError(check.sentence(place, f"finite numbers as its {part.name}", got))
        found.append((part, given))
        start += count
    if start < len(numbers) or rest:
        last = layer_name(parts[-1].place) if parts else "the header"
        expected = f"{_several(start, 'number')}, the last of them for {last}"
        beyond = {"number": len(numbers) - start, "byte": rest}
        got = " and ".join(_several(count, unit) for unit, count in beyond.items() if count)
        raise check.DataError(check.sentence(str(path), expected, f"{got} more", "The file is of another .cfg"))
    return header, found


def _several(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'s' * (count != 1)}"


def _opened(path: Path) -> tuple[Header, Array, int]:
    """The header, the numbers after it (not yet read), and how many bytes are left that make no number."""
    try:
        with path.open("rb") as opened:
            header = Header.from_bytes(opened.read(20), str(path))
        size, first = path.stat().st_size, struct.calcsize(header.layout)
        count, rest = divmod(size - first, 4)
        if not count:
            return header, np.empty(0, "<f4"), rest
        return header, np.memmap(path, "<f4", "r", first, (count,)), rest
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.DataError(f"{path}: cannot be opened: {reason}") from error


def _parts(model: Any, recipe: Recipe, header: Header, layers: int | None) -> list[_Part]:
    """The weights of a network in the order of the file."""
    graph = recipe.learner
    if not isinstance(graph, LayerGraph):
        expected = "a recipe of a Darknet network, whose learner is a layer graph"
        raise check.SettingError(check.sentence("recipe.learner", expected, type(graph).__name__))
    if layers is not None and not 1 <= layers <= len(graph.layers):
        raise check.SettingError(check.sentence("layers", f"a number from 1 to {len(graph.layers)}", repr(layers)))
    known = {layer.name: layer for layer in model.layers}
    found: list[_Part] = []
    for place, record in enumerate(graph.layers[:layers]):
        found.extend(_parts_of(place, record, known, header.transposed))
    return found


def _parts_of(place: int, record: Any, known: Mapping[str, Any], transposed: bool) -> Iterator[_Part]:
    name = layer_name(place)
    norm = known.get(f"{name}-norm")
    if isinstance(record, Convolution):
        layer = known[f"{name}-conv"]
        axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (3, 2, 0, 1)
        yield _plain(place, "biases", layer.bias if norm is None else norm.beta)
        yield from _normed(place, norm)
        yield _Part(place, "kernels", layer.kernel, tuple(layer.kernel.shape), axes)
    elif isinstance(record, Connected):
        layer = known[f"{name}-dense"]
        yield _plain(place, "biases", layer.bias if norm is None else norm.beta)
        split = (*_maps(known.get(f"{name}-flatten"), layer), layer.units)
        yield _Part(place, "weights", layer.kernel, split, (2, 0, 1, 3) if transposed else (3, 2, 0, 1))
        yield from _normed(place, norm)
    elif isinstance(record, Local):
        layer = known[f"{name}-local"]
        yield _Part(place, "biases", layer.bias, tuple(layer.bias.shape), (2, 0, 1))
        yield _Part(place, "kernels", layer.kernel, tuple(layer.kernel.shape), (0, 1, 5, 4, 2, 3))
    elif isinstance(record, Norm):
        yield from _normed(place, norm)


def _normed(place: int, norm: Any) -> Iterator[_Part]:
    if norm is not None:
        yield _plain(place, "scales", norm.gamma)
        yield _plain(place, "means", norm.moving_mean)
        yield _plain(place, "variances", norm.moving_variance)


def _plain(place: int, name: str, variable: Any) -> _Part:
    return _Part(place, name, variable, tuple(variable.shape), (0,))


def _maps(flatten: Any, dense: Any) -> tuple[int, ...]:
    """Height, width and channels of what a connected layer reads."""
    return (1, 1, dense.kernel.shape[0]) if flatten is None else tuple(flatten.input.shape[1:])
