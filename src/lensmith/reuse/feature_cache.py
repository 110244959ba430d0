"""A folder of computed rows, within a bound on the disk, that several processes may use.

A cache holds one folder for each kind of rows (a key), with the files of :mod:`lensmith.reuse.feature_rows`. Who writes
the rows of a key, or removes them, holds its lock meanwhile; the lock lies beside the folder, so that it outlives it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from lensmith import check, files
from lensmith.reuse.feature_rows import ENTRY_SIZE, INDEX, ROWS, DiskRows

_MARK, _ABOUT, _LOCK = "lensmith-features.json", "features.json", ".lock"
_FORMAT = {"format": "lensmith features", "version": 1}
_SPARE = 64 * 1024  # bytes that the small files of a folder may take
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def held(cache: Path, key: str) -> Iterator[bool]:
    """Hold the lock of a key; the system lets go when this process dies.

    Whether the rows may be written: not while another process holds the lock.

    Args:
        cache: the folder; made when it is missing.
        key: says what the rows are, in letters and digits.

    Raises:
        SettingError: the folder holds something else.
        LensmithError: the disk is full or refuses.
    """
    cache = cache.absolute()
    with _turn(cache):
        _begin(cache)
    with _file(cache / f"{_LOCK}-{key}") as file:
        yield _locked(file)


def opened(
    cache: Path,
    key: str,
    about: Mapping[str, Any],
    dtype: np.dtype,
    names: Sequence[bytes],
    limit: int | None,
    *,
    mine: bool = True,
) -> DiskRows:
    """The rows of a key, with room for all that are named; nothing of what is computed is written yet.

    Args:
        cache: the folder; made when it is missing.
        key: says what the rows are, in letters and digits.
        about: the same for a person; it is kept beside the rows.
        dtype: of a row.
        names: of the rows that will be wanted.
        limit: bytes that the whole cache may take. Other keys' rows go where needed, those first that were not used
            for the longest time.
        mine: whether this process holds the key's lock. Otherwise the rows are there to be read, and no room is made.

    Raises:
        SettingError: the folder holds something else, or the rows do not fit into the limit.
        LensmithError: the disk is full or refuses.
    """
    check_fits(dtype, names, limit)
    cache = cache.absolute()
    described = json.loads(json.dumps({**_FORMAT, "key": key, "row": dtype.descr, **about}))
    with _turn(cache):
        _begin(cache)
        rows = _rows(cache / key, described, dtype)
        if limit is not None and mine:
            wanted = len(set(names) - rows.names()) + len(rows)
            if _bytes(dtype, wanted) > limit:
                _log.warning("cache %s: rows of other images go, as all of them would be over the limit", cache)
                _remove(rows.folder)  # whoever reads them keeps them
                rows, wanted = _rows(cache / key, described, dtype), len(set(names))
            _make_room(cache, rows.folder, limit - _bytes(dtype, wanted))
    return rows


def check_fits(dtype: np.dtype, names: Sequence[bytes], limit: int | None) -> None:
    """Refuse rows that are too many for a limit.

    Raises:
        SettingError: says what they would take.
    """
    count = len(set(names))
    if limit is not None and _bytes(dtype, count) > limit:
        expected = (
            f"at least {_mebibytes(_bytes(dtype, count))} MiB, for {count} rows of {dtype.itemsize / 1024:.4g} KiB"
        )
        remedy = "Pool the feature maps, take fewer views, or allow more"
        raise check.SettingError(check.sentence("limit", expected, f"{limit / 2**20:.4g} MiB", remedy))


@contextlib.contextmanager
def _turn(cache: Path) -> Iterator[None]:
    """Wait until no other process is making or removing folders of the cache, and keep others from it."""
    if not (cache / _MARK).is_file():
        _check_new(cache)
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise check.LensmithError(f"could not make {cache}: {(error.strerror or str(error)).lower()}") from error
    with _file(cache / _LOCK) as file:
        _locked(file, wait=True)
        yield


@contextlib.contextmanager
def _file(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("ab")
    except OSError as error:
        raise check.LensmithError(f"could not write {path}: {(error.strerror or str(error)).lower()}") from error
    with file:
        yield file


def _locked(file: IO[bytes], *, wait: bool = False) -> bool:
    if sys.platform != "win32":  # there is nothing like it there; two at a time are then the user's own affair
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a disk that knows no locks, as some of a network's are
            return True
    return True


def _check_new(cache: Path) -> None:
    if cache.exists() and not cache.is_dir():
        _refuse(cache, "a file")
    foreign = sorted(path.name for path in cache.glob("[!.]*"))
    if foreign and _MARK not in foreign:
        _refuse(cache, f"one that holds {foreign[0]}")


def _begin(cache: Path) -> None:
    """Make the folder a cache; or see that it is one."""
    mark = cache / _MARK
    if not mark.is_file():
        files.put_file(mark, lambda path: path.write_text(json.dumps(_FORMAT) + "\n"))
    elif _read(mark) != _FORMAT:
        _refuse(cache, f"one whose {_MARK} says something else")
    files.clean(cache)  # what a process was at when it was killed would count for nothing and take room


def _refuse(folder: Path, got: str) -> None:
    expected, remedy = "a new folder, or one of cached features", "Choose another, so that nothing is lost"
    raise check.SettingError(check.sentence(f"cache {folder}", expected, got, remedy))


def _rows(folder: Path, described: Mapping[str, Any], dtype: np.dtype) -> DiskRows:
    """The rows of a key's folder, which is made when it is missing."""
    if not folder.exists():
        files.build_folder(folder, lambda new: _fill(new, described))
    found = _read(folder / _ABOUT)
    if found != described or not all((folder / name).is_file() for name in (ROWS, INDEX)):
        got = "something else" if not isinstance(found, dict) or found.get("key") is None else f"{found['key']}"
        expected, remedy = f"the features {described['key']}", "Choose another cache, or delete this folder"
        raise check.SettingError(check.sentence(f"cache {folder}", expected, got, remedy))
    os.utime(folder / _ABOUT)
    return DiskRows(folder, dtype)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _fill(folder: Path, described: Mapping[str, Any]) -> None:
    (folder / _ABOUT).write_text(json.dumps(described, indent=1) + "\n")
    for name in (ROWS, INDEX):
        (folder / name).touch()


def _make_room(cache: Path, own: Path, left: int) -> None:
    """Let other keys' folders take no more than so many bytes; the longest unused go first."""
    others = sorted(
        (path for path in cache.iterdir() if path != own and (path / _ABOUT).is_file()),
        key=lambda path: ((path / _ABOUT).stat().st_mtime_ns, path.name),
    )
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) + _SPARE for path in others}
    for path in others:
        if sum(sizes.values()) <= left:
            return
        with _file(cache / f"{_LOCK}-{path.name}") as file:
            if _locked(file):
                _remove(path)
                del sizes[path]
    if sum(sizes.values()) > left:
        got = f"others of {_mebibytes(sum(sizes.values()))} MiB in it that another process is writing to"
        raise check.LensmithError(check.sentence(f"cache {cache}", "room within its limit", got, "Wait for it"))


def _remove(folder: Path) -> None:
    aside = folder.with_name(f".writing-{folder.name}")  # as a half-written one: half-removed it is nothing else
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _bytes(dtype: np.dtype, count: int) -> int:
    return count * (dtype.itemsize + ENTRY_SIZE) + _SPARE


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.4g}"
