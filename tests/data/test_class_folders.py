"""Folders of class folders: what is read, in which order, and what is said when there is nothing to read."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lensmith import check, data


def draw(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)


def album(root, *files):
    for file in files:
        draw(root / file)
    return root


def test_class_folders(tmp_path):
    album(tmp_path, "dog/1.png", "cat/2.png", "cat/deep/down/1.JPG")
    records = data.read(tmp_path)
    assert [record.source.removeprefix(f"{tmp_path}/") for record in records] == [
        "cat/2.png",
        "cat/deep/down/1.JPG",
        "dog/1.png",
    ]
    assert [record.targets["label"] for record in records] == [0, 0, 1]
    assert records.labels["label"].names == ("cat", "dog")
    assert records.name == str(tmp_path)
    assert records.set_aside == ()


def test_paths_stay_as_the_user_wrote_them(tmp_path, monkeypatch):
    album(tmp_path / "photos", "dog/1.png", "cat/2.png")
    monkeypatch.chdir(tmp_path)
    assert data.read("photos/")[0].source == "photos/cat/2.png"


def test_numbers_are_sorted_as_numbers(tmp_path):
    album(tmp_path, *(f"{digit}/1.png" for digit in range(11)))
    assert data.read(tmp_path).labels["label"].names == tuple(str(digit) for digit in range(11))


@pytest.mark.parametrize(
    "folders",
    [("train", "validation", "test"), ("training", "valid", "testing"), ("Train", "VAL", "Test")],
)
def test_part_folders(tmp_path, folders):
    train, validation, test = folders
    album(tmp_path, f"{train}/cat/1.png", f"{train}/dog/1.png", f"{validation}/dog/2.png", f"{test}/cat/3.png")
    records = data.read(tmp_path)
    assert {record.source.split("/")[-1]: record.part for record in records.part("test")} == {"3.png": "test"}
    assert [len(records.part(part)) for part in ("train", "validation", "test")] == [2, 1, 1]


def test_the_classes_of_all_parts_count(tmp_path):
    album(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/emu/1.png")
    assert data.read(tmp_path).labels["label"].names == ("cat", "dog", "emu")


def test_hidden_entries_and_system_files_are_passed_over(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png", ".trash/1.png", "cat/.hidden.png")
    (tmp_path / "cat" / "Thumbs.db").touch()
    records = data.read(tmp_path)
    assert len(records) == 2
    assert records.set_aside == ()


def test_what_is_not_used_is_listed(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png", "loose.png")
    (tmp_path / "cat" / "notes.txt").write_text("a cat")
    (tmp_path / "emu").mkdir()
    reasons = {one.source.removeprefix(f"{tmp_path}/"): one.reason for one in data.read(tmp_path).set_aside}
    assert set(reasons) == {"loose.png", "cat/notes.txt", "emu"}
    assert reasons["loose.png"] == "an image outside any class folder"
    assert reasons["cat/notes.txt"].startswith("not an image by its name")
    assert reasons["emu"] == "a class folder without an image"


def test_links_are_followed_but_not_in_circles(tmp_path):
    album(tmp_path, "photos/cat/1.png", "elsewhere/2.png")
    (tmp_path / "photos" / "cat" / "again").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "dog").symlink_to(tmp_path / "elsewhere")
    records = data.read(tmp_path / "photos")
    assert "dog" in records.labels["label"].names
    assert len(records) < 10


def test_a_broken_link_is_kept_for_the_audit_to_name(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "dog" / "2.png").symlink_to(tmp_path / "gone.png")
    (problem,) = data.audit(data.read(tmp_path)).records.set_aside
    assert problem.reason == "the file is missing"


def test_a_link_that_leads_to_itself_is_named(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png")
    for link in (tmp_path / "again", tmp_path / "cat" / "2.png"):
        link.symlink_to(link)
    records = data.read(tmp_path)
    assert len(records) == 2
    assert {one.source.removeprefix(f"{tmp_path}/") for one in records.set_aside} == {"again", "cat/2.png"}
    assert all(one.reason.startswith("cannot be opened: too many levels") for one in records.set_aside)


@pytest.fixture
def close(monkeypatch):
    """Makes a folder one that may not be opened, which for root there is none of."""
    scandir, closed = os.scandir, []

    def denying(folder):
        if Path(folder) in closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", denying)
    return closed.append


@pytest.mark.parametrize("closed", ["train/emu", "train/cat/deep", "test"])
def test_a_folder_that_may_not_be_opened_is_named(tmp_path, close, closed):
    album(tmp_path, "train/cat/1.png", "train/dog/1.png", "train/emu/1.png", "train/cat/deep/2.png", "test/cat/1.png")
    close(tmp_path / closed)
    (problem,) = data.read(tmp_path).set_aside
    assert (problem.source, problem.reason) == (str(tmp_path / closed), "cannot be opened: permission denied")


@pytest.mark.parametrize("closed", ["", "dog"])
def test_where_too_little_may_be_opened_it_says_so(tmp_path, close, closed):
    album(tmp_path, "cat/1.png", "dog/1.png")
    close(tmp_path / closed)
    with pytest.raises(check.DataError, match=f"got .*{closed}.* cannot be opened: permission denied$") as caught:
        data.read(tmp_path)
    assert "\n" not in str(caught.value)


# The folder, and what the one line must say.
REFUSALS = [
    ((), "an empty folder"),
    (("notes.txt",), "no image at all"),
    (("1.png", "2.png"), "images in no class folder"),
    (("cat/1.png",), r"one class only \(cat\)"),
    (("photos/cat/1.png", "photos/dog/1.png"), r"one class only \(photos\). Did you mean .*photos\?"),
    (("train/1.png", "test/2.png"), "no class folder in test, train"),
    (("train/cat/1.png", "train/dog/1.png", "more/1.png"), r"part folders \(train\) beside others \(more\)"),
]


@pytest.mark.parametrize(("files", "message"), REFUSALS)
def test_refusals(tmp_path, files, message):
    for file in files:
        if file.endswith(".txt"):
            (tmp_path / file).touch()
        else:
            draw(tmp_path / file)
    with pytest.raises(check.DataError, match=message) as caught:
        data.read_folder(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: expected a folder with one folder of images for each class")
    assert "\n" not in str(caught.value)


def test_a_missing_folder(tmp_path):
    with pytest.raises(check.DataError, match=r"nowhere: expected a folder .* there is no such folder"):
        data.read_folder(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "table.csv").touch()
    with pytest.raises(check.DataError, match=r"table\.csv: expected a folder .*; got a file"):
        data.read_folder(tmp_path / "table.csv")


def test_real_digits(shared_data):
    records = data.read(shared_data / "mnist" / "png_subset")
    assert len(records) == 1200
    assert records.labels["label"].names == tuple("0123456789")
    assert records.part("test").counts("label") == dict.fromkeys("0123456789", 20)
