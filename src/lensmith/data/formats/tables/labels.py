"""Which columns of a table are labels, and of what kind."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lensmith import check
from lensmith.data.formats.tables.names import LABEL_NAMES, is_numbered, plain, typed
from lensmith.data.formats.tables.survey import FEW, Seen
from lensmith.data.formats.tables.table import Table
from lensmith.data.formats.walking import shown
from lensmith.records import Kind

OBJECTS = "objects"  # the task of a table of boxes
_SHOWN = 3  # columns in an example of how to name them


class Task(NamedTuple):
    """A label: its kind, the columns it stands in, and for numbers the name of each."""

    name: str
    kind: Kind
    columns: tuple[str, ...]
    names: tuple[str, ...] = ()


def label_columns(
    table: Table, free: Sequence[str], rows: Sequence[str], seen: Mapping[str, Seen], *, pictures: bool
) -> tuple[str, ...]:
    """The label columns, where the user names none.

    Args:
        table: that they stand in.
        free: the columns that are not known to be something else; those of ``rows`` are among them.
        rows: the columns of numbers.
        seen: what each column holds.
        pictures: whether the table has images.

    Raises:
        DataError: several may be the label; lists them.
    """
    said = tuple(one for one in free if typed(one))
    if said:
        return said
    known = [one for one in free if plain(one) in LABEL_NAMES]
    texts = [one for one in free if not seen[one].mostly(seen[one].numbers) and not seen[one].images]
    if len(known) == 1 or (not known and len(texts) == 1):
        return tuple(known or texts)
    if pictures and not known and len(free) < 2:
        return tuple(free)
    if not pictures and not known and not texts:  # numbers only: the last is taken for the label
        ours = table.header and all(is_numbered(one) for one in rows)
        return () if ours or len(rows) < 2 else (rows[-1],)
    may_be = known or texts or free
    got, remedy = f"several that may be ({listed(may_be)})", _say_which(may_be[:_SHOWN])
    raise check.DataError(check.sentence(shown(table.name), "one column that is the label", got, remedy))


def _say_which(columns: Sequence[str]) -> str:
    """How to name label columns, in the shell and in Python."""
    return f"Say which: --read {shlex.quote('labels=' + ','.join(columns))} (in Python labels={tuple(columns)!r})"


def listed(columns: Sequence[str]) -> str:
    """The names of columns for a message; of many the first."""
    return ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} others" if len(columns) > 12 else "")


def box_task(table: Table, labels: Sequence[str]) -> tuple[Task, ...]:
    """The task of a table of boxes.

    Raises:
        SettingError: more than one label column.
    """
    if len(labels) > 1:
        place = f"{shown(table.name)}: labels"
        raise check.SettingError(check.sentence(place, "one column, the class of each box", listed(labels)))
    return (Task(OBJECTS, "boxes", tuple(labels)),)


def tasks_of(labels: Sequence[str], seen: Mapping[str, Seen], count: int) -> tuple[Task, ...]:
    """The tasks that these label columns make: one each, but the numbers of one task together.

    Raises:
        DataError: two columns are the same label.
    """
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
        few = len(seen.distinct) <= FEW and len(seen.distinct) * 10 <= count
        called = any(word in plain(column) for word in ("label", "class", "digit"))
        return "class" if seen.wholes == seen.filled and (few or called) else "number"
    return "number" if seen.mostly(seen.numbers) and len(seen.distinct) > FEW else "class"
