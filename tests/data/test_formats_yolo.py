"""YOLO label files: every layout they come in, what is refused and how, and that writing loses nothing."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data import audit
from lensmith.data.formats.format import Hints
from lensmith.data.formats.pairs.config import read_config
from lensmith.data.formats.parts import part_on
from lensmith.data.formats.paths import resolve, swaps
from lensmith.data.formats.text import read_names
from lensmith.data.formats.yolo.lines import joined, lines, parse
from lensmith.data.formats.yolo.reading import HOLDS, TASK, YOLO, read_yolo
from lensmith.records import Boxes, Labels, Record, Records

WIDTH, HEIGHT = 20, 10  # of every drawn image


def put(root, files):
    """Files by name: text, or an image where the content is None."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)
        else:
            path.write_text(content)
    return root


def short(records, root):
    """Sources, parts and boxes, as a table to compare."""
    return [
        (record.source.removeprefix(f"{root}/"), record.part, record.targets[TASK].xyxy.tolist()) for record in records
    ]


def reasons(records, root):
    return {one.source.removeprefix(f"{root}/"): one.reason for one in records.set_aside}


ONE = "0 0.5 0.5 0.5 0.5\n"  # the middle of a 20 x 10 image
MIDDLE = [[5.0, 2.5, 15.0, 7.5]]
NAMES = "names: [cat, dog]\n"


# ---- lines


@pytest.mark.parametrize(
    ("text", "corners", "classes"),
    [
        ("0 0.5 0.5 0.5 0.5", MIDDLE, [0]),
        ("1 0.5 0.5 1 1\n\n0 0.25 0.5 0.1 0.2\n", [[0, 0, 20, 10], [4, 4, 6, 6]], [1, 0]),  # empty lines
        ("1.0 0.5 0.5 0.5 0.5", MIDDLE, [1]),  # a class written as a float
        ("0 5e-1 .5 +0.5 0.5\r\n", MIDDLE, [0]),  # other ways to write numbers, another line end
        ("0 1.0 0.5 0.5 0.5", [[15, 2.5, 25, 7.5]], [0]),  # sticks out, and stays so
        ("0 0.5 0.5 1.0005 1", [[-0.005, 0, 20.005, 10]], [0]),  # rounding
        ("1 0.1 0.1 0.5 0.1 0.5 0.8", [[2, 1, 10, 8]], [1]),  # an outline
        ("0 0.5 0.5 0 0", [[10, 5, 10, 5]], [0]),  # no extent: the audit's business
        ("", [], []),
    ],
)
def test_lines(text, corners, classes):
    boxes = parse(text, {0: 0, 1: 1}, (HEIGHT, WIDTH), "a.txt")
    np.testing.assert_allclose(boxes.xyxy, np.reshape(corners, (-1, 4)), atol=1e-5)
    assert boxes.classes.tolist() == classes


