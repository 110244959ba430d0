"""What a reader set aside: labels that are wrong are told from files that are no data."""

import json

import numpy as np
import pytest
from PIL import Image

from lensmith import data
from lensmith.data.inspection.auditing import audit
from lensmith.data.inspection.unused import set_aside
from lensmith.records import Boxes, Labels, Problem, Record, Records

DRAWN = {"objects": Labels("boxes", ("cat", "dog"))}
CLASSES = {"label": Labels("class", ("cat", "dog"))}


def photo(seed, side=64):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def kinds(labels, *sources, count=8):
    items = tuple(Record(f"{place}.png", row=np.zeros(1, np.float32)) for place in range(count))
    problems = tuple(Problem(source, "a reason") for source in sources)
    return {one.kind: (one.severity, one.files) for one in set_aside(Records(items, labels, set_aside=problems))}


@pytest.mark.parametrize(
    ("labels", "source", "kind"),
    [
        (DRAWN, "labels/3.txt:12", "label"),  # a line of a label file
        (DRAWN, "labels/3.txt", "label"),  # a label file without an image
        (DRAWN, "Annotations/a.b.xml", "label"),
        (DRAWN, "a/instances.json: annotation 7", "label"),
        (DRAWN, "images/3.JPG", "label"),  # an image without an annotation
        (DRAWN, "captions.json", "skipped"),  # another file of annotations, not asked for
        (DRAWN, "config.yaml", "skipped"),
        (DRAWN, "README.md", "skipped"),
        (DRAWN, "source: semantic_segmentation", "skipped"),
        (CLASSES, "cat/notes.txt", "skipped"),
        (CLASSES, "table.CSV:3", "label"),
        (CLASSES, "table.csv", "skipped"),
        (CLASSES, "loose.png", "label"),  # an image outside any class folder
        ({}, "pipe.png", "skipped"),  # nothing has labels there
        (CLASSES, "my.txt folder", "skipped"),
    ],
)
def test_a_label_is_told_from_a_file_that_is_no_data(labels, source, kind):
    assert kinds(labels, source) == {kind: ("warning" if kind == "label" else "info", (source,))}


def test_more_wrong_labels_than_right_ones_are_severe():
    half = [f"t.csv:{line}" for line in range(8)]
    assert kinds(CLASSES, *half)["label"][0] == "warning"
    assert kinds(CLASSES, *half, "t.csv:8")["label"][0] == "severe"


def test_of_boxes_each_counts():
    boxes = Boxes(np.tile([0, 0, 4, 4], (9, 1)), np.zeros(9))
    item = Record("a.png", image=np.zeros((9, 9, 1), np.uint8), targets={"objects": boxes})
    problems = tuple(Problem(f"a.json: annotation {number}", "no area") for number in range(9))
    [found] = set_aside(Records((item,), DRAWN, set_aside=problems))
    assert found.severity == "warning"


def test_a_source_with_two_reasons_stands_once():
    problems = (Problem("a.txt:1", "one"), Problem("a.txt:2", "two"), Problem("a.txt:1", "three"))
    item = Record("a.png", image=np.zeros((9, 9, 1), np.uint8))
    [found] = set_aside(Records((item,) * 9, DRAWN, set_aside=problems))
    assert (found.files, found.notes) == (("a.txt:1", "a.txt:2"), ("one; three", "two"))
    assert found.message == "3 labels cannot be used or missing, such as a.txt:1: one"


def test_planted_errors_of_coco_and_yolo_are_labels(tmp_path):
    for place in range(6):
        for name in ("coco", "yolo/images"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            photo(place).save(tmp_path / name / f"{place}.png")
        (tmp_path / "yolo" / "labels").mkdir(exist_ok=True)
        (tmp_path / "yolo" / "labels" / f"{place}.txt").write_text(f"{place % 2} 0.5 0.5 0.2 0.2\n")
    (tmp_path / "yolo" / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "yolo" / "labels" / "0.txt").write_text("7 0.5 0.5 0.2 0.2\n")
    images = [{"id": place, "file_name": f"{place}.png", "width": 64, "height": 64} for place in range(7)]
    boxes = [{"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [5, 5, 9, 9]} for n in range(6)]
    boxes.append({"id": 9, "image_id": 0, "category_id": 5, "bbox": [5, 5, 9, 9]})
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    document = {"images": images, "annotations": boxes, "categories": names}
    (tmp_path / "coco" / "all.json").write_text(json.dumps(document))
    wrong = {
        name: [one.files for one in audit(data.read(tmp_path / name)).findings if one.kind == "label"]
        for name in ("coco", "yolo")
    }
    assert wrong["yolo"] == [(f"{tmp_path}/yolo/labels/0.txt:1",)]
    assert wrong["coco"] == [(f"{tmp_path}/coco/all.json: annotation 9", f"{tmp_path}/coco/all.json: image 6")]
