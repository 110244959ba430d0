"""What the writers share: tasks and targets, file names, image files, sizes, parts."""

from __future__ import annotations

import shutil
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lensmith import check
from lensmith.data.formats.walking import closed, shown
from lensmith.data.images import checked, extent
from lensmith.records import Boxes, Kind, Record, Records

_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))))
_LONGEST = 180  # bytes; most systems allow 255 for a name, and suffixes and numbers are still added


def unique_names(records: Sequence[Record]) -> tuple[str, ...]:
    """One file name, without suffix, for each record: no two are alike, whatever the system makes of letters.

    An image file keeps its own name; where two have the same one, the name of the folder is put before it, and
    where that does not help, a number after it. Pixels are called by their source: ``arrays:12`` becomes
    ``arrays-000012``. What some system does not allow in a name becomes ``_``.

    Example:
        >>> files = ("a/1.jpg", "b/1.png", "b/2.png", "other/b/2.png", "3.png")
        >>> unique_names([Record(file, Path(file)) for file in files])
        ('a-1', 'b-1', 'b-2', 'b-2-2', '3')
    """
    own = [_own_name(record, place) for place, record in enumerate(records)]
    counts = Counter(map(_key, own))
    taken = {key for key, count in counts.items() if count == 1}
    numbers: Counter[str] = Counter()
    names = []
    for name, record in zip(own, records, strict=True):
        if counts[_key(name)] > 1:
            name = _free(_with_parent(name, record), taken, numbers)
            taken.add(_key(name))
        names.append(name)
    return tuple(names)


def put_image(record: Record, stem: Path) -> Path:
    """Copy a record's image file byte for byte, or write its pixels as PNG.

    Args:
        record: with an image.
        stem: the target without suffix; a copy gets the suffix of the file, written as it is there.

    Returns:
        The file that was written.

    Raises:
        DataError: the record has no image, or its file cannot be read; names it.
        OSError: the target cannot be written.
    """
    if isinstance(record.image, Path):
        target = stem.with_name(f"{stem.name}{record.image.suffix}")
        _check_opens(record.image)
        shutil.copyfile(record.image, target)
        return target
    if record.image is None:
        raise check.DataError(check.sentence(shown(record.source), "an image", "a row of numbers"))
    target = stem.with_name(f"{stem.name}.png")
    pixels = checked(record.image, record.source)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(target)
    return target


def image_extent(record: Record) -> tuple[int, int]:
    """Height and width of a record's image as it is read, upright; of a file no more than the header is read.

    Where the file cannot be read, what the record's source says of the size is taken.

    Raises:
        DataError: the record has no image, or its size can be had from nowhere; names it.
    """
    if isinstance(record.image, np.ndarray):
        height, width = checked(record.image, record.source).shape[:2]
        return int(height), int(width)
    if record.image is None:
        raise check.DataError(check.sentence(shown(record.source), "an image", "a row of numbers"))
    try:
        return extent(record.image)
    except check.DataError:
        if record.size is None:
            raise
        return record.size


def made(folder: Path, name: str, record: Record) -> Path:
    """The folder of a record's part, which is made where it is missing."""
    place = folder / name / record.part if record.part else folder / name
    place.mkdir(parents=True, exist_ok=True)
    return place


def part_name(record: Record) -> str:
    """The part a record is written to: its own, or ``train``, from which the missing parts are taken."""
    return record.part or "train"


def one_task(records: Records, kind: Kind, format: str) -> str:
    """The only task of a kind.

    Raises:
        DataError: there is none, or several.
    """
    tasks = [task for task, labels in records.labels.items() if labels.kind == kind]
    if len(tasks) != 1:
        expected, remedy = f"one task of kind {kind} to write as {format}", ""
        if tasks:  # the one that most of them have is named
            best = max(tasks, key=lambda task: sum(task in record.targets for record in records))
            remedy = f"Choose one when reading: --read labels={best}"
        raise check.DataError(check.sentence(shown(records.name), expected, kinds_of(records), remedy))
    return tasks[0]


