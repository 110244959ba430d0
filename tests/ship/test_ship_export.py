"""The artifact: equal to the model on any image, complete in one file, and refused when it is not equal."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from PIL import Image
from sklearn.datasets import load_digits, load_wine

import lensmith
from lensmith import check, ship
from lensmith.backend import keras
from lensmith.compose import Classify, Regress, zoo
from lensmith.data import Preprocessing, preprocessing
from lensmith.records import Labels
from lensmith.ship import onnx as room


def digit_names(count=10):
    return {"label": Labels("class", tuple(str(i) for i in range(count)))}


def test_it_is_proven_and_prints_nothing(exported, images):
    assert exported.proof.max_difference < 2e-6
    assert exported.proof.images == len(images)
    assert exported.printed == ""
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("size", [(20, 14), (200, 301), (2, 3), (1, 77), (21, 13), (480, 9)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_it_equals_the_model_at_any_size_and_any_batch(exported, draw, size, count):
    batch = np.stack([draw(*size, seed=seed) for seed in range(count)])
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    tasks = [output.name for output in session.get_outputs()]
    outputs = dict(zip(tasks, session.run(tasks, {"images": batch}), strict=True))
    expected = exported.saved.predict(list(batch))
    assert tasks == list(expected) == ["shape", "round", "marks", "size"]
    for task in tasks:
        np.testing.assert_allclose(outputs[task], expected[task], rtol=0, atol=1e-5)


def test_the_file_says_what_it_takes_and_gives(exported):
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    assert (source.name, source.type) == ("images", "tensor(uint8)")
    assert source.shape == ["batch", "height", "width", 3]
    assert [(one.name, one.type, one.shape[1]) for one in session.get_outputs()] == [
        ("shape", "tensor(float)", 4),
        ("round", "tensor(float)", 1),
        ("marks", "tensor(float)", 5),
        ("size", "tensor(float)", 2),
    ]


def test_the_metadata_is_complete(exported, images):
    stored = {entry.key: entry.value for entry in onnx.load(exported.path).metadata_props}
    assert {name: json.loads(stored[f"lensmith.{name}"]) for name in ("labels", "preprocessing", "proof")} == {
        "labels": {task: labels.to_dict() for task, labels in exported.saved.labels.items()},
        "preprocessing": exported.saved.preprocessing.to_dict(),
        "proof": {
            "max_difference": exported.proof.max_difference,
            "images": len(images),
            "tolerance": 1e-4,
            "onnxruntime": onnxruntime.__version__,
        },
    }
    assert stored["lensmith.recipe"] == exported.saved.recipe.to_yaml()
    assert stored["lensmith.version"] == lensmith.__version__
    assert stored["lensmith.size_limit"] == "8192"


def test_the_file_is_whole_and_holds_nothing_of_this_machine(exported):
    model = onnx.load(exported.path, load_external_data=False)
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    content = exported.path.read_bytes()
    for trace in (str(Path(keras.__file__).parent), str(Path.cwd()), "pkg.torch"):
        assert trace.encode() not in content


def perturb(network):
    """Change one weight of the last layer by a little."""
    for tensor in network.graph.initializer:
        if list(tensor.dims) == [4]:  # the bias of the task of four classes
            array = numpy_helper.to_array(tensor).copy()
            array[0] += 0.01
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            return
    raise AssertionError("no such weight")


def test_an_artifact_that_differs_is_refused_and_nothing_is_left(reexport, images, tmp_path):
    with pytest.raises(ship.ProofError, match=r"within 0\.0001; got a difference of 0\.00\d+ on example \d") as refusal:
        reexport(tmp_path / "model.onnx", images, perturb)
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == []
    assert reexport(tmp_path / "model.onnx", images, perturb, tolerance=0.01).max_difference > 1e-4


def test_a_refusal_leaves_the_earlier_artifact(reexport, images, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("earlier")
    with pytest.raises(ship.ProofError):
        reexport(path, images, perturb)
    assert path.read_text() == "earlier"
    reexport(path, images)
    assert ship.open_artifact(path).proof["images"] == len(images)


def test_swapped_outputs_are_refused(reexport, exported, images, tmp_path):
    def swap(network):
        first, second, *_ = network.graph.output
        copy = onnx.ValueInfoProto()
        copy.CopyFrom(first)
        first.CopyFrom(second)
        second.CopyFrom(copy)

    with pytest.raises(ship.ProofError, match=r"outputs of shape \(8, \d\); got \(8, \d\)"):
        reexport(tmp_path / "model.onnx", images, swap)


def test_weights_that_are_not_finite_are_refused(saved, images, tmp_path, reexport, exported, monkeypatch):
    model = saved.recipe.build(0)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(ship.ProofError, match="finite"):
        ship.prove(replace(saved, model=model), ship.open_artifact(exported.path), images)


def test_a_proof_needs_examples(reexport, tmp_path):
    with pytest.raises(check.DataError, match="at least one"):
        reexport(tmp_path / "model.onnx", [])
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_broken_image_is_named(reexport, images, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(check.DataError, match=r"text\.jpg"):
        reexport(tmp_path / "model.onnx", [*images, tmp_path / "text.jpg"])


def test_a_full_disk_leaves_nothing(reexport, images, tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(check.LensmithError, match=r"could not write .*model\.onnx: no space left"):
        reexport(tmp_path / "model.onnx", images)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_target_that_is_a_folder_is_refused(reexport, images, tmp_path):
    with pytest.raises(check.LensmithError, match="is a directory"):
        reexport(tmp_path, images)


def test_a_task_may_not_be_called_as_the_input(tmp_path):
    recipe = replace(zoo.get("dense-digits-small"), tasks={"images": Classify(10)})
    model = ship.Saved(recipe.build(0), recipe, {"images": digit_names()["label"]}, Preprocessing(image=(28, 28, 1)))
    with pytest.raises(check.SettingError, match="no task called as the input; got 'images'"):
        ship.export(model, tmp_path / "model.onnx", [np.zeros((3, 3, 1), np.uint8)])


def test_another_backend_is_told_what_to_do(saved, images, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "devices", lambda: ("cpu:0 cpu",))
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(check.LensmithError, match=r"expected the torch backend; got jax\. .*KERAS_BACKEND=torch"):
        ship.export(saved, tmp_path / "model.onnx", images)


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(saved, exported, images, reexport, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    export = reexport if package == "onnxruntime" else lambda path, images: ship.export(saved, path, images)
    with pytest.raises(check.LensmithError, match=rf"{package} is not installed.*lensmith\[ship\]"):
        export(tmp_path / "model.onnx", images)


def test_beside_a_graphics_card_the_reference_is_computed_on_the_cpu(saved, images, monkeypatch):
    assert room._on_cpu(saved) is saved
    monkeypatch.setattr(room, "devices", lambda: ("cpu", "cuda:0 NVIDIA H200"))
    copy = room._on_cpu(saved)
    assert copy.model is not saved.model
    for task, expected in saved.predict(images).items():
        np.testing.assert_array_equal(copy.predict(images)[task], expected)


def test_rows(tmp_path):
    rows, kinds = load_wine(return_X_y=True)
    records = lensmith.data.from_rows(rows, {"label": kinds.astype(int)})
    recipe = replace(zoo.get("dense-multi-class"), input=(13,), tasks={"label": Classify(3), "colour": Regress()})
    labels = {"label": records.labels["label"], "colour": Labels("number", ("hue",))}
    model = ship.Saved(recipe.build(0), recipe, labels, preprocessing(records))
    proof = ship.export(model, tmp_path / "wine.onnx", list(rows))
    assert proof.images == 178
    artifact = ship.open_artifact(tmp_path / "wine.onnx")
    assert [(one.name, one.shape) for one in artifact.session.get_inputs()] == [("rows", ["batch", 13])]
    np.testing.assert_allclose(artifact.predict(records)["colour"], model.predict(records)["colour"], atol=1e-5)
    with pytest.raises(check.DataError, match="example 2: expected a row of 13 numbers"):
        artifact.predict([rows[0], rows[0, :5]])


def test_gray_digits_and_colour_files_through_one_small_network(tmp_path, draw):
    recipe = zoo.get("conv-digits-5x5")
    model = ship.Saved(recipe.build(0), recipe, digit_names(), Preprocessing(image=(28, 28, 1)))
    digits = [(image * 15.9).astype(np.uint8) for image in load_digits().images[:5]]
    Image.fromarray(draw(40, 30)).save(tmp_path / "colour.png")
    Image.fromarray(draw(40, 30)[..., 0]).save(tmp_path / "gray.jpg")
    sources = [*digits, tmp_path / "colour.png", str(tmp_path / "gray.jpg")]
    proof = ship.export(model, tmp_path / "digits.onnx", sources)
    assert proof.max_difference < 1e-6
    predictions = ship.predict(ship.open_artifact(tmp_path / "digits.onnx"), sources)
    assert [one.source for one in predictions[4:]] == ["example 5", *map(str, sources[5:])]


@pytest.mark.parametrize("name", ["resnet18-v2", pytest.param("resnet20-cifar-v1", marks=pytest.mark.slow)])
def test_residual_networks(name, settle, draw, tmp_path):
    recipe = replace(zoo.get(name), input=(32, 32, 3), tasks={"label": Classify(10)})
    model = ship.Saved(settle(recipe.build(0)), recipe, digit_names(), Preprocessing(image=(32, 32, 3)))
    proof = ship.export(model, tmp_path / "model.onnx", [draw(32, 32), draw(50, 64), draw(11, 32)])
    assert proof.max_difference < 1e-5
