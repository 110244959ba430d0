"""Running an artifact, and what it says with names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lensmith import check, ship
from lensmith.records import Labels, Record
from lensmith.ship import artifact as room
from lensmith.ship.predictions import named


@pytest.fixture(scope="module")
def artifact(exported):
    return ship.open_artifact(exported.path)


def test_it_knows_what_it_was_made_from(artifact, exported):
    saved = exported.saved
    assert artifact.labels == saved.labels
    assert artifact.preprocessing == saved.preprocessing
    assert artifact.recipe == saved.recipe
    assert artifact.size_limit == 8192
    assert artifact.proof["max_difference"] == exported.proof.max_difference


def test_images_of_mixed_sizes_come_back_in_their_order(artifact, exported, draw):
    sizes = [(9, 9), (20, 14), (9, 9), (33, 5), (20, 14)] * 14  # more than one window
    images = [draw(*size, seed=i) for i, size in enumerate(sizes)]
    together, expected = artifact.predict(images), exported.saved.predict(images)
    for task in expected:
        assert together[task].dtype == np.float32
        np.testing.assert_allclose(together[task], expected[task], rtol=0, atol=1e-5)
    np.testing.assert_allclose(artifact.predict([images[3]])["shape"], together["shape"][3:4], rtol=0, atol=1e-6)


def test_large_images_run_in_batches_that_fit(artifact, exported, draw, monkeypatch):
    images = [draw(30, 30, seed=i) for i in range(5)]
    monkeypatch.setattr(room, "_PIXELS", 2000)  # two at a time
    for task, expected in exported.saved.predict(images).items():
        np.testing.assert_allclose(artifact.predict(images)[task], expected, rtol=0, atol=1e-5)


def test_files_pixels_and_records_are_the_same_to_it(artifact, draw, tmp_path):
    pixels = draw(30, 22)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    outputs = artifact.predict([pixels, path, str(path), Record("x", image=path)])["shape"]
    np.testing.assert_array_equal(outputs, outputs[[0, 0, 0, 0]])


@pytest.mark.parametrize("shape", [(8193, 1, 3), (1, 8193, 3)])
def test_an_image_over_the_limit_is_named(artifact, shape):
    with pytest.raises(check.DataError, match=r"example 2: expected sides of at most 8192 pixels; got \d+ by \d+"):
        artifact.predict([np.zeros((4, 4, 3), np.uint8), np.zeros(shape, np.uint8)])


def test_an_image_at_the_limit_is_taken(artifact, exported):
    image = np.full((8192, 2, 3), 77, np.uint8)
    np.testing.assert_allclose(
        artifact.predict([image])["shape"], exported.saved.predict([image])["shape"], rtol=0, atol=1e-5
    )


def test_what_is_no_image_is_named(artifact, tmp_path):
    with pytest.raises(check.DataError, match="example 1: expected uint8"):
        artifact.predict([np.zeros(13)])
    with pytest.raises(check.DataError, match="a row: expected an image"):
        artifact.predict([Record("a row", row=np.zeros(13, np.float32))])
    with pytest.raises(check.DataError, match=r"none\.png: the file is missing"):
        artifact.predict([tmp_path / "none.png"])
    with pytest.raises(check.DataError, match="at least one"):
        artifact.predict([])


def test_what_is_no_artifact_is_refused_in_one_line(tmp_path, exported):
    stranger = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", ["a"], ["b"])],
            "graph",
            [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1])],
            [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(stranger, tmp_path / "stranger.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "short.onnx").write_bytes(exported.path.read_bytes()[:3000])
    cases = {
        "none.onnx": "cannot be read: no such file",
        "text.onnx": "not an ONNX file that can be run",
        "empty.onnx": "not an ONNX file|without its labels",
        "short.onnx": "not an ONNX file that can be run",
        "stranger.onnx": "an ONNX file without its labels and preprocessing",
    }
    for name, message in cases.items():
        with pytest.raises(check.DataError, match=f"{name}: .*({message})") as refusal:
            ship.open_artifact(tmp_path / name)
        assert "\n" not in str(refusal.value)
    with pytest.raises(check.DataError, match="cannot be read: is a directory"):
        ship.open_artifact(tmp_path)


def test_both_say_the_same_with_names(artifact, exported, images):
    here, there = ship.predict(exported.saved, images), ship.predict(artifact, images)
    assert len(here) == len(there) == len(images)
    for one, other in zip(here, there, strict=True):
        assert one.source == other.source
        for task in one.tasks:
            assert [scored.label for scored in one.tasks[task]] == [scored.label for scored in other.tasks[task]]
            for scored, again in zip(one.tasks[task], other.tasks[task], strict=True):
                assert abs(scored.score - again.score) < 1e-4
    first = here[0].to_dict()
    assert first == json.loads(json.dumps(first))
    assert {task: len(listed) for task, listed in first["tasks"].items()} == {
        "shape": 3,
        "round": 2,
        "marks": max(3, sum(one["score"] >= 0.5 for one in first["tasks"]["marks"])),
        "size": 2,
    }
    assert ship.predict(artifact, []) == []
    with pytest.raises(check.SettingError, match="top"):
        ship.predict(artifact, images, top=0)


@pytest.mark.parametrize(
    ("kind", "values", "top", "expected"),
    [
        (
            "class",
            [0.125, 0.625, 0.25],
            2,
            [("b", 0.625), ("c", 0.25)],
        ),  # the most probable first
        ("class", [0.25, 0.5, 0.25], 3, [("b", 0.5), ("a", 0.25), ("c", 0.25)]),  # equal ones in their order
        ("class", [0.125, 0.625, 0.25], 9, [("b", 0.625), ("c", 0.25), ("a", 0.125)]),  # all there are
        ("classes", [0.75, 0.25, 0.5], 1, [("a", 0.75), ("c", 0.5)]),  # all that are likely
        ("classes", [0.25, 0.125, 0.0], 2, [("a", 0.25), ("b", 0.125)]),  # at least as many as asked for
        ("number", [3.0, -7.5, 12.0], 1, [("a", 3.0), ("b", -7.5), ("c", 12.0)]),  # each number, in its place
    ],
)
def test_names_and_scores(kind, values, top, expected):
    scored = named(np.array(values, np.float32), Labels(kind, ("a", "b", "c")), top=top)
    assert [(one.label, one.score) for one in scored] == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.75, [("yes", 0.75), ("no", 0.25)]), (0.25, [("no", 0.75), ("yes", 0.25)])]
)
def test_one_output_names_both_answers(value, expected):
    scored = named(np.array([value], np.float32), Labels("class", ("no", "yes")), top=3)
    assert [(one.label, one.score) for one in scored] == expected


def test_it_runs_without_keras(exported, tmp_path):
    path = shutil.copy(exported.path, tmp_path / "alone.onnx")
    Image.new("RGB", (50, 40), (200, 10, 30)).save(tmp_path / "a.png")
    code = (
        "import sys\nfrom lensmith import ship\n"
        "prediction, = ship.predict(ship.open_artifact(sys.argv[1]), [sys.argv[2]])\n"
        "print(len(prediction.tasks), {'keras', 'torch', 'onnx'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "a.png"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "4 set()\n"
    assert ran.stderr == ""


def test_the_door_shows_what_it_says():
    assert list(ship.__all__) == sorted(ship.__all__)
    for name in ship.__all__:
        assert getattr(ship, name).__module__.startswith("lensmith.ship.")
    with pytest.raises(AttributeError, match="no attribute 'exprot'; it has Artifact"):
        ship.exprot  # noqa: B018
