"""Tables of the same columns → records, whatever file they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.tables import download
from lensmith.data.formats.tables.addresses import is_url
from lensmith.data.formats.tables.columns import Roles, choose
from lensmith.data.formats.tables.images import MISSING
from lensmith.data.formats.tables.rows import Building
from lensmith.data.formats.tables.survey import survey
from lensmith.data.formats.tables.table import Line, Table
from lensmith.data.formats.walking import shown
from lensmith.records import Problem, Records


def read_tables(tables: Sequence[Table], hints: Hints, name: str) -> Records:
    """Read tables of the same columns as one.

    The lines are gone through twice: to see what the columns hold, and to make the records. So no more than the
    records is in memory.

    Args:
        tables: at least one; the first says which columns are needed, and another that lacks one is set aside.
        hints: what the user says.
        name: of the records.

    Raises:
        DataError: which columns hold what is not clear, or no line can be used.
        SettingError: a column that the hints name is not there; names the nearest.
    """
    seen, count = survey(tables)
    if not count:
        wrong = [line for table in tables for line in table.lines() if isinstance(line, Problem)]
        raise _nothing_usable(name, wrong, hints)
    roles = choose(tables[0], seen, count, hints)
    fetched = _fetch(tables, roles, hints) if roles.image and seen[roles.image].urls else {}
    build = Building(roles, fetched)
    lacking = []
    for table in tables:
        missing = sorted(roles.needed() - set(table.columns))
        if missing:
            reason = f"the table has no column {missing[0]!r}, as {shown(tables[0].name)} has"
            lacking.append(Problem(table.name, reason))
        else:
            build.add(table)
    problems = (*lacking, *build.problems)
    if not build.items:
        raise _nothing_usable(name, problems, hints)
    return Records(tuple(build.items), build.labels(), name, problems, _layout(roles))


def _nothing_usable(name: str, problems: Sequence[Problem], hints: Hints) -> check.DataError:
    got = f"none; the first, {shown(problems[0].source)}: {problems[0].reason}" if problems else "none"
    lost = hints.images is None and any(problem.reason.startswith(MISSING) for problem in problems)
    remedy = "Say where the images are: --read images=FOLDER" if lost else ""
    return check.DataError(check.sentence(shown(name), "at least one row that can be used", got, remedy))


def _fetch(tables: Sequence[Table], roles: Roles, hints: Hints) -> Mapping[str, Path | Problem]:
    """The files of the images at URLs, or why there is none, by the URL; nothing where the user names no folder."""
    if hints.download is None:
        return {}
    urls: dict[str, None] = {}
    for table in tables:
        if roles.image in table.columns:
            place = table.columns.index(roles.image)
            cells = (line.cells[place] for line in table.lines() if isinstance(line, Line))
            urls.update((cell.strip(), None) for cell in cells if isinstance(cell, str) and is_url(cell))
    found = download.fetch(list(urls), hints.download, hints.hosts)
    return dict(zip(urls, found, strict=True))


def _layout(roles: Roles) -> str:
    if roles.shape:
        what = f"images of {roles.shape[0]}×{roles.shape[1]} pixels, one a row"
    else:
        what = f"images in the column {roles.image!r}" if roles.image else f"rows of {len(roles.rows)} numbers"
    labels = ", ".join(f"{task.name!r} ({task.kind})" for task in roles.tasks)
    return f"table: {what}; labels: {labels or 'none'}"
