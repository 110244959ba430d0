"""A table of named columns → records: which column is the image, which the label, and what each row holds."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np

from lensmith import boxes, check
from lensmith.data.formats import download
from lensmith.data.formats.format import Hints
from lensmith.data.formats.walking import PART_OF, shown
from lensmith.data.images import EXTENSIONS
from lensmith.records import Boxes, Kind, Labels, Problem, Record, Records, Target

Cell = str | tuple[str, ...] | np.ndarray  # text, several labels, numbers or pixels; an empty text where there is none

OBJECTS = "objects"  # the task of a table of boxes
IMAGE_NAMES = {"image", "images", "img", "file", "filename", "path", "filepath", "imagepath", "imagefile", "imagename"}
IMAGE_NAMES |= {"imagefilename", "url", "imageurl", "photo", "picture"}
LABEL_NAMES = {"label", "labels", "class", "classes", "classname", "target", "category", "species", "breed", "digit"}
LABEL_NAMES |= {"diagnosis", "emotion", "tag", "tags"}
FACT = ":fact"  # at the end of a column's name: it is none of all that, whatever it is called
PART_NAMES = ("part", "split", "subset", "usage", "set")
PARTS = {**PART_OF, "publictest": "validation", "privatetest": "test"}
MARKS = ("crowd", "difficult", "truncated")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
_ODD = frozenset("\\:")  # in a path, beside a slash in front or two dots: it may leave its folder
_FEW = 50  # different whole numbers that may be classes
_MOST = 0.9  # of a column's cells say what it holds; the rest are mistakes, and listed
TOO_LARGE = 2.0**128 - 2.0**103  # what is below is a finite float32 once it is rounded
_CHUNK = 1000  # lines looked at together
_AT_URL = "the image is at a URL; name a folder to fetch into: download=FOLDER (--download FOLDER)"


class Line(NamedTuple):
    """One row: where it stands, and its cells."""

    source: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and lines that can be gone through several times.

    Args:
        name: of the file.
        columns: their names; each stands once.
        lines: each with as many cells as there are columns, or what is wrong with it.
        folders: where relative image paths may start from, in order.
        part: of all lines, where the file's name says so.
        header: whether the names stand in the file.
    """

    name: str
    columns: tuple[str, ...]
    lines: Callable[[], Iterator[Line | Problem]]
    folders: tuple[Path, ...] = ()
    part: str | None = None
    header: bool = True


@dataclass(slots=True)
class Seen:
    """What the cells of a column were seen to be, and how many of them."""

    filled: int = 0
    numbers: int = 0
    wholes: int = 0
    images: int = 0
    pixels: int = 0
    lists: int = 0
    urls: bool = False
    several: bool = False
    low: float = math.inf
    high: float = -math.inf
    first: Cell = ""
    distinct: set[str] = field(default_factory=set)

    def take(self, cells: Iterable[Cell]) -> None:
        others = [cell for cell in cells if not isinstance(cell, str)]
        # In most columns a value stands many times: it is looked at once in each chunk of lines.
        for text, times in Counter(cell for cell in cells if isinstance(cell, str)).items():
            if text.strip():
                self._take_text(text, times)
        for cell in others:
            self.filled += 1
            self.several |= isinstance(cell, tuple)
            self.lists += isinstance(cell, np.ndarray)

    def _take_text(self, text: str, times: int) -> None:
        self.filled += times
        self.first = self.first or text
        if len(self.distinct) <= _FEW:
            self.distinct.add(text)
        number = as_number(text)
        if number is not None:
            self.numbers += times
            self.wholes += times * number.is_integer()
            self.low, self.high = min(self.low, number), max(self.high, number)
        elif looks_like_image(text):
            self.images += times
            self.urls |= download.is_url(text)
        elif _is_list_of_numbers(text):
            self.pixels += times
        elif "|" in text:
            self.several = True

    def mostly(self, count: int) -> bool:
        return self.filled > 0 and count >= _MOST * self.filled


