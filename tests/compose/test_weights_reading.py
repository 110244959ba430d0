"""Weights files of every format: each array under its own name, and nothing run, followed or half read."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.numpy
import torch

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import weights

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv.bias": np.array([1.5, -2], np.float32),
}


def _network() -> Any:
    """Every class of layer whose weights Keras 3 numbers, one inside another model."""
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(3, name="deep")], name="inner")
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.BatchNormalization(scale=False, name="unscaled")(x)
    x = keras.layers.Dropout(0.5, seed=1, name="drop")(inner(x))
    x = keras.layers.SeparableConv2D(5, 3, name="both")(x)
    return keras.Model(image, keras.layers.Dense(2, name="last")(keras.layers.Flatten()(x)))


@pytest.fixture(scope="module")
def network() -> Any:
    return _network()


def _arrays_of(model: Any) -> dict[str, np.ndarray]:
    return {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}


def _same(read: Any, expected: dict[str, np.ndarray]) -> None:
    assert set(read) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model.keras"])
def test_keras_files_give_layer_and_weight(name: str, network: Any, tmp_path: Path) -> None:
    path = tmp_path / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls .h5 old
        (network.save_weights if "weights" in name else network.save)(path)
    _same(weights.read(path), _arrays_of(network))


def test_an_optimizer_in_the_file_is_not_read(tmp_path: Path) -> None:
    model = _network()
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 8, 8, 3)), np.zeros((1, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    _same(weights.read(tmp_path / "model.keras"), _arrays_of(model))


def test_names_of_keras_1_and_a_layer_renamed_later(tmp_path: Path) -> None:
    """The published VGG16 is such a file: ``block1_conv1_W_1:0``."""
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [b"block1_conv1", b"pool", b"bn", b"sep"]
        for layer, names in {
            "block1_conv1": ["block1_conv1_W_1:0", "block1_conv1_b_1:0"],
            "pool": [],
            "bn": ["bn_gamma:0", "bn_beta:0", "bn_running_mean:0", "bn_running_std:0"],
            "sep": ["separable_conv2d_4/depthwise_kernel:0"],  # the layer was renamed after the weight was made
        }.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([name.encode() for name in names], dtype="S50")
            for name in names:
                group[name] = np.ones(2, np.float32)
    assert list(weights.read(tmp_path / "old.h5")) == [
        "block1_conv1/kernel",
        "block1_conv1/bias",
        "bn/gamma",
        "bn/beta",
        "bn/moving_mean",
        "bn/moving_variance",
        "sep/depthwise_kernel",
    ]


def test_long_lists_of_layers_are_split_by_keras_and_joined_again(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "split.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"a"], [b"b"]
        for layer in "ab":
            file.create_group(layer).attrs["weight_names"] = [f"{layer}/kernel:0".encode()]
            file[layer][f"{layer}/kernel:0"] = np.zeros(1, np.float32)
    assert list(weights.read(tmp_path / "split.h5")) == ["a/kernel", "b/kernel"]


def test_safetensors_and_npz_and_what_wraps_all_names(tmp_path: Path) -> None:
    safetensors.numpy.save_file(ARRAYS, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **{f"state_dict.module.{name}": array for name, array in ARRAYS.items()}, epoch=3)
    for name in ("a.safetensors", "a.npz"):
        _same(weights.read(tmp_path / name), ARRAYS)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".bin"])
@pytest.mark.parametrize("zipped", [True, False])  # what torch writes now, and what it wrote before 1.6
def test_state_dicts(suffix: str, zipped: bool, tmp_path: Path) -> None:
    tensors = {f"module.{name}": torch.from_numpy(array) for name, array in ARRAYS.items()}
    content = {"state_dict": tensors, "best_prec1": 91.7}
    torch.save(content, tmp_path / f"a{suffix}", _use_new_zipfile_serialization=zipped)
    _same(weights.read(tmp_path / f"a{suffix}"), ARRAYS)


def test_bfloat16_becomes_float32_of_the_same_value(tmp_path: Path) -> None:
    torch.save({"w": torch.tensor([1.5, -0.25], dtype=torch.bfloat16)}, tmp_path / "half.pt")
    array = weights.read(tmp_path / "half.pt")["w"]
    assert (array.dtype, array.tolist()) == (np.float32, [1.5, -0.25])


class _Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, (_Evil.path,)

    path = ""


def test_a_pickle_that_would_run_is_refused_and_does_not_run(tmp_path: Path) -> None:
    _Evil.path = str(tmp_path / "ran")
    torch.save({"state_dict": {"w": _Evil()}}, tmp_path / "evil.pt")
    (tmp_path / "evil.bin").write_bytes(pickle.dumps({"w": _Evil()}))
    np.savez(tmp_path / "evil.npz", w=np.array([_Evil()], dtype=object))
    for name in ("evil.pt", "evil.bin", "evil.npz"):
        _refused(tmp_path / name, name)
    assert not (tmp_path / "ran").exists()


def _refused(path: Path, *words: str) -> None:
    with pytest.raises(check.DataError) as caught:
        weights.read(path)
    text = str(caught.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == [], text


def _written(tmp_path: Path) -> dict[str, Path]:
    """One sound file of each format."""
    torch.save({name: torch.from_numpy(array) for name, array in ARRAYS.items()}, tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", **ARRAYS)
    safetensors.numpy.save_file(ARRAYS, tmp_path / "a.safetensors")
    _network().save(tmp_path / "a.keras")
    _network().save_weights(tmp_path / "a.weights.h5")
    return {path.suffix: path for path in tmp_path.iterdir()}


def test_files_that_are_cut_or_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    for suffix, path in _written(tmp_path).items():
        whole = path.read_bytes()
        for content in (whole[: len(whole) // 2], whole[:9], b"", b"<html>404 Not Found</html>"):
            path.write_bytes(content)
            _refused(path, str(path))
        path.unlink()
        _refused(path, str(path), "No such file" if suffix != ".h5" else "")


def test_a_name_that_tells_no_format_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path / "weights.pdf", ".safetensors", ".npz", ".h5", "weights.pdf")


def _linked(make: Callable[[h5py.File, Path], None], tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = np.ones(4, np.float32)
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        make(file, tmp_path)
    return tmp_path / "linked.h5"


def _external_link(file: h5py.File, folder: Path) -> None:
    file["layer"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")


def _external_group(file: h5py.File, folder: Path) -> None:
    file["model_weights"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")
    file["model_weights_of_mine"] = np.ones(1, np.float32)


def _external_storage(file: h5py.File, folder: Path) -> None:
    file.create_dataset("kernel", (4,), np.float32, external=[(str(folder / "secret.bin"), 0, 16)])


def _virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "kernel", (4,))
    file.create_virtual_dataset("kernel", layout)


def _outside_name(file: h5py.File, folder: Path) -> None:
    file.attrs["layer_names"] = [b"../secret.h5"]


def _bomb(file: h5py.File, folder: Path) -> None:
    file.create_dataset("kernel", (2**40,), np.float32, chunks=(2**20,), compression="gzip")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_external_link, "no array at all"),  # links are not followed
        (_external_storage, "points to another file"),
        (_virtual, "points to another file"),
        (_outside_name, "lacks it"),  # names are looked up in the file alone
        (_bomb, "as many numbers as are stored"),  # four terabytes in a few hundred bytes
    ],
)
def test_nothing_outside_an_hdf5_file_is_opened(make: Any, word: str, tmp_path: Path) -> None:
    _refused(_linked(make, tmp_path), "linked.h5", word)


def test_a_linked_group_of_weights_is_not_followed(tmp_path: Path) -> None:
    assert list(weights.read(_linked(_external_group, tmp_path))) == ["model_weights_of_mine"]


def test_an_archive_larger_than_weights_are_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: Any) -> None:
    from lensmith.compose.weights import reading

    monkeypatch.setattr(reading, "_LARGEST", 1000)
    np.savez_compressed(tmp_path / "bomb.npz", w=np.zeros(10_000))
    _refused(tmp_path / "bomb.npz", "at most 1,000 bytes unpacked")


def test_an_archive_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("../config.txt", "{}")
    _refused(tmp_path / "a.keras", "config.json", "config.txt")


def test_arrays_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", names=np.array(["a", "b"]))
    _refused(tmp_path / "text.npz", "names", "an array of numbers")


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    import sys

    torch.save({}, tmp_path / "a.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(check.LensmithError, match=r"pip install 'lensmith\[torch\]'"):
        weights.read(tmp_path / "a.pt")


def test_a_torch_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    _refused(tmp_path / "list.pt", "a state dict", "list")
    script = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript old
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), script)
    (tmp_path / "script.pt").write_bytes(script.getvalue())
    _refused(tmp_path / "script.pt", "a state dict")