def class_tasks(records: Records, most: int, expected: str) -> tuple[str, ...]:
    """All tasks, which are up to ``most`` of kind class.

    Raises:
        DataError: there is none, another, or more of them; says what was expected.
    """
    kinds = [labels.kind for labels in records.labels.values()]
    if set(kinds) != {"class"} or len(kinds) > most:
        raise check.DataError(check.sentence(shown(records.name), expected, kinds_of(records)))
    return tuple(records.labels)


def kinds_of(records: Records) -> str:
    """The tasks and their kinds, for a message."""
    return ", ".join(f"{task} ({labels.kind})" for task, labels in records.labels.items()) or "none"


def target_of(record: Record, task: str, remedy: str = "") -> Any:
    """The target of a record.

    Raises:
        DataError: it has none; names the record, and what to do.
    """
    if task not in record.targets:
        remedy = remedy or (f"Read this task alone: --read labels={task}" if record.targets else "")
        text = f"{shown(record.source)}: has no target for the task {task!r}"
        raise check.DataError(f"{text}. {remedy}" if remedy else text)
    return record.targets[task]


def boxes_of(record: Record, task: str, names: tuple[str, ...]) -> Boxes:
    """The boxes of a record, whose numbers can be written.

    Raises:
        DataError: it has none, or a number is not finite, or a class has no name; names the record.
    """
    boxes, place = target_of(record, task), f"{shown(record.source)}: {task}"
    if not isinstance(boxes, Boxes):
        raise check.DataError(check.sentence(place, "boxes", type(boxes).__name__))
    rings = [ring for one in boxes.polygons for ring in one]
    if not np.isfinite(boxes.xyxy).all() or not all(np.isfinite(ring).all() for ring in rings):
        raise check.DataError(check.sentence(place, "finite numbers", "NaN or infinity"))
    wrong = [int(index) for index in boxes.classes if not 0 <= index < len(names)]
    if wrong:
        expected = f"a class from 0 to {len(names) - 1}" if names else "no box, for there is no class"
        raise check.DataError(check.sentence(place, expected, wrong[0]))
    return boxes


def check_file_names(records: Records, task: str, taken: Collection[str] = ()) -> None:
    """Refuse classes whose names cannot be those of files or folders.

    Raises:
        DataError: some system refuses a name, takes it for another, or it is one of those ``taken``; names it.
    """
    lower = Counter(name.lower() for name in records.labels[task].names)
    for name in records.labels[task].names:
        if safe_name(name) != name or lower[name.lower()] > 1 or name.lower() in taken:
            but = ", and are no parts of a data set" if taken else ""
            expected = f"classes of {task!r} that every system takes as names of files and can tell apart{but}"
            raise check.DataError(check.sentence(shown(records.name), expected, repr(shown(name))))


def safe_name(name: str) -> str:
    """The name with nothing in it that some system refuses in a file name."""
    # Categories: C… are control characters and bytes that are no text; Zl and Zp end a line.
    kept = "".join(
        "_" if letter in _FORBIDDEN or unicodedata.category(letter)[0] == "C" or letter in "\u2028\u2029" else letter
        for letter in name
    )
    kept = kept.encode()[:_LONGEST].decode(errors="ignore").lstrip(". ").rstrip(". ")
    if kept.partition(".")[0].lower() in _RESERVED:
        kept = f"_{kept}"
    return kept or "image"


def _own_name(record: Record, place: int) -> str:
    if isinstance(record.image, Path):
        return safe_name(record.image.stem)
    before, _, number = record.source.rpartition(":")
    if before and number.isascii() and number.isdigit():
        return f"{safe_name(Path(before).stem)}-{number.zfill(6)[-18:]}"
    return f"{safe_name(Path(record.source).stem)}-{place:06d}"


def _with_parent(name: str, record: Record) -> str:
    parent = record.image.parent.name if isinstance(record.image, Path) else ""
    return f"{safe_name(parent)}-{name}" if parent else name


def _free(name: str, taken: set[str], numbers: Counter[str]) -> str:
    """The name itself, or with the first number from 2 that nobody has."""
    key, found = _key(name), name
    while _key(found) in taken:
        numbers[key] += 1
        found = f"{name}-{numbers[key] + 1}"
    return found


def _key(name: str) -> str:
    """Equal for names that some system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _check_opens(path: Path, what: str = "the image") -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise check.DataError(f"{shown(path)}: {what} {closed(error)}") from error
