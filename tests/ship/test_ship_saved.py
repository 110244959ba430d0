"""A model as a folder: what is saved is what is loaded, and broken folders are named."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from lensmith import check, compose, ship
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.data import Preprocessing
from lensmith.records import Labels

FILES = {"recipe.yaml", "weights.safetensors", "labels.json", "preprocessing.json"}


@pytest.fixture(scope="module")
def whole(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "runs" / "model"
    ship.save(folder, saved)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of a saved model, to be broken."""
    return shutil.copytree(whole, tmp_path / "model")


def weights(model):
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}


def test_what_is_saved_is_what_is_loaded(whole, saved, images):
    loaded = ship.load(whole)
    assert {path.name for path in whole.iterdir()} == FILES
    assert [path.name for path in whole.parent.iterdir()] == ["model"]  # nothing is left beside it
    assert loaded.recipe == saved.recipe
    assert loaded.labels == saved.labels
    assert loaded.preprocessing == saved.preprocessing
    before, after = weights(saved.model), weights(loaded.model)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
    for task, expected in saved.predict(images).items():
        np.testing.assert_array_equal(loaded.predict(images)[task], expected)


def test_the_weights_are_named_by_layer_and_hold_the_moving_statistics(whole, saved):
    with safetensors.safe_open(whole / "weights.safetensors", framework="numpy") as file:
        # One name: safetensors writes several in an order of chance, and the same weights are to give the same bytes.
        assert file.metadata() == {"format": "lensmith 1"}
        names = set(file.keys())
    assert "learner-group1-block1-conv/kernel" in names
    assert "learner-group1-block1-norm/moving_variance" in names
    assert not any("seed" in name for name in names)
    assert names == {weight.path for weight in saved.model.weights}


def test_rows_and_a_single_task(tmp_path):
    recipe = zoo.get("dense-binary")
    labels = {"label": Labels("class", ("no", "yes"))}
    model = ship.Saved(recipe.build(1), recipe, labels, Preprocessing(columns=13, scaling="none"))
    ship.save(tmp_path / "m", model)
    rows = np.random.default_rng(0).normal(size=(70, 13))  # more than one window
    outputs = ship.load(str(tmp_path / "m")).predict(rows)
    assert outputs["label"].shape == (70, 1)
    np.testing.assert_array_equal(outputs["label"], model.predict(rows)["label"])


def test_an_earlier_model_is_replaced_as_a_whole(folder, saved):
    (folder / "labels.json").unlink()
    ship.save(folder, saved)
    assert {path.name for path in folder.iterdir()} == FILES
    ship.load(folder)


def test_what_a_killed_process_left_is_cleared_away(folder, saved):
    left = [folder.with_name(".writing-model"), folder.with_name(".replaced-model")]
    for path in left:
        path.mkdir()
        (path / "half").write_text("x")
    ship.save(folder, saved)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_folder_with_other_things_is_never_replaced(folder, saved):
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(check.SettingError, match=r"one that also holds thesis\.tex"):
        ship.save(folder, saved)
    assert (folder / "thesis.tex").read_text() == "years of work"
    with pytest.raises(check.SettingError, match="got a file"):
        ship.save(folder / "thesis.tex", saved)