class Task(NamedTuple):
    """A label: its kind, the columns it stands in, and for numbers the name of each."""

    name: str
    kind: Kind
    columns: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """What each column of a table is for."""

    image: str | None = None
    pixels: tuple[str, ...] = ()
    shape: tuple[int, int, int] | None = None
    rows: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    corners: tuple[str, ...] = ()
    group: str | None = None
    part: str | None = None
    facts: tuple[str, ...] = ()

    def needed(self) -> set[str]:
        """The columns without which a line says too little."""
        named = {self.image, self.group} - {None}
        labels = (column for task in self.tasks for column in task.columns)
        return {str(name) for name in named} | {*self.pixels, *self.rows, *self.corners, *labels}


def read_tables(tables: Sequence[Table], hints: Hints, name: str) -> Records:
    """Read tables of the same columns as one.

    Raises:
        DataError: which columns hold what is not clear, or no line can be used.
        SettingError: a column that the hints name is not there; names the nearest.
    """
    seen, count = _survey(tables)
    roles = choose(tables[0], seen, count, hints)
    problems: list[Problem] = []
    fetched = _fetch(tables, roles, hints) if roles.image and seen[roles.image].urls else {}
    kept = []
    for table in tables:
        missing = sorted(roles.needed() - set(table.columns))
        if missing:
            problems.append(
                Problem(table.name, f"the table has no column {missing[0]!r}, as {shown(tables[0].name)} has")
            )
        else:
            kept.append(table)
    build = _Building(roles, fetched, problems)
    for table in kept:
        build.add(table)
    if not build.items:
        first = next((one for one in problems if one.source != name), None)
        got = f"none; the first, {shown(first.source)}: {first.reason}" if first else "none"
        raise check.DataError(check.sentence(shown(name), "at least one row that can be used", got))
    return Records(tuple(build.items), build.labels(), name, tuple(problems), _layout(roles))


def as_number(text: str) -> float | None:
    """The finite number (in float32) that a text is, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < TOO_LARGE and "_" not in text else None


def shortest(number: float) -> float:
    """The number with the fewest digits that is read as just this float32.

    Example:
        >>> shortest(np.float32(0.1)), float(np.float32(0.1))
        (0.1, 0.10000000149011612)
    """
    exact = float(np.float32(number))
    short = float(str(np.float32(number)))
    return short if float(np.float32(short)) == exact else exact


def looks_like_image(text: str) -> bool:
    """Whether a text is a URL or ends as the name of an image file does."""
    before, _, suffix = text.rpartition(".")
    return (bool(before) and suffix.strip().lower() in EXTENSIONS) or download.is_url(text)


def plain(name: str) -> str:
    """A column's name as it is compared: ``Image Path``, ``image_path`` and ``imagePath`` are one."""
    return re.sub(r"[\s_\-.]+", "", name).lower()


def is_plain_name(name: str) -> bool:
    """Whether a compared name is one that columns are known by."""
    return name in IMAGE_NAMES or name in LABEL_NAMES or name in PART_NAMES


def typed(column: str) -> tuple[str, Kind, str] | None:
    """Task, kind and name of the number that a column says of itself: ``species:class``, ``body:number:weight``."""
    found = re.fullmatch(r"(.+):(class|classes|number)", column, re.DOTALL)
    if found:
        return found[1], found[2], found[1]  # type: ignore[return-value]
    found = re.fullmatch(r"(.+?):number:(.+)", column, re.DOTALL)
    return (found[1], "number", found[2]) if found else None


def square(count: int) -> tuple[int, int, int] | None:
    """The shape of the square image of so many values: one channel, or three, the channels of a pixel together.

    Example:
        >>> square(784), square(12), square(5)
        ((28, 28, 1), (2, 2, 3), None)
    """
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side and side * side * channels == count:
            return side, side, channels
    return None


def _is_list_of_numbers(text: str) -> bool:
    if " " not in text and "," not in text:
        return False
    parts = text.translate({ord(letter): " " for letter in "[],"}).split()
    return len(parts) >= 4 and all(part.isascii() and part.isdigit() for part in parts)


def _survey(tables: Sequence[Table]) -> tuple[dict[str, Seen], int]:
    seen: dict[str, Seen] = {}
    count = 0
    for table in tables:
        columns = [seen.setdefault(column, Seen()) for column in table.columns]
        lines = (line.cells for line in table.lines() if isinstance(line, Line))
        while chunk := list(itertools.islice(lines, _CHUNK)):
            count += len(chunk)
            for column, cells in zip(columns, zip(*chunk, strict=True), strict=True):
                column.take(cells)
    return seen, count


