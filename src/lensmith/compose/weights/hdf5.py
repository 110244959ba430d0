"""Keras' HDF5 files of all ages as ``{"layer/weight": array}``.

Three forms are told apart by what the file holds:

- Keras 1, 2 and 3 ``.h5``: a group for each layer, named in the attribute ``layer_names``; the weights of each in
  ``weight_names`` (``block1_conv1/kernel:0``, in Keras 1 ``block1_conv1_W_1:0``).
- Keras 3 ``.weights.h5`` and ``.keras``: ``layers/conv2d_3/vars/0``, the layer's own name in the attribute ``name``.
- anything else: the path of each array is its name.

Arrays are found by walking the file itself, which follows no link; names in attributes are only looked up among
them, so that nothing outside the file is ever opened.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from lensmith import check

# An array may say it is larger than what is stored; such a file would fill the memory (Keras' own bounds).
_LARGE, _EXPANSION = 2**32, 1000

# What Keras 3 numbers in the order below, by the class of the layer.
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_VARS: Mapping[str, tuple[str, ...]] = {
    "batch_normalization": _NORM,
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "p_re_lu": ("alpha",),
    "normalization": ("mean", "variance", "count"),
}
_KERNEL = ("kernel", "bias")
_WITH_KERNEL = ("conv2d", "conv2d_transpose", "depthwise_conv2d", "dense", "conv1d", "conv3d")

_WEIGHT = re.compile(
    r"(?:^|[/_])(depthwise_kernel|pointwise_kernel|kernel|bias|gamma|beta|moving_mean|moving_variance"
    r"|running_mean|running_std|running_var|alpha|W|b)(?:_\d+)?(?::\d+)?$"
)
# Keras 1 called them so; its running_std holds the variance in fact.
_KERAS_1 = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
    "running_var": "moving_variance",
}


def read_file(path: Path) -> dict[str, np.ndarray]:
    """Every weight of an HDF5 file, by ``layer/weight``; an optimizer's and a random generator's numbers are none."""
    with h5py.File(path, "r") as file:
        return _arrays(file, {})


def read_archive(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """Every weight of a ``.keras`` archive; its configuration says what a layer of few weights leaves out."""
    names = archive.namelist()
    for name in ("config.json", "model.weights.h5"):
        if name not in names:
            got = ", ".join(names[:5]) or "nothing"
            raise check.DataError(check.sentence("archive", f"a Keras archive, with {name}", got))
    config = json.loads(archive.read("config.json"))
    with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
        return _arrays(file, dict(_configs(config)))


def _configs(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The configuration of each layer by its name, nested models too."""
    if isinstance(config, Mapping):
        inner = config.get("config")
        if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
            yield inner["name"], inner
        for value in config.values():
            yield from _configs(value)
    elif isinstance(config, list):
        for value in config:
            yield from _configs(value)


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """What an HDF5 file holds, by path; the root group's path is empty."""

    arrays: Mapping[str, h5py.Dataset]
    groups: Mapping[str, h5py.Group]