def test_boxes_and_outlines_in_one_file():
    boxes = parse("0 0.5 0.5 0.5 0.5\n1 0 0 1 0 1 1\n", None, (HEIGHT, WIDTH), "a.txt")
    assert boxes.polygons[0] == ()
    assert boxes.polygons[1][0].tolist() == [[0, 0], [20, 0], [20, 10]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 0.5 0.5 0.5 0.5 0.9", "got 6 columns. The sixth looks like a confidence"),
        ("0 0.5 0.5 0.5", "a class and 4 numbers, or a class and at least 3 points; got 4 columns"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "got 8 columns"),  # half a point
        ("0 nan 0.5 0.5 0.5", "expected finite numbers; got 'nan'"),
        ("0 0.5 inf 0.5 0.5", "expected finite numbers; got 'inf'"),
        ("0 0.5 1_0 0.5 0.5", "expected finite numbers; got '1_0'"),
        ("0 0.5 x 0.5 0.5", "expected numbers; got 'x'"),
        ("nan 0.5 0.5 0.5 0.5", "expected finite numbers; got 'nan'"),
        ("0.5 0.5 0.5 0.5 0.5", "expected a whole number as the class; got '0.5'"),
        ("-1 0.5 0.5 0.5 0.5", "expected a whole number as the class; got '-1'"),
        ("2 0.5 0.5 0.5 0.5", "expected one of the 2 named classes, 0 to 1; got class 2"),
        ("0 0.5 0.5 -0.1 0.5", "expected a width and a height of at least 0; got -0.1"),
        ("0 320 240 50 60", "expected shares of the image, 0..1; got 320. These look like pixels"),
        ("0 0.5 -7 0.5 0.5", "expected shares of the image, 0..1; got -7"),
        ("0 10 10 300 10 300 200", "These look like pixels"),  # an outline in pixels
    ],
)
def test_a_wrong_line_is_named(text, says):
    with pytest.raises(check.DataError) as error:
        parse(f"{ONE}\n{text}\n", {0: 0, 1: 1}, (HEIGHT, WIDTH), "a.txt")
    assert str(error.value).startswith("a.txt:3: expected ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_rings_are_joined_without_changing_the_area():
    def area(ring):  # the shoelace formula
        x, y = np.asarray(ring, float).T
        return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2

    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    outline = joined([square, square + 6, square + np.array([20, 0])])
    assert area(outline) == 48
    assert len(outline) == 12 + 4  # each bridge repeats two points


# ---- layouts

LAYOUTS = {
    # name: files, expected (source, part, whether there is a box)
    "ultralytics": (
        {
            "data.yaml": f"path: .\ntrain: images/train\nval: images/val\ntest:\n{NAMES}",
            "images/train/a.jpg": None,
            "images/val/b.png": None,
            "labels/train/a.txt": ONE,
            "labels/val/b.txt": ONE,
        },
        [("images/train/a.jpg", "train", True), ("images/val/b.png", "validation", True)],
    ),
    "a list of folders, a folder in a folder, a background image": (
        {
            "data.yaml": f"train: [images/one, ./images/two/]\n{NAMES}",
            "images/one/a.jpg": None,
            "images/two/deep/b.jpg": None,
            "images/two/deep/c.jpg": None,
            "labels/one/a.txt": ONE,
            "labels/two/deep/b.txt": ONE,
        },
        [
            ("images/one/a.jpg", "train", True),
            ("images/two/deep/b.jpg", "train", True),
            ("images/two/deep/c.jpg", "train", False),
        ],
    ),
    "roboflow, whose paths begin with one .. too many": (
        {
            "data.yaml": f"train: ../train/images\nval: ../valid/images\nnc: 2\n{NAMES}",
            "train/images/a.jpg": None,
            "train/labels/a.txt": ONE,
            "valid/images/b.jpg": None,
            "valid/labels/b.txt": ONE,
            "README.roboflow.txt": "hello",
        },
        [("train/images/a.jpg", "train", True), ("valid/images/b.jpg", "validation", True)],
    ),
    "a list file": (
        {
            "data.yaml": f"train: train.txt\nval: val.txt\n{NAMES}",
            "train.txt": "./images/a.jpg\n\n",
            "val.txt": "images/b.jpg",
            "images/a.jpg": None,
            "images/b.jpg": None,
            "images/c.jpg": None,  # in no list, and so is its label
            "labels/c.txt": ONE,
            "labels/a.txt": ONE,
            "labels/b.txt": ONE,
        },
        [("images/a.jpg", "train", True), ("images/b.jpg", "validation", True)],
    ),
    "darknet, whose paths start from where the program did": (
        {
            "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/test.txt\nnames = data/obj.names\n"
            "backup = backup/\n",
            "obj.names": "cat\ndog\n",
            "train.txt": "build/data/obj/a.jpg\n",
            "test.txt": "data/obj/b.jpg\n",
            "obj/a.jpg": None,
            "obj/a.txt": ONE,
            "obj/b.jpg": None,
            "obj/b.txt": ONE,
        },
        [("obj/a.jpg", "train", True), ("obj/b.jpg", "validation", True)],
    ),
    "side by side": (
        {"a.jpg": None, "a.txt": ONE, "b.jpg": None, "b.txt": "", "classes.txt": "cat\ndog\n"},
        [("a.jpg", None, True), ("b.jpg", None, False)],
    ),
    "two folders": (
        {"images/a.jpg": None, "labels/a.txt": ONE, "images/b.jpg": None, "labels/classes.txt": "cat\ndog"},
        [("images/a.jpg", None, True), ("images/b.jpg", None, False)],
    ),
    "part folders inside": (
        {
            "images/val2017/a.jpg": None,
            "labels/val2017/a.txt": ONE,
            "images/train/b.jpg": None,
            "labels/train/b.txt": ONE,
            "names.names": "cat\ndog",
        },
        [("images/train/b.jpg", "train", True), ("images/val2017/a.jpg", "validation", True)],
    ),
    "part folders around": (
        {
            "test/images/a.jpg": None,
            "test/labels/a.txt": ONE,
            "Train/images/b.jpg": None,
            "Train/labels/b.txt": ONE,
            "data.yaml": NAMES,
        },
        [("Train/images/b.jpg", "train", True), ("test/images/a.jpg", "test", True)],
    ),
    "JPEGImages": (
        {"JPEGImages/a.jpg": None, "labels/a.txt": ONE, "classes.txt": "cat\ndog"},
        [("JPEGImages/a.jpg", None, True)],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    files, expected = LAYOUTS[layout]
    put(tmp_path, files)
    assert YOLO.recognise(tmp_path)
    records = read_yolo(tmp_path)
    assert short(records, tmp_path) == [(name, part, MIDDLE if box else []) for name, part, box in expected]
    assert records.labels == {TASK: Labels("boxes", ("cat", "dog"))}
    labelled = {Path(name).stem for name in files if name.endswith(".txt")}
    backgrounds = [name for name, _, _ in expected if Path(name).stem not in labelled]
    assert all("no label file, and count as without objects" in one.reason for one in records.set_aside)
    assert [Path(one.source).stem for one in records.set_aside] == [Path(name).stem for name in backgrounds[:1]]
    assert all(record.size == (HEIGHT, WIDTH) for record in records)
    assert records.layout.startswith("YOLO: ")


def test_a_config_may_be_named_itself_and_paths_stay_as_the_user_wrote_them(tmp_path, monkeypatch):
    put(tmp_path, LAYOUTS["ultralytics"][0])
    monkeypatch.chdir(tmp_path)
    assert read_yolo("data.yaml")[0].source == "images/train/a.jpg"
    assert read_yolo(".")[0].source == "images/train/a.jpg"
    assert YOLO.recognise(Path("data.yaml")) == "the config data.yaml"


def test_class_numbers_with_gaps_become_indices_without(tmp_path):
    put(
        tmp_path,
        {
            "data.yaml": "names: {90: toothbrush, 1: 'no', 13: no}\n".replace("13: no", "13: 'on'"),
            "images/a.jpg": None,
            "labels/a.txt": "13 0.5 0.5 0.5 0.5\n90 0.5 0.5 0.5 0.5\n",
            "images/b.jpg": None,
            "labels/b.txt": "2 0.5 0.5 0.5 0.5\n",
        },
    )
    records = read_yolo(tmp_path)
    assert records.labels[TASK].names == ("no", "on", "toothbrush")
    assert records[0].targets[TASK].classes.tolist() == [1, 2]
    assert "one of the 3 named classes, 1 to 90 with gaps; got class 2" in records.set_aside[0].reason


def test_names_that_yaml_would_read_as_something_else_stay_text(tmp_path):
    put(tmp_path, {"data.yaml": "names: [no, 007, 1.0, null]\n", "images/a.jpg": None, "labels/a.txt": ONE})
    assert read_yolo(tmp_path).labels[TASK].names == ("no", "007", "1.0", "null")


def test_names_from_a_file_of_the_user_or_from_the_numbers(tmp_path):
    put(tmp_path, {"a.jpg": None, "a.txt": "3 0.5 0.5 0.5 0.5", "mine/list.txt": "a\nb\nc\nd\n"})
    assert read_yolo(tmp_path).labels[TASK].names == ("0", "1", "2", "3")
    hinted = read_yolo(tmp_path, Hints(names=tmp_path / "mine" / "list.txt", labels=("animals",)))
    assert hinted.labels["animals"].names == ("a", "b", "c", "d")


def test_images_elsewhere(tmp_path):
    put(tmp_path, {"pictures/a.jpg": None, "set/labels/a.txt": ONE, "set/classes.txt": "cat"})
    records = read_yolo(tmp_path / "set", Hints(images=tmp_path / "pictures"))
    assert short(records, tmp_path) == [("pictures/a.jpg", None, MIDDLE)]


def test_an_upright_photo_counts(tmp_path):
    # Orientation 6 turns a stored 20 x 10 image to 10 wide and 20 high; labels are drawn on what people see.
    put(tmp_path, {"a.txt": ONE})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    record = read_yolo(tmp_path)[0]
    assert record.size == (WIDTH, HEIGHT)
    assert record.targets[TASK].xyxy.tolist() == [[2.5, 5, 7.5, 15]]


# ---- what is set aside


def test_a_bad_file_ends_nothing(tmp_path):
    put(
        tmp_path,
        {
            "data.yaml": f"train: images\nval: missing\n{NAMES}",
            "images/good.jpg": None,
            "labels/good.txt": ONE,
            "images/bad.jpg": None,
            "labels/bad.txt": f"{ONE}0 0.5 0.5 0.5 0.5 0.99\n",
            "images/torn.jpg": "no image",
            "labels/torn.txt": ONE,
            "images/photo.heic": "x",
            "labels/alone.txt": ONE,
            "images/bytes.jpg": None,
        },
    )
    (tmp_path / "labels" / "bytes.txt").write_bytes(b"\xff\xfe0")
    records = read_yolo(tmp_path)
    assert [record.image.name for record in records] == ["good.jpg"]
    found = reasons(records, tmp_path)
    assert set(found) == {
        "labels/bad.txt:2",
        "images/torn.jpg",
        "images/photo.heic",
        "labels/alone.txt",
        "labels/bytes.txt:1",
        "data.yaml",
    }
    assert found["labels/alone.txt"] == "a label without an image of its name"
    assert "UTF-8" in found["labels/bytes.txt:1"]
    assert found["data.yaml"] == "validation: 'missing' is not there"


def test_a_part_without_any_label_file_is_unlabelled_not_empty(tmp_path):
    files = {"images/train/a.jpg": None, "labels/train/a.txt": ONE, "images/test/b.jpg": None}
    records = read_yolo(put(tmp_path, files))
    assert [record.part for record in records] == ["train"]
    assert reasons(records, tmp_path) == {"images/test/b.jpg": "no label file in its whole part (test)"}


def test_a_config_may_say_that_images_without_labels_are_skipped(tmp_path):
    files = {"data.yaml": f"skip_if_label_file_missing: true\n{NAMES}", "images/b.jpg": None}
    records = read_yolo(put(tmp_path, {**files, "images/a.jpg": None, "labels/a.txt": ONE}))
    assert [record.image.name for record in records] == ["a.jpg"]
    assert list(reasons(records, tmp_path)) == ["images/b.jpg"]


def test_an_image_of_two_parts_counts_once(tmp_path):
    # Ultralytics' coco8 and coco128 name one folder as train and as val.
    files = {"data.yaml": f"train: images\nval: images\n{NAMES}", "images/a.jpg": None, "labels/a.txt": ONE}
    records = read_yolo(put(tmp_path, files))
    assert [record.part for record in records] == ["train"]
    assert records.set_aside[0].reason == "1 of its images stand in another part already, and count there only"
    files = {
        "data.yaml": f"train: one.txt\nval: two.txt\n{NAMES}",
        "one.txt": "images/a.jpg",
        "two.txt": "images/a.jpg",
    }
    assert list(reasons(read_yolo(put(tmp_path, files)), tmp_path)) == ["two.txt"]


def test_masks_and_previews_beside_images_are_no_images(tmp_path):
    files = {"images/a.jpg": None, "labels/a.txt": ONE, "masks/a.png": None, "classes.txt": "cat"}
    records = read_yolo(put(tmp_path, files))
    assert len(records) == 1
    assert list(reasons(records, tmp_path)) == ["masks"]


def test_a_config_from_another_machine_still_gives_the_names(tmp_path, monkeypatch):
    config = f"path: /content/set\ntrain: /content/set/images\n{NAMES}"
    put(tmp_path, {"data.yaml": config, "images/a.jpg": None, "labels/a.txt": ONE, "labels/b.txt": ONE})
    monkeypatch.chdir(tmp_path)
    records = read_yolo(".")
    assert [record.source for record in records] == ["images/a.jpg"]
    assert records.labels[TASK].names == ("cat", "dog")
    assert [one.source for one in records.set_aside] == ["data.yaml", "data.yaml", "labels/b.txt"]


def test_a_label_without_an_image_in_a_flat_folder(tmp_path, monkeypatch):
    put(tmp_path, {"a.jpg": None, "a.txt": ONE, "b.txt": ONE, "train.txt": "a.jpg", "data.yaml": f"val: .\n{NAMES}"})
    monkeypatch.chdir(tmp_path)
    records = read_yolo(".")
    assert [(record.source, record.part) for record in records] == [("a.jpg", "validation")]
    assert [one.source for one in records.set_aside] == ["b.txt"]


# ---- several tasks


def test_configs_in_folders_of_their_own_are_tasks(tmp_path):
    config = f"path: .\nval: images/val\n{NAMES}"
    put(
        tmp_path,
        {
            "images/val/a.jpg": None,
            "images/val/b.jpg": None,
            "find/data.yaml": config,
            "find/labels/val/a.txt": ONE,
            "outline/data.yaml": f"{config}skip_if_label_file_missing: true\n",
            "outline/labels/val/a.txt": "1 0 0 1 0 1 1",
        },
    )
    records = read_yolo(tmp_path)
    assert list(records.labels) == ["find", "outline"]
    assert [(record.image.name, list(record.targets)) for record in records] == [
        ("a.jpg", ["find", "outline"]),
        ("b.jpg", ["find"]),  # it has no outline, and stays with what it has
    ]
    background, said = records.set_aside
    assert background.source == f"{tmp_path}/find/labels/val/b.txt"
    assert said.source == f"{tmp_path}: outline"
    assert "1 of 2 images have no label of this task, such as " in said.reason
    assert said.reason.endswith("b.jpg; they keep the others. To train, read one task: --read labels=find")
    assert records[0].targets["outline"].classes.tolist() == [1]
    outlined = read_yolo(tmp_path, Hints(labels=("outline",)))
    assert [record.image.name for record in outlined] == ["a.jpg"]
    assert list(reasons(outlined, tmp_path)) == ["images/val/b.jpg"]  # alone, it has nothing to say of b
    alone = read_yolo(tmp_path, Hints(labels=("find",)))
    assert [len(record.targets["find"]) for record in alone] == [1, 0]
    assert short(read_yolo(tmp_path / "find"), tmp_path)[0][:2] == ("images/val/a.jpg", "validation")
    with pytest.raises(check.SettingError, match=r"Did you mean 'outline'"):
        read_yolo(tmp_path, Hints(labels=("outlin",)))
    with pytest.raises(check.SettingError, match="one name"):
        read_yolo(tmp_path / "find", Hints(labels=("a", "b")))


def boxes_in(text):
    return sum(1 for line in text.splitlines() if line.strip())


def test_coco128(shared_data):
    root = shared_data / "coco128_yolo"
    if not root.is_dir():
        pytest.skip("no coco128_yolo among the real data")
    found = read_yolo(root / "object_detection")
    texts = {path.stem: path.read_text() for path in (root / "object_detection" / "labels").rglob("*.txt")}
    assert len(found) == 128
    assert {record.image.stem: len(record.targets[TASK]) for record in found} == {
        name: boxes_in(text) for name, text in texts.items()
    }
    assert {record.part for record in found} == {"validation"}
    assert [one.reason for one in found.set_aside] == ["train: 'images/train2017' is not there"]
    every = read_yolo(root)
    assert {name: labels.kind for name, labels in every.labels.items()} == {
        "instance_segmentation": "boxes",
        "object_detection": "boxes",
        "semantic_segmentation": "mask",
    }
    assert len(every) == 128
    assert all("object_detection" in record.targets for record in every)
    whole = [record for record in every if set(record.targets) == set(every.labels)]
    assert len(whole) == len(list((root / "semantic_segmentation" / "masks").rglob("*.png"))) == 100
    assert sum("28 of 128 images have no label of this task" in one.reason for one in every.set_aside) == 2


def test_coco128_outlines_lie_in_the_boxes(shared_data):
    root = shared_data / "coco128_yolo"
    if not root.is_dir():
        pytest.skip("no coco128_yolo among the real data")
    records = read_yolo(root)
    names = {task: records.labels[task].names for task in ("object_detection", "instance_segmentation")}
    near = total = 0
    for record in records:
        if "instance_segmentation" not in record.targets:
            continue
        boxes, outlines = record.targets["object_detection"], record.targets["instance_segmentation"]
        assert all(len(rings) == 1 for rings in outlines.polygons)
        for corners, index in zip(outlines.xyxy, outlines.classes, strict=True):
            same = [names["object_detection"][one] == names["instance_segmentation"][index] for one in boxes.classes]
            distance = np.abs(boxes.xyxy[same] - corners).max(axis=1, initial=0)
            near += bool(len(distance)) and distance.min() <= 2
            total += 1
    # The outlines come from the panoptic annotation, which cuts what is covered: most agree, not all.
    assert total == sum(boxes_in(path.read_text()) for path in (root / "instance_segmentation").rglob("*.txt"))
    assert near > 0.8 * total


# ---- refusals of the whole


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"notes.md": "x"}, "got no image"),
        ({"a.jpg": None}, "got 1 images and no label file"),
        ({"data.yaml": "names: [a, a]", "a.jpg": None, "a.txt": ONE}, "the name 'a' stands twice"),
        ({"data.yaml": "names: {0: a, 00: b}", "a.jpg": None}, "the class number 0 stands twice"),
        ({"data.yaml": "names: {-1: a}", "a.jpg": None}, "a whole number from 0 to 9999; got '-1'"),
        ({"data.yaml": "names: [a, [b]]", "a.jpg": None}, "class 1: expected a name; got list"),
        ({"data.yaml": "names: [a", "a.jpg": None}, r"data.yaml:\d+: expected YAML"),
        ({"data.yaml": "[" * 5000, "a.jpg": None}, "data.yaml: expected YAML; got it cannot be parsed"),
        ({"a.yaml": NAMES, "b.yaml": NAMES, "a.jpg": None}, "expected one config; got a.yaml, b.yaml"),
        ({"classes.txt": "cat\n\ndog", "a.jpg": None, "a.txt": ONE}, "classes.txt:2: expected the name of a class"),
        ({"a.jpg": None, "a.txt": "nothing here"}, r"a.txt:1: expected"),
    ],
)
def test_what_is_refused_as_a_whole(tmp_path, files, says):
    put(tmp_path, files)
    with pytest.raises(check.DataError, match=says) as error:
        read_yolo(tmp_path)
    assert "\n" not in str(error.value)


