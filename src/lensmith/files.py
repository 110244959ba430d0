"""Write whole or not at all: beside the target, flushed to the disk, then renamed into place.

What a killed process left half written is named ``.writing-NAME``, and an earlier folder that was stepping aside
``.replaced-NAME``; :func:`clean` takes the one away and puts the other back.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lensmith import check

_WRITING, _REPLACED = ".writing-", ".replaced-"


def put_file(path: Path, write: Callable[[Path], object]) -> None:
    """Put at ``path`` what ``write`` writes to the name it is given; a file there is replaced once that is complete.

    Raises:
        LensmithError: the disk is full or refuses; what was there is still there.
    """
    with _beside(path) as beside:
        write(beside)
        _flush(beside)
        os.replace(beside, path)  # noqa: PTH105, the one word that says it is atomic
        _flush_folder(path.parent)


def write_folder(folder: Path, files: Mapping[str, bytes], *, replace: bool = False) -> None:
    """Write ``files`` by name into ``folder``; an earlier folder of such files is replaced as a whole.

    A folder cannot be renamed onto another, so the earlier one steps aside for a moment; should the power go in
    just that moment, it is found whole beside the target as ``.replaced-NAME``, and :func:`clean` puts it back.

    Args:
        folder: the target.
        files: contents by name.
        replace: whether whatever is there may go, other files too. Names that begin with a dot, which desktops
            leave in folders, may always go.

    Raises:
        SettingError: the folder holds something else, which would be lost.
        LensmithError: the disk is full or refuses; what was there is still there.
    """
    folder = folder.resolve()
    if not replace:
        _check_replaceable(folder, files)
    aside = folder.with_name(f"{_REPLACED}{folder.name}")
    with _beside(folder) as beside:
        beside.mkdir()
        for name, content in files.items():
            _write(beside / name, content)
        _flush_folder(beside)
        if folder.exists():
            _remove(aside)
            folder.rename(aside)
        try:
            beside.rename(folder)
        except OSError:
            with contextlib.suppress(OSError):  # there is none to put back, or it is left for `clean`
                aside.rename(folder)
            raise
        _flush_folder(folder.parent)
        with contextlib.suppress(OSError):  # the new one is in place; the rest is left for `clean`
            _remove(aside)


def build_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Make a new folder out of what ``fill`` puts into the empty one it is given; it appears once that is complete.

    Args:
        folder: the target, which must not exist or be empty.
        fill: writes into the folder it is given; what it raises goes on, and nothing is left behind.

    Raises:
        SettingError: the target holds something, which would be lost.
        LensmithError: the disk is full or refuses.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        got = "a folder that holds something" if folder.is_dir() else "a file"
        raise check.SettingError(check.sentence(str(folder), "a new folder", got, "Choose another"))
    with _beside(folder) as beside:
        beside.mkdir()
        fill(beside)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
        _flush_folder(folder.parent)


def finite(values: Any) -> Any:
    """The same values with None in place of infinities and NaN, which JSON does not have."""
    if isinstance(values, Mapping):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def clean(folder: Path) -> None:
    """Put right what killed processes left in a folder: half-written things go, a folder that stepped aside returns.

    What the disk does not let go, or return, stays as it is.
    """
    for path in folder.glob(f"{_REPLACED}*"):
        target = folder / path.name.removeprefix(_REPLACED)
        with contextlib.suppress(OSError):
            if target.exists():
                _remove(path)
            else:
                path.rename(target)
    for path in folder.glob(f"{_WRITING}*"):
        with contextlib.suppress(OSError):
            _remove(path)


def _check_replaceable(folder: Path, files: Mapping[str, bytes]) -> None:
    expected = "a new folder, or one to replace"
    if folder.exists() and not folder.is_dir():
        raise check.SettingError(check.sentence(str(folder), expected, "a file"))
    foreign = sorted(path.name for path in folder.glob("[!.]*") if path.name not in files)
    if foreign:
        remedy = "Choose another folder, so that nothing is lost"
        raise check.SettingError(check.sentence(str(folder), expected, f"one that also holds {foreign[0]}", remedy))


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A free name beside the target, on the same disk. Only a killed process leaves something there."""
    beside = target.with_name(f"{_WRITING}{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(beside)  # of a process that was killed
        yield beside
    except Exception as error:
        with contextlib.suppress(OSError):
            _remove(beside)
        if not isinstance(error, OSError):
            raise
        reason = (error.strerror or str(error)).lower()
        raise check.LensmithError(f"could not write {target}: {reason}; nothing there was changed") from error


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _flush(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can: the old names are as whole as the new."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
