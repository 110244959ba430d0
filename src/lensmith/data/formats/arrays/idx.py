"""The files of MNIST and its followers: ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, gz or plain."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.formats.arrays.files import check_growth, named_errors
from lensmith.data.formats.arrays.memory import from_arrays
from lensmith.data.formats.arrays.writing import inputs_of
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.parts import part_in
from lensmith.data.formats.text import read_names
from lensmith.data.formats.walking import entries, shown
from lensmith.data.formats.writing import class_tasks, part_name, target_of
from lensmith.records import PARTS, Labels, Problem, Record, Records

LAYOUT = "idx files, such as train-images-idx3-ubyte.gz with train-labels-idx1-ubyte.gz"
NAMES_FILE = "names.txt"
TASK = "label"
_NAMED = re.compile(r"(?P<before>.*?)(?P<what>images|labels)[-._]idx[13][-._]ubyte(?:\.gz)?", re.IGNORECASE)
_UBYTE = 8  # the code for uint8 in the third byte of a file
_DENSEST = 1100  # gzip's own limit is about 1,030 times


@dataclass(frozen=True, slots=True)
class _Pair:
    images: Path
    labels: Path | None
    part: str | None


def read_idx(path: Path | str, *, names: Path | None = None, task: str = TASK) -> Records:
    """Read a folder of idx files, or one of them with its partner.

    A file belongs to the part its name begins with: ``train``; ``t10k`` or ``test``; ``val``. Class names come from
    ``names``, or ``names.txt`` in the folder, one a line; else they are "0", "1", …

    Args:
        path: a folder, or a file of images or of labels.
        names: a file of class names.
        task: what to call the one task.

    Returns:
        uint8 images ``(h, w, 1)`` of one array, which are not copied; by part: training, validation, test.

    Raises:
        DataError: a file is damaged, cut short, longer than its header says, or does not fit its partner.

    References:
        Y. LeCun, C. Cortes, "The MNIST database", section "File formats".
    """
    root = Path(path)
    pairs = _pairs(root)
    used = [pair for pair in pairs if pair.labels is not None] or pairs
    if not used:
        raise check.DataError(check.sentence(shown(root), LAYOUT, "no file of images with such a name"))
    problems = [Problem(str(pair.images), "images without a file of labels") for pair in pairs if pair not in used]
    targets = {pair.images: _numbers(pair.labels, 1) for pair in used if pair.labels is not None}
    known = _class_names(root, names, list(targets.values()))
    items: list[Record] = []
    for pair in used:
        images = _numbers(pair.images, 3)
        labels = {task: targets[pair.images].astype(np.int64)} if targets else {}
        if labels and len(labels[task]) != len(images):
            expected = f"one label an image ({len(images)})"
            raise check.DataError(check.sentence(shown(pair.labels or root), expected, f"{len(labels[task])}"))
        made = from_arrays(images, labels, {task: known} if labels else None, name=str(pair.images))
        items += (replace(record, part=pair.part) for record in made)
    parts = [part for part in PARTS if any(pair.part == part for pair in used)]
    layout = f"idx files: {len(items)} images{' in ' if parts else ''}{', '.join(parts)}"
    return Records(tuple(items), {task: Labels("class", known)} if targets else {}, str(root), tuple(problems), layout)


def write_idx(records: Records, folder: Path) -> None:
    """Write gray images of one size and one class task as idx files, one pair a part, and ``names.txt``.

    A record without part, where others have one, is written to the training part. Without parts the files are
    called ``images-idx3-ubyte`` and ``labels-idx1-ubyte``.

    Raises:
        DataError: there is not exactly one class task of at most 256 classes, an image is not gray or has another
            size than the first, or a class name does not fit into a line; names it.
    """
    expected = "images with one class task, for idx files to hold"
    if records[0].image is None:
        raise check.DataError(check.sentence(shown(records.name), expected, "rows"))
    (task,) = class_tasks(records, 1, expected)
    labels = records.labels[task]
    if len(labels.names) > 256 or any(name != name.strip() or len(name.splitlines()) != 1 for name in labels.names):
        expected = "at most 256 classes, each with a name of one line"
        raise check.DataError(check.sentence(shown(records.name), expected, f"{len(labels.names)} classes"))
    parts = any(record.part for record in records)
    for part in PARTS if parts else ("",):
        items = [record for record in records if not part or part_name(record) == part]
        if items:
            _write_pair(folder, f"{part}-" if part else "", items, records[0], task)
    (folder / NAMES_FILE).write_text("".join(f"{name}\n" for name in labels.names), "utf-8")


def _write_pair(folder: Path, before: str, items: Sequence[Record], first: Record, task: str) -> None:
    images = inputs_of(list(items), first)
    if images.shape[-1] != 1:
        raise check.DataError(check.sentence(shown(items[0].source), "a gray image", f"{images.shape[-1]} channels"))
    labels = np.asarray([target_of(record, task) for record in items], np.uint8)
    for name, array in (("images-idx3-ubyte", images[..., 0]), ("labels-idx1-ubyte", labels)):
        header = np.asarray(array.shape, ">u4").tobytes()
        (folder / f"{before}{name}").write_bytes(bytes((0, 0, _UBYTE, array.ndim)) + header + array.tobytes())


def _class_names(root: Path, names: Path | None, labels: list[np.ndarray]) -> tuple[str, ...]:
    beside = (root if root.is_dir() else root.parent) / NAMES_FILE
    if names is None and not beside.is_file():
        return tuple(str(index) for index in range(1 + max((int(array.max()) for array in labels), default=-1)))
    return read_names(names or beside)


def _pairs(root: Path) -> list[_Pair]:
    """The files of images and their partners, by part."""
    folder = root if root.is_dir() else root.parent
    files = [Path(entry) for entry in entries(folder, []) if not entry.is_dir()]
    by_key = {key: file for file in files if (key := _key(file.name))}
    wanted = None if root.is_dir() else _key(root.name)
    pairs = [
        _Pair(file, by_key.get((before, "labels")), part_in(before.replace("t10k", "test")))
        for (before, what), file in by_key.items()
        if what == "images" and (wanted is None or wanted[0] == before)
    ]
    if not root.is_dir() and (wanted is None or not root.exists()):
        return []
    order = [*PARTS, None]
    return sorted(pairs, key=lambda pair: order.index(pair.part))


def _key(name: str) -> tuple[str, str] | None:
    """What stands before, and images or labels; None where the name is no such name."""
    match = _NAMED.fullmatch(name)
    return (match["before"].lower(), match["what"].lower()) if match else None


def _numbers(path: Path, axes: int) -> np.ndarray:
    """The uint8 array of a file, with as many axes; the size is checked before anything is read."""
    with named_errors(str(path)):
        packed = path.suffix.lower() == ".gz"
        with gzip.open(path) if packed else path.open("rb") as file:
            shape = _shape(file.read(4 + 4 * axes), path, axes)
            count = math.prod(shape)
            expected = f"{count:,} bytes behind the header, as it says"
            if packed:
                check_growth(path, count)
            if count > path.stat().st_size * (_DENSEST if packed else 1):
                got = f"a file of {path.stat().st_size:,}"
                raise check.DataError(check.sentence(shown(path), expected, got))
            content = file.read(count + 1)
            if len(content) != count:
                got = "more" if len(content) > count else f"{len(content):,}: the file is cut short"
                raise check.DataError(check.sentence(shown(path), expected, got))
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(header: bytes, path: Path, axes: int) -> tuple[int, ...]:
    magic = bytes((0, 0, _UBYTE, axes))
    if header[:4] != magic:
        got = header[:4].hex(" ") or "an empty file"
        raise check.DataError(check.sentence(shown(path), f"a file that begins with {magic.hex(' ')}", got))
    if len(header) < 4 + 4 * axes:
        raise check.DataError(check.sentence(shown(path), f"a header of {4 + 4 * axes} bytes", f"{len(header)}"))
    shape = tuple(int(side) for side in np.frombuffer(header, ">u4", axes, 4))
    if 0 in shape:
        raise check.DataError(check.sentence(shown(path), "at least one example", f"shape {shape}"))
    return shape


def _recognise(path: Path) -> str | None:
    if path.is_file():
        return "an idx file" if _key(path.name) else None
    if not path.is_dir():
        return None
    found = [entry.name for entry in entries(path, []) if (key := _key(entry.name)) and key[1] == "images"]
    return f"{len(found)} idx file(s) of images, such as {shown(found[0])}" if found else None


def _read(path: Path, hints: Hints) -> Records:
    if hints.labels is not None and len(hints.labels) != 1:
        raise check.SettingError(check.sentence("labels", "one name, for idx files hold one", ", ".join(hints.labels)))
    return read_idx(path, names=hints.names, task=hints.labels[0] if hints.labels else TASK)


IDX = Format(
    name="idx",
    title="idx files",
    says="images and labels as of MNIST, gz or plain",
    recognise=_recognise,
    read=_read,
    write=write_idx,
    heeds=frozenset(("labels", "names")),
)
