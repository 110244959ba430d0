"""Decoded pixels on disk, so that an image is decoded once and not in every epoch and every run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import struct
import threading
import time
import uuid
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import PIL

from lensmith import check
from lensmith.data.pipeline.reduced import Pixels, load_reduced

_log = logging.getLogger(__name__)
_MAGIC = b"LSPIXEL2"  # the form of an entry and the way pixels are decoded: a change of either changes the name
# File size, file time, SHA-256 of the file, height and width of the image, shape of the pixels, whether they are to
# be resized quickly; then the CRC-32 of all.
_HEAD = struct.Struct("<8sQQ32s2I3I?I")
_READERS = f"{_MAGIC.decode()} {cv2.__version__} {PIL.__version__}"  # other versions may decode otherwise
_SETTLED = 2 * 10**9  # nanoseconds by which the clocks of file systems are too coarse to tell two changes apart
_ABANDONED = 3600  # seconds after which a half-written entry belongs to a process that was killed


@dataclass(frozen=True, slots=True)
class _Entry:
    stamp: tuple[int, int]  # of the file: bytes, and time of its last change in nanoseconds
    digest: bytes
    pixels: Pixels

    def head(self) -> bytes:
        """What stands before the pixels."""
        return self._packed(zlib.crc32(self.pixels.values.data, zlib.crc32(self._packed(0))))

    def _packed(self, checksum: int) -> bytes:
        shape, quick = self.pixels.values.shape, self.pixels.quick
        return _HEAD.pack(_MAGIC, *self.stamp, self.digest, *self.pixels.size, *shape, quick, checksum)


class Cache:
    """What :func:`load_reduced` gives, kept in a folder; equal to the bit with and without.

    An entry is one file, named after the image's path, the size of the target, the channels and the versions of what
    decodes. It is taken while the image has the number of bytes and the time of change that it had; when these
    differ, or that time was less than two seconds ago, the SHA-256 of the image decides. An entry that is damaged is
    made anew. Any number of threads and processes may share a folder, for an entry appears whole; entries are not
    flushed, since a torn one is noticed. When the disk is full, training goes on without, and says so once. Nothing
    is ever deleted: the folder may be, at any time.

    Args:
        folder: made when it is missing.

    Raises:
        SettingError: the folder cannot be made, or is a file.
    """

    __slots__ = ("_full", "folder")

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()
        self._full = threading.Event()
        try:
            self._half_written.mkdir(parents=True, exist_ok=True)
            for path in self._half_written.iterdir():
                with contextlib.suppress(OSError):  # another process may be faster
                    if time.time() - path.stat().st_mtime > _ABANDONED:
                        path.unlink()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise check.SettingError(check.sentence("cache", "a folder to write to", f"{folder}: {reason}")) from error

    def load(self, path: Path, channels: int, size: tuple[int, int] | None) -> Pixels:
        """The pixels of an image file; they are not to be written to.

        Raises:
            DataError: as :func:`load_reduced`.
        """
        entry_path = self._place(path, channels, size)
        stamp, entry = _stamp(path), _read(entry_path)
        if stamp is None:
            return load_reduced(path, channels, size)
        if entry is not None and entry.stamp == stamp:
            return entry.pixels
        settled = time.time_ns() - stamp[1] > _SETTLED
        noted, digest = stamp if settled else (stamp[0], 0), _digest(path)
        if entry is not None and entry.digest == digest:
            new = replace(entry, stamp=noted)
        else:
            new = _Entry(noted, digest, load_reduced(path, channels, size))
        # What was written to meanwhile is not kept; and what is there already need not be written.
        if _stamp(path) == stamp and (entry is None or (entry.stamp, entry.digest) != (noted, digest)):
            self._write(entry_path, new)
        return new.pixels

    @property
    def _half_written(self) -> Path:
        return self.folder / "half-written"

    def _place(self, path: Path, channels: int, size: tuple[int, int] | None) -> Path:
        wanted = f"{_READERS} {size} {channels} {path.absolute()}"
        name = hashlib.sha256(wanted.encode(errors="surrogateescape")).hexdigest()
        return self.folder / name[:2] / name[2:]

    def _write(self, place: Path, entry: _Entry) -> None:
        if self._full.is_set():
            return
        beside = self._half_written / uuid.uuid4().hex
        try:
            for folder in (place.parent, self._half_written):  # someone may have deleted them
                folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(entry.head())
                file.write(entry.pixels.values.data)
            os.replace(beside, place)  # noqa: PTH105, the one word that says it is atomic
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            if not self._full.is_set():
                self._full.set()
                reason = (error.strerror or str(error)).lower()
                _log.warning("%s: nothing more is written to this cache: %s", self.folder, reason)


def _read(place: Path) -> _Entry | None:
    """An entry, if there is one and it is whole."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    if len(content) < _HEAD.size:
        return None
    magic, length, changed, digest, *numbers, quick, _ = _HEAD.unpack_from(content)
    size, shape = (numbers[0], numbers[1]), tuple(numbers[2:])
    if magic != _MAGIC or len(content) - _HEAD.size != shape[0] * shape[1] * shape[2]:
        return None
    values = np.frombuffer(content, np.uint8, offset=_HEAD.size).reshape(shape)
    entry = _Entry((length, changed), digest, Pixels(values, size, quick))
    return entry if entry.head() == content[: _HEAD.size] else None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:  # it is gone, and the loader says so
        return None
    return status.st_size, status.st_mtime_ns


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""
