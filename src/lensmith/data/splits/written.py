"""A split that is written down, so that an example keeps its part when others come and go."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check, files
from lensmith.records import PARTS, Record, Records

_FORMAT = "lensmith split 1"
_EXPECTED = "a split as write_split writes it"
_FIELDS = ("format", "fractions", "seed", "parts")


@dataclass(frozen=True, slots=True)
class Split:
    """Which example stands in which part.

    Args:
        fractions: of training, validation and test.
        seed: that it was dealt with.
        parts: ``train``, ``validation`` or ``test`` by the key of the example (see :func:`keys`).
    """

    fractions: tuple[float, float, float]
    seed: int
    parts: Mapping[str, str]

    def kept(self, records: Records) -> tuple[str, ...]:
        """The keys of examples that it knows and these records still have, in order."""
        return tuple(sorted(self.parts.keys() & set(keys(records))))

    def gone(self, records: Records) -> tuple[str, ...]:
        """The keys of examples that it knows and these records have no more, in order."""
        return tuple(sorted(self.parts.keys() - set(keys(records))))

    def added(self, records: Records) -> tuple[str, ...]:
        """The keys of examples that it does not know yet, in order."""
        return tuple(sorted(set(keys(records)) - self.parts.keys()))


def keys(records: Records) -> tuple[str, ...]:
    """What each example is called in a split that is written down.

    The path of its file below the records' folder (:attr:`Records.name`; the folder around it where that is a table
    or an annotation file), with ``/`` between, so that the folder may move; of what is in no such file, the source,
    likewise shortened.

    Example:
        >>> items = (Record("cat/1", image=Path("photos/cat/1.jpg")), Record("table.csv:3", row=[1.0]))
        >>> keys(Records(items, {}, name="photos"))
        ('cat/1.jpg', 'table.csv:3')
    """
    place = Path(records.name)
    root = place.parent if place.suffix[1:].isalpha() else place
    start = "" if root == Path() else f"{root}{os.sep}"
    return tuple(_key(record, start) for record in records)


def _key(record: Record, start: str) -> str:
    path = str(record.image) if isinstance(record.image, Path) else record.source
    return path.removeprefix(start).replace(os.sep, "/") if path.startswith(start) else path


def write_split(
    path: Path | str, parts: Sequence[Records], fractions: tuple[float, float, float], *, seed: int = 0
) -> Split:
    """Write down which example stands in which part: JSON, one example a line, in order.

    Args:
        path: of the file; one that is there is replaced as a whole.
        parts: training, validation and test, as :func:`split` gives them.
        fractions: that they were split by.
        seed: likewise.

    Returns:
        What was written.

    Raises:
        DataError: two examples in different parts have the same key.
        LensmithError: the disk is full or refuses.
    """
    by_key: dict[str, str] = {}
    for part, records in zip(PARTS, parts, strict=True):
        for key in keys(records):
            if by_key.setdefault(key, part) != part:
                expected = "each example in one part"
                remedy = "Give each example a source of its own"
                raise check.DataError(check.sentence(key, expected, f"{by_key[key]} and {part}", remedy))
    split = Split(fractions, seed, by_key)
    document = {
        "format": _FORMAT,
        "fractions": dict(zip(PARTS, fractions, strict=True)),
        "seed": seed,
        "parts": {part: sorted(key for key, its in by_key.items() if its == part) for part in PARTS},
    }
    # Names that are no UTF-8 come through as the bytes they are.
    content = f"{json.dumps(document, indent=1, ensure_ascii=False)}\n".encode("utf-8", "surrogateescape")
    files.put_file(Path(path), lambda beside: beside.write_bytes(content))
    return split


def read_split(path: Path | str) -> Split:
    """Read a split that was written down.

    Raises:
        DataError: the file is missing or is not what :func:`write_split` writes; says what is wrong.
    """
    document = _document(Path(path))
    _check_fields(f"{path}", document, _FIELDS)
    if document["format"] != _FORMAT:
        raise check.DataError(check.sentence(f"{path}: format", repr(_FORMAT), repr(document["format"])))
    fractions = document["fractions"]
    _check_fields(f"{path}: fractions", fractions, PARTS)
    for part in PARTS:
        _need(f"{path}: fractions: {part}", fractions[part], (int, float), "a number from 0 to 1")
        if not 0 <= fractions[part] <= 1:
            raise check.DataError(check.sentence(f"{path}: fractions: {part}", "a number from 0 to 1", fractions[part]))
    seed = _need(f"{path}: seed", document["seed"], (int,), "a whole number")
    _check_fields(f"{path}: parts", document["parts"], PARTS)
    return Split(tuple(float(fractions[part]) for part in PARTS), seed, _by_key(str(path), document["parts"]))  # type: ignore[arg-type]


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.DataError(check.sentence(str(path), _EXPECTED, f"a file that cannot be read: {reason}")) from error
    except (ValueError, RecursionError) as error:
        raise check.DataError(check.sentence(str(path), _EXPECTED, f"no JSON: {error}")) from error


def _by_key(place: str, lists: Mapping[str, Any]) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for part in PARTS:
        _need(f"{place}: {part}", lists[part], (list,), "a list of names")
        for key in lists[part]:
            _need(f"{place}: {part}", key, (str,), "a list of names")
            if key in by_key:
                expected, got = "each example once", f"{key!r} in {by_key[key]} and again in {part}"
                raise check.DataError(check.sentence(place, expected, got))
            by_key[key] = part
    return by_key


def _need(place: str, value: Any, types: tuple[type, ...], expected: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, types):
        raise check.DataError(check.sentence(place, expected, repr(value)[:80]))
    return value


def _check_fields(place: str, value: Any, names: Sequence[str]) -> None:
    if not isinstance(value, dict) or set(value) != set(names):
        got = f"the fields {', '.join(map(str, value)) or 'none'}" if isinstance(value, dict) else type(value).__name__
        raise check.DataError(check.sentence(place, f"the fields {', '.join(names)}", got[:200]))
