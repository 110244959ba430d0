"""From each format of boxes to each other and back: everything that both hold is unchanged."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith.data.formats.coco import reading as coco
from lensmith.data.formats.format import Hints
from lensmith.data.formats.voc import reading as voc
from lensmith.data.formats.yolo import reading as yolo
from lensmith.data.images import decode
from lensmith.records import Boxes, Labels, Record, Records

# The format and the fields of boxes it holds. A new format of boxes is added here.
FORMATS = {
    "voc": (voc.VOC, voc.HOLDS),
    "coco": (coco.COCO, coco.HOLDS),
    "yolo": (yolo.YOLO, yolo.HOLDS),
}
EXACT = {"voc", "coco"}  # they hold pixels; YOLO holds shares of the image, to half a pixel
PAIRS = [(first, second) for first in FORMATS for second in FORMATS]
NAMES = ("cat", "golden retriever", "épée", "x & <y>", "7", "never drawn")
# file name, height, width: names that are alike in other folders, in case, in all but the suffix
PICTURES = (
    ("a.png", 20, 30),
    ("b/a.png", 31, 17),
    ("b/é à.jpg", 16, 16),
    ("with space.v1.png", 40, 64),
    ("a.JPG", 24, 24),
    ("image 1.png", 9, 50),
)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """The pictures, each of its own gray."""
    root = tmp_path_factory.mktemp("album")
    for place, (name, height, width) in enumerate(PICTURES):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((height, width), 40 * place, np.uint8)).save(root / name)
    return root


@st.composite
def one_box(draw, height, width):
    """Corners at least a pixel apart: whole numbers, or any that float32 has."""
    corners = []
    for side in (width, height):
        number = draw(st.sampled_from((st.integers, lambda low, high: st.floats(low, high, width=32))))
        low = draw(number(0, side - 2))
        corners.append((low, min(low + draw(number(1, side)), side)))
    (x1, x2), (y1, y2) = corners
    return np.float32([x1, y1, x2, y2])


def diamond(box):
    """An outline that touches each side of a box."""
    x1, y1, x2, y2 = box
    return np.float32([[x1, y1], [x2, (y1 + y2) / 2], [(x1 + x2) / 2, y2], [x1, (y1 + y2) / 2]])


@st.composite
def records(draw, album, mixed_parts=False):
    chosen = draw(st.lists(st.sampled_from(range(len(PICTURES))), min_size=1, max_size=4, unique=True))
    parts = ("train", "validation", "test") if draw(st.booleans()) else (None,)
    items = []
    for place in chosen:
        name, height, width = PICTURES[place]
        corners = draw(st.lists(one_box(height, width), max_size=3))
        marks = {
            mark: np.array([draw(st.booleans()) for _ in corners], bool) for mark in ("crowd", "difficult", "truncated")
        }
        boxes = Boxes(
            np.float32(corners).reshape(-1, 4),
            np.array([draw(st.integers(0, len(NAMES) - 2)) for _ in corners], int),
            polygons=tuple([diamond(box)] if draw(st.booleans()) else [] for box in corners),
            **marks,
        )
        size = (height, width) if draw(st.booleans()) else None
        part = draw(st.sampled_from((*parts, None) if mixed_parts else parts))
        items.append(Record(str(album / name), album / name, targets={"objects": boxes}, part=part, size=size))
    return Records(tuple(items), {"objects": Labels("boxes", NAMES)})


def through(records, name, folder):
    """Written and read again."""
    folder.mkdir()
    form = FORMATS[name][0]
    form.write(records, folder)
    assert form.recognise(folder)
    again = form.read(folder, Hints())
    assert again.set_aside == ()
    return again


def gray(record):
    """What tells the pictures apart, whatever their names have become."""
    return round(decode(record.image, 1).mean() / 40)


def check_same(before, after, holds, within, key=gray):
    """That what the formats hold is the same; the order of the records is not theirs to hold."""
    assert after.labels == before.labels
    found = {key(record): record for record in after}
    assert len(found) == len(after) == len(before)
    for old in before:
        new = found[key(old)]
        assert new.part == old.part
        assert new.size == (old.size or decode(old.image, 1).shape[:2])
        assert new.image.suffix == old.image.suffix and new.image.read_bytes() == old.image.read_bytes()
        check_boxes(old.targets["objects"], new.targets["objects"], holds, within)


def check_boxes(old, new, holds, within):
    assert np.array_equal(new.classes, old.classes)
    assert np.allclose(new.xyxy, old.xyxy, rtol=0, atol=within)
    for mark in ("crowd", "difficult", "truncated"):
        assert np.array_equal(getattr(new, mark), getattr(old, mark) if mark in holds else np.zeros(len(old), bool))
    for mine, theirs in zip(old.polygons if "polygons" in holds else ((),) * len(old), new.polygons, strict=True):
        assert len(mine) == len(theirs)
        assert all(np.allclose(one, other, rtol=0, atol=within) for one, other in zip(mine, theirs, strict=True))


@pytest.mark.parametrize(("first", "second"), PAIRS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_there_and_back(album, first, second, data):
    whole = data.draw(records(album))
    both = FORMATS[first][1] & FORMATS[second][1]
    within = 0 if {first, second} <= EXACT else 0.5
    with tempfile.TemporaryDirectory() as folder:
        start = through(whole, first, Path(folder) / "1")
        check_same(whole, start, FORMATS[first][1], 0 if first in EXACT else 0.5)
        there = through(start, second, Path(folder) / "2")
        check_same(start, there, both, within)
        back = through(there, first, Path(folder) / "3")
        check_same(start, back, both, within)


@pytest.mark.parametrize("name", sorted(EXACT))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_any_numbers_and_records_without_a_part(album, name, data):
    whole = data.draw(records(album, mixed_parts=True))
    corners = st.lists(st.floats(-1e5, 1e5, width=32).filter(lambda x: x == 0 or abs(x) > 0.01), min_size=4, max_size=4)
    wild = []
    for record in whole:
        boxes = data.draw(st.lists(corners, max_size=3))
        target = Boxes(np.float32(boxes).reshape(-1, 4), np.zeros(len(boxes), int))  # turned over, outside, empty
        # A record without a part goes to train where others have one.
        part = record.part or ("train" if any(other.part for other in whole) else None)
        wild.append(Record(record.source, record.image, targets={"objects": target}, part=part, size=record.size))
    expected = Records(tuple(wild), whole.labels)
    given_parts = [record.part for record in whole]
    mixed = tuple(
        Record(one.source, one.image, targets=one.targets, part=part, size=one.size)
        for one, part in zip(wild, given_parts, strict=True)
    )
    with tempfile.TemporaryDirectory() as folder:
        check_same(expected, through(Records(mixed, whole.labels), name, Path(folder) / "1"), frozenset(), 0)


def stem(record):
    return record.image.stem


@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize(("folder", "name"), [("raccoon_voc", "voc"), ("rbc_coco", "coco")])
def test_real_data(shared_data, tmp_path, folder, name, other):
    start = FORMATS[name][0].read(shared_data / folder, Hints())
    assert start.set_aside == ()
    there = through(start, other, tmp_path / "there")
    within = 0 if other in EXACT else 0.5
    check_same(start, there, FORMATS[name][1] & FORMATS[other][1], within, key=stem)
    check_same(start, through(there, name, tmp_path / "back"), FORMATS[name][1] & FORMATS[other][1], within, key=stem)