def choose(table: Table, seen: Mapping[str, Seen], count: int, hints: Hints) -> Roles:
    """Say what each column is for, from its name, from what it holds, and from what the user says.

    Raises:
        DataError: it is not clear; lists the columns.
        SettingError: a hint names a column that is not there.
    """
    columns = tuple(one for one in table.columns if not one.endswith(FACT))
    said = {itself[0]: column for column in columns if (itself := typed(column))}
    for place, wanted in (("image", [hints.image]), ("group", [hints.group]), ("rows", hints.rows or ())):
        for one in wanted:
            if one is not None:
                _known(f"{shown(table.name)}: {place}", one, columns)
    for one in hints.labels or ():
        _known(f"{shown(table.name)}: labels", one, (*columns, *said))
    named = tuple(said.get(one, one) if one not in columns else one for one in hints.labels or ())
    image = hints.image or (None if hints.rows else _image_column(table, columns, seen, set(named)))
    group = hints.group or next((one for one in columns if plain(one) == "group" and one not in named), None)
    part = _part_column(columns, seen, {*named, image})
    free = [one for one in columns if one not in (image, group, part) and seen[one].filled]
    corners = _corners(free) if image and not said else ()
    pixels, shape = ((), None) if image else _pixel_columns(table, free, seen)
    free = [one for one in free if one not in corners and one not in pixels and not _nameless(table, one)]
    rows = () if image or pixels else _row_columns(table, free, seen, hints)
    labels = named if hints.labels is not None else _label_columns(table, free, rows, seen, image or pixels)
    rows = tuple(one for one in rows if one not in labels)
    if not (image or pixels or rows):
        got = f"the columns {_listed(columns)}"
        remedy = "Name the column of the images: image=COLUMN"
        raise check.DataError(check.sentence(shown(table.name), "images, pixels or numbers", got, remedy))
    used = {image, group, part, *pixels, *rows, *labels, *corners}
    tasks = (
        _box_task(table, labels)
        if corners
        else _tasks(labels, seen, count, chosen=hints.labels is not None or not said)
    )
    facts = tuple(one for one in table.columns if one not in used)
    return Roles(image, pixels, shape, rows, tasks, corners, group, part, facts)


def _known(place: str, name: str, columns: Sequence[str]) -> None:
    """Refuse the name of a column that is not there; of many columns the first are listed."""
    if name not in columns:
        expected = f"one of {_listed(columns)}"
        raise check.SettingError(check.sentence(place, expected, repr(name), check.nearest(name, columns)))


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} others" if len(columns) > 12 else "")


def _image_column(table: Table, columns: Sequence[str], seen: Mapping[str, Seen], taken: set[str]) -> str | None:
    columns = [one for one in columns if one not in taken and seen[one].filled]
    named = [one for one in columns if plain(one) in IMAGE_NAMES]
    for one in sorted(columns, key=lambda one: seen[one].urls):  # a file here is better than one elsewhere
        if seen[one].mostly(seen[one].images) or (seen[one].images and one in named):
            return one
    for one in columns:  # pixels in one cell
        if seen[one].mostly(seen[one].pixels) or seen[one].mostly(seen[one].lists):
            return one
    for one in columns:
        if plain(one) in IMAGE_NAMES | {"id", "imageid"}:  # names without a suffix, as they often stand there
            first = seen[one].first
            if one in named and not seen[one].numbers:
                return one
            if isinstance(first, str) and _locate(first, table.folders) is not None:
                return one
    return None


def _part_column(columns: Sequence[str], seen: Mapping[str, Seen], taken: set[str | None]) -> str | None:
    fits = [
        one
        for one in columns
        if plain(one) in PART_NAMES
        and one not in taken
        and seen[one].distinct
        and all(text.strip().lower() in PARTS for text in seen[one].distinct)
    ]
    return "part" if "part" in fits else next(iter(fits), None)


def _corners(columns: Sequence[str]) -> tuple[str, ...]:
    by_name = {plain(one): one for one in columns}
    for names in (CORNERS, ("x1", "y1", "x2", "y2")):
        if all(name in by_name for name in names):
            sizes = [by_name[name] for name in ("width", "height", *MARKS) if name in by_name]
            return (*(by_name[name] for name in names), *sizes)
    return ()


