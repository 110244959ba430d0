"""Rows of numbers on disk, each found again by what it was computed from.

A cache is a folder that holds one folder for each kind of rows (a key). In it, ``rows.bin`` holds the rows one after
the other, and ``index.bin`` for each row what it was computed from, its CRC-32, and the CRC-32 of this entry. Blocks of
rows are written first and their entries afterwards, so that a process that is killed loses the block it was at; and a
row of which any bit is another than it was is found and made anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from lensmith import check, files

_MARK, _ABOUT, _ROWS, _INDEX, _LOCK = "lensmith-features.json", "features.json", "rows.bin", "index.bin", "lock"
_FORMAT = {"format": "lensmith features", "version": 1}
_ENTRY = struct.Struct("<32sII")  # SHA-256 of what a row comes from, CRC-32 of the row, CRC-32 of these two
_SPARE = 64 * 1024  # bytes that the small files of a folder may take


class Rows(Protocol):
    """Where rows are kept, by the 32 bytes that name each."""

    def found(self, names: Sequence[bytes]) -> dict[bytes, int]: ...
    def write(self, names: Sequence[bytes], rows: np.ndarray) -> dict[bytes, int]: ...
    def checksums(self, names: Sequence[bytes]) -> list[int]: ...
    def array(self) -> np.ndarray: ...


class MemoryRows:
    """Rows that are kept for as long as the process lives.

    Args:
        dtype: of a row, with a field for each of its parts.
        count: how many there will be at most.
    """

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self._places: dict[bytes, int] = {}
        self._array = np.zeros(count, dtype)

    def found(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """The places of those of the rows that are here and whole."""
        return {name: self._places[name] for name in names if name in self._places}

    def write(self, names: Sequence[bytes], rows: np.ndarray) -> dict[bytes, int]:
        """Keep rows, ``(n,)`` of the dtype, and give their places."""
        for name, row in zip(names, rows, strict=True):
            self._array[self._places.setdefault(name, len(self._places))] = row
        return self.found(names)

    def checksums(self, names: Sequence[bytes]) -> list[int]:
        """The CRC-32 of each of the rows, all of which are here."""
        return [zlib.crc32(self._array[self._places[name]].tobytes()) for name in names]

    def array(self) -> np.ndarray:
        """All rows, by place; not to be written to."""
        return self._array


class DiskRows:
    """The rows of one key in a cache; :func:`opened` makes it.

    Args:
        folder: of the key.
        dtype: of a row.
    """

    def __init__(self, folder: Path, dtype: np.dtype) -> None:
        self.folder, self._dtype = folder, dtype
        content = (folder / _INDEX).read_bytes()
        self._entries: list[tuple[bytes, int] | None] = []  # None where the entry itself is damaged
        for start in range(0, len(content) - _ENTRY.size + 1, _ENTRY.size):
            name, row, own = _ENTRY.unpack_from(content, start)
            whole = own == zlib.crc32(content[start : start + _ENTRY.size - 4])
            self._entries.append((name, row) if whole else None)
        self._places = {entry[0]: place for place, entry in enumerate(self._entries) if entry is not None}
        self._free = [place for place, entry in enumerate(self._entries) if entry is None]

    def __len__(self) -> int:
        return len(self._entries)

    def found(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """The places of those of the rows that are here, after each was read and found to be what was written."""
        here = {name: self._places[name] for name in names if name in self._places}
        rows, there = self.array(), (self.folder / _ROWS).stat().st_size // self._dtype.itemsize
        return {name: place for name, place in here.items() if place < there and self._whole(rows, place)}

    def _whole(self, rows: np.ndarray, place: int) -> bool:
        entry = self._entries[place]
        return entry is not None and zlib.crc32(rows[place : place + 1].view(np.uint8).data) == entry[1]

    def write(self, names: Sequence[bytes], rows: np.ndarray) -> dict[bytes, int]:
        """Write rows, ``(n,)`` of the dtype, and then their entries; those that were damaged in their old places.

        Gives the places.

        Raises:
            LensmithError: the disk is full or refuses; what was there is still there.
        """
        places = [self._place(name) for name in names]
        entries = [(name, zlib.crc32(row.tobytes())) for name, row in zip(names, rows, strict=True)]
        try:
            with (self.folder / _ROWS).open("r+b", buffering=0) as file:
                for first, last in _runs(places):
                    _put(file, places[first] * self._dtype.itemsize, rows[first:last].tobytes())
            with (self.folder / _INDEX).open("r+b", buffering=0) as file:
                for first, last in _runs(places):
                    packed = b"".join(_packed(*entry) for entry in entries[first:last])
                    _put(file, places[first] * _ENTRY.size, packed)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            remedy = "The rows before are kept: make room, and go on"
            raise check.LensmithError(f"could not write {self.folder}: {reason}. {remedy}") from error
        for place, entry in zip(places, entries, strict=True):
            self._entries[place] = entry
        return dict(zip(names, places, strict=True))

    def _place(self, name: bytes) -> int:
        if name not in self._places:
            if self._free:
                self._places[name] = self._free.pop(0)
            else:
                self._places[name] = len(self._entries)
                self._entries.append(None)
        return self._places[name]

    def checksums(self, names: Sequence[bytes]) -> list[int]:
        """The CRC-32 of each of the rows, all of which are here."""
        entries = [self._entries[self._places[name]] for name in names]
        return [entry[1] for entry in entries if entry is not None]

    def array(self) -> np.ndarray:
        """All rows, by place, as the file holds them: mapped, not read."""
        path = self.folder / _ROWS
        there = path.stat().st_size // self._dtype.itemsize
        if there == 0:
            return np.zeros(0, self._dtype)
        return np.asarray(np.memmap(path, self._dtype, mode="r", shape=(there,)))

    def flush(self) -> None:
        """Let all that was written survive a power cut."""
        for name in (_ROWS, _INDEX):
            with (self.folder / name).open("rb+") as file:
                os.fsync(file.fileno())


def opened(
    cache: Path, key: str, about: Mapping[str, Any], dtype: np.dtype, names: Sequence[bytes], limit: int | None
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

    Raises:
        SettingError: the folder holds something else, or the rows do not fit into the limit.
        LensmithError: the disk is full or refuses.
    """
    needed = _bytes(dtype, len(set(names)))
    if limit is not None and needed > limit:
        expected = f"at least {_mebibytes(needed)} MiB, for {len(set(names))} rows of {dtype.itemsize / 1024:.4g} KiB"
        remedy = "Pool the feature maps, take fewer views, or allow more"
        raise check.SettingError(check.sentence("limit", expected, f"{limit / 2**20:.4g} MiB", remedy))
    cache = cache.absolute()
    _begin(cache)
    folder = cache / key
    described = json.loads(json.dumps({**_FORMAT, "key": key, "row": dtype.descr, **about}))
    if not folder.exists():
        files.build_folder(folder, lambda new: _fill(new, described))
    _check_ours(folder, described)
    rows = DiskRows(folder, dtype)
    os.utime(folder / _ABOUT)
    missing = set(names) - rows._places.keys()
    if limit is not None and _bytes(dtype, len(rows) + len(missing)) > limit:
        _remove(folder)  # what of it is not wanted now leaves no room; whoever reads the old rows keeps them
        return opened(cache, key, about, dtype, names, limit)
    if limit is not None:
        _make_room(cache, folder, limit - _bytes(dtype, len(rows) + len(missing)))
    return rows


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into the folder of a key meanwhile; the system lets go when this one dies.

    Raises:
        LensmithError: another process writes into it.
    """
    with (folder / _LOCK).open("wb") as file:
        if not _locked(file):
            got = "one that another process is filling"
            raise check.LensmithError(check.sentence(str(folder), "a folder to write to", got, "Wait for it"))
        yield


def _locked(file: IO[bytes]) -> bool:
    if sys.platform != "win32":  # there is nothing like it there; two at a time are then the user's own affair
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _begin(cache: Path) -> None:
    """Make the folder of a cache; or see that it is one."""
    mark = cache / _MARK
    if mark.is_file():
        if _read(mark) != _FORMAT:
            _refuse(cache, f"one whose {_MARK} says something else")
        files.clean(cache)  # what a process was at when it was killed would count for nothing and take room
        return
    if cache.exists() and not cache.is_dir():
        _refuse(cache, "a file")
    foreign = sorted(path.name for path in cache.glob("[!.]*"))
    if foreign:
        _refuse(cache, f"one that holds {foreign[0]}")
    files.put_file(mark, lambda path: path.write_text(json.dumps(_FORMAT) + "\n"))


def _refuse(folder: Path, got: str) -> None:
    expected, remedy = "a new folder, or one of cached features", "Choose another, so that nothing is lost"
    raise check.SettingError(check.sentence(f"cache {folder}", expected, got, remedy))


def _check_ours(folder: Path, described: Mapping[str, Any]) -> None:
    found = _read(folder / _ABOUT)
    if found != described or not all((folder / name).is_file() for name in (_ROWS, _INDEX)):
        got = "something else" if not isinstance(found, dict) or found.get("key") is None else f"{found['key']}"
        expected, remedy = f"the features {described['key']}", "Choose another cache, or delete this folder"
        raise check.SettingError(check.sentence(f"cache {folder}", expected, got, remedy))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _fill(folder: Path, described: Mapping[str, Any]) -> None:
    (folder / _ABOUT).write_text(json.dumps(described, indent=1) + "\n")
    for name in (_ROWS, _INDEX, _LOCK):
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
        with (path / _LOCK).open("ab") as file:
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


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The stretches, first and one past the last, in which each place follows the one before."""
    first = 0
    for i in range(1, len(places) + 1):
        if i == len(places) or places[i] != places[i - 1] + 1:
            yield first, i
            first = i


def _put(file: Any, start: int, content: bytes) -> None:
    file.seek(start)
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _packed(name: bytes, checksum: int) -> bytes:
    start = _ENTRY.pack(name, checksum, 0)[:-4]
    return start + struct.pack("<I", zlib.crc32(start))


def _bytes(dtype: np.dtype, count: int) -> int:
    return count * (dtype.itemsize + _ENTRY.size) + _SPARE


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.4g}"