def test_no_such_folder(tmp_path):
    with pytest.raises(check.DataError, match="no such folder"):
        read_yolo(tmp_path / "gone")
    with pytest.raises(check.DataError, match="none of these"):
        read_yolo(put(tmp_path, {"other.yaml": "model: 1"}) / "other.yaml")


@pytest.mark.parametrize("escape", ["../../outside/images", "/etc", "images/../../../outside/images"])
def test_what_a_config_says_cannot_lead_out(tmp_path, escape):
    put(tmp_path, {"outside/images/x.jpg": None, "outside/labels/x.txt": ONE})
    root = put(tmp_path / "holder", {"set/data.yaml": f"train: {escape}\nval: images\n{NAMES}"})
    put(root / "set", {"images/a.jpg": None, "labels/a.txt": ONE})
    records = read_yolo(root / "set")
    assert [record.image.name for record in records] == ["a.jpg"]
    assert "leads out of" in records.set_aside[0].reason
    path = put(tmp_path / "other", {"set/data.yaml": f"path: {escape}\nval: images\n{NAMES}"}) / "set"
    put(path, {"images/a.jpg": None, "labels/a.txt": ONE})
    assert "its own folder is taken" in read_yolo(path).set_aside[0].reason


def test_what_a_list_says_cannot_lead_out(tmp_path):
    put(tmp_path, {"x.jpg": None, "x.txt": ONE})
    lines_of_it = f"../../x.jpg\n{tmp_path}/x.jpg\nimages/a.jpg\nimages/gone.jpg\n"
    root = put(tmp_path / "holder" / "set", {"data.yaml": f"train: list.txt\n{NAMES}", "list.txt": lines_of_it})
    put(root, {"images/a.jpg": None, "labels/a.txt": ONE})
    records = read_yolo(root)
    assert [record.image.name for record in records] == ["a.jpg"]
    assert list(reasons(records, root)) == ["list.txt:1", "list.txt:2", "list.txt:4"]