def _pixel_columns(
    table: Table, columns: Sequence[str], seen: Mapping[str, Seen]
) -> tuple[tuple[str, ...], tuple[int, int, int] | None]:
    numbered = {one: int(found[1]) for one in columns if (found := re.fullmatch(r"(?:pixel|pix|px)_?(\d{1,9})", one))}
    if (shape := square(len(numbered))) and len(numbered) > 3:
        return tuple(sorted(numbered, key=lambda one: numbered[one])), shape
    grid = {one: (int(f[1]), int(f[2])) for one in columns if (f := re.fullmatch(r"(\d{1,5})x(\d{1,5})", one))}
    if grid:
        height, width = (len({place[axis] for place in grid.values()}) for axis in (0, 1))
        if height * width == len(grid) == len(set(grid.values())):
            return tuple(sorted(grid, key=lambda one: grid[one])), (height, width, 1)
    if not table.header and len(columns) > 256 and (shape := square(len(columns) - 1)):
        # The MNIST table that has no header: a label, then the pixels; or the label at the end.
        ends = [one for one in (columns[0], columns[-1]) if 1 < len(seen[one].distinct) <= _FEW]
        pixels = tuple(one for one in columns if one not in ends)
        if len(ends) == 1 and all(seen[one].low >= 0 and seen[one].high <= 255 for one in pixels):
            return pixels, shape
    return (), None


def _nameless(table: Table, column: str) -> bool:
    """Whether this is the column without a name in which some programs number the rows."""
    return table.header and column == table.columns[0] == UNNAMED


UNNAMED = "column0"  # what such a column is called here


def _row_columns(table: Table, free: Sequence[str], seen: Mapping[str, Seen], hints: Hints) -> tuple[str, ...]:
    if hints.rows is not None:
        return hints.rows
    numbers = tuple(one for one in free if seen[one].mostly(seen[one].numbers) and not typed(one))
    ours = tuple(one for one in numbers if re.fullmatch(r"column[1-9]\d*", one))  # as the writer calls them
    return ours if ours and table.header else numbers


def _label_columns(
    table: Table, free: Sequence[str], rows: Sequence[str], seen: Mapping[str, Seen], pictures: object
) -> tuple[str, ...]:
    said = tuple(one for one in free if typed(one))
    if said:
        return said
    known = [one for one in free if plain(one) in LABEL_NAMES]
    texts = [one for one in free if not seen[one].mostly(seen[one].numbers) and not seen[one].images]
    if len(known) == 1 or (not known and len(texts) == 1):
        return tuple(known or texts)
    if pictures and not known and len(free) < 2:
        return tuple(free)
    if not pictures and not known and not texts:
        ours = all(re.fullmatch(r"column[1-9]\d*", one) for one in rows) and table.header
        return () if ours or len(rows) < 2 else (rows[-1],)
    got = f"several that may be ({_listed(known or texts or free)})"
    remedy = "Say which: labels=COLUMN,… (none at all: labels=())"
    raise check.DataError(check.sentence(shown(table.name), "one column that is the label", got, remedy))


def _box_task(table: Table, labels: Sequence[str]) -> tuple[Task, ...]:
    if len(labels) > 1:
        place = f"{shown(table.name)}: labels"
        raise check.SettingError(check.sentence(place, "one column, the class of each box", _listed(labels)))
    return (Task(OBJECTS, "boxes", tuple(labels)),)


def _tasks(labels: Sequence[str], seen: Mapping[str, Seen], count: int, *, chosen: bool) -> tuple[Task, ...]:
    tasks: dict[str, Task] = {}
    for column in labels:
        name, kind, own = typed(column) or (column, kind_of(column, seen[column], count), column)
        earlier = tasks.get(name)
        if earlier and (kind != "number" or earlier.kind != "number"):
            raise check.DataError(f"the columns {earlier.columns[0]!r} and {column!r} are both the label {name!r}")
        columns, names = (earlier.columns, earlier.names) if earlier else ((), ())
        tasks[name] = Task(name, kind, (*columns, column), (*names, own))
    return tuple(tasks.values())


