"""Which examples may not be parted: one group, one duplicate group, one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.splits.strata import Strata
from lensmith.records import Record, Records


def units(records: Records, group: str | None, together: Sequence[Sequence[int]]) -> np.ndarray:
    """The number of the unit each example belongs to; units are never divided.

    Examples are joined by their group, by the sets in ``together`` and by a common image file, and whatever
    is joined to one of two is joined to the other (union-find).

    Args:
        records: from any reader.
        group: the fact that is the group; left out, :attr:`Record.group`. An example without one stands alone.
        together: sets of places that belong together, such as the duplicates an audit found.

    Returns:
        int64 array of shape ``(n,)``: the place of the unit's first example.

    Raises:
        SettingError: no example has such a fact, or a place is out of range.
    """
    parents = list(range(len(records)))
    for first, second in (*_pairs(_names(records, group)), *_stated(together, len(records))):
        one, other = _root(parents, first), _root(parents, second)
        parents[max(one, other)] = min(one, other)
    return np.array([_root(parents, place) for place in range(len(records))], np.int64)


def check_enough(
    name: str, counted: Strata, joined: np.ndarray, known: np.ndarray, parts: Sequence[str], *, remedy: str
) -> None:
    """Refuse what cannot be dealt out: a class with fewer examples than parts, or fewer units than parts.

    Args:
        name: of the records.
        counted: what the examples count for.
        joined: their units.
        known: which of them have a part already; a class or a whole that has such is never refused.
        parts: their names.
        remedy: against too few examples of a class.

    Raises:
        DataError: says what there is too little of.
    """
    totals: Counter[int] = Counter()
    settled: set[int] = set()
    if counted.kind == "class":
        totals.update(mark for (mark,) in counted.marks)
        settled = {counted.marks[place][0] for place in np.flatnonzero(known)}
    short = {
        repr(counted.names[mark]) if mark < len(counted.names) else "no class": count
        for mark, count in totals.items()
        if count < len(parts) and mark not in settled
    }
    if len(joined) < len(parts) and counted.kind != "class" and not known.any():
        short = {"all": len(joined)}
    if short:
        got = ", ".join(f"{count} of {key}" for key, count in short.items())
        expected = f"at least {len(parts)} examples of each class, one each for {_listed(parts)}"
        raise check.DataError(check.sentence(name, expected, got, remedy))
    there = len(np.unique(joined))
    if there < len(parts) and not known.any():
        expected = f"at least {len(parts)} groups, one each for {_listed(parts)}"
        raise check.DataError(check.sentence(name, expected, f"{there}", "Add groups, or ask for fewer parts"))


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts) if len(parts) < 5 else f"{parts[0]} to {parts[-1]}"


def _names(records: Records, group: str | None) -> Iterator[tuple[int, Hashable]]:
    """Places with the names that join them."""
    if group is not None:
        known = sorted({name for record in records for name in record.facts})
        remedy = "Name a column of a table, or read facts from file names: --read pattern='{label}_{patient}_{number}'"
        if not known:
            got = f"{group!r}, and they have no facts"
            raise check.SettingError(check.sentence("group", "one of the facts of these records", got, remedy))
        check.one_of("group", group, known, remedy)
    for place, record in enumerate(records):
        name = _group(record, group)
        if name is not None:
            yield place, ("group", name)
        if isinstance(record.image, Path):
            yield place, ("file", str(record.image))


def _group(record: Record, group: str | None) -> str | None:
    if group is None:
        return record.group
    return record.facts.get(group) or None  # an empty cell of a table names no group


def _pairs(named: Iterable[tuple[int, Hashable]]) -> Iterator[tuple[int, int]]:
    first: dict[Hashable, int] = {}
    for place, name in named:
        yield first.setdefault(name, place), place


def _stated(together: Sequence[Sequence[int]], count: int) -> Iterator[tuple[int, int]]:
    for places in together:
        for place in places:
            if not isinstance(place, int | np.integer) or isinstance(place, bool) or not 0 <= place < count:
                expected = f"places from 0 to {count - 1}"
                raise check.SettingError(check.sentence("together", expected, repr(place)))
            yield int(places[0]), int(place)


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]  # halve the way, so that chains stay short
        place = parents[place]
    return place