def _arrays(file: h5py.File, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    members = _members(file)
    names: Iterable[tuple[str, str]] = ((path, path) for path in members.arrays)
    legacy = [
        at for at in ("model_weights", "") if at in members.groups and _strings(members.groups[at], "layer_names")
    ]
    if legacy:
        names = _legacy(members, legacy[0])
    elif any(re.search(r"(^|/)vars/\d+$", path) for path in members.arrays):
        names = _keras3(members, configs)
    return {name: _array(members.arrays[path]) for name, path in names}


def _members(file: h5py.File) -> _Members:
    """Everything in the file itself: ``visititems`` goes into no soft or external link."""
    arrays: dict[str, h5py.Dataset] = {}
    groups: dict[str, h5py.Group] = {"": file}

    def visit(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[path] = _checked(path, item)
        elif isinstance(item, h5py.Group):
            groups[path] = item

    file.visititems(visit)
    return _Members(arrays, groups)


def _checked(path: str, dataset: h5py.Dataset) -> h5py.Dataset:
    if dataset.external or dataset.is_virtual:
        raise check.DataError(check.sentence(path, "an array inside the file", "one that points to another file"))
    size = math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize
    if size > _LARGE and size > _EXPANSION * dataset.id.get_storage_size():
        raise check.DataError(check.sentence(path, "as many numbers as are stored", f"an array of {dataset.shape}"))
    return dataset


def _array(dataset: h5py.Dataset) -> np.ndarray:
    array = np.asarray(dataset[()])
    if dataset.attrs.get("dtype") == "bfloat16" and array.dtype.itemsize == 2:
        # The upper half of a float32 with the same value.
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array


def _strings(group: h5py.Group, name: str) -> list[str]:
    """A list of names among the attributes; Keras splits a long one into ``name0``, ``name1`` …"""
    keys = [name] if name in group.attrs else _pieces(group, name)
    values = [value for key in keys for value in np.ravel(group.attrs[key]).tolist()]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _pieces(group: h5py.Group, name: str) -> list[str]:
    found = [key for key in group.attrs if re.fullmatch(rf"{name}\d+", key)]
    return sorted(found, key=natural)


def _legacy(members: _Members, root: str) -> Iterator[tuple[str, str]]:
    """(our name, path) of each weight, in the file's order of layers and weights."""
    for layer in _strings(members.groups[root], "layer_names"):
        at = f"{root}/{layer}".lstrip("/")
        if at not in members.groups:
            raise check.DataError(check.sentence(at, "a layer", "none", "The file lists it, but lacks it"))
        weights = _strings(members.groups[at], "weight_names")
        parents = {weight.rpartition("/")[0] for weight in weights}
        nested = len(parents) > 1 or any(parent.startswith(f"{layer}/") for parent in parents)
        for weight in weights:
            path = f"{at}/{weight}"
            if path not in members.arrays:
                raise check.DataError(check.sentence(path, "an array", "none", "The file lists it, but lacks it"))
            yield _legacy_name(layer, weight, nested=nested), path


def _legacy_name(layer: str, weight: str, *, nested: bool) -> str:
    """``layer/kernel``, whatever Keras made of the layer's name in that of the weight; nested models keep theirs."""
    match = _WEIGHT.search(weight)
    name = _KERAS_1.get(match[1], match[1]) if match else weight.rpartition("/")[2].partition(":")[0]
    inner = weight.rpartition("/")[0].removeprefix(f"{layer}/") if nested else ""
    return "/".join(part for part in (layer, inner, name) if part)


def _keras3(members: _Members, configs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(our name, path) of each weight, layers of one class in their order."""
    layers: dict[str, list[str]] = {}
    for path in sorted(members.arrays, key=natural):
        at, _, number = path.rpartition("/vars/")
        # Beside the layers there may be an optimizer, and inside them random generators.
        if at and number.isdigit() and not re.search(r"(^|/)(optimizer|seed_generator)(_\d+)?(/|$)", at):
            layers.setdefault(at, []).append(path)
    for at, paths in layers.items():
        layer = _keras3_layer(members, at)
        kind = re.sub(r"_\d+$", "", at.rpartition("/")[2])
        names = _vars(kind, len(paths), configs.get(layer.rpartition("/")[2], {}))
        yield from ((f"{layer}/{name}", path) for name, path in zip(names, paths, strict=True))


def _keras3_layer(members: _Members, at: str) -> str:
    """The layer's own name, behind those of the models it is nested in; early files of Keras 3 lack them."""
    parts = at.split("/")
    names = []
    for i, part in enumerate(parts):
        if part not in ("layers", "_layer_checkpoint_dependencies"):
            group = members.groups.get("/".join([*parts[: i + 1], "vars"]))
            own = part if group is None else group.attrs.get("name", part)
            names.append(own.decode() if isinstance(own, bytes) else str(own))
    return "/".join(names)


def _vars(kind: str, count: int, config: Mapping[str, Any]) -> Sequence[str]:
    """The names of a layer's numbered weights; numbers where the class is not known."""
    if kind == "batch_normalization" and count < len(_NORM):
        # Where no configuration tells: the networks that leave one of the two out leave out the scale.
        left_out = {"gamma"} if not config.get("scale", False) else set()
        left_out |= {"beta"} if count == 2 or not config.get("center", True) else set()
        return [name for name in _NORM if name not in left_out]
    names = _KERNEL if kind in _WITH_KERNEL else _VARS.get(kind, ())
    return names[:count] if count <= len(names) else [str(i) for i in range(count)]


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A key that sorts ``conv2d_9`` before ``conv2d_10``."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]
