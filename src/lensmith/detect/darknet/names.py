"""The names of a network's classes: a ``.names`` file, one a line, or a ``.data`` file that says where it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lensmith import check
from lensmith.data.formats.paths import inner_path
from lensmith.data.formats.text import read_text


def read_names(path: Path, classes: int | None = None) -> tuple[str, ...]:
    """Class names by their number.

    A name that stands twice, as the crane that is a bird and the crane that lifts do in ImageNet's list, gets its
    number behind it the second time: a label says which class is meant.

    Args:
        path: a text file with one name a line, where empty lines may only stand at the end; or a ``.data`` file with
            a line ``names = FILE``, whose path begins in the folder of the ``.data`` file and stays in it.
        classes: how many there have to be; None for any number.

    Raises:
        DataError: the file cannot be read, has an empty line between names, or another number of names; the ``.data``
            file names none, or one outside its folder.
    """
    path = Path(path)
    if path.suffix.lower() == ".data":
        path = _named_by(path)
    lines = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if "" in lines and any(lines):
        place = f"{path}:{lines.index('') + 1}"
        raise check.DataError(check.sentence(place, "the name of a class", "an empty line"))
    names = [line for line in lines if line]
    if not names or (classes is not None and len(names) != classes):
        expected = (
            "class names, one a line"
            if classes is None
            else f"{classes:,} name{'s' * (classes != 1)}, as the network has classes"
        )
        raise check.DataError(check.sentence(str(path), expected, f"{len(names):,}"))
    return _told_apart(names)


def plain_names(classes: int) -> tuple[str, ...]:
    """What classes are called where nobody named them: their numbers.

    >>> plain_names(3)
    ('0', '1', '2')
    """
    return tuple(str(number) for number in range(classes))


def _named_by(path: Path) -> Path:
    """The file that a ``.data`` file names."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        key, equals, value = line.partition("=")
        if not equals or key.strip() != "names":
            continue
        try:
            named = path.parent / inner_path(value.strip())
        except check.DataError as error:
            raise check.DataError(f"{path}:{number}: {error}") from None
        if not value.strip() or not named.is_file():
            remedy = "Name the file of names itself"
            expected = "names = a file beside it"
            raise check.DataError(check.sentence(f"{path}:{number}", expected, f"{value.strip()!r}", remedy))
        return named
    raise check.DataError(check.sentence(str(path), "a line names = FILE", "none", "Name the file of names itself"))


def _told_apart(names: list[str]) -> tuple[str, ...]:
    """The same names, a later one of two that are equal with its number."""
    known = Counter(names)
    seen: set[str] = set()
    apart = []
    for number, name in enumerate(names):
        fresh = name
        while fresh in seen or (fresh != name and fresh in known):
            fresh = f"{fresh} ({number})"
        seen.add(fresh)
        apart.append(fresh)
    return tuple(apart)
