"""Detectors in runs: found by looking at the labels, begun, killed, resumed, extended, and refused in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxed_scenes import LEARNER, NAMES, WRITERS, folder_of, prepared, scenes, spec, with_kinds
from lensmith import compose, data, runs, train
from lensmith.check import DataError, LensmithError, SettingError
from lensmith.compose import Classify, Conv, Group, Groups, Localise, Recipe, YoloV2, YoloV3Tiny
from lensmith.records import Boxes, Labels, Record, Records
from lensmith.runs import detectors
from lensmith.runs.prepare import prepare_records


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_of_boxes_makes_a_detector(kind: str, tmp_path: Path) -> None:
    made = prepared(spec(source=folder_of(tmp_path / kind, kind, scenes())))
    (name,) = made.recipe.tasks
    head = made.recipe.tasks[name]
    assert isinstance(head, YoloV3Tiny)
    assert made.recipe.input == (64, 64, 3), "images of one size that 32 divides are taken as they are"
    assert set(made.parts[0].labels[name].names) == set(NAMES)
    assert sum(map(len, made.parts)) == 16, "images without objects count"
    assert any(not len(record.targets[name]) for record in made.parts[0])
    anchors = np.asarray(head.anchors)
    assert anchors.shape == (head.count, 2)
    assert (anchors > 10).all() and (anchors < 30).all(), "fitted to patches of 14 to 25 pixels"
    assert made.anchors[name].mean_iou > 0.7
    (stage,) = made.spec.train
    assert stage.monitor == "val_map50"
    assert made.spec.data.augment == detectors.AUGMENT
    same = runs.prepare(runs.parse_spec(made.spec.to_yaml()))
    assert same.spec.to_yaml() == made.spec.to_yaml()
    assert (same.recipe, same.spec.model_dump(), dict(same.anchors)) == (made.recipe, made.spec.model_dump(), {})


def test_a_few_epochs_are_warmed_up_as_long_as_they_are() -> None:
    """The usual plan begins with two epochs of a lower rate."""
    for epochs, warmup in ((60, 2), (2, 2), (1, 0.25)):
        (stage,) = prepared(spec("model: {" + LEARNER + "}"), scenes(), last={"epochs": epochs}).spec.train
        assert (stage.epochs, stage.warmup) == (epochs, warmup)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("yolo-v1, grid: 4, boxes: 2", "YoloV1"),
        ("yolo-v2, tap: P3, passthrough: P2, width: 8", "YoloV2"),
        ("yolo-v3, taps: [P3, P2], width: 8", "YoloV3"),
        ("yolo-v3-tiny, taps: [P3, P2], width: 8", "YoloV3Tiny"),
    ],
)
def test_each_detector_trains_and_is_judged(part: str, kind: str, tmp_path: Path) -> None:
    text = spec(
        f"model: {{{LEARNER}, tasks: {{objects: {{part: {part}}}}}}}", "ship: null", "train: [{epochs: 1, rate: 0.01}]"
    )
    made = prepared(text, scenes())
    assert type(made.recipe.tasks["objects"]).__name__ == kind
    assert made.recipe.tasks["objects"].classes == 2  # type: ignore[union-attr]
    run = runs.begin(tmp_path / "run", made)
    (row,) = (json.loads(line) for line in run.folder.history.read_text().splitlines())
    assert {"loss", "val_loss", "val_map50", "val_map"} <= row.keys()
    assert run.results is not None
    assert {"map50", "map"} <= run.results["metrics"].keys()
    assert 0 <= run.results["metrics"]["map"] <= run.results["metrics"]["map50"] <= 1


def test_a_localiser_takes_images_of_one_box(tmp_path: Path) -> None:
    text = spec(f"model: {{{LEARNER}, tasks: {{objects: localise}}}}", "ship: null", "train: [{epochs: 1}]")
    one = scenes(16)
    one = one.select([place for place, record in enumerate(one) if len(record.targets["objects"]) == 1])
    made = prepared(text, one)
    assert isinstance(made.recipe.tasks["objects"], Localise)
    run = runs.begin(tmp_path / "run", made)
    assert run.results is not None
    assert "iou" in run.results["metrics"]
    with pytest.raises(DataError, match="expected an image with one box; got 0 boxes"):
        prepared(text, scenes())


def test_a_class_and_objects_on_one_backbone(tmp_path: Path) -> None:
    text = spec(f"model: {{{LEARNER}}}", "ship: null")
    made = prepared(text, with_kinds(scenes()), last={"epochs": 2})
    assert [type(task).__name__ for task in made.recipe.tasks.values()] == ["Classify", "YoloV3Tiny"]
    assert made.spec.train[-1].monitor == "val_objects_map50"
    assert "mosaic" not in (made.spec.data.augment or {}), "four images have no class"
    run = runs.begin(tmp_path / "run", made)
    row = json.loads(run.folder.history.read_text().splitlines()[-1])
    assert {"val_kind_accuracy", "val_objects_map50", "val_objects_map", "val_kind_loss", "val_objects_loss"} <= set(
        row
    )
    assert run.results is not None
    assert {"kind_accuracy", "objects_map50"} <= run.results["metrics"].keys()


def test_one_of_two_tasks_may_be_trained_alone() -> None:
    made = prepared(spec(f"model: {{{LEARNER}, tasks: {{kind: classify}}}}"), with_kinds(scenes()))
    assert made.spec.train[-1].monitor == "val_loss"
    assert made.spec.data.augment is None


@pytest.mark.parametrize(
    ("stem", "frozen"),
    [("", ("learner",)), ("stem: {part: conv-stem, filters: 8}, ", ("stem", "learner"))],
)
def test_a_trained_backbone_has_its_head_trained_first(stem: str, frozen: tuple[str, ...], tmp_path: Path) -> None:
    text = spec(f"model: {{{stem}{LEARNER}}}", "ship: null", "train: [{epochs: 1}]")
    runs.begin(tmp_path / "first", prepared(text, scenes()))
    made = prepared(spec(f"model: {{weights: {json.dumps(str(tmp_path / 'first'))}}}", "ship: null"), scenes(seed=3))
    head, whole = made.spec.train
    assert (head.freeze, whole.freeze) == (frozen, None)
    assert {head.monitor, whole.monitor} == {"val_map50"}
    with pytest.raises(SettingError, match="--advise: expected tasks with one target of one size an image; got the"):
        runs.advise(made)


def test_without_validation_the_loss_decides() -> None:
    text = f"data: {{source: x, split: {{train: 0.8, validation: 0, test: 0.2}}}}\nmodel: {{{LEARNER}}}"
    assert [stage.monitor for stage in prepared(text, scenes()).spec.train] == ["val_loss"]  # which becomes the loss


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("tasks: {objects: classify}", "model.tasks.objects: expected a detector such as yolo-v3-tiny or localise"),
        ("tasks: {objects: yolo-v4}", "model.tasks.objects"),
        ("tasks: {object: yolo-v2}", "Did you mean 'objects'?"),
        ("tasks: {objects: {part: yolo-v2}}", "tasks.objects.tap: expected feature maps of the backbone"),
        ("tasks: {objects: {part: yolo-v1, classes: 5}}", "expected a head for the 2 labels (red, blue)"),
        ("train: [{monitor: val_accuracy}]", "train[0].monitor: expected one of loss, val_loss, val_map50, val_map"),
        ("train: [{losses: {objects: {loss: mse}}}]", "train[0].losses.objects: expected weight alone"),
        ("train: [{losses: {objects: {metrics: [mae]}}}]", "train[0].losses.objects: expected weight alone"),
        ("train: [{freeze: [learner], features: {}}]", "train[0].features: expected tasks with one target of one size"),
        ("augment: {mixup: 0.3}", "data.augment: expected only heads of classes beside mixing; got yolov3tiny"),
        (
            "sizes: [48]",
            "sizes: expected a size at which the model has the same weights",
        ),  # of a v1, whose head is dense
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(lines: str, expected: str) -> None:
    text = {
        "tasks": f"data: {{source: x}}\nmodel: {{{LEARNER}, {lines}}}",
        "train": f"data: {{source: x}}\nmodel: {{{LEARNER}}}\n{lines}",
        "augme": f"data: {{source: x, {lines}}}\nmodel: {{{LEARNER}}}",
        "sizes": f"data: {{source: x}}\nmodel: {{{LEARNER}, tasks: {{objects: yolo-v1}}}}\ntrain: [{{{lines}}}]",
    }[lines[:5]]
    with pytest.raises(SettingError, match=re.escape(expected)) as refused:
        prepared(text, scenes())
    assert "\n" not in str(refused.value)


def test_a_mosaic_beside_a_class_is_refused_before_anything_begins() -> None:
    text = f"data: {{source: x, augment: {{mosaic: 0.5}}}}\nmodel: {{{LEARNER}}}"
    with pytest.raises(SettingError, match=r"data\.augment: expected detectors and several classes beside mosaic"):
        prepared(text, with_kinds(scenes()))


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ([10, 10, 10, 30], "1 box has no area or its corners the wrong way round, such as scene01-0: objects: box 0"),
        ([30, 10, 10, 30], "1 box has no area or its corners the wrong way round, such as scene01-0: objects: box 0"),
        ([10, 10, np.nan, 30], "1 box has no finite corners, such as scene01-0: objects: box 0"),
    ],
)
def test_boxes_that_cannot_be_learnt_are_refused_with_their_number_and_a_remedy(
    corners: list[float], expected: str
) -> None:
    records = scenes()
    wrong = Record("scene01-0", records[1].image, targets={"objects": Boxes([corners], [0])})
    records = Records((records[0], wrong, *records.items[2:]), records.labels, "scenes")
    with pytest.raises(DataError, match=re.escape(expected)) as refused:
        prepared(spec(f"model: {{{LEARNER}}}"), records)
    assert str(refused.value).endswith("--mend label")


def test_a_box_outside_its_image_is_told_and_not_learnt(tmp_path: Path) -> None:
    records = scenes()
    outside = Record("scene01-0", records[1].image, targets={"objects": Boxes([[90, 10, 99, 30]], [0])})
    records = Records((records[0], outside, *records.items[2:]), records.labels, "scenes")
    made = prepared(spec(f"model: {{{LEARNER}}}", "ship: null", "train: [{epochs: 1}]"), records)
    said = [one.message for one in made.audit.findings if one.severity == "severe"]
    assert said == ["objects: 1 box lies wholly outside its image"]
    assert runs.begin(tmp_path / "run", made).results is not None


def small(task: Any = None) -> Recipe:
    learner = Groups(*[Group(Conv(norm="before"), filters=8, pool=2) for _ in range(3)])
    head = task or YoloV2(2, tap="P3", passthrough="P2", width=8)
    return Recipe(input=(64, 64, 3), stem=None, learner=learner, tasks={"objects": head})


def test_a_recipe_without_anchors_gets_some_and_one_with_its_own_keeps_them() -> None:
    parts = data.split(scenes(), 0.6, 0.2, 0.2)
    plan = train.Fit(epochs=1, monitor="val_map50")
    own = YoloV2(2, anchors=((9.0, 9.0),) * 5, tap="P3", passthrough="P2", width=8)
    made, given = (
        prepare_records(small(head), parts, plan, section={"batch": 4}, scaling=None, seed=0) for head in (None, own)
    )
    fitted = made.recipe.tasks["objects"]
    assert isinstance(fitted, YoloV2)
    assert len(fitted.anchors) == fitted.count == 5
    assert list(made.anchors) == ["objects"]
    assert given.recipe.tasks["objects"] == own
    assert not given.anchors


def test_images_without_any_box_make_no_detector() -> None:
    with pytest.raises(LensmithError) as refused:
        prepared(spec(f"model: {{{LEARNER}}}"), scenes(most=0))
    assert "\n" not in str(refused.value)


def test_a_detector_learns_one_batch_by_heart() -> None:
    text = spec(f"model: {{{LEARNER}}}", "train: [{epochs: 1, rate: 0.01, batch: 4}]")
    trial = runs.try_one_batch(prepared(text, scenes()))
    assert trial.losses[-1] < 0.3 * trial.losses[0]


def test_more_examples_may_name_their_classes_in_another_order(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "first", "voc", scenes(16))
    more = folder_of(tmp_path / "more", "yolo", scenes(12, names=("blue", "red"), seed=5))
    lines = (f"model: {{{LEARNER}}}", "ship: null", "train: [{epochs: 1, monitor: val_map50}]")
    runs.begin(tmp_path / "run", prepared(spec(*lines, source=first)))
    grown = runs.extend(tmp_path / "run", more, last={"epochs": 1})
    assert len(grown.train) == 2
    run = runs.resume(tmp_path / "run")
    assert len(run.folder.history.read_text().splitlines()) == 2
    parts = json.loads(run.folder.data.read_text())["parts"]
    assert sum(map(len, parts.values())) == 28
    strange = folder_of(
        tmp_path / "strange",
        "yolo",
        Records(scenes(12, seed=6).items, {"objects": Labels("boxes", ("red", "green"))}, "scenes"),
    )
    with pytest.raises(DataError, match=r"expected classes the model knows \(red, blue\); got green"):
        runs.extend(tmp_path / "run", strange)


@pytest.mark.parametrize(
    ("sides", "side"),
    [
        ((64, 64, 200, 300), 224),  # a third of the image: 224 gives more than 24 pixels
        ((20, 20, 200, 300), 320),  # a tenth of the shorter share: 320 · 0.1 = 32
        ((9, 9, 200, 300), 416),  # small ones: the largest there is
    ],
)
def test_the_input_is_as_large_as_the_boxes_need(sides: tuple[int, int, int, int], side: int) -> None:
    width, height, tall, wide = sides
    image = np.random.default_rng(0).integers(0, 255, (tall, wide, 3), dtype=np.uint8)
    boxes = Boxes([[0, 0, width * 1.5, height]], [0])
    items = tuple(Record(f"a{n}", np.roll(image, n, 0), targets={"objects": boxes}) for n in range(4))
    records = Records(items, {"objects": Labels("boxes", ("x",))}, "d")
    assert detectors.image_size(records, "objects", data.audit(records)) == (side, side)


def test_small_objects_are_looked_for_on_finer_maps() -> None:
    start = small(Classify(2))
    assert detectors.usual_head(start, (64, 64, 3), 2, shorter=40).taps == ("P3",)
    zoo = compose.zoo.get("mobilenet-v1-0.25")
    assert detectors.usual_head(zoo, (224, 224, 3), 2, shorter=40).taps == ("P5", "P4")
    assert detectors.usual_head(zoo, (224, 224, 3), 2, shorter=18).taps == ("P4", "P3")


def test_a_spec_file_without_a_plan_gets_the_usual_one(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(spec("model: {" + LEARNER + "}", source=folder_of(tmp_path / "voc", "voc", scenes())))
    (stage,) = runs.prepare(runs.read_spec(file)).spec.train
    assert (stage.monitor, stage.epochs) == ("val_map50", detectors.MOST_EPOCHS)
