"""Files and folders are there whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lensmith import files
from lensmith.check import LensmithError, SettingError

FULL = OSError(errno.ENOSPC, "No space left on device")
OLD, NEW = {"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"}


class Kill(BaseException):
    """Ends a process where it stands."""


def failing(fault: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise fault

    return fail


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_is_replaced_and_follows_the_umask(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "deep" / "file"
    before = os.umask(0o022)
    request.addfinalizer(lambda: os.umask(before))
    for content in (b"old", b"new"):
        files.put_file(path, lambda beside, content=content: beside.write_bytes(content))
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("fault", [FULL, ValueError("no")])
def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path, fault: Exception) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def half(beside: Path) -> None:
        beside.write_bytes(b"ne")
        raise fault

    with pytest.raises((LensmithError, ValueError)) as caught:
        files.put_file(path, half)
    assert contents(tmp_path) == {"file": b"old"}
    if isinstance(fault, OSError):
        assert str(caught.value) == f"could not write {path}: no space left on device; nothing there was changed"


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("fault", [FULL, Kill()])
def test_a_folder_is_old_or_new_wherever_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, fault: BaseException
) -> None:
    """Ended while writing either file, before the old folder steps aside, or before the new one takes its place."""
    folder, calls = tmp_path / "folder", 0
    files.write_folder(folder, OLD)

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            raise fault

    write, rename = files._write, Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", lambda path, content: (count(), write(path, content)))
        patch.setattr(Path, "rename", lambda path, target: (count(), rename(path, target))[1])
        with pytest.raises((LensmithError, Kill)):
            files.write_folder(folder, NEW)
    if isinstance(fault, OSError):
        assert contents(folder) == OLD, "what was there is still there"
    files.clean(tmp_path)
    assert contents(folder) == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    files.write_folder(folder, NEW)
    assert contents(folder) == NEW


@pytest.mark.parametrize("fault", [FULL, Kill()])
@pytest.mark.parametrize("place", ["_flush", "os.replace"])
def test_a_file_is_old_or_new_wherever_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fault: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(f"lensmith.files.{place}", failing(fault))
        with pytest.raises((LensmithError, Kill)):
            files.put_file(path, lambda beside: beside.write_bytes(b"new"))
    assert path.read_bytes() == b"old"
    files.clean(tmp_path)
    assert contents(tmp_path) == {"file": b"old"}


def test_the_first_folder_that_cannot_be_put_in_place_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rename", failing(FULL))
    with pytest.raises(LensmithError, match="no space left on device; nothing there was changed"):
        files.write_folder(tmp_path / "folder", NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_new_though_the_old_one_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_folder(tmp_path / "folder", OLD)
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", failing(OSError(errno.EACCES, "Permission denied")))
        files.write_folder(tmp_path / "folder", NEW)
        files.clean(tmp_path)
    assert contents(tmp_path / "folder") == NEW
    assert contents(tmp_path / ".replaced-folder") == OLD
    files.clean(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_cannot_be_put_back_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_folder(tmp_path / ".replaced-folder", OLD)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing(OSError(errno.EACCES, "Permission denied")))
        files.clean(tmp_path)
    assert contents(tmp_path / ".replaced-folder") == OLD
    files.clean(tmp_path)
    assert contents(tmp_path / "folder") == OLD


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"years of work")
    with pytest.raises(SettingError, match="got a file"):
        files.write_folder(tmp_path / "folder", NEW)
    files.write_folder(tmp_path / "folder", NEW, replace=True)
    assert contents(tmp_path / "folder") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_foreign_files_are_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    files.write_folder(folder, OLD)
    (folder / ".DS_Store").write_bytes(b"desktop")
    files.write_folder(folder, NEW)
    assert contents(folder) == NEW
    (folder / "thesis.tex").write_bytes(b"years of work")
    with pytest.raises(SettingError, match=r"one that also holds thesis\.tex"):
        files.write_folder(folder, OLD)
    assert (folder / "thesis.tex").read_bytes() == b"years of work"
    files.write_folder(folder, OLD, replace=True)
    assert contents(folder) == OLD
