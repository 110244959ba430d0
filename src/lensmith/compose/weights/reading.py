"""Read every array of a weights file under its own name, whoever wrote it. Nothing in the file is ever run.

| suffix | what it is |
| --- | --- |
| ``.h5``, ``.hdf5``, ``.weights.h5``, ``.keras`` | Keras 1 to 3, see :mod:`.hdf5` |
| ``.safetensors`` | Lensmith's own and others |
| ``.npz`` | numpy |
| ``.pt``, ``.pth``, ``.th``, ``.bin`` | a PyTorch state dict |
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors

from lensmith import check
from lensmith.compose.weights import hdf5

Arrays = Mapping[str, np.ndarray]

# Around the state dict, and around the model in it: they say nothing of the network.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
_LARGEST = 8 * 2**30  # bytes; the largest file that is published for a network of the zoo has 0.6


def read(path: Path | str) -> Arrays:
    """Every array of a weights file, by the name it has there.

    Names of Keras files become ``layer/weight`` (``block1_conv1/kernel``), those of state dicts stay
    (``layer1.0.conv1.weight``); what wraps all names of a file (``state_dict.``, ``module.``) is taken off.

    Args:
        path: the file; its suffix says what it is.

    Returns:
        Arrays of numbers in the file's own layout and type, in the order in which the file lists them.

    Raises:
        DataError: the file is missing, cut short, of another format, or would have code run to be read;
            one line names it.
        LensmithError: a package is missing that reads such files; names the extra that brings it.
    """
    path = Path(path)
    if path.is_dir():
        raise check.DataError(check.sentence(str(path), "a file of weights", "a folder"))
    if path.suffix.lower() not in _READERS:
        raise check.DataError(check.sentence(str(path), f"a name that ends in {', '.join(_READERS)}", path.name))
    try:
        arrays = _unwrapped(_READERS[path.suffix.lower()](path))
    except check.DataError as error:
        raise check.DataError(f"{path}: {error}") from error
    except check.LensmithError:
        raise
    except zipfile.BadZipFile as error:
        raise check.DataError(f"{path}: damaged or cut short: it is no whole archive") from error
    except Exception as error:  # readers of other people's formats raise whatever a broken byte leads them to
        raise check.DataError(f"{path}: {_reason(error)}") from error
    if not arrays:
        raise check.DataError(check.sentence(str(path), "a file of weights", "no array at all"))
    return MappingProxyType({name: _numbers(f"{path}: {name}", array) for name, array in arrays.items()})


def _keras_archive(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        _check_size(archive)
        return hdf5.read_archive(archive)


def _npz(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        _check_size(archive)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    with safetensors.safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping


def _torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch  # only these files need it, whatever Keras runs on
    except ImportError as error:
        raise check.need_extra("torch", "torch") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of is refused below, or does not matter
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            remedy = "Save model.state_dict() alone"
            got = _reason(error).removeprefix("Weights only load failed. ").split(". ")[0][:200]
            raise check.DataError(check.sentence("torch", "a state dict of arrays alone", got, remedy)) from error
    inner = _state_dict(content)
    return {str(name): _from_torch(tensor) for name, tensor in inner.items() if isinstance(tensor, torch.Tensor)}


def _state_dict(content: Any) -> Mapping[Any, Any]:
    if not isinstance(content, Mapping):
        got = type(content).__name__
        raise check.DataError(check.sentence("torch", "a state dict", got, "Save model.state_dict() alone"))
    inner = [content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)]
    return inner[0] if inner else content


def _from_torch(tensor: Any) -> np.ndarray:
    # numpy has no bfloat16: float32 holds each of its numbers exactly.
    plain = tensor.detach()
    array: np.ndarray = (plain.float() if plain.is_floating_point() else plain).numpy()
    return array


_READERS: Mapping[str, Callable[[Path], dict[str, np.ndarray]]] = MappingProxyType(
    {
        ".h5": hdf5.read_file,
        ".hdf5": hdf5.read_file,
        ".keras": _keras_archive,
        ".safetensors": _safetensors,
        ".npz": _npz,
        ".pt": _torch,
        ".pth": _torch,
        ".th": _torch,
        ".bin": _torch,
    }
)


def _check_size(archive: zipfile.ZipFile) -> None:
    """A small archive can unfold to any size: refuse one that says it is larger than weights are."""
    size = sum(item.file_size for item in archive.infolist())
    if size > _LARGEST:
        raise check.DataError(check.sentence("archive", f"at most {_LARGEST:,} bytes unpacked", f"{size:,}"))


def _unwrapped(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays without what stands before all names; numbers beside a wrapped state dict are dropped."""
    for wrapper in _WRAPPERS[:2]:
        inner = {name: array for name, array in arrays.items() if name.startswith(f"{wrapper}.")}
        if inner:
            arrays = {name.removeprefix(f"{wrapper}."): array for name, array in inner.items()}
    for prefix in _PREFIXES:
        if arrays and all(name.startswith(prefix) for name in arrays):
            arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def _numbers(place: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "fiub" or array.dtype.name == "bfloat16":
        return array
    raise check.DataError(check.sentence(place, "an array of numbers", f"one of {array.dtype}"))


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (" ".join(text.split()) or type(error).__name__)[:300]
