"""How the names and axes of somebody else's weights become ours: name maps.

Our names are ``layer/weight`` (``learner-group2-block1-conv1/kernel``); a map finds for each the array that belongs
there, by its name or by the order of the layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from lensmith.backend import keras
from lensmith.compose.weights.hdf5 import natural

Layout = Literal["keras", "torch"]
Kind = Literal["conv", "depthwise", "dense", "norm", "other"]
Order = Literal["file", "number"]
Arrays = Mapping[str, np.ndarray]

# Our weight -> what it is called there. A separable convolution of Keras is two of our layers.
_KERAS: Mapping[tuple[Kind, str], tuple[str, ...]] = MappingProxyType(
    {
        ("conv", "kernel"): ("kernel", "pointwise_kernel"),
        ("depthwise", "kernel"): ("depthwise_kernel", "kernel"),
    }
)
_TORCH = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_BLOCK = re.compile(r"(learner-group\d+-block\d+)-(.+)")
_HEAD = re.compile(r"task-[A-Za-z0-9_]+-")


@dataclass(frozen=True, slots=True)
class Weight:
    """A place for an array in one of our models.

    Args:
        path: ``layer/weight``.
        kind: of the layer.
        shape: of the array.
        flattened: ``(height, width, channels)`` of the feature maps that a dense layer reads as one row; None
            where it reads no feature maps. Files whose channels come first list that row in another order.
    """

    path: str
    kind: Kind
    shape: tuple[int, ...]
    flattened: tuple[int, int, int] | None = None

    @property
    def layer(self) -> str:
        """The name of the layer."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """What it is in the layer: ``kernel``, ``gamma`` …"""
        return self.path.rpartition("/")[2]

    @property
    def in_head(self) -> bool:
        """Whether it belongs to a task."""
        return bool(_HEAD.match(self.path))


Find = Callable[[Sequence[Weight], Arrays], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class NameMap:
    """How one source names and lays out its weights.

    Args:
        name: of the source, for messages: ``keras.applications VGG``.
        find: from the places to fill and the arrays of a file to ``{our path: name in the file}``. A name that the
            file lacks stands for what was expected there; a place may be left out where none can be said.
        layout: ``keras`` (height, width, in, out; dense in, out) or ``torch`` (out, in, height, width; dense
            out, in), which is also Caffe's.
        head: patterns of the layers, in the file, that are its head: left over where the head is not loaded.
        ignored: endings of names that no model needs.
    """

    name: str
    find: Find
    layout: Layout = "keras"
    head: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ("num_batches_tracked",)

    def is_head(self, name: str) -> bool:
        """Whether the array of this name belongs to the head of the network that the file holds."""
        layer = re.split(r"[./](?=[^./]+$)", name)[0]
        return any(re.fullmatch(pattern, layer) for pattern in self.head)

    def is_ignored(self, name: str) -> bool:
        """Whether the array of this name is of no use to any model."""
        return name.endswith(self.ignored)


def by_name(
    name: str,
    layer: Callable[[str], str | None],
    *,
    layout: Layout = "keras",
    head: tuple[str, ...] = (),
) -> NameMap:
    """A map for sources that name their layers in a way that can be computed.

    Args:
        name: of the source.
        layer: from the name of our layer to theirs; None where they have no such layer.
        layout, head: see :class:`NameMap`.

    >>> vgg = by_name("example", lambda layer: layer.replace("learner-", "features."), layout="torch")
    >>> vgg.find([Weight("learner-1/kernel", "conv", (3, 3, 3, 64))], {})
    {'learner-1/kernel': 'features.1.weight'}
    """

    def find(weights: Sequence[Weight], arrays: Arrays) -> dict[str, str]:
        found = {}
        for weight in weights:
            theirs = layer(weight.layer)
            if theirs is not None:
                names = _names(theirs, weight, layout)
                found[weight.path] = next((each for each in names if each in arrays), names[0])
        return found

    return NameMap(name, find, layout, head)


def by_block(
    name: str, layer: Callable[[str, int], str | None], *, layout: Layout = "keras", head: tuple[str, ...] = ()
) -> NameMap:
    """A map for sources that number the blocks through, whatever the groups.

    Args:
        name: of the source.
        layer: from our layer to theirs. Inside blocks it is called with what follows the block's name (``conv1``)
            and the number of the block from 0; elsewhere with the whole name and −1.
        layout, head: see :class:`NameMap`.
    """

    def find(weights: Sequence[Weight], arrays: Arrays) -> Mapping[str, str]:
        blocks = dict.fromkeys(match[1] for weight in weights if (match := _BLOCK.match(weight.layer)))
        numbers = {block: number for number, block in enumerate(blocks)}

        def named(ours: str) -> str | None:
            match = _BLOCK.match(ours)
            return layer(match[2], numbers[match[1]]) if match else layer(ours, -1)

        return by_name(name, named, layout=layout).find(weights, arrays)

    return NameMap(name, find, layout, head)


def by_order(
    name: str,
    *,
    layout: Layout = "keras",
    head: tuple[str, ...] = (),
    order: Order = "number",
    per_kind: bool = True,
    named: Callable[[str], str | None] = lambda layer: None,
) -> NameMap:
    """A map for sources whose names say no more than the order in which layers were made.

    The first of our layers that has weights gets the first of theirs, and so on; what does not fit the place is
    refused when it is assigned. Ours are in the order in which ``Recipe.build`` made them.

    Args:
        name: of the source.
        layout, head: see :class:`NameMap`.
        order: of their layers: by ``number`` (``conv2d_9`` before ``conv2d_10``), or as the ``file`` lists them.
        per_kind: count convolutions, depthwise convolutions, dense layers and normalisations each by themselves,
            as Keras numbers them; otherwise all in one row.
        named: from the name of our layer to theirs, for the few that do have a name; None for all others.
    """
    direct = by_name(name, named, layout=layout)

    def find(weights: Sequence[Weight], arrays: Arrays) -> dict[str, str]:
        found = dict(direct.find(weights, arrays))
        taken = set(found.values())
        theirs = _layers([each for each in arrays if each not in taken and not each.endswith(direct.ignored)])
        ours = _layers_of([weight for weight in weights if weight.path not in found])
        if order == "number":
            theirs = dict(sorted(theirs.items(), key=lambda item: natural(item[0])))
        kinds = {layer: _kind(names, arrays, layout) for layer, names in theirs.items()}
        for kind in dict.fromkeys(group[0].kind for group in ours) if per_kind else (None,):
            left = [group for group in ours if kind in (None, group[0].kind)]
            right = [layer for layer in theirs if kind in (None, kinds[layer])]
            for group, layer in zip(left, right, strict=False):
                found |= {weight.path: _existing(layer, weight, layout, arrays) for weight in group}
        return found

    return NameMap(name, find, layout, head)


# What Lensmith wrote itself, in any format.
OWN = by_name("Lensmith", lambda layer: layer, head=(r"task-.*",))


def weights_of(model: Any) -> tuple[Weight, ...]:
    """Every place for an array in a model that ``Recipe.build`` made, in the order in which its layers were made."""
    found = []
    for layer in sorted(model.layers, key=_made):
        flattened = _flattened(layer)
        found += [Weight(v.path, _kind_of(layer, v.path), tuple(v.shape), flattened) for v in layer.weights]
    return tuple(found)


def _made(layer: Any) -> int:
    """When the layer was called: Keras numbers symbolic tensors, while ``model.layers`` is sorted by depth."""
    match = re.search(r"keras_tensor_(\d+)$", getattr(layer.output, "name", "") or "")
    return int(match[1]) if match else -1


def _kind_of(layer: Any, path: str) -> Kind:
    if isinstance(layer, keras.layers.Dense):
        return "dense"
    if isinstance(layer, keras.layers.BatchNormalization):
        return "norm"
    if isinstance(layer, keras.layers.DepthwiseConv2D) or path.endswith("/depthwise_kernel"):
        return "depthwise"
    return "conv" if isinstance(layer, keras.layers.Conv2D | keras.layers.SeparableConv2D) else "other"


def _flattened(layer: Any) -> tuple[int, int, int] | None:
    """The feature maps in front of a dense layer, through what leaves their order as it is."""
    if not isinstance(layer, keras.layers.Dense):
        return None
    before = layer.input._keras_history.operation
    while isinstance(before, keras.layers.Dropout | keras.layers.Activation):
        before = before.input._keras_history.operation
    if not isinstance(before, keras.layers.Flatten) or len(before.input.shape) != 4:
        return None
    height, width, channels = before.input.shape[1:]
    return height, width, channels


def _names(layer: str, weight: Weight, layout: Layout) -> list[str]:
    """What an array may be called there, the usual name first."""
    if layout == "keras":
        return [f"{layer}/{name}" for name in _KERAS.get((weight.kind, weight.name), (weight.name,))]
    return [f"{layer}{separator}{_TORCH.get(weight.name, weight.name)}" for separator in "./"]


def _existing(layer: str, weight: Weight, layout: Layout, arrays: Arrays) -> str:
    names = _names(layer, weight, layout)
    return next((name for name in names if name in arrays), names[0])


def _layers(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of arrays by layer; layers in the order of their first array."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(re.split(r"[./](?=[^./]+$)", name)[0], []).append(name)
    return found


def _layers_of(weights: Iterable[Weight]) -> list[list[Weight]]:
    found: dict[str, list[Weight]] = {}
    for weight in weights:
        found.setdefault(weight.layer, []).append(weight)
    return list(found.values())


def _kind(names: Sequence[str], arrays: Arrays, layout: Layout) -> Kind:
    """The kind of a layer in a file, told from what it holds."""
    last = {re.split(r"[./]", name)[-1]: arrays[name].shape for name in names}
    if {"moving_mean", "running_mean"} & last.keys():
        return "norm"
    if "depthwise_kernel" in last:
        return "depthwise"
    shape = last.get("kernel", last.get("weight", ()))
    if len(shape) == 2:
        return "dense"
    if len(shape) != 4:
        return "other"
    of_one, many = (shape[3], shape[2]) if layout == "keras" else (shape[1], shape[0])
    # One input a filter is a depthwise convolution, but for the first layer of a network for grey images.
    return "depthwise" if of_one == 1 and many > 1 and (layout == "keras" or not _is_first(names, arrays)) else "conv"


def _is_first(names: Sequence[str], arrays: Arrays) -> bool:
    return next(iter(arrays)) in names
