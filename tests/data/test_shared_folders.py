"""The real data, folder by folder: each is read, audited and drawn without being described, and converted."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lensmith import check
from lensmith.data import audit, convert, read, sheet
from lensmith.data.formats.sources import held
from lensmith.records import Boxes

# folder, what it begins to be called, examples, parts, kinds of finding that the audit may name
FOLDERS = [
    # three tasks; 28 images have boxes only
    ("coco128_yolo", "YOLO", 128, {"validation": 128}, {"label", "imbalance", "skipped", "mode"}),
    ("coco128_yolo/object_detection", "YOLO", 128, {"validation": 128}, {"label", "imbalance", "skipped", "mode"}),
    ("coco128_yolo/instance_segmentation", "YOLO", 100, {"validation": 100}, {"label", "imbalance", "skipped", "mode"}),
    ("coco128_yolo/semantic_segmentation", "PNG masks", 100, {"validation": 100}, {"label", "skipped", "mode"}),
    ("coco128_yolo/semantic_segmentation/masks", "unlabelled images", 100, {None: 100}, {"dark"}),
    ("coco128_yolo/images", "unlabelled images", 128, {None: 128}, {"mode"}),
    ("coco128_yolo/images/val2017", "unlabelled images", 128, {None: 128}, {"mode"}),
    ("mnist/png_subset", "class folders", 1200, {"train": 1000, "test": 200}, set()),
    ("mnist/png_subset/train", "class folders", 1000, {None: 1000}, set()),
    ("mnist/png_subset/test", "class folders", 200, {None: 200}, set()),
    (
        "rbc_coco",
        "COCO",
        240,
        {"train": 210, "validation": 20, "test": 10},
        {"label", "imbalance", "near-duplicate"},
    ),
    ("rbc_coco/train", "COCO", 210, {None: 210}, {"label", "imbalance", "near-duplicate"}),
    ("rbc_coco/valid", "COCO", 20, {None: 20}, {"label", "imbalance"}),
    # exact copies of an image whose boxes were drawn anew
    ("raccoon_voc", "Pascal VOC", 200, {None: 200}, {"label", "duplicate", "near-duplicate", "mode"}),
    ("raccoon_voc/images", "unlabelled images", 200, {None: 200}, {"duplicate", "near-duplicate", "mode"}),
    ("raccoon_voc/annotations", "Pascal VOC", 200, {None: 200}, {"label", "duplicate", "near-duplicate", "mode"}),
    ("cats_vs_dogs/test", "class folders", 300, {None: 300}, {"size"}),
    ("cats_vs_dogs/test/cats", "unlabelled images", 150, {None: 150}, {"size", "blurred"}),
    ("photos", "unlabelled images", 6, {None: 6}, {"skipped"}),
    ("darknet", "unlabelled images", 7, {None: 7}, {"skipped"}),
    ("darknet/data", "unlabelled images", 7, {None: 7}, {"skipped"}),
]
LARGE = [
    ("cats_vs_dogs", "class folders", 1400, {"train": 800, "validation": 300, "test": 300}, {"size", "blurred"}),
    ("cats_vs_dogs/train", "class folders", 800, {None: 800}, {"size", "blurred"}),
    ("mnist", "idx files", 70000, {"train": 60000, "test": 10000}, set()),
    # one picture of CIFAR-10 stands in its training part and, lit otherwise, in its test part
    ("cifar10_5000", "NumPy arrays", 5000, {"train": 4000, "test": 1000}, {"leakage", "near-duplicate"}),
]


def look(folder, layout, examples, parts, findings):
    """Read, audit and draw one folder, and compare what came out."""
    records = read(folder)
    assert records.layout.startswith(f"{layout}: ")
    assert len(records) == examples
    assert Counter(record.part for record in records) == parts
    found = audit(records)
    assert len(found.records) == examples  # no photo of these is broken
    assert {one.kind for one in found.findings} <= findings
    drawn = sheet(records, count=6, columns=6, cell=64)
    assert drawn.ndim == 3
    assert drawn.std() > 10  # not a blank page


@pytest.mark.parametrize(
    ("folder", "layout", "examples", "parts", "findings"), FOLDERS, ids=[one[0] for one in FOLDERS]
)
def test_each_folder_is_read_audited_and_drawn(shared_data, folder, layout, examples, parts, findings):
    look(shared_data / folder, layout, examples, parts, findings)


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "layout", "examples", "parts", "findings"), LARGE, ids=[one[0] for one in LARGE])
def test_large_folders_are_read_audited_and_drawn(shared_data, folder, layout, examples, parts, findings):
    look(shared_data / folder, layout, examples, parts, findings)


@pytest.mark.parametrize(
    "folder",
    ["coco128_yolo", "coco128_yolo/semantic_segmentation", "rbc_coco", "raccoon_voc", "cats_vs_dogs", "photos"],
)
def test_a_folder_is_the_same_however_it_is_called(shared_data, folder, tmp_path, monkeypatch):
    known = read(shared_data / folder)
    link = tmp_path / "link"
    link.symlink_to(shared_data / folder)
    inner = tmp_path / "inner"
    inner.mkdir()
    up = tmp_path / "up"
    up.symlink_to(shared_data)  # `up/../…` leads beside the real folder, not beside the link
    monkeypatch.chdir(inner)
    ways = [
        f"{shared_data / folder}/",  # a slash behind
        f"{shared_data}/photos/../{folder}",  # a step up
        str(link),  # a link
        "../link",  # from another folder
        f"{up}/../{shared_data.name}/{folder}",
    ]
    for way in ways:
        records = read(way)
        assert records.layout == known.layout, way
        assert len(records) == len(known), way
        assert [Path(record.image).name for record in records] == [Path(record.image).name for record in known], way
        assert all(Path(record.image).is_file() for record in records), way


def test_folders_without_examples_are_refused_in_one_line(shared_data):
    for folder in ("darknet/cfg", "yolo_fastest", "yolo_fastest/data", "squeezenet_v10", "resnet_cifar10", "README.md"):
        with pytest.raises(check.DataError) as caught:
            read(shared_data / folder)
        assert "\n" not in str(caught.value)
        assert folder in str(caught.value)


# ---- conversion: the three sets of boxes, each by way of each format and back

SETS = {
    "raccoon_voc": ("voc", None),
    "rbc_coco": ("coco", None),
    "coco128_yolo": ("yolo", "object_detection"),
    "coco128_yolo, outlines": ("yolo", "instance_segmentation"),
}


def opened(shared_data, name):
    own, task = SETS[name]
    return own, read(shared_data / name.partition(",")[0], labels=task)


def compare(before, after, formats):
    """Images byte for byte, parts, names, boxes within half a pixel, and what else all formats hold."""
    ((task, labels),), ((other, names),) = before.labels.items(), after.labels.items()
    holding = frozenset.intersection(*(held(one) for one in formats))
    if "csv" not in formats:  # a table names the class of each box, and no others
        assert names.names == labels.names
    assert len(after) == len(before)
    by_name = {Path(record.image).stem: record for record in after}
    for record in before:
        copy = by_name[Path(record.image).stem]
        assert copy.image.read_bytes() == record.image.read_bytes()
        assert copy.part == record.part
        mine, theirs = record.targets[task], copy.targets[other]
        assert isinstance(mine, Boxes)
        assert [names.names[index] for index in theirs.classes] == [labels.names[index] for index in mine.classes]
        np.testing.assert_allclose(theirs.xyxy, mine.xyxy, atol=0.5, rtol=0)
        for mark in holding - {"polygons"}:
            assert np.array_equal(getattr(theirs, mark), getattr(mine, mark))
        if "polygons" in holding:
            for rings, again in zip(mine.polygons, theirs.polygons, strict=True):
                assert len(rings) == len(again)
                for ring, twin in zip(rings, again, strict=True):
                    np.testing.assert_allclose(twin, ring, atol=0.5, rtol=0)


@pytest.mark.parametrize("format", ["voc", "coco", "yolo", "json", "csv"])
@pytest.mark.parametrize("name", SETS)
def test_boxes_come_back_from_every_format(shared_data, tmp_path, name, format):
    own, records = opened(shared_data, name)
    convert(records, tmp_path / "there", format)
    there = read(tmp_path / "there")
    compare(records, there, [own, format])
    convert(there, tmp_path / "back", own)
    compare(records, read(tmp_path / "back"), [own, format])


def test_several_tasks_of_boxes_ask_for_one(shared_data, tmp_path):
    records = read(shared_data / "coco128_yolo")
    for format in ("voc", "coco", "yolo"):
        with pytest.raises(check.DataError, match=r"Choose one when reading: --read labels=object_detection$"):
            convert(records, tmp_path / format, format)
        assert not list(tmp_path.iterdir())
    convert(records, tmp_path / "json", "json")  # which holds several, and records that lack some
    again = read(tmp_path / "json")
    assert [set(record.targets) for record in again] == [set(record.targets) for record in records]
