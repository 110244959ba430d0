"""What the writers share: names that are safe and unique everywhere, image files, sizes."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.writing import image_extent, part_name, put_image, unique_names
from lensmith.data.images import decode, extent
from lensmith.records import Record


def of_file(path):
    return Record(str(path), Path(path))


def of_pixels(source):
    return Record(source, np.zeros((2, 3, 1), np.uint8))


# The images, and the names they get.
NAMES = [
    (["a/1.jpg", "b/2.jpg"], ["1", "2"]),
    (["a/1.jpg", "b/1.jpg"], ["a-1", "b-1"]),
    (["a/1.jpg", "a/1.png"], ["a-1", "a-1-2"]),  # one stem, for a text file may stand beside it
    (["a/1.jpg", "b/a/1.jpg", "c/a-1.jpg"], ["a-1-2", "a-1-3", "a-1"]),  # who is unique keeps his own name
    (["a/Cat.jpg", "b/cat.jpg"], ["a-Cat", "b-cat"]),  # the same name, to some systems
    (["a/é.jpg", f"b/{unicodedata.normalize('NFD', 'é')}.jpg"], ["a-é", "b-é"]),
    (["x.y.jpg"], ["x.y"]),
    (["a/we:ird?\n.jpg"], ["we_ird__"]),
    (["a/aux.jpg"], ["_aux"]),  # a device, to Windows
    (["..a.jpg", "b. .jpg"], ["a", "b"]),
]


@pytest.mark.parametrize(("files", "names"), NAMES)
def test_names_of_files(files, names):
    found = unique_names([of_file(file) for file in files])
    assert [unicodedata.normalize("NFC", name) for name in found] == names


def test_names_of_pixels():
    sources = ["arrays:12", "/data/x.npz:3", "digits:1234567", "one picture"]
    assert unique_names([of_pixels(source) for source in sources]) == (
        "arrays-000012",
        "x-000003",
        "digits-1234567",
        "one picture-000003",
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=4), max_size=12))
def test_names_are_safe_and_unique(stems):
    names = unique_names([of_file(f"a/{stem}.jpg") for stem in stems])
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in names}) == len(stems)
    assert not any(set(name) & set('/\\:*?"<>|\n') or name.startswith(".") or not name for name in names)
    assert names == unique_names([of_file(f"a/{stem}.jpg") for stem in stems])


def test_long_names_are_cut():
    names = unique_names([of_file(f"{'é' * 120}{end}.jpg") for end in "ab"])
    assert len(set(names)) == 2
    assert all(len(name.encode()) < 200 for name in names)


def test_many_equal_names_take_no_long_time():
    names = unique_names([of_file(f"a/{place}/x.jpg") for place in ["same"] * 20_000])
    assert len(set(names)) == 20_000


def test_a_file_is_copied_byte_for_byte(tmp_path):
    source = tmp_path / "a.JPG"
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(source)
    target = put_image(of_file(source), tmp_path / "out.1")
    assert target == tmp_path / "out.1.JPG"
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_become_png(tmp_path, channels):
    pixels = np.random.default_rng(channels).integers(0, 256, (4, 5, channels), np.uint8)
    target = put_image(Record("x:0", pixels), tmp_path / "x")
    assert target.name == "x.png"
    with Image.open(target) as picture:
        assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def test_what_cannot_be_put(tmp_path):
    with pytest.raises(check.DataError, match=r"gone\.jpg: the image cannot be opened: no such file"):
        put_image(of_file(tmp_path / "gone.jpg"), tmp_path / "x")
    row = Record("table:0", row=np.zeros(3, np.float32))
    for use in (lambda: put_image(row, tmp_path / "x"), lambda: image_extent(row)):
        with pytest.raises(check.DataError, match="table:0: expected an image; got a row of numbers"):
            use()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_the_extent_is_that_of_the_decoded_image(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{kind}"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, exif=exif)
    assert extent(path) == decode(path, 3).shape[:2] == ((6, 4) if orientation > 4 else (4, 6))
    assert image_extent(of_file(path)) == extent(path)


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(path, exif=exif)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])
    assert extent(path) == decode(path, 1).shape[:2] == (6, 4)


def test_only_the_header_is_read(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 80), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    assert extent(path) == (90, 80)


def test_the_stated_size_serves_where_the_file_does_not(tmp_path):
    missing = tmp_path / "gone.jpg"
    assert image_extent(Record("x", missing, size=(7, 9))) == (7, 9)
    with pytest.raises(check.DataError, match=r"gone\.jpg: the file is missing"):
        image_extent(Record("x", missing))


def test_a_record_without_part_is_for_training():
    assert part_name(of_file("a.jpg")) == "train"
    assert part_name(Record("a", Path("a.jpg"), part="test")) == "test"
