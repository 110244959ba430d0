"""What finds objects, shipped: the artifact finds what the model finds, with any thresholds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from lensmith import check, ship
from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import detections, padded
from lensmith.compose import Classify, Conv, ConvStem, Group, Groups, Recipe
from lensmith.compose.detection import YoloV1, YoloV2, YoloV3Tiny
from lensmith.data import Preprocessing
from lensmith.records import Labels, Record
from lensmith.ship.artifact import artifact_from_bytes

NAMES = ("cat", "dog", "bird")
USUAL = Thresholds(score=0.01, most=20)  # hardly sure of anything, it is untrained
FEW = Thresholds(score=0.001, most=9)
SHAPE = (32, 48, 3)
RECIPE = Recipe(
    input=SHAPE,
    stem=ConvStem(6, kernel=3, stride=2),
    learner=Groups(*(Group(Conv(norm="after"), filters=(8,), pool=2) for _ in range(3))),
    tasks={
        "things": YoloV3Tiny(
            3, anchors=((6, 8), (12, 9), (20, 24), (40, 30)), taps=("P4", "P3"), width=8, thresholds=USUAL
        ),
        "scene": Classify(2),
        "cells": YoloV1(3, grid=3, thresholds=Thresholds(score=0.001, most=5)),
        # The sides of boxes may be negative here: no area.
        "shares": YoloV1(2, grid=3, sqrt=False, softmax=True, thresholds=Thresholds(score=0.0)),
        "map": YoloV2(3, anchors=((6, 8), (20, 24)), tap="P4", passthrough="P3", width=8, thresholds=FEW),
    },
)
THINGS = Labels("boxes", NAMES)
LABELS = {
    "things": THINGS,
    "scene": Labels("class", ("in", "out")),
    "cells": THINGS,
    "shares": Labels("boxes", ("head", "hand")),
    "map": THINGS,
}


@pytest.fixture(scope="module")
def saved(settle):
    return ship.Saved(settle(RECIPE.build(seed=1)), RECIPE, LABELS, Preprocessing(image=SHAPE))


@pytest.fixture(scope="module")
def pictures(draw):
    sizes = [SHAPE[:2], (41, 33), (9, 9), (20, 70), SHAPE[:2], (41, 33)]
    return [draw(*size, seed=i) for i, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def artifact(saved, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("detector") / "model.onnx"
    proof = ship.export(saved, path, pictures)
    assert proof.max_difference < 5e-5
    return ship.open_artifact(path)


def test_the_file_says_what_it_takes_and_gives(artifact):
    session = artifact.session
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("images", ["batch", "height", "width", 3])]
    given = {one.name: one.type for one in session.get_overridable_initializers()}
    assert {name: kind for name, kind in given.items() if name.startswith("things/")} == {
        "things/score_threshold": "tensor(float)",
        "things/iou_threshold": "tensor(float)",
        "things/most": "tensor(int64)",
        "things/classwise": "tensor(bool)",
        "things/best": "tensor(bool)",
    }
    count = 2 * (4 * 6 + 2 * 3)
    assert [(one.name, one.shape[1:]) for one in session.get_outputs()][:3] == [
        ("things", ["found", 6]),
        ("things/candidates", [count, 8]),
        ("scene", [2]),
    ]
    assert artifact.detectors == ("things", "cells", "shares", "map")
    onnx.checker.check_model(onnx.load(artifact.path), full_check=True)


@pytest.mark.parametrize(
    "thresholds",
    [
        None,  # the recipe's
        USUAL,  # the same, said aloud
        Thresholds(score=0.001, best=False),  # as for a precision-recall curve
        Thresholds(score=0.001, iou=0.2, most=7, classwise=False),
        Thresholds(score=0.0, iou=1.0, most=500, classwise=False, best=False),  # everything
        Thresholds(score=1.0),  # nothing
    ],
)
def test_it_finds_what_the_model_finds(saved, artifact, pictures, thresholds):
    expected, found = (one.predict(pictures, thresholds=thresholds) for one in (saved, artifact))
    most = (thresholds or USUAL).most
    assert found["things"].dtype == expected["things"].dtype == np.float32
    assert found["things"].shape == expected["things"].shape == (len(pictures), most, 6)
    count = (expected["things"][..., 5] >= 0).sum()
    assert (count == 0) == (thresholds == Thresholds(score=1.0))
    assert list(found) == list(expected) == list(LABELS)
    for task in found:  # every kind of detector
        np.testing.assert_allclose(found[task], expected[task], rtol=1e-5, atol=1e-5)


def test_what_is_found_is_chosen_from_the_candidates(saved, artifact, pictures):
    candidates = artifact.candidates(pictures)
    assert list(candidates) == ["things", "cells", "shares", "map"]
    np.testing.assert_allclose(candidates["things"], saved.candidates(pictures)["things"], rtol=0, atol=1e-5)
    chosen = [padded(detections(rows, USUAL), USUAL.most) for rows in candidates["things"]]
    np.testing.assert_array_equal(artifact.predict(pictures)["things"], chosen)
    assert saved.thresholds["things"] == USUAL


def test_a_folder_keeps_it_whole(saved, pictures, tmp_path):
    ship.save(tmp_path / "model", saved)
    again = ship.load(tmp_path / "model")
    assert again.thresholds == saved.thresholds
    np.testing.assert_array_equal(again.predict(pictures)["things"], saved.predict(pictures)["things"])


def test_detectors_have_thresholds_of_their_own(artifact, pictures):
    shapes = {task: values.shape for task, values in artifact.predict(pictures).items()}
    assert shapes == {
        "things": (6, 20, 6),
        "scene": (6, 2),
        "cells": (6, 5, 6),
        "shares": (6, 100, 6),
        "map": (6, 9, 6),
    }
    shapes = {task: values.shape for task, values in artifact.predict(pictures, thresholds=Thresholds()).items()}
    assert shapes == {task: (6, 2) if task == "scene" else (6, 100, 6) for task in LABELS}


def test_it_runs_without_lensmith(artifact, pictures):
    session = onnxruntime.InferenceSession(artifact.path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["things"], {"images": pictures[0][None], "things/most": np.array(2)})
    np.testing.assert_allclose(found, artifact.predict(pictures[:1])["things"][:, :2], rtol=0, atol=1e-6)


def test_thresholds_where_nothing_is_found_are_refused(artifact, pictures):
    recipe = replace(RECIPE, tasks={"scene": Classify(2)})
    plain = ship.Saved(recipe.build(seed=0), recipe, LABELS, Preprocessing(image=SHAPE))
    for model in (plain, replace(artifact, labels={"scene": LABELS["scene"]})):
        with pytest.raises(check.SettingError, match="thresholds: expected a model that finds objects"):
            model.predict(pictures, thresholds=USUAL)
        with pytest.raises(check.SettingError, match="a model that finds objects"):
            model.candidates(pictures)


def test_labels_and_outputs_that_do_not_belong_are_refused(saved):
    with pytest.raises(check.SettingError, match="labels of 'things': expected 3 of kind 'boxes'; got 2 of kind"):
        replace(saved, labels={**LABELS, "things": Labels("boxes", NAMES[:2])})
    raw = saved.model.get_layer("task-things-logits").output
    from lensmith.backend import keras

    view = keras.Model(saved.model.input, {**saved.model.output, "things": raw})
    with pytest.raises(check.SettingError, match="an output of layer task-things-detections; got task-things-logits"):
        replace(saved, model=view)


def test_a_candidate_that_is_not_finite_is_named_with_its_image(saved, pictures, monkeypatch):
    broken = saved.candidates(pictures[:2])["things"]
    broken[1, 4, 2] = np.nan
    monkeypatch.setattr(ship.Saved, "_batch", lambda self, x: {"things": broken})
    with pytest.raises(check.DataError, match=r"a\.png: row 4 of a detector's output: expected no NaN"):
        saved.predict([pictures[0], Record("a.png", image=pictures[1])])


def onnx_with(path, fault):
    """The artifact of ``path`` after ``fault`` changed its graph."""
    model = onnx.load(path)
    fault(model.graph)
    return artifact_from_bytes(model.SerializeToString(), path)


def reader_of(graph, kind):
    return next(node for node in graph.node if node.op_type == kind)


def shift_boxes(graph):
    """Every box that is found, and no candidate, half a pixel to the right."""
    last = next(node for node in graph.node if node.output[0] == "things")
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32([0.01, 0, 0, 0]), "by"))
    at = list(graph.node).index(last)
    graph.node.insert(at, onnx.helper.make_node("Add", [last.input[0], "by"], ["moved"]))
    last.input[0] = "moved"


def lose_the_best(graph):
    """The best of each image."""
    top = next(node for node in graph.node if node.op_type == "TopK")
    at = list(graph.node).index(top)
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.0), "none"))
    graph.node.insert(at, onnx.helper.make_node("ReduceMax", [top.input[0], "things/axis_1"], ["highest"]))
    graph.node.insert(at + 1, onnx.helper.make_node("Less", [top.input[0], "highest"], ["others"]))
    graph.node.insert(at + 2, onnx.helper.make_node("Where", ["others", top.input[0], "none"], ["left"]))
    top.input[0] = "left"


def swap_classes(graph):
    """The scores of the classes in turn, of the candidates too."""
    output = next(node for node in graph.node if node.output[0] == "things/candidates")
    output.output[0] = "straight"
    order = onnx.numpy_helper.from_array(np.array([0, 1, 2, 3, 4, 6, 7, 5]), "order")
    graph.initializer.append(order)
    at = list(graph.node).index(output)
    graph.node.insert(at + 1, onnx.helper.make_node("Gather", ["straight", "order"], ["things/candidates"], axis=2))


def name_wrong_classes(graph):
    """The class of each that is found, and of no candidate."""
    node = next(node for node in graph.node if node.op_type == "Mod")
    node.op_type = "Div"


def drop_no_box(graph):
    """Another overlap than the recipe's."""
    (limit,) = (one for one in graph.initializer if one.name == "things/iou_threshold")
    limit.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.1), limit.name))