def test_a_full_disk_leaves_the_earlier_model(folder, saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(check.LensmithError, match=r"model: no space left on device; nothing there was changed"):
        ship.save(folder, saved)
    with pytest.raises(check.LensmithError, match=r"model\.keras: no space left on device"):
        ship.save_keras(folder.with_name("model.keras"), saved)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(check.DataError, match=rf"{name}: No such file") as refusal:
        ship.load(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1, 2", b'{"a": 1}', b"[]", b"- 1\n"])
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(check.DataError, match=name) as refusal:
        ship.load(folder)
    assert "\n" not in str(refusal.value)


def test_weights_cut_short_are_named(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(check.DataError, match=r"weights\.safetensors"):
        ship.load(folder)


def test_weights_of_another_program_are_refused(folder):
    safetensors.numpy.save_file({"a": np.zeros(1)}, folder / "weights.safetensors", metadata={"format": "pt"})
    with pytest.raises(check.DataError, match=r"expected the metadata .*lensmith.*; got .*pt"):
        ship.load(folder)


KERNEL = "learner-group2-block1-conv/kernel"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(KERNEL), rf"{KERNEL}: expected an array of shape \(3, 3, 8, 12\); got none"),
        (
            lambda arrays: arrays.update({"a/b": np.zeros(2)}),
            r"a/b: expected no such weight; got an array",
        ),
        (
            lambda arrays: arrays.update({KERNEL: np.zeros((3, 3, 8, 5))}),
            rf"{KERNEL}: expected an array of shape \(3, 3, 8, 12\); got an array of shape \(3, 3, 8, 5\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, change, message):
    path = folder / "weights.safetensors"
    arrays = safetensors.numpy.load_file(path)
    change(arrays)
    path.write_bytes(safetensors.numpy.save(arrays, metadata={"format": "lensmith", "version": "1"}))
    with pytest.raises(check.DataError, match=message):
        ship.load(folder)


def test_labels_of_another_model_are_refused(folder):
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    labels["shape"]["names"].pop()
    (folder / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(check.DataError, match="model: labels of 'shape': expected 4 of kind 'class'; got 3"):
        ship.load(folder)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(check.DataError, match=r"recipe\.yaml.*; got no such folder"):
        ship.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("preprocessing", Preprocessing(image=(14, 20, 3)), r"\(20, 14, 3\); got \(14, 20, 3\)"),
        ("labels", {}, "those of the task 'shape'"),
        ("labels", "kind", "labels of 'size': expected 2 of kind 'number'"),
        ("model", "logits", "an output of layer task-shape-probabilities; got task-shape-logits"),
    ],
)
def test_what_does_not_belong_together_is_refused(saved, field, value, message):
    if value == "kind":
        value = {**saved.labels, "size": Labels("class", ("small", "large"))}
    if value == "logits":  # what training trains
        value = compose.logits(saved.model)
    with pytest.raises(check.SettingError, match=message):
        replace(saved, **{field: value})


def test_labels_of_tasks_the_model_lacks_are_left_out(saved):
    more = replace(saved, labels={"colour": Labels("class", ("red", "blue")), **saved.labels})
    assert list(more.labels) == list(saved.recipe.tasks)


def test_a_keras_file_is_uncompiled_and_says_the_same(saved, images, tmp_path):
    model = saved.recipe.build(0)
    model.set_weights(saved.model.get_weights())
    model.compile(optimizer="adam", loss={"shape": "sparse_categorical_crossentropy"})
    path = tmp_path / "there" / "model.keras"
    ship.save_keras(path, replace(saved, model=model))
    assert [path.name for path in path.parent.iterdir()] == ["model.keras"]
    loaded = keras.models.load_model(path)
    assert not loaded.compiled
    x = np.stack([saved.preprocessing(image) for image in images])
    for task, expected in saved.predict(images).items():
        np.testing.assert_allclose(loaded.predict_on_batch(x)[task], expected, atol=1e-6)


def test_a_keras_file_needs_its_ending(saved, tmp_path):
    with pytest.raises(check.SettingError, match=r"ends in \.keras; got '\.h5'"):
        ship.save_keras(tmp_path / "model.h5", saved)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_it_loads_on_every_backend(whole, saved, images, tmp_path, backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    np.savez(tmp_path / "images.npz", *images)
    code = (
        "import sys, numpy as np\nfrom lensmith import ship\n"
        "images = list(np.load(sys.argv[2]).values())\n"
        "np.savez(sys.argv[3], **ship.load(sys.argv[1]).predict(images))"
    )
    arguments = [whole, tmp_path / "images.npz", tmp_path / "outputs.npz"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=os.environ | {"KERAS_BACKEND": backend})
    outputs = np.load(tmp_path / "outputs.npz")
    for task, expected in saved.predict(images).items():
        np.testing.assert_allclose(outputs[task], expected, atol=1e-5)
