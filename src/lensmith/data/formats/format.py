"""What a format is: how it is recognised, read and written. One file beside this one for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lensmith.records import Records


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user says about a source where looking is not enough; :func:`lensmith.data.read` says what each means.

    Each reader takes what concerns it.
    """

    image: str | None = None
    labels: tuple[str, ...] | None = None
    rows: tuple[str, ...] | None = None
    separator: str | None = None
    pattern: str | None = None
    group: str | None = None
    names: Path | None = None
    images: Path | None = None
    download: Path | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A way in which examples lie on a disk.

    Args:
        name: as the user says it.
        title: what it is called in a sentence, and what a layout begins with.
        says: one line for a person, after the title.
        recognise: looks at a path, opening as little as it can; gives what it saw (``12 XML files in
            annotations/``), or None where this is another format.
        read: raises DataError where the path does not have this format.
        write: puts records into an empty folder; None where that is not offered. Raises DataError for a record
            that the format cannot hold; names it.
        heeds: the hints that the reader takes; one that it does not is refused, not forgotten.
        holds: what a written file says of a box beside its corners and class: some of ``polygons``, ``crowd``,
            ``difficult`` and ``truncated``.
    """

    name: str
    title: str
    says: str
    recognise: Callable[[Path], str | None]
    read: Callable[[Path, Hints], Records]
    write: Callable[[Records, Path], None] | None = None
    heeds: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
