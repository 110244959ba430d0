"""What each column of a table is for: the image, pixels, numbers, boxes, labels, the group, the part, or a fact."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.tables.images import square
from lensmith.data.formats.tables.labels import Task, box_task, label_columns, listed, tasks_of
from lensmith.data.formats.tables.names import (
    CORNERS,
    FACT,
    IMAGE_NAMES,
    MARKS,
    PART_NAMES,
    PART_WORDS,
    UNNAMED,
    is_numbered,
    plain,
    typed,
)
from lensmith.data.formats.tables.survey import FEW, Seen, survey
from lensmith.data.formats.tables.table import Line, Table
from lensmith.data.formats.walking import shown

HEAD = 1000  # lines looked at to learn whether a table names images
MOST = 32  # tables of a folder that are looked at


@dataclass(frozen=True, slots=True)
class Roles:
    """What each column of a table is for. One of image, pixels and rows is given.

    Args:
        image: the column of the images.
        pixels: the columns of the pixels of one image, in order.
        shape: height, width and channels of these.
        rows: the columns of a row of numbers.
        tasks: the labels.
        box: in a table of boxes, the columns of the four corners; then those of the image's size and of the marks
            of a box, as far as there are such.
        group: the column of the group.
        part: the column of the part.
        facts: all other columns.
    """

    image: str | None = None
    pixels: tuple[str, ...] = ()
    shape: tuple[int, int, int] | None = None
    rows: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    box: tuple[str, ...] = ()
    group: str | None = None
    part: str | None = None
    facts: tuple[str, ...] = ()

    def needed(self) -> set[str]:
        """The columns without which a line says too little."""
        labels = (column for task in self.tasks for column in task.columns)
        single = (one for one in (self.image, self.group) if one is not None)
        return {*single, *self.pixels, *self.rows, *self.box, *labels}


def choose(table: Table, seen: Mapping[str, Seen], count: int, hints: Hints) -> Roles:
    """Say what each column is for, from its name, from what it holds, and from what the user says.

    Args:
        table: whose columns they are.
        seen: what each column holds.
        count: the number of lines.
        hints: what the user says.

    Raises:
        DataError: it is not clear; lists the columns.
        SettingError: a hint names a column that is not there, or two hints exclude one another.
    """
    columns = tuple(one for one in table.columns if not one.endswith(FACT))
    _check_hints(table, columns, hints)
    named = _named_labels(columns, hints)
    roles = _image_group_part(table, columns, seen, hints, named)
    taken = (roles.image, roles.group, roles.part)
    free = [one for one in columns if one not in taken and seen[one].filled and not _nameless(table, one)]
    roles = _numbers(roles, table, free, seen, hints)
    if hints.labels is None:
        left = [one for one in free if one not in roles.box and one not in roles.pixels]
        pictures = bool(roles.image or roles.pixels)
        labels = label_columns(table, left, roles.rows, seen, pictures=pictures)
    else:
        labels = named
    rows = tuple(one for one in roles.rows if one not in labels)
    if not (roles.image or roles.pixels or rows):
        got, remedy = f"the columns {listed(columns)}", "Name the column of the images: image=COLUMN"
        raise check.DataError(check.sentence(shown(table.name), "images, pixels or numbers", got, remedy))
    tasks = box_task(table, labels) if roles.box else tasks_of(labels, seen, count)
    roles = replace(roles, rows=rows, tasks=tasks)
    used = {*roles.needed(), roles.part}
    return replace(roles, facts=tuple(one for one in table.columns if one not in used))


def _check_hints(table: Table, columns: Sequence[str], hints: Hints) -> None:
    """Refuse the name of a column that is not there; of many columns the first are listed."""
    tasks = dict.fromkeys(itself[0] for one in columns if (itself := typed(one)))
    for setting, names, known in (
        ("image", [hints.image] if hints.image is not None else [], columns),
        ("group", [hints.group] if hints.group is not None else [], columns),
        ("rows", hints.rows or [], columns),
        ("labels", hints.labels or [], [*columns, *tasks]),
    ):
        for name in names:
            if name not in known:
                place, expected = f"{shown(table.name)}: {setting}", f"one of {listed(known)}"
                raise check.SettingError(check.sentence(place, expected, repr(name), check.nearest(name, known)))
    if hints.image and hints.rows:
        expected = "nothing beside image: an example is an image or a row of numbers"
        raise check.SettingError(check.sentence(f"{shown(table.name)}: rows", expected, listed(hints.rows)))


def _named_labels(columns: Sequence[str], hints: Hints) -> tuple[str, ...]:
    """The columns that the user calls labels; by the name of a task all of it, such as each of its numbers."""
    named: dict[str, None] = {}
    for name in hints.labels or ():
        own = [one for one in columns if (itself := typed(one)) and itself[0] == name]
        named.update(dict.fromkeys([name] if name in columns else own))
    return tuple(named)


def _image_group_part(
    table: Table, columns: Sequence[str], seen: Mapping[str, Seen], hints: Hints, named: Sequence[str]
) -> Roles:
    unnamed = [one for one in columns if one not in named]
    image = hints.image or (None if hints.rows else image_column(table, unnamed, seen))
    group = hints.group or next((one for one in unnamed if plain(one) == "group"), None)
    return Roles(image=image, group=group, part=_part_column([one for one in unnamed if one != image], seen))


def image_column(table: Table, columns: Sequence[str], seen: Mapping[str, Seen]) -> str | None:
    """The column whose cells are paths, URLs or pixels of images, or name files that are there; None without one."""
    columns = [one for one in columns if seen[one].filled]
    named = [one for one in columns if plain(one) in IMAGE_NAMES]
    for one in sorted(columns, key=lambda one: seen[one].urls):  # a file here is better than one elsewhere
        if seen[one].mostly(seen[one].images) or (seen[one].images and one in named):
            return one
    for one in columns:  # pixels in one cell
        if seen[one].mostly(seen[one].pixels) or seen[one].mostly(seen[one].lists):
            return one
    for one in columns:  # names without a suffix, as they often stand there
        if one in named and not seen[one].numbers:
            return one
        may_be = one in named or plain(one) in ("id", "imageid")
        if may_be and _is_there(seen[one].first, table):
            return one
    return None


def names_images(table: Table) -> bool:
    """Whether a table names images that are there, by its first lines."""
    head = replace(table, lines=lambda: islice(table.lines(), HEAD))
    column = image_column(head, head.columns, survey([head])[0])
    if column is None:
        return False
    place = head.columns.index(column)
    cells = (line.cells[place] for line in head.lines() if isinstance(line, Line))
    return any(isinstance(cell, str) and cell and _is_there(cell, table) for cell in cells)


def _is_there(text: str, table: Table) -> bool:
    try:
        return table.images.find(text).is_file()
    except check.DataError:
        return False


def _part_column(columns: Sequence[str], seen: Mapping[str, Seen]) -> str | None:
    def says_part(one: str) -> bool:
        if plain(one) not in PART_NAMES or not seen[one].distinct:
            return False
        return all(text.strip().lower() in PART_WORDS for text in seen[one].distinct)

    fits = [one for one in columns if says_part(one)]
    return "part" if "part" in fits else next(iter(fits), None)


def _nameless(table: Table, column: str) -> bool:
    """Whether this is the column without a name in which some programs number the rows."""
    return table.header and column == table.columns[0] == UNNAMED


def _numbers(roles: Roles, table: Table, free: Sequence[str], seen: Mapping[str, Seen], hints: Hints) -> Roles:
    """The roles, with the columns of boxes, of pixels or of rows of numbers."""
    if roles.image:
        # Where a column says what label it is, corners are numbers like others.
        says_itself = any(typed(one) for one in table.columns)
        return roles if says_itself else replace(roles, box=_box_columns(free))
    if hints.rows:
        return replace(roles, rows=hints.rows)
    pixels, shape = _pixel_columns(table, free, seen)
    if pixels:
        return replace(roles, pixels=pixels, shape=shape)
    numbers = tuple(one for one in free if seen[one].mostly(seen[one].numbers) and not typed(one))
    ours = tuple(one for one in numbers if is_numbered(one))
    return replace(roles, rows=ours if ours and table.header else numbers)


def _box_columns(columns: Sequence[str]) -> tuple[str, ...]:
    by_name = {plain(one): one for one in columns}
    for corners in (CORNERS, ("x1", "y1", "x2", "y2")):
        if all(name in by_name for name in corners):
            others = [name for name in ("width", "height", *MARKS) if name in by_name]
            return tuple(by_name[name] for name in (*corners, *others))
    return ()


def _pixel_columns(
    table: Table, columns: Sequence[str], seen: Mapping[str, Seen]
) -> tuple[tuple[str, ...], tuple[int, int, int] | None]:
    """The columns of pixels in their order, and the shape of the image that they make; none, and None."""
    numbered = {one: int(found[1]) for one in columns if (found := re.fullmatch(r"(?:pixel|pix|px)_?(\d{1,9})", one))}
    shape = square(len(numbered))
    if shape and len(numbered) > 3:
        return tuple(sorted(numbered, key=lambda one: numbered[one])), shape
    # Row and column of each pixel, as in 1x1, 1x2: the table of MNIST that has a header.
    grid = {one: (int(f[1]), int(f[2])) for one in columns if (f := re.fullmatch(r"(\d{1,5})x(\d{1,5})", one))}
    if grid:
        height, width = (len({place[axis] for place in grid.values()}) for axis in (0, 1))
        if height * width == len(grid) == len(set(grid.values())):
            return tuple(sorted(grid, key=lambda one: grid[one])), (height, width, 1)
    return ((), None) if table.header else _pixels_beside_label(columns, seen)


def _pixels_beside_label(
    columns: Sequence[str], seen: Mapping[str, Seen]
) -> tuple[tuple[str, ...], tuple[int, int, int] | None]:
    """The columns of the MNIST table that has no header: a label, then the pixels; or the label at the end."""
    shape = square(len(columns) - 1)
    if shape and len(columns) > 256:
        ends = [one for one in (columns[0], columns[-1]) if 1 < len(seen[one].distinct) <= FEW]
        pixels = tuple(one for one in columns if one not in ends)
        if len(ends) == 1 and all(seen[one].low >= 0 and seen[one].high <= 255 for one in pixels):
            return pixels, shape
    return (), None