def test_a_link_that_leads_back_ends(tmp_path):
    put(tmp_path, {"images/a.jpg": None, "labels/a.txt": ONE, "classes.txt": "cat"})
    (tmp_path / "images" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(read_yolo(tmp_path)) == 1


def test_small_parts(tmp_path):
    assert part_on(["a", "Val-2017", "b"]) == "validation"
    assert part_on(["trainer"]) is None
    assert swaps("images/a/images/b", ["labels"]) == ["images/a/labels/b"]
    (tmp_path / "data").mkdir()
    with pytest.raises(check.DataError, match="is not there"):
        resolve("x\0y", [str(tmp_path)], str(tmp_path))
    with pytest.raises(check.DataError, match="is not there"):
        resolve("x" * 5000, [str(tmp_path)], str(tmp_path))


# ---- recognising


@pytest.mark.parametrize(
    "files",
    [
        {"cat/a.jpg": None, "dog/b.jpg": None},  # class folders
        {"a.jpg": None, "a.txt": "a cat on a mat"},  # captions
        {"a.jpg": None, "a.txt": ""},  # nothing to tell by
        {"data.yaml": "model: resnet\ntrain: [1, 2]\n", "a.jpg": None},  # a spec of something else
        {"a.csv": "a,b"},
        {},
    ],
)
def test_other_formats_are_not_taken_for_this_one(tmp_path, files):
    assert YOLO.recognise(put(tmp_path, files)) is None
    assert YOLO.recognise(tmp_path / "gone") is None


# ---- writing

near_numbers = st.floats(-0.25, 1.25, width=32)


@st.composite
def some_boxes(draw, classes, size):
    """Boxes, some with an outline whose box they are."""
    height, width = size
    corners, polygons = [], []
    count = draw(st.integers(0, 3))
    for _ in range(count):
        x, y = sorted(draw(st.tuples(near_numbers, near_numbers))), sorted(draw(st.tuples(near_numbers, near_numbers)))
        box = np.array([x[0] * width, y[0] * height, x[1] * width, y[1] * height], np.float32)
        corners.append(box)
        ring = box[[0, 1, 2, 1, 2, 3]].reshape(-1, 2)
        polygons.append((ring,) if draw(st.booleans()) else ())
    indices = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    return Boxes(np.reshape(corners, (-1, 4)), indices, tuple(polygons))


@st.composite
def some_records(draw):
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=4, unique=True))
    items = []
    for number in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, 3000)), draw(st.integers(1, 40))
        boxes = draw(some_boxes(len(names), size))
        part = draw(st.sampled_from([None, "train", "validation", "test"]))
        items.append(
            Record(f"arrays:{number}", np.full((*size, 1), number, np.uint8), targets={"any": boxes}, part=part)
        )
    return Records(tuple(items), {"any": Labels("boxes", tuple(names))})