def kind_of(column: str, seen: Seen, count: int) -> Kind:
    """Whether a label column holds one class, several, or a number; ``count`` is the number of rows."""
    if seen.several:
        return "classes"
    if seen.filled and seen.numbers == seen.filled:
        few = len(seen.distinct) <= _FEW and len(seen.distinct) * 10 <= count
        called = any(word in plain(column) for word in ("label", "class", "digit"))
        return "class" if seen.wholes == seen.filled and (few or called) else "number"
    return "number" if seen.mostly(seen.numbers) and len(seen.distinct) > _FEW else "class"


def _layout(roles: Roles) -> str:
    if roles.pixels:
        what = f"images of {'×'.join(map(str, (roles.shape or ())[:2]))} pixels, one a row"
    else:
        what = f"images in the column {roles.image!r}" if roles.image else f"rows of {len(roles.rows)} numbers"
    labels = ", ".join(f"{task.name!r} ({task.kind})" for task in roles.tasks)
    return f"table: {what}; labels: {labels or 'none'}"


def _fetch(tables: Sequence[Table], roles: Roles, hints: Hints) -> Mapping[str, Path | Problem]:
    if hints.download is None:
        return {}
    urls: dict[str, None] = {}
    for table in tables:
        if roles.image in table.columns:
            place = table.columns.index(roles.image)
            cells = (line.cells[place] for line in table.lines() if isinstance(line, Line))
            urls.update((cell.strip(), None) for cell in cells if isinstance(cell, str) and download.is_url(cell))
    found = download.fetch(list(urls), hints.download, hints.hosts)
    return dict(zip(urls, found, strict=True))


def find_image(text: str, folders: Sequence[Path]) -> Path:
    """The file that a relative path leads to, from the first of the folders in which it exists.

    Raises:
        DataError: it is absolute, leaves its folder, or is nowhere; says only that, for the caller knows the place.
    """
    if text.startswith("/") or not _ODD.isdisjoint(text) or ".." in text:
        _check_stays(text)
    found = _locate(text, folders)
    if found is None:
        raise check.DataError(f"the image is missing: {text!r} is not in {' or '.join(map(shown, folders))}")
    return found


def _check_stays(text: str) -> None:
    windows = PureWindowsPath(text)  # which knows the separators of all systems
    if windows.drive or windows.root:
        raise check.DataError(f"the path {text!r} is absolute; paths start in the table's own folder")
    depth = 0
    for step in windows.parts:
        depth += -1 if step == ".." else 1
        if depth < 0:
            raise check.DataError(f"the path {text!r} climbs out of its folder")


def _locate(text: str, folders: Sequence[Path]) -> Path | None:
    spellings = [text, text.replace("\\", "/")] if "\\" in text else [text]
    if not looks_like_image(text):
        spellings += [f"{text}.{suffix}" for suffix in EXTENSIONS]
    for folder in folders:
        for spelling in spellings:
            path = folder / spelling
            try:
                if path.is_file():
                    return path
            except OSError:  # a name longer than the system allows
                continue
    return None


def to_pixels(values: np.ndarray | Sequence[str], shape: tuple[int, int, int] | None = None) -> np.ndarray:
    """Numbers as uint8 pixels; flat ones become a square where no shape is given.

    Raises:
        DataError: they are no whole numbers 0..255, or make no image; says only that.
    """
    try:
        array = _bytes(values) if isinstance(values, list) else np.asarray(values, np.float64)
    except ValueError as error:
        raise check.DataError(f"a pixel is no number: {str(error).rpartition(': ')[2]}") from error
    if array.ndim == 1:
        form = shape or square(array.size)
        if form is None:
            raise check.DataError(check.sentence("pixels", "s·s or 3·s·s of them", array.size))
        array = array.reshape(form)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        expected = "an image of shape (height, width) or (height, width, 1, 3 or 4)"
        raise check.DataError(check.sentence("pixels", expected, f"shape {array.shape}"))
    whole: np.ndarray = np.rint(np.clip(np.nan_to_num(array), 0, 255)).astype(np.uint8)
    if not np.array_equal(whole, array):
        wrong = array[whole != array][0]
        raise check.DataError(check.sentence("pixels", "whole numbers from 0 to 255", f"{wrong:g}"))
    return whole


def _bytes(texts: list[str]) -> np.ndarray:
    """Texts as numbers; by far the most are bytes, for which there is a short way."""
    try:
        return np.frombuffer(bytearray(map(int, texts)), np.uint8)
    except ValueError:
        numbers: np.ndarray = np.array(texts, np.float64)
        return numbers


