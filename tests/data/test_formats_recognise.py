"""Which format a source is taken for, what is said when it is none, and the way through every writer."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lensmith import check
from lensmith.data.formats import FORMATS
from lensmith.data.formats.arrays.memory import from_arrays
from lensmith.data.formats.format import SETTINGS, Hints
from lensmith.data.formats.sources import format_of, held, read, read_with, recognise, write
from lensmith.records import Labels, Record, Records


def album(root, *files):
    for value, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            Image.fromarray(np.full((2, 3), value, np.uint8)).save(path)
        elif path.suffix == ".npz":
            np.savez(path, x=np.zeros((4, 2, 3), np.uint8), y=np.array([0, 1, 0, 1]))
        else:
            path.touch()
    return root


FLAT = tuple(f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(4))

# Files, the format they are taken for, and what the records' layout says.
SOURCES = [
    (("cat/1.png", "dog/1.png"), "folders", "class folders: 2 classes"),
    (("train/cat/1.png", "train/dog/1.png", "test/cat/2.png"), "folders", "class folders: 2 classes"),
    (("a/x/1.png", "a/y/1.png", "b/z/1.png"), "folders", "class folders: 2 classes and 3 classes on two levels"),
    (FLAT, "names", "labels in file names: 2 of label"),
    (tuple(f"train/{file}" for file in FLAT), "names", "labels in file names: 2 of label"),
    (("1.png", "2.png"), "unlabelled", "unlabelled images: 2"),
    (("train/1.png", "test/2.png"), "unlabelled", "unlabelled images: 2"),
    (("cat/1.png", "cat/2.png"), "unlabelled", "unlabelled images: 2"),  # one class tells nothing apart
    (tuple(f"raccoon-{number}.jpg" for number in range(1, 9)), "unlabelled", "unlabelled images: 8"),
    (("golden_gate.jpg", "starry_night.jpg"), "unlabelled", "unlabelled images: 2"),
    (("data.npz", "README.txt"), "npz", "NumPy arrays: 4 images"),
    (("photos/cat/1.png", "photos/dog/1.png", "README.md"), "folders", "class folders: 2 classes in photos/"),
    (("a/b/data.npz",), "npz", "NumPy arrays: 4 images in a/b/"),
    (("__MACOSX/x", "pets/cat/1.png", "pets/dog/1.png"), "folders", "class folders: 2 classes in pets/"),
    (("cfg/a.cfg", "data/dog.jpg", "data/eagle.jpg"), "unlabelled", "unlabelled images: 2"),
]


@pytest.mark.parametrize(("files", "name", "layout"), SOURCES)
def test_sources(tmp_path, files, name, layout):
    album(tmp_path, *files)
    assert recognise(tmp_path)[0].name == name
    records = read(tmp_path)
    assert records.layout == layout
    assert records.name == str(tmp_path)
    assert format_of(records) == name
    assert len(read(str(tmp_path))) == len(records)


# Files that no format fits, and what is said.
REFUSALS = [
    ((), "expected a folder or file in one of the formats .*; got an empty folder"),
    (("notes.txt", "more/x.h5"), r"got no image at all, but 1 \.txt, 1 folder\(s\)"),
    (("a.npz", "b.npz"), r"got no image at all, but 2 \.npz. Did you mean .*a\.npz\?"),
    (("train/cat/1.png", "train/dog/1.png", "more/1.png"), r"part folders \(train\) beside others \(more\)"),
    (("train/cat/1.png", "test/cat/1.png"), r"one class only \(cat\)"),
]


@pytest.mark.parametrize(("files", "message"), REFUSALS)
def test_refusals(tmp_path, files, message):
    for use in (read, recognise):
        with pytest.raises(check.DataError, match=message) as caught:
            use(album(tmp_path, *files))
        assert "\n" not in str(caught.value)


# A table, the images beside it, the format it is all taken for, and how many records there are.
TABLES = [
    (
        "train.csv",
        "id,label\na,cat\nb,dog\n",
        ("train_images/a.jpg", "train_images/b.jpg", "test_images/a.jpg"),
        "csv",
        2,
    ),
    ("labels.csv", "id,breed\n1,cat\n2,dog\n", ("pics/1.png", "pics/2.png"), "csv", 2),  # numbers that name files
    ("labels.csv", "file,breed\nA.PNG,cat\nB.PNG,dog\n", ("pics/a.png", "pics/b.png"), "csv", 2),  # another case
    ("notes.csv", "a,b,c\n1,2,3\n2,3,4\n", ("cat/1.png", "dog/1.png"), "folders", 2),  # names no image
    ("notes.csv", "a,b,c\n1,2,3\n2,3,4\n", ("images/cat/1.png", "images/dog/2.png"), "folders", 2),
    ("notes.csv", "a,b,c\n1,2,3\n2,3,4\n", FLAT, "names", 8),
    ("notes.csv", "a,b,c\n1,2,3\n2,3,4\n", (), "csv", 2),  # nothing else there
    ("size.csv", "file,width,height\n1.png,3,2\n", ("cat/1.png", "dog/1.png"), "folders", 2),  # facts of class folders
]


@pytest.mark.parametrize(("name", "text", "files", "format", "count"), TABLES)
def test_a_table_beside_images(tmp_path, name, text, files, format, count):
    (album(tmp_path, *files) / name).write_text(text)
    assert recognise(tmp_path)[0].name == format
    assert len(read(tmp_path)) == count


def test_the_images_of_a_part_are_those_of_its_table(tmp_path):
    (album(tmp_path, "test_images/a.jpg", "train_images/a.jpg", "other/b.jpg") / "train.csv").write_text(
        "id,label\na,cat\nb,dog\n"
    )
    found = [record.image.relative_to(tmp_path).as_posix() for record in read(tmp_path)]
    assert found == ["train_images/a.jpg", "other/b.jpg"]


def test_a_table_whose_images_lie_elsewhere_says_what_to_do(tmp_path):
    (album(tmp_path, "images/a.png", "data/x.txt") / "data" / "table.csv").write_text("file,label\na.png,cat\n")
    with pytest.raises(check.DataError, match="Say where the images are: --read images=FOLDER"):
        read(tmp_path / "data" / "table.csv")
    assert len(read(tmp_path / "data" / "table.csv", images=tmp_path / "images")) == 1


def test_a_folder_of_data_sets_is_none(tmp_path):
    album(tmp_path, "pets/cat/1.png", "pets/dog/1.png", "digits/data.npz", "photos/1.png")
    with pytest.raises(check.DataError, match=r"expected one data set; got a folder of 2. Did you mean .*/digits or "):
        read(tmp_path)
    assert len(read(tmp_path / "pets")) == 2


def test_class_names_that_are_no_text_are_not_written(tmp_path):
    records = from_arrays(np.zeros((2, 4, 4), np.uint8), [0, 1], ["a", "\udcff"])
    with pytest.raises(check.DataError, match="names are text") as caught:
        write(records, tmp_path / "out", "idx")
    assert str(caught.value).isprintable()
    assert not (tmp_path / "out").exists()


def test_nothing_and_a_foreign_file(tmp_path):
    with pytest.raises(check.DataError, match=r"nowhere: expected .* got nothing: there is no such folder or file"):
        read(tmp_path / "nowhere")
    (tmp_path / "a.docx").touch()
    with pytest.raises(check.DataError, match=r"got a file that ends in \.docx"):
        read(tmp_path / "a.docx")


def test_a_line_feed_in_a_name_stays_in_the_line(tmp_path):
    (tmp_path / "a\nb").mkdir()
    with pytest.raises(check.DataError) as caught:
        read(tmp_path / "a\nb")
    assert "\n" not in str(caught.value)


def test_one_image_and_one_file_of_arrays(tmp_path):
    album(tmp_path, "1.png", "data.npz")
    assert read(tmp_path / "1.png").layout == "unlabelled images: one"
    assert len(read(tmp_path / "data.npz")) == 4


def test_a_format_that_is_said_is_taken(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png")
    records = read(tmp_path, format="unlabelled")
    assert (records.labels, records.layout) == ({}, "unlabelled images: 2")
    with pytest.raises(check.SettingError, match=r"one of voc, coco, .* got 'folder'\. Did you mean 'folders'"):
        read(tmp_path, format="folder")
    with pytest.raises(check.DataError, match="expected a folder of images with the label in front"):
        read(tmp_path, format="names")


def test_hints_reach_the_reader(tmp_path):
    album(tmp_path, "a/P1_1.png", "a/P2_1.png", "b/P3_1.png")
    records = read(tmp_path, labels="pet", pattern="{owner}_{number}", group="owner")
    assert (list(records.labels), [record.group for record in records]) == (["pet"], ["P1", "P2", "P3"])
    records = read_with(tmp_path, None, Hints(pattern="{label}_{number}"))  # a label in the name wins
    assert records.labels["label"].names == ("P1", "P2", "P3")


# Settings, and what is said of one that would be forgotten.
UNHEEDED = [
    ({"rows": ["a"]}, "rows: expected one of group, labels, pattern for the format folders"),
    ({"names": "names.txt"}, "names: expected one of group, labels, pattern for the format folders; got names.txt"),
    ({"format": "unlabelled", "labels": "a"}, "labels: expected no setting for the format unlabelled"),
    (
        {"group": "patient"},
        "group: expected a place of a pattern, a column or an array that holds groups; got 'patient'",
    ),
    ({"pattern": "{a}{b}"}, "pattern: expected different names in brackets"),
]


@pytest.mark.parametrize(("settings", "message"), UNHEEDED)
def test_no_setting_is_forgotten(tmp_path, settings, message):
    album(tmp_path, "a/P1_1.png", "b/P3_1.png")
    with pytest.raises(check.SettingError, match=message):
        read(tmp_path, **settings)


def test_bundled_data_take_no_setting():
    with pytest.raises(check.SettingError, match="labels: expected nothing to be said about bundled data"):
        read("bundled:wine", labels="kind")


def test_the_table_is_whole():
    names = [one.name for one in FORMATS]
    assert len(set(names)) == len({one.title for one in FORMATS}) == len(names)
    assert all(one.heeds <= set(Hints.__dataclass_fields__) for one in FORMATS)
    assert all(one.holds <= {"polygons", "crowd", "difficult", "truncated"} for one in FORMATS)
    assert names[-1] == "unlabelled"
    assert held("voc") >= {"difficult"}
    assert held("npz") == frozenset()


@pytest.mark.parametrize("name", ["folders", "names", "npz", "idx", "unlabelled"])
def test_every_writer_gives_what_its_reader_takes(tmp_path, name):
    rng = np.random.default_rng(0)
    records = from_arrays(rng.integers(0, 256, (8, 4, 5), np.uint8), [0, 1] * 4, ["cat", "dog"])
    if name == "unlabelled":
        records = Records(tuple(Record(one.source, one.image) for one in records), {})
    write(records, tmp_path / "out", name)
    assert recognise(tmp_path / "out")[0].name == name
    again = read(tmp_path / "out")
    assert (again.labels, len(again), again.set_aside) == (records.labels, 8, ())


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    records = from_arrays(np.zeros((2, 4, 5), np.uint8), [0, 1], ["a/b", "c"])
    with pytest.raises(check.DataError, match="takes as names of files"):
        write(records, tmp_path / "out", "folders")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(check.SettingError, match="format: expected one of"):
        write(records, tmp_path / "out", "tfrecord")
    with pytest.raises(check.DataError, match="there are no records to write"):
        write(Records((), {"label": Labels("class", ("a",))}), tmp_path / "out", "folders")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(check.SettingError, match="a folder that holds something"):
        write(records, tmp_path / "out", "npz")


# Folders of real data: the format, how many examples, and the kind of each task.
REAL = [
    ("cats_vs_dogs", "folders", 1400, ["class"]),
    ("cifar10_5000", "npz", 5000, ["class"]),
    ("coco128_yolo", "yolo", None, None),
    ("coco128_yolo/object_detection", "yolo", 128, ["boxes"]),
    ("coco128_yolo/semantic_segmentation", "masks", 100, ["mask"]),
    ("darknet", "unlabelled", 7, []),
    ("darknet/data", "unlabelled", 7, []),
    ("mnist", "idx", 70_000, ["class"]),
    ("mnist/png_subset", "folders", 1200, ["class"]),
    ("photos", "unlabelled", 6, []),
    ("raccoon_voc", "voc", 200, ["boxes"]),
    ("raccoon_voc/images", "unlabelled", 200, []),
    ("rbc_coco", "coco", 240, ["boxes"]),
]


@pytest.mark.parametrize(("folder", "name", "count", "kinds"), REAL)
def test_real_data_needs_no_description(shared_data, folder, name, count, kinds):
    assert recognise(shared_data / folder)[0].name == name
    records = read(shared_data / folder)
    assert format_of(records) == name
    assert len(records) == count or count is None
    assert kinds is None or [labels.kind for labels in records.labels.values()] == kinds
    assert all(Path(one.image).is_file() for one in records[:3] if not isinstance(one.image, np.ndarray))


@pytest.mark.parametrize("folder", ["resnet_cifar10", "squeezenet_v10", "vgg19_to_relu3_1", "mobilenet_v1_025"])
def test_real_weights_are_refused(shared_data, folder):
    with pytest.raises(check.DataError) as caught:
        read(shared_data / folder)
    assert "\n" not in str(caught.value)


def test_links_that_lead_back_are_no_data_sets(tmp_path):
    album(tmp_path, "pets/cat/1.png", "pets/dog/1.png", "beside/1.png")
    records = read(tmp_path / "pets")
    for form in ("csv", "npz", "folders"):
        write(records, tmp_path / form, form)
        (tmp_path / form / "loop").symlink_to(".")
        (tmp_path / form / "up").symlink_to("..")  # to the folder above the one that is read
        again = read(tmp_path / form)
        assert format_of(again) == form
        assert len(again) == 2


# Files of a folder whose name holds a line feed, none of which can be read.
TORN = [("data.yaml",), ("a.xml",), ("train/_annotations.coco.json",), ("data.npz", "data.csv"), ("table.csv",)]


@pytest.mark.parametrize("files", TORN)
def test_a_refusal_is_one_line_whatever_the_folder_is_called(tmp_path, files):
    root = tmp_path / "a\nb"
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text('<annotation>{"images": [], "annotations": 5, "categories": [')
    for name in (None, "voc", "coco", "yolo", "masks", "csv", "json", "npz", "idx", "folders", "names", "unlabelled"):
        with pytest.raises(check.LensmithError) as caught:
            read(root, format=name)
        assert "\n" not in str(caught.value)


def test_each_hint_is_explained_in_the_words_of_read():
    assert list(SETTINGS) == [one.name for one in fields(Hints)]
    words = " ".join((read.__doc__ or "").replace("`", "").split())
    assert [name for name, line in SETTINGS.items() if f"{name}: {line}" not in words] == []


NAMES_A = "image,label\na.png,x\n"


@pytest.mark.parametrize(
    ("tables", "listed"),
    [
        ({"two.csv": NAMES_A, "one.csv": NAMES_A}, "one.csv, two.csv"),
        ({"two.csv": NAMES_A, "one.csv": "image,label\nz.png,x\na.png,y\n"}, "one.csv, two.csv"),  # one of them
        ({"two.json": '[{"image": "a.png"}]', "one.jsonl": '{"image": "a.png"}'}, "one.jsonl, two.json"),
        ({f"{n}.csv": NAMES_A for n in "0123456789"}, "0.csv, 1.csv, 2.csv, 3.csv, 4.csv, 5.csv, 6.csv, 7.csv"),
        ({"two.csv": "a,b\n1,2\n", "one.csv": "a,b\n3,4\n"}, None),  # numbers
        ({"two.csv": "image,label\ny.png,x\n", "one.csv": "image,label\nz.png,x\n"}, None),  # of other images
        ({"two.csv": "", "one.csv": b"\xff\xfe\x00"}, None),  # no tables at all
        ({"a.json": '{"shapes": []}', "b.json": "[1"}, None),  # no lists of objects
        ({"a.json": '[{"image_id": 1, "bbox": [0, 0, 1, 1]}]', "b.json": '[{"image_id": 1, "bbox": []}]'}, None),
    ],
)
def test_several_tables_of_the_images_of_a_folder(tmp_path, tables, listed):
    album(tmp_path, "set/a.png", "set/b.png")
    for name, content in tables.items():
        (tmp_path / "set" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for root in (tmp_path, tmp_path / "set"):
        if listed is None:
            assert read(root).layout == "unlabelled images: 2"
            continue
        with pytest.raises(check.DataError) as caught:
            read(root)
        got = f"{tmp_path / 'set'}: expected one table; got several tables ({listed}). Name the one that is meant, or "
        assert str(caught.value) == f"{got}read the images alone: --format unlabelled"
        assert read(root, format="unlabelled").layout == "unlabelled images: 2"
