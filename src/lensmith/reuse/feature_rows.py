"""Rows of numbers, each found again by the 32 bytes that name it: in memory, or in two files of a folder.

``rows.bin`` holds the rows one after the other, and ``index.bin`` for each row its name, its CRC-32, and the CRC-32 of
this entry. Blocks of rows are written first and their entries afterwards, so that a process that is killed loses the
block it was at; and a row of which any bit is another than it was is found and made anew.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lensmith import check

ROWS, INDEX = "rows.bin", "index.bin"
_ENTRY = struct.Struct("<32sII")  # SHA-256 of what a row comes from, CRC-32 of the row, CRC-32 of these two
ENTRY_SIZE = _ENTRY.size


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
    """The rows of a folder in which the two files are.

    What other processes write there later is not seen; :func:`lensmith.reuse.feature_cache.held` keeps them from it.

    Args:
        folder: of the rows.
        dtype: of a row.
    """

    def __init__(self, folder: Path, dtype: np.dtype) -> None:
        self.folder, self._dtype = folder, dtype
        content = (folder / INDEX).read_bytes()
        self._entries: list[tuple[bytes, int] | None] = []  # None where the entry itself is damaged
        for start in range(0, len(content) - _ENTRY.size + 1, _ENTRY.size):
            name, row, own = _ENTRY.unpack_from(content, start)
            whole = own == zlib.crc32(content[start : start + _ENTRY.size - 4])
            self._entries.append((name, row) if whole else None)
        self._places = {entry[0]: place for place, entry in enumerate(self._entries) if entry is not None}
        self._free = [place for place, entry in enumerate(self._entries) if entry is None]

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> set[bytes]:
        """Of all rows, whole or not."""
        return set(self._places)

    def found(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """The places of those of the rows that are here, after each was read and found to be what was written."""
        here = {name: self._places[name] for name in names if name in self._places}
        rows, there = self.array(), (self.folder / ROWS).stat().st_size // self._dtype.itemsize
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
            with (self.folder / ROWS).open("r+b", buffering=0) as file:
                for first, last in _runs(places):
                    _put(file, places[first] * self._dtype.itemsize, rows[first:last].tobytes())
            with (self.folder / INDEX).open("r+b", buffering=0) as file:
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
        path = self.folder / ROWS
        there = path.stat().st_size // self._dtype.itemsize
        if there == 0:
            return np.zeros(0, self._dtype)
        return np.asarray(np.memmap(path, self._dtype, mode="r", shape=(there,)))

    def flush(self) -> None:
        """Let all that was written survive a power cut."""
        for name in (ROWS, INDEX):
            with (self.folder / name).open("rb+") as file:
                os.fsync(file.fileno())


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
