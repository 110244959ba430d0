"""NumPy's files opened with care: nothing runs, nothing is read before its size is known to be true."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lensmith import check
from lensmith.data.formats.walking import shown

SUFFIXES = (".npz", ".npy")
_HEADER = 10_000  # characters of an array's header that are read
_ORDINARY = 1 << 28  # bytes that may come out of any file
_GROWTH = 200  # times its own size that a larger file may grow; scans of handwriting grow about 10 times


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file, not yet read.

    Args:
        name: of the array: the key in a ``.npz``, the file's name without suffix for a ``.npy``.
        path: the file.
        member: the name of the array's file in a ``.npz``; None for a ``.npy``.
    """

    name: str
    path: Path
    member: str | None = None

    @property
    def place(self) -> str:
        """What to call it in messages and sources."""
        return str(self.path if self.member is None else self.path / self.name)

    def header(self) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype, after a look at whether the file can hold as much.

        Raises:
            DataError: the file is damaged or promises more than it holds, or holds Python objects.
        """
        with named_errors(self.place), self._open() as (file, size):
            shape, dtype = _header(file)
            content = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or dtype.fields is not None:
                got = "Python objects, which could run code" if dtype.hasobject else "records of several fields"
                raise check.DataError(check.sentence(shown(self.place), "an array of numbers or text", got))
            if not content or min(shape, default=1) < 0:
                raise check.DataError(check.sentence(shown(self.place), "an array with numbers", f"shape {shape}"))
            if content > size - file.tell():
                got = f"{size:,}, where its header promises {content:,}"
                raise check.DataError(check.sentence(shown(self.place), "bytes for all numbers", got))
        check_growth(self.path, content)
        return shape, dtype

    def load(self) -> np.ndarray:
        """The whole array.

        Raises:
            DataError: as :meth:`header`.
        """
        self.header()
        with named_errors(self.place), self._open() as (file, _):
            array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False, max_header_size=_HEADER)
            return array

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], int]]:
        if self.member is None:
            with self.path.open("rb") as file:
                yield file, self.path.stat().st_size
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as inside:
            yield inside, archive.getinfo(self.member).file_size


def stored_arrays(path: Path) -> list[Stored]:
    """The arrays of a ``.npz``, or the one of a ``.npy``; none of them is opened.

    Raises:
        DataError: the ``.npz`` is damaged.
    """
    if path.suffix.lower() == ".npy":
        return [Stored(path.stem, path)]
    with named_errors(str(path)), zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
    return [Stored(member.removesuffix(".npy"), path, member) for member in members]


def check_growth(path: Path, content: int) -> None:
    """Refuse a packed file from which far more would come out than any real data needs.

    Args:
        path: the file as it lies on the disk.
        content: bytes that would come out.

    Raises:
        DataError: it is such a file.
    """
    packed = path.stat().st_size
    if content > max(_ORDINARY, packed * _GROWTH):
        got = f"{content:,} bytes out of {packed:,}"
        raise check.DataError(check.sentence(shown(path), f"no more than {_GROWTH} times its size", got))


@contextmanager
def named_errors(place: str) -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes into one line that names the place."""
    try:
        yield
    except check.LensmithError:
        raise
    except FileNotFoundError as error:
        raise check.DataError(f"{shown(place)}: the file is missing") from error
    except PermissionError as error:
        raise check.DataError(f"{shown(place)}: the file may not be read (permission denied)") from error
    except Exception as error:
        reason = shown(" ".join(str(error).split()))[:200] or type(error).__name__
        raise check.DataError(f"{shown(place)}: damaged or cut short: {reason}") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the file format, where 1.0 and 2.0 are known")
    shape, _, dtype = readers[version](file, max_header_size=_HEADER)
    return tuple(shape), dtype