@pytest.mark.parametrize("fault", [shift_boxes, lose_the_best, swap_classes, name_wrong_classes, drop_no_box])
def test_an_artifact_with_a_fault_is_not_proven(saved, artifact, pictures, fault):
    with pytest.raises(ship.ProofError, match=r"an artifact equal to its model within 0\.0001"):
        ship.prove(saved, onnx_with(artifact.path, fault), pictures)
    assert ship.prove(saved, onnx_with(artifact.path, lambda graph: None), pictures).max_difference < 5e-5


def test_objects_have_names_and_boxes_in_pixels_of_the_image(saved, artifact, draw, tmp_path):
    turned = Image.fromarray(draw(40, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # it stands on its side: 80 wide as it is stored, 40 wide upright
    turned.save(tmp_path / "a.jpg", exif=exif)
    prediction, other = ship.predict(artifact, [tmp_path / "a.jpg", draw(41, 33)])
    rows = artifact.predict([tmp_path / "a.jpg"])["things"][0]
    rows = rows[rows[:, 5] >= 0]
    assert rows[:, :4].min() < 0 or rows[:, :4].max() > 1
    listed = prediction.tasks["things"]
    assert len(listed) == len(rows) > 0
    assert all(isinstance(one, ship.Found) for one in listed)
    for one, row in zip(listed, rows, strict=True):
        assert one.label == NAMES[int(row[5])]
        assert one.score == pytest.approx(row[4], abs=1e-6)
        np.testing.assert_allclose(one.box, np.clip(row[:4], 0, 1) * [40, 80, 40, 80], rtol=1e-5)
    said = prediction.to_dict()
    assert list(said["tasks"]["things"][0]) == ["label", "score", "box"]
    assert json.loads(json.dumps(said))["tasks"]["things"][0]["box"] == list(listed[0].box)
    (same,) = ship.predict(saved, [draw(41, 33)])
    assert [one.label for one in same.tasks["things"]] == [one.label for one in other.tasks["things"]]


class Beyond:
    """Finds objects in part and wholly outside the image, and one box of the image."""

    labels = {"things": Labels("boxes", ("cat", "dog")), "box": Labels("boxes", ("thing",))}  # noqa: RUF012

    def predict(self, examples):
        rows = [[-0.5, 0.25, 1.25, 0.5, 0.9, 1], [1.1, 0.2, 1.5, 0.5, 0.8, 0], [0, 0, 0, 0, 0, -1]]
        box = np.array([[-0.25, 0.5, 0.5, 1.5]] * len(examples), np.float32)
        return {"things": np.array([rows] * len(examples), np.float32), "box": box}


def test_boxes_end_where_the_image_ends(draw):
    (prediction,) = ship.predict(Beyond(), [draw(40, 80)])
    (one,) = prediction.tasks["things"]  # of the one outside nothing is seen
    assert (one.label, one.box) == ("dog", (0.0, 10.0, 80.0, 20.0))
    assert [side.score for side in prediction.tasks["box"]] == [0.0, 20.0, 40.0, 40.0]


class Points:
    """Says that there are two points, as shares of the image."""

    labels = {"ends": Labels("points", ("head", "tail"))}  # noqa: RUF012

    def predict(self, examples):
        return {"ends": np.array([[[0.25, 0.5], [1.0, 0.0]]] * len(examples), np.float32)}


def test_points_have_names_and_places_in_pixels(draw):
    (prediction,) = ship.predict(Points(), [draw(40, 80)])
    said = [(one.label, one.score) for one in prediction.tasks["ends"]]
    assert said == [("head x", 20.0), ("head y", 20.0), ("tail x", 80.0), ("tail y", 0.0)]


@pytest.mark.slow
def test_a_published_darknet_network_is_shipped(shared_data, tmp_path):
    from lensmith.detect.darknet import open_darknet

    folder = shared_data / "yolo_fastest" / "ModelZoo" / "yolo-fastest-1.1_coco"
    photos = [shared_data / "darknet" / "data" / f"{name}.jpg" for name in ("dog", "person", "horses")]
    network = open_darknet(*(folder / f"yolo-fastest-1.1.{kind}" for kind in ("cfg", "weights")), folder / "coco.names")
    saved = ship.Saved(network.model, network.recipe, network.labels, network.preprocessing)
    assert ship.export(saved, tmp_path / "model.onnx", photos).max_difference < 1e-4
    artifact = ship.open_artifact(tmp_path / "model.onnx")
    for thresholds in (None, Thresholds(score=0.01, best=False, most=300)):
        found, expected = (one.predict(photos, thresholds=thresholds)["objects"] for one in (artifact, saved))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    dog, person, horses = ({one.label for one in said.tasks["objects"]} for said in ship.predict(artifact, photos))
    assert {"dog", "bicycle"} <= dog
    assert {"person"} <= person
    assert {"horse"} <= horses


def test_it_needs_no_keras(artifact, tmp_path):
    Image.new("RGB", (50, 40), (200, 10, 30)).save(tmp_path / "a.png")
    code = (
        "import sys\nfrom lensmith import ship\nfrom lensmith.boxes import Thresholds\n"
        "artifact = ship.open_artifact(sys.argv[1])\n"
        "found = artifact.predict([sys.argv[2]], thresholds=Thresholds(score=0.001, most=4))\n"
        "print(found['things'].shape, {'keras', 'torch', 'onnx'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, artifact.path, tmp_path / "a.png"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "(1, 4, 6) set()\n"
