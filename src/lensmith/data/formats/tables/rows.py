"""The lines of a table → records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.formats.tables.addresses import is_url
from lensmith.data.formats.tables.boxed import Boxed, read_box, read_size
from lensmith.data.formats.tables.cells import Cell, is_empty, is_list_of_numbers, listed_in, number_of, row_of, text_of
from lensmith.data.formats.tables.columns import Roles
from lensmith.data.formats.tables.images import to_pixels
from lensmith.data.formats.tables.labels import OBJECTS, Task
from lensmith.data.formats.tables.names import FACT, PART_WORDS
from lensmith.data.formats.tables.table import Row, Table
from lensmith.data.formats.walking import in_order
from lensmith.records import Boxes, Labels, Problem, Record, Target

_AT_URL = "the image is at a URL; name a folder to fetch into: download=FOLDER (--read download=FOLDER)"
_NO_FACTS: Mapping[str, str] = {}  # one for all records that have none


class Building:
    """Records while they are made: classes are numbered as they come, and in the order of their names at the end."""

    def __init__(self, roles: Roles, fetched: Mapping[str, Path | Problem]) -> None:
        self.items: list[Record] = []
        self.problems: list[Problem] = []
        self._roles, self._fetched = roles, fetched
        self._targets: list[dict[str, Target]] = []  # those of the items, which can still be changed
        self._classes: dict[str, dict[str, int]] = {task.name: {} for task in roles.tasks if task.kind != "number"}

    def add(self, table: Table) -> None:
        """Make records of the lines of a table that has all columns that are needed."""
        places = {column: place for place, column in enumerate(table.columns)}
        boxed: dict[str, Boxed] = {}
        for line in table.lines():
            if isinstance(line, Problem):
                self.problems.append(line)
                continue
            try:
                if self._roles.box:
                    self._add_box(Row(table, places, line), boxed)
                else:
                    self._add_row(Row(table, places, line))
            except check.DataError as error:
                self.problems.append(Problem(line.source, str(error)))
        for one in boxed.values():
            self._append(one.row, {OBJECTS: one.boxes()}, image=one.image, size=one.size)

    def labels(self) -> dict[str, Labels]:
        """The meaning of the targets; to be called once, for it turns those of classes into places in sorted names."""
        labels = {}
        for task in self._roles.tasks:
            if task.kind == "number":
                labels[task.name] = Labels("number", task.names)
                continue
            names = in_order(self._classes[task.name])
            labels[task.name] = Labels(task.kind, tuple(names))
            places = {name: place for place, name in enumerate(names)}
            order = np.array([places[name] for name in self._classes[task.name]], int)
            for targets in self._targets:
                targets[task.name] = _renumbered(targets[task.name], order)
        return labels

    def _add_row(self, row: Row) -> None:
        roles = self._roles
        image: Path | np.ndarray | None = None
        numbers = None
        if roles.rows:
            numbers = row_of(row.all_of(roles.rows), roles.rows)
        elif roles.pixels:
            cells = zip(row.all_of(roles.pixels), roles.pixels, strict=True)
            image = to_pixels([text_of(cell, column) for cell, column in cells], roles.shape)
        else:
            image = self._image(row)
        targets = {task.name: self._target(task, row.all_of(task.columns)) for task in roles.tasks}
        self._append(row, targets, image=image, numbers=numbers)

    def _add_box(self, row: Row, boxed: dict[str, Boxed]) -> None:
        """Put a box to those of its image. A line with a mistake leaves no image behind that has no other line."""
        cell = row.cell(str(self._roles.image))
        key = cell if isinstance(cell, str) else row.line.source
        one = boxed.get(key) or Boxed(row, self._image(row), read_size(row, self._roles.box))
        box = read_box(row, self._roles.box)
        if box is not None:
            (task,) = self._roles.tasks
            name = text_of(row.cell(task.columns[0]), task.columns[0]) if task.columns else "object"
            one.found.append(box)
            one.classes.append(self._class(task, name))
        boxed[key] = one

    def _append(
        self,
        row: Row,
        targets: dict[str, Target],
        *,
        image: Path | np.ndarray | None = None,
        numbers: np.ndarray | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        roles = self._roles
        group = str(row.cell(roles.group)) if roles.group else None
        part = row.cell(roles.part) if roles.part and roles.part in row.places else ""
        known = PART_WORDS.get(part.strip().lower()) if isinstance(part, str) else None
        facts = _facts(row, roles.facts)
        record = Record(
            row.line.source, image, numbers, targets, group or None, known or row.table.part, size, facts or _NO_FACTS
        )
        self.items.append(record)
        self._targets.append(targets)

    def _image(self, row: Row) -> Path | np.ndarray:
        cell = row.cell(str(self._roles.image))
        if isinstance(cell, tuple) or is_empty(cell):
            raise check.DataError(f"no image in the column {self._roles.image!r}")
        if isinstance(cell, np.ndarray):
            return to_pixels(cell)
        if is_list_of_numbers(cell):
            return to_pixels(listed_in(cell))
        if not is_url(cell):
            return row.table.images.find(cell)
        found = self._fetched.get(cell.strip())
        if isinstance(found, Path):
            return found
        raise check.DataError(_AT_URL if found is None else f"{found.source}: {found.reason}")

    def _target(self, task: Task, cells: Sequence[Cell]) -> Target:
        if task.kind == "number":
            return tuple(number_of(cell, column) for cell, column in zip(cells, task.columns, strict=True))
        (cell,), (column,) = cells, task.columns
        if task.kind == "class":
            return self._class(task, text_of(cell, column))
        parts = cell if isinstance(cell, tuple) else text_of(cell, column).split("|")
        return tuple(self._class(task, name) for name in dict.fromkeys(parts) if name.strip())

    def _class(self, task: Task, name: str) -> int:
        """The number of a class, in the order in which they come."""
        found = self._classes[task.name]
        return found.setdefault(name, len(found))


def _facts(row: Row, columns: Iterable[str]) -> dict[str, str]:
    cells = ((one, row.cell(one)) for one in columns if one in row.places)
    return {one.removesuffix(FACT): cell for one, cell in cells if isinstance(cell, str) and cell.strip()}


def _renumbered(target: Target, order: np.ndarray) -> Target:
    if isinstance(target, Boxes):
        return replace(target, classes=order[target.classes])
    if isinstance(target, tuple):
        return tuple(sorted(int(order[int(index)]) for index in target))
    return int(order[target])  # type: ignore[index]
