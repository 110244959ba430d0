"""What a format is: how it is recognised, read and written. One file beside this one for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lensmith.records import Records


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user says about a source where looking is not enough; ``SETTINGS`` says what each means.

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


SETTINGS: Mapping[str, str] = {
    "image": "the column or key that holds the images",
    "labels": "the columns or keys that are targets, one task each; elsewhere the names of the tasks",
    "rows": "the columns that make a row of numbers",
    "separator": "of a table's columns",
    "pattern": "of file names without suffix, with named places: {label}.{number}, {label}_{patient}_{row}",
    "group": "the column, key or place in the pattern that gives the group of an example",
    "names": "a file with the class names, one a line",
    "images": "the folder that relative image paths start from",
    "download": "a folder into which images at URLs are fetched; left out, nothing is",
    "hosts": "hosts that may be asked although their address is private, such as localhost",
}
"""One line on each of the hints, for a person; :func:`lensmith.data.read` has the same words."""


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