def check_equal(one, other):
    """Everything the format holds is the same, to a hundredth of a pixel."""
    np.testing.assert_allclose(one.xyxy, other.xyxy, atol=0.01)
    assert one.classes.tolist() == other.classes.tolist()
    for mine, theirs in zip(one.polygons, other.polygons, strict=True):
        assert len(mine) == len(theirs)
        for ring, same in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(ring, same, atol=0.01)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=some_records())
def test_what_is_written_is_read_again(tmp_path_factory, records):
    folder, again = tmp_path_factory.mktemp("yolo"), tmp_path_factory.mktemp("again")
    YOLO.write(records, folder)
    first = YOLO.read(folder, Hints())
    assert first.set_aside == ()
    assert first.labels == {TASK: records.labels["any"]}
    by_pixel = {int(np.asarray(Image.open(record.image))[0, 0]): record for record in first}
    assert len(by_pixel) == len(records)
    for number, record in enumerate(records):
        assert by_pixel[number].part == record.part
        assert by_pixel[number].size == record.image.shape[:2]
        check_equal(by_pixel[number].targets[TASK], record.targets["any"])
    YOLO.write(first, again)
    for before, after in zip(first, YOLO.read(again, Hints()), strict=True):
        assert before.part == after.part
        assert before.image.read_bytes() == after.image.read_bytes()
        check_equal(before.targets[TASK], after.targets[TASK])


