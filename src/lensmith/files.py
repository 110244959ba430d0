"""Write whole or not at all: beside the target, flushed to the disk, then renamed into place.

What a killed process left half written is named ``.writing-NAME``; :func:`clean` takes it away.
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


def put_file(path: Path, write: Callable[[Path], object]) -> None:
    """Put at ``path`` what ``write`` writes to the name it is given; a file there is replaced once that is complete.

    Raises:
        LensmithError: the disk is full or refuses; what was there is still there.
    """
    with _beside(path, _remove_file) as beside:
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
        replace: whether an earlier folder may hold other files too, which then go with it.

    Raises:
        SettingError: the folder holds something else, which would be lost.
        LensmithError: the disk is full or refuses; what was there is still there.
    """
    folder = folder.resolve()
    if not replace:
        _check_replaceable(folder, files)
    aside = folder.with_name(f".replaced-{folder.name}")
    with _beside(folder, _remove_folder) as beside:
        beside.mkdir()
        for name, content in files.items():
            _write(beside / name, content)
        _flush_folder(beside)
        if folder.exists():
            _remove_folder(aside)
            folder.rename(aside)
        try:
            beside.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        _flush_folder(folder.parent)
        _remove_folder(aside)


def finite(values: Any) -> Any:
    """The same values with None in place of infinities and NaN, which JSON does not have."""
    if isinstance(values, Mapping):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def clean(folder: Path) -> None:
    """Put right what killed processes left in a folder: half-written things go, a folder that stepped aside returns."""
    for path in folder.glob(".replaced-*"):
        target = folder / path.name.removeprefix(".replaced-")
        if not target.exists():
            path.rename(target)
    for path in (*folder.glob(".writing-*"), *folder.glob(".replaced-*")):
        with contextlib.suppress(OSError):  # it is in nobody's way
            (_remove_folder if path.is_dir() else _remove_file)(path)


def _check_replaceable(folder: Path, files: Mapping[str, bytes]) -> None:
    expected = "a new folder, or one to replace"
    if folder.exists() and not folder.is_dir():
        raise check.SettingError(check.sentence(str(folder), expected, "a file"))
    # Names that begin with a dot are what desktops leave in folders; nobody misses them.
    foreign = sorted(path.name for path in folder.glob("[!.]*") if path.name not in files)
    if foreign:
        remedy = "Choose another folder, so that nothing is lost"
        raise check.SettingError(check.sentence(str(folder), expected, f"one that also holds {foreign[0]}", remedy))


@contextlib.contextmanager
def _beside(target: Path, remove: Callable[[Path], None]) -> Iterator[Path]:
    """A free name beside the target, on the same disk. Only a killed process leaves something there."""
    beside = target.with_name(f".writing-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(beside)  # of a process that was killed
        yield beside
    except Exception as error:
        with contextlib.suppress(OSError):
            remove(beside)
        if not isinstance(error, OSError):
            raise
        reason = (error.strerror or str(error)).lower()
        raise check.LensmithError(f"could not write {target}: {reason}; nothing there was changed") from error


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _flush(path)


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_folder(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system lets a folder be opened."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
