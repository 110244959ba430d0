"""Small text files: read whole, in UTF-8, and lists of class names in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lensmith import check
from lensmith.data.formats.walking import closed, shown

_LARGEST = 8 * 2**20  # bytes of a config or of a list of names
MOST_CLASSES = 10_000  # more are a mistake, and each takes memory


def read_text(file: Path, largest: int | None = _LARGEST) -> str:
    """The text of a file.

    Raises:
        DataError: it cannot be opened, is larger than so many bytes, or is not UTF-8; names the file, or the line.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(-1 if largest is None else largest + 1)
    except OSError as error:
        raise check.DataError(f"{shown(file)}: {closed(error)}") from error
    if largest is not None and len(content) > largest:
        raise check.DataError(check.sentence(shown(file), f"at most {largest:,} bytes", "more"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        place, remedy = f"{shown(file)}:{line}", "Save it as UTF-8"
        raise check.DataError(check.sentence(place, "text in UTF-8", "other bytes", remedy)) from error


def read_names(file: Path, *, gaps: bool = True) -> tuple[str, ...]:
    """Class names, one a line; of TensorFlow's ``.pbtxt`` the name of each item.

    Args:
        file: of names; spaces around them do not count.
        gaps: whether empty lines are passed over; else they may only stand at the end, for a line is a number.

    Raises:
        DataError: the file cannot be read, names nothing, or a name stands twice; names the file and the line.
    """
    text = read_text(file)
    if file.suffix == ".pbtxt":  # item { id: 1 name: 'cat' }
        items = re.findall(r"item\s*\{([^}]*)\}", text)
        lines = [match[2] for one in items if (match := re.search(r"\bname\s*:\s*(['\"])(.*?)\1", one))]
    else:
        lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines and not gaps:
        place = f"{shown(file)}:{lines.index('') + 1}"
        raise check.DataError(check.sentence(place, "the name of a class", "an empty line"))
    names = tuple(line for line in lines if line)
    if not 0 < len(names) <= MOST_CLASSES:
        raise check.DataError(check.sentence(shown(file), f"1 to {MOST_CLASSES} class names, one a line", len(names)))
    check_once(names, str(file))
    return names


def check_once(names: Iterable[str], place: str) -> None:
    """Refuse names of which one stands twice.

    Raises:
        DataError: one does; names the place.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise check.DataError(f"{shown(place)}: the name {name!r} stands twice; rename one of the two")
        seen.add(name)