def test_written_files_are_those_of_ultralytics(tmp_path):
    boxes = Boxes([[5, 2.5, 15, 7.5]], [1], difficult=[True])
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    items = tuple(
        Record(f"x:{part}", pixels, targets={"t": boxes}, part=part) for part in ("train", "validation", "test")
    )
    YOLO.write(Records(items, {"t": Labels("boxes", ("cat", "dog"))}), tmp_path)
    assert (tmp_path / "data.yaml").read_text() == (
        "train: images/train\nval: images/validation\ntest: images/test\nnames:\n  0: cat\n  1: dog\n"
    )
    [label] = (tmp_path / "labels" / "validation").iterdir()
    assert [float(word) for word in label.read_text().split()] == [1, 0.5, 0.5, 0.5, 0.5]
    assert frozenset({"polygons"}) == HOLDS  # what is lost: difficult


PIXELS = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
GOOD = Record("good", PIXELS, targets={"t": Boxes([[0, 0, 1, 1]], [0])})


@pytest.mark.parametrize(
    ("record", "kinds", "says"),
    [
        (replace(GOOD, targets={}), {"t": "boxes"}, "good: has no target for the task 't'"),
        (
            replace(GOOD, targets={"t": Boxes([[0, 0, 1, 1]], [7])}),
            {"t": "boxes"},
            "a class from 0 to 0; got 7",
        ),
        (replace(GOOD, targets={"t": Boxes([[0, 0, math.nan, 1]], [0])}), {"t": "boxes"}, "good: t: expected finite"),
        (replace(GOOD, targets={"t": Boxes([[0, 0, 900, 1]], [0])}), {"t": "boxes"}, "good: box 0 cannot be"),
        (replace(GOOD, targets={"t": Boxes([[3, 0, 1, 1]], [0])}), {"t": "boxes"}, "good: box 0 cannot be"),
        (Record("row", row=np.zeros(2), targets=GOOD.targets), {"t": "boxes"}, "expected an image; got a row"),
        (GOOD, {"t": "boxes", "u": "boxes"}, r"one task of kind boxes to write as YOLO; got t \(boxes\), u \(boxes\)"),
        (GOOD, {"t": "class"}, r"to write as YOLO; got t \(class\)$"),
        (GOOD, {}, "to write as YOLO; got none$"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, record, kinds, says):
    labels = {task: Labels(kind, ("cat",)) for task, kind in kinds.items()}
    with pytest.raises(check.DataError, match=says):
        YOLO.write(Records((record,), labels), tmp_path)


# ---- fuzzing: nothing but our own errors comes out

words = st.one_of(st.text(max_size=6), st.floats().map(str), st.integers().map(str), st.just("0.5"))
messy_lines = st.lists(st.lists(words, max_size=9).map(" ".join), max_size=4).map("\n".join)


@settings(max_examples=150, deadline=None)
@given(text=messy_lines)
def test_any_label_text(text):
    try:
        boxes = parse(text, {0: 0, 1: 1}, (HEIGHT, WIDTH), "a.txt")
    except check.DataError as error:
        assert str(error).startswith("a.txt:")
    else:
        assert np.isfinite(boxes.xyxy).all()
        assert parse(lines(boxes, (HEIGHT, WIDTH), "a"), None, (HEIGHT, WIDTH), "b").classes.tolist() == (
            boxes.classes.tolist()
        )


keys = st.sampled_from(["names", "path", "train", "val", "test", "nc", "classes", "images"])
yamls = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="names: {}[]-,'\"&*!|>%@`0123\n\t", max_size=60).map(str.encode),
    st.dictionaries(keys, st.one_of(words, st.lists(words, max_size=3), st.dictionaries(words, words, max_size=3))).map(
        lambda values: repr(values).encode("utf-8", "replace")
    ),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=yamls)