class _Building:
    """Records while they are made: classes are numbered as they come, and in the order of their names at the end."""

    def __init__(self, roles: Roles, fetched: Mapping[str, Path | Problem], problems: list[Problem]) -> None:
        self.roles, self.fetched, self.problems = roles, fetched, problems
        self.items: list[Record] = []
        self.targets: list[dict[str, Target]] = []
        self.classes: dict[str, dict[str, int]] = {task.name: {} for task in roles.tasks if task.kind != "number"}
        self.boxes: dict[str, _Boxed] = {}

    def add(self, table: Table) -> None:
        places = {column: place for place, column in enumerate(table.columns)}
        for line in table.lines():
            if isinstance(line, Problem):
                self.problems.append(line)
                continue
            try:
                if self.roles.corners:
                    self._add_box(table, places, line)
                else:
                    self._add_row(table, places, line)
            except check.DataError as error:
                self.problems.append(Problem(line.source, str(error)))
        self._close_boxes()

    def labels(self) -> dict[str, Labels]:
        """The meaning of the targets; turns those of classes into places in the sorted names."""
        labels = {}
        for task in self.roles.tasks:
            if task.kind == "number":
                labels[task.name] = Labels("number", task.names)
                continue
            found = self.classes[task.name]
            names = in_order(found)
            order = np.array(_order(names, found), int)
            labels[task.name] = Labels(task.kind, tuple(names))
            for targets in self.targets:
                targets[task.name] = _renamed(targets[task.name], order)
        return labels

    def _add_row(self, table: Table, places: Mapping[str, int], line: Line) -> None:
        roles, cells = self.roles, line.cells
        image: Path | np.ndarray | None = None
        row = None
        if roles.rows:
            row = _row(roles.rows, [cells[places[one]] for one in roles.rows])
        elif roles.pixels:
            image = to_pixels([_text(cells[places[one]], one) for one in roles.pixels], roles.shape)
        else:
            image = self._image(cells[places[str(roles.image)]], table)
        targets = {task.name: self._target(task, [cells[places[one]] for one in task.columns]) for task in roles.tasks}
        self._append(table, places, line, targets, image=image, row=row)

    def _append(
        self,
        table: Table,
        places: Mapping[str, int],
        line: Line,
        targets: dict[str, Target],
        *,
        image: Path | np.ndarray | None = None,
        row: np.ndarray | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        roles, cells = self.roles, line.cells
        group = cells[places[roles.group]] if roles.group else ""
        part = cells[places[roles.part]] if roles.part and roles.part in places else ""
        known = PARTS.get(part.strip().lower()) if isinstance(part, str) else None
        facts = {
            one.removesuffix(FACT): cell
            for one in roles.facts
            if one in places and isinstance(cell := cells[places[one]], str) and cell.strip()
        }
        self.items.append(
            Record(line.source, image, row, targets, str(group) or None, known or table.part, size, facts or _NO_FACTS)
        )
        self.targets.append(targets)

    def _image(self, cell: Cell, table: Table) -> Path | np.ndarray:
        if isinstance(cell, tuple) or (isinstance(cell, str) and not cell.strip()):
            raise check.DataError(f"no image in the column {self.roles.image!r}")
        if isinstance(cell, np.ndarray):
            return to_pixels(cell)
        if _is_list_of_numbers(cell):
            return to_pixels(cell.translate({ord(letter): " " for letter in "[],"}).split())
        if not download.is_url(cell):
            return find_image(cell, table.folders)
        found = self.fetched.get(cell.strip())
        if isinstance(found, Path):
            return found
        raise check.DataError(_AT_URL if found is None else f"{found.source}: {found.reason}")

    def _target(self, task: Task, cells: Sequence[Cell]) -> Target:
        if task.kind == "number":
            return tuple(_number(cell, column) for cell, column in zip(cells, task.columns, strict=True))
        found = self.classes[task.name]
        cell = cells[0]
        if task.kind == "class":
            return found.setdefault(_text(cell, task.columns[0]), len(found))
        parts = cell if isinstance(cell, tuple) else _text(cell, task.columns[0]).split("|")
        names = dict.fromkeys(part for part in parts if part.strip())
        return tuple(found.setdefault(name, len(found)) for name in names)

    def _add_box(self, table: Table, places: Mapping[str, int], line: Line) -> None:
        cells = line.cells
        named = {plain(one): cells[places[one]] for one in self.roles.corners}
        image = cells[places[str(self.roles.image)]]
        key = image if isinstance(image, str) else line.source
        group = self.boxes.get(key) or _Boxed(table, places, line, self._image(image, table), _size(named))
        corners = [_blank(named[name]) for name in list(named)[:4]]
        if all(corner is None for corner in corners):  # an image without a box
            self.boxes[key] = group
            return
        numbers = [_number(cell or "", column) for cell, column in zip(corners, self.roles.corners, strict=False)]
        boxes.validate(np.array([numbers]), "the box")
        (task,) = self.roles.tasks
        name = _text(cells[places[task.columns[0]]], task.columns[0]) if task.columns else "object"
        found = self.classes[task.name]
        group.boxes.append(numbers)
        group.classes.append(found.setdefault(name, len(found)))
        for mark in MARKS:
            group.marks[mark].append(str(named.get(mark, "")).strip().lower() in ("1", "1.0", "true", "yes"))
        self.boxes[key] = group

    def _close_boxes(self) -> None:
        for one in self.boxes.values():
            crowd, difficult, truncated = (np.array(one.marks[name], bool) for name in MARKS)
            found = Boxes(np.array(one.boxes), np.array(one.classes), (), crowd, difficult, truncated)
            targets: dict[str, Target] = {OBJECTS: found}
            try:
                self._append(one.table, one.places, one.line, targets, image=one.image, size=one.size)
            except check.DataError as error:
                self.problems.append(Problem(one.line.source, str(error)))
        self.boxes.clear()


@dataclass(slots=True)
class _Boxed:
    """The boxes of one image, while its lines are gone through."""

    table: Table
    places: Mapping[str, int]
    line: Line
    image: Path | np.ndarray
    size: tuple[int, int] | None
    boxes: list[list[float]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    marks: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in MARKS})


