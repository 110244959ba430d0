"""Memory that is freed and taken again in every step: let the process keep it.

The C library gives large blocks back to the system when they are freed, and takes them anew a moment later; the system
then clears every page. Where a step makes feature maps of many megabytes and lets them go, as when an image is
optimised, that takes up to a third of the time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Any

# malloc.h of glibc, and what it starts with (mallopt(3)).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_USUAL = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}
_KEEP = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_MAX: 0}

_inside: list[None] = []  # one for each time that it is kept just now


@contextlib.contextmanager
def keep_freed() -> Iterator[bool]:
    """Within this, what is freed stays with the process, and is given back at its end.

    The process then holds as much as it needed at most. What is computed stays the same. It needs glibc, so Linux;
    elsewhere, and where memory is a graphics card's, it changes nothing. Meant for a loop whose every step takes and
    frees the same, not around a whole program.

    Yields:
        Whether there is a glibc to ask.

    Example:
        >>> with keep_freed():
        ...     sum(len(bytes(10**6)) for _ in range(3))
        3000000
    """
    library = _glibc()
    if library is None:
        yield False
        return
    _inside.append(None)
    _set(library, _KEEP)
    try:
        yield True
    finally:
        _inside.pop()
        if not _inside:
            _set(library, _USUAL)
            library.malloc_trim(0)


def _glibc() -> Any:
    """The C library of this process; None where it is another."""
    try:
        known = (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
        return ctypes.CDLL(None) if known else None
    except (AttributeError, ValueError, OSError):  # no such name, or no such call on this system
        return None


def _set(library: Any, values: dict[int, int]) -> None:
    for name, value in values.items():
        library.mallopt(name, value)