def test_any_config(tmp_path_factory, content):
    root = put(tmp_path_factory.mktemp("fuzz"), {"a.jpg": None, "a.txt": ONE})
    for name in ("data.yaml", "obj.data", "classes.txt"):
        (root / name).write_bytes(content)
        for read in (
            read_yolo,
            lambda path, name=name: read_config(path / name),
            lambda p, name=name: read_names(p / name, gaps=False),
        ):
            try:
                read(root)
            except check.LensmithError as error:
                assert "\n" not in str(error)
        YOLO.recognise(root)
        (root / name).unlink()


@pytest.mark.parametrize(
    ("lines", "names", "expected"),
    [
        # Two named classes, and labels that count from 1: half of them would pass under a wrong name.
        (
            ("1 .5 .5 .2 .2", "2 .5 .5 .2 .2"),
            "names: [cat, dog]",
            "classes 0 to 1, as 2 are named; got 1 to 2. They seem",
        ),
        # A file of names of another length than its own count.
        (("0 .5 .5 .2 .2", "1 .5 .5 .2 .2"), "nc: 3\nnames: [cat, dog]", "names: expected 3, as nc says; got 2"),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(tmp_path, lines, names, expected):
    labels = {f"labels/{number}.txt": line for number, line in enumerate(lines)}
    put(
        tmp_path,
        {"images/0.jpg": None, "images/1.jpg": None, "data.yaml": f"path: .\ntrain: images\n{names}\n"} | labels,
    )
    with pytest.raises(check.DataError, match=re.escape(expected)):
        read_yolo(tmp_path)


def test_a_class_next_to_the_last_says_what_may_be_wrong(tmp_path):
    """One name too few, or classes from 1 in one file: its image is set aside, with both ways out."""
    config = "path: .\ntrain: images\nnames: [cat]\n"
    put(tmp_path, {"images/0.jpg": None, "labels/0.txt": ONE, "images/1.jpg": None, "labels/1.txt": "1 .5 .5 .2 .2"})
    put(tmp_path, {"data.yaml": config})
    (problem,) = read_yolo(tmp_path).set_aside
    expected = "one of the 1 named classes, 0 to 0; got class 1. A name is missing, or the classes are counted from 1"
    assert problem.reason == f"expected {expected}"


def test_missing_label_files_are_counted_and_said_where_they_were_looked_for(tmp_path):
    files = {f"images/train/{number}.jpg": None for number in range(5)}
    put(tmp_path, files | {"labels/train/3.txt": "0 .5 .5 .2 .2"})
    records = read_yolo(tmp_path)
    assert [len(record.targets[TASK]) for record in records] == [0, 0, 0, 1, 0]
    (finding,) = (one for one in audit(records).findings if "no label file" in one.message)
    assert finding.severity == "warning"
    assert f"{tmp_path}/labels/train/0.txt: there is no such file; 4 of 5 images have no label file" in finding.message
