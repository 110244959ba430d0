"""Masks: what a pixel value means, the layouts they come in, what is refused, and that writing loses nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.masks.colours import find_colours
from lensmith.data.formats.masks.reading import MASKS, TASK, read_mask_folders
from lensmith.data.formats.yolo.reading import YOLO
from lensmith.data.images import decode
from lensmith.data.masks import VOID, load_mask, look
from lensmith.records import Boxes, Labels, Record, Records

PIXELS = np.zeros((2, 3, 3), np.uint8)
INDICES = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels))
    if mode == "P":
        picture = Image.fromarray(np.asarray(pixels, np.uint8))
        picture.putpalette([9] * 768)  # every index the same colour: the palette must not count
    picture.save(path, **options)
    return path


def album(root, images=(), masks=(), texts=None, pixels=INDICES):
    for name in images:
        save(root / name, PIXELS)
    for name in masks:
        save(root / name, pixels)
    for name, text in (texts or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def table(records, root):
    return [
        (
            record.source.removeprefix(f"{root}/"),
            record.part,
            str(record.targets[TASK]).removeprefix(f"{root}/"),
        )
        for record in records
    ]


# ---- pixel values


@pytest.mark.parametrize(
    ("pixels", "mode", "expected"),
    [
        (INDICES, None, INDICES),  # gray: the value is the index, 255 stays
        (INDICES, "P", INDICES),  # a palette: the index, not its colour
        (INDICES.astype(np.uint16), None, INDICES),  # 16 bits, with small values
        (INDICES.astype(np.int32), None, INDICES),  # 32 bits
        (np.array([[True, False]]), None, [[1, 0]]),  # one bit
        (np.array([[255, 0]], np.uint8), None, [[1, 0]]),  # binary
        (np.array([[255, 255]], np.uint8), None, [[1, 1]]),  # binary, and all of it
        (np.array([[0, 0]], np.uint8), None, [[0, 0]]),
        (np.array([[0, 1, 255]], np.uint8), None, [[0, 1, 255]]),  # not binary: nothing is known of the last
        (np.full((1, 2, 3), 7, np.uint8), None, [[7, 7]]),  # gray that is stored as colour
        (np.array([[[1, 255]]], np.uint8), None, [[1]]),  # gray and alpha
    ],
)
def test_pixel_values(tmp_path, pixels, mode, expected):
    name = "m.png" if pixels.dtype != np.int32 else "m.tif"  # PNG has no 32 bits
    mask = load_mask(save(tmp_path / name, pixels, mode), "cat")
    assert mask.dtype == np.uint8
    assert mask.tolist() == np.asarray(expected).tolist()


def test_255_is_no_foreground_where_there_are_more_classes(tmp_path):
    file = save(tmp_path / "m.png", np.array([[0, 255]], np.uint8))
    assert load_mask(file, "cat", classes=2).tolist() == [[0, 1]]
    assert load_mask(file, "cat", classes=21).tolist() == [[0, VOID]]


def test_an_array_is_taken_as_it_is():
    assert load_mask(INDICES[..., None], "cat").tolist() == INDICES.tolist()
    assert load_mask(np.array([[0, 255]], np.uint8), "cat").tolist() == [[0, 255]]


def test_a_mask_may_lie_on_its_side_as_images_do(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    file = save(tmp_path / "m.png", np.array([[0, 1, 2], [3, 4, 5]], np.uint8), exif=exif)
    assert load_mask(file, "cat").tolist() == [[3, 0], [4, 1], [5, 2]]
    assert (look(file).height, look(file).width) == (3, 2)


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.array([[[1, 2, 3]]], np.uint8), "expected one class index a pixel; got colours. Colours need a file"),
        (np.array([[300]], np.uint16), "expected class indices from 0 to 254; got values from 300 to 300"),
    ],
)
def test_what_a_file_cannot_be(tmp_path, pixels, says):
    file = save(tmp_path / "m.png", pixels)
    with pytest.raises(check.DataError) as error:
        load_mask(file, "cat")
    assert str(error.value).startswith(f"{file}: ")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((2, 2), np.int64), "cat: expected a mask: uint8 of shape .*; got int64"),
        (np.zeros((2, 2, 2), np.uint8), r"cat: .* got uint8 of shape \(2, 2, 2\)"),
        (np.zeros((0, 2), np.uint8), r"cat: .* got uint8 of shape \(0, 2\)"),
        (np.zeros((2, 2), np.uint8), r"cat: expected the size of its image, 2 x 3 .*; got a mask of 2 x 2"),
    ],
)
def test_what_an_array_cannot_be(mask, says):
    with pytest.raises(check.DataError, match=says):
        load_mask(mask, "cat", size=(2, 3))


def test_damaged_missing_and_lossy_files_are_named(tmp_path):
    (tmp_path / "torn.png").write_bytes(save(tmp_path / "m.png", INDICES).read_bytes()[:50])
    save(tmp_path / "m.jpg", INDICES)
    for name, says in [("torn.png", "cut short"), ("gone.png", "missing"), ("m.jpg", "JPEG changes pixel values")]:
        for call in (lambda file: load_mask(file, "cat"), look):
            if (name, call) == ("torn.png", look):
                continue  # a header cannot tell
            with pytest.raises(check.DataError, match=says) as error:
                call(tmp_path / name)
            assert str(error.value).startswith(str(tmp_path / name))


# ---- layouts

CONFIG = "train: {images: images/train, masks: masks/train}\nval:\n  images: images/val\n  masks: masks/val\n"
LAYOUTS = {
    "images and masks": (["images/a.jpg"], ["masks/a.png"], {}, [("images/a.jpg", None, "masks/a.png")]),
    "VOC": (
        ["JPEGImages/a.jpg"],
        ["SegmentationClass/a.png"],
        {},
        [("JPEGImages/a.jpg", None, "SegmentationClass/a.png")],
    ),
    "labels": (["images/a.png"], ["labels/a.png"], {}, [("images/a.png", None, "labels/a.png")]),
    "part folders inside, an ending": (
        ["images/train/a.jpg", "images/val2/b.jpg"],
        ["annotations/train/a_L.png", "annotations/val2/b_mask.png"],
        {},
        [
            ("images/train/a.jpg", "train", "annotations/train/a_L.png"),
            ("images/val2/b.jpg", "validation", "annotations/val2/b_mask.png"),
        ],
    ),
    "part folders around": (
        ["test/images/a.jpg", "train/images/b.jpg"],
        ["test/masks/a.png", "train/masks/b.png"],
        {},
        [("train/images/b.jpg", "train", "train/masks/b.png"), ("test/images/a.jpg", "test", "test/masks/a.png")],
    ),
    "beside the image": (["a.jpg", "b.jpg"], ["a_mask.png", "b_L.png"], {}, None),
    "a config": (
        ["images/train/a.jpg", "images/val/b.jpg"],
        ["masks/train/a.png", "masks/val/b.png"],
        {"config.yaml": f"{CONFIG}classes: {{0: class 0, 1: class 1, 2: class 2}}\n"},
        [
            ("images/train/a.jpg", "train", "masks/train/a.png"),
            ("images/val/b.jpg", "validation", "masks/val/b.png"),
        ],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    images, masks, texts, expected = LAYOUTS[layout]
    album(tmp_path, images, masks, texts)
    assert MASKS.recognise(tmp_path)
    assert YOLO.recognise(tmp_path) is None
    records = MASKS.read(tmp_path, Hints())
    assert table(records, tmp_path) == (expected or [("a.jpg", None, "a_mask.png"), ("b.jpg", None, "b_L.png")])
    assert records.labels == {TASK: Labels("mask", ("class 0", "class 1", "class 2"))}  # 255 is no class
    assert records.set_aside == ()
    assert all(record.size == (2, 3) for record in records)


def test_names(tmp_path):
    album(tmp_path, ["images/a.jpg"], ["masks/a.png"], {"mine.txt": "sky\nroad\ncar\n"})
    assert MASKS.read(tmp_path, Hints(names=tmp_path / "mine.txt")).labels[TASK].names == ("sky", "road", "car")
    album(tmp_path, texts={"classes.txt": "a\nb\nc\n"})
    assert MASKS.read(tmp_path, Hints(labels=("ground",))).labels == {"ground": Labels("mask", ("a", "b", "c"))}
    album(tmp_path, texts={"config.yaml": f"{CONFIG.replace('/train', '')}classes: {{0: a, 3: d}}"})
    assert MASKS.read(tmp_path, Hints()).labels[TASK].names == ("a", "class 1", "class 2", "d")


def test_binary_masks(tmp_path):
    album(tmp_path, ["images/a.jpg"], ["masks/a.png"], pixels=np.array([[0, 255, 0], [0, 0, 0]], np.uint8))
    records = MASKS.read(tmp_path, Hints())
    assert records.labels[TASK].names == ("background", "foreground")
    assert load_mask(records[0].targets[TASK], "a", classes=2).tolist() == [[0, 1, 0], [0, 0, 0]]


def test_colours_are_refused_unless_a_file_says_what_they_mean(tmp_path):
    red_and_black = np.array([[[255, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0]] * 3], np.uint8)
    album(tmp_path, ["images/a.jpg", "images/b.jpg"], ["masks/a.png"], pixels=red_and_black)
    with pytest.raises(check.DataError, match=r"a\.png: expected one class index a pixel; got colours"):
        MASKS.read(tmp_path, Hints())
    for name, text in [
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:255,0,0::\n"),
        ("label_colors.txt", "0 0 0 background\n255 0 0\tcar\n"),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncar,255,0,0\n"),
    ]:
        album(tmp_path, texts={name: text})
        save(tmp_path / "masks" / "b.png", np.full((2, 3, 3), (1, 2, 3), np.uint8))
        records = MASKS.read(tmp_path, Hints())
        assert records.labels[TASK].names == ("background", "car")
        assert records[0].targets[TASK].tolist() == [[1, 0, 0], [0, 0, 0]]
        assert records.set_aside[0].reason == f"expected a colour that {name} names; got 1,2,3 at x 0, y 0"
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:0,0", r":1: expected a name and three numbers"),
        ("a:0,0,256", r":1: expected numbers from 0 to 255"),
        ("a:0,0,0\nb:0,0,0", r":2: expected a name and a colour of its own"),
        ("# a\n", r": expected names with their colours; got none"),
        ("\n".join(f"c{i}:{i // 200},{i % 200},0" for i in range(256)), r":256: expected at most 255 classes"),
    ],
)
def test_a_wrong_file_of_colours_is_named(tmp_path, text, says):
    (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(check.DataError, match=f"labelmap.txt{says}"):
        find_colours([tmp_path])


def test_a_bad_file_ends_nothing(tmp_path):
    album(tmp_path, ["images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"], ["masks/a.png", "masks/e.png"])
    save(tmp_path / "masks" / "b.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "masks" / "c.png").write_text("no image")
    records = MASKS.read(tmp_path, Hints())
    assert [record.image.name for record in records] == ["a.jpg"]
    found = {Path(one.source).name: one.reason for one in records.set_aside}
    assert found == {
        "b.png": "expected the size of its image, 2 x 3 pixels (height x width); got a mask of 2 x 2",
        "c.png": "not an image that can be read, whatever its name says",
        "d.jpg": "no mask of its name",
        "e.png": "a label without an image of its name",
    }


@pytest.mark.parametrize(
    ("images", "masks", "texts", "says"),
    [
        ([], [], {}, "got no image"),
        (["images/a.jpg"], [], {}, "got 1 images and no mask"),
        (["images/a.jpg"], ["masks/a.png"], {"classes.txt": "a\na\n"}, "the name 'a' stands twice"),
        (["images/a.jpg"], ["masks/a.png"], {"config.yaml": f"{CONFIG}classes: {{300: a}}"}, "pixel values below 255"),
    ],
)
def test_what_is_refused_as_a_whole(tmp_path, images, masks, texts, says):
    album(tmp_path, images, masks, texts)
    with pytest.raises(check.DataError, match=says):
        read_mask_folders(tmp_path)


def test_other_formats_are_not_taken_for_this_one(tmp_path):
    album(tmp_path, ["cat/a.jpg", "dog/b.png", "dog/images.jpg"], texts={"images/labels/x.txt": "0"})
    assert MASKS.recognise(tmp_path) is None
    assert MASKS.recognise(tmp_path / "gone") is None
    assert MASKS.recognise(tmp_path / "cat" / "a.jpg") is None
    (tmp_path / "data.yaml").write_text("names: [")
    assert MASKS.recognise(tmp_path) is None


def test_yolo_refuses_masks_and_says_so(tmp_path):
    album(tmp_path, ["images/a.jpg"], ["masks/a.png"], {"config.yaml": f"{CONFIG}classes: {{0: a}}"})
    with pytest.raises(check.DataError, match=r"got masks, by .*config\.yaml"):
        YOLO.read(tmp_path, Hints())


def test_coco128(shared_data):
    root = shared_data / "coco128_yolo" / "semantic_segmentation"
    if not root.is_dir():
        pytest.skip("no coco128_yolo among the real data")
    records = MASKS.read(root, Hints())
    assert len(records) == 100
    names = records.labels[TASK].names
    assert (len(names), names[0], names[12], names[200]) == (201, "unlabeled", "class 12", "rug-merged")
    for record in records[::10]:
        mask = load_mask(record.targets[TASK], record.source, size=record.size, classes=len(names))
        assert not any(names[value].startswith("class ") for value in np.unique(mask))


# ---- writing


@st.composite
def some_records(draw):
    names = draw(st.lists(st.text("abc é日#:", min_size=1, max_size=4).map(str.strip), min_size=3, unique=True))
    names = [name for name in names if name] + ["x", "y"]
    items = []
    for number in range(draw(st.integers(1, 3))):
        shape = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        values = st.sampled_from([*range(min(len(names), 9)), VOID])
        mask = draw(st.lists(values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
        part = draw(st.sampled_from([None, "train", "validation", "test"]))
        mask = np.reshape(mask, shape).astype(np.uint8)
        image = np.full((*shape, 3), number, np.uint8)
        items.append(Record(f"arrays:{number}", image, targets={"any": mask}, part=part))
    return Records(tuple(items), {"any": Labels("mask", tuple(names))})


def number(record):
    """Which of the drawn records this is, by its pixels."""
    return int(decode(record.image, 3)[0, 0, 0])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=some_records())
def test_what_is_written_is_read_again(tmp_path_factory, records):
    for _ in range(2):  # the second time from files
        folder = tmp_path_factory.mktemp("again")
        MASKS.write(records, folder)
        again = MASKS.read(folder, Hints())
        assert again.set_aside == ()
        assert again.labels == {TASK: next(iter(records.labels.values()))}
        count = len(again.labels[TASK].names)
        by_pixel = {number(record): record for record in again}
        for record in records:
            same = by_pixel[number(record)]
            assert same.part == record.part
            [target] = record.targets.values()
            mask = load_mask(same.targets[TASK], "again", size=same.size, classes=count)
            assert mask.tolist() == load_mask(target, "before", classes=count).tolist()
            with Image.open(same.targets[TASK]) as picture:
                assert picture.mode == "L"
        records = again


GOOD = Record("good", PIXELS, targets={"m": INDICES})


@pytest.mark.parametrize(
    ("record", "names", "says"),
    [
        (replace(GOOD, targets={}), ("a", "b", "c"), "good: has no target for the task 'm'"),
        (replace(GOOD, targets={"m": Boxes([], [])}), ("a", "b", "c"), "good: m: expected a mask; got Boxes"),
        (replace(GOOD, targets={"m": INDICES[:1]}), ("a", "b", "c"), "good: m: expected the size of its image"),
        (replace(GOOD, targets={"m": INDICES // 255 * 255}), ("a", "b"), "good: m: expected a pixel of the second"),
        (replace(GOOD, targets={"m": INDICES}), ("a", "b"), "good: m: expected class indices from 0 to 1, or 255; got"),
        (GOOD, ("a\nb", "c", "d"), r"class names of one line; got 'a\\nb'"),
        (GOOD, (" a", "c", "d"), "class names of one line; got ' a'"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, record, names, says):
    with pytest.raises(check.DataError, match=says):
        MASKS.write(Records((record,), {"m": Labels("mask", names)}), tmp_path)