_NO_FACTS: Mapping[str, str] = {}


def _size(named: Mapping[str, Cell]) -> tuple[int, int] | None:
    height, width = (as_number(str(named.get(name, ""))) for name in ("height", "width"))
    return (int(height), int(width)) if height and width and min(height, width) >= 1 else None


def _blank(cell: Cell) -> Cell | None:
    return None if isinstance(cell, str) and not cell.strip() else cell


def _text(cell: Cell, column: str) -> str:
    if not isinstance(cell, str):
        raise check.DataError(check.sentence(f"column {column!r}", "one value", "a list"))
    if not cell.strip():
        raise check.DataError(f"nothing in the column {column!r}")
    return cell


def _number(cell: Cell, column: str) -> float:
    number = as_number(text := _text(cell, column))
    if number is None:
        raise check.DataError(check.sentence(f"column {column!r}", "a finite number", repr(text[:80])))
    return number


def _row(columns: Sequence[str], cells: Sequence[Cell]) -> np.ndarray:
    try:
        row = np.array(list(map(float, cells)))  # type: ignore[arg-type]
        # False for NaN, too. Python takes 1_0 for 10.
        if (np.abs(row) < TOO_LARGE).all() and "_" not in "".join(cells):  # type: ignore[arg-type]
            return row.astype(np.float32)
    except (ValueError, TypeError, OverflowError):
        pass
    return np.array([_number(cell, column) for cell, column in zip(cells, columns, strict=True)], np.float32)


def in_order(names: Iterable[str]) -> list[str]:
    """Names as a person sorts them: whole numbers by their value, others by their letters."""
    listed = list(names)
    numbers = [as_number(name) for name in listed]
    if all(number is not None for number in numbers):
        return [name for _, name in sorted(zip(numbers, listed, strict=True))]
    return sorted(listed)


def _order(names: Sequence[str], found: Iterable[str]) -> list[int]:
    places = {name: place for place, name in enumerate(names)}
    return [places[name] for name in found]


def _renamed(target: Target, order: np.ndarray) -> Target:
    if isinstance(target, Boxes):
        return replace(target, classes=order[target.classes])
    if isinstance(target, tuple):
        return tuple(sorted(int(order[int(index)]) for index in target))
    return int(order[target])  # type: ignore[index]
