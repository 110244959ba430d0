"""Files that say which colour of a mask means which class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data import images
from lensmith.data.formats.text import read_text
from lensmith.data.masks import VOID

FILES = ("labelmap.txt", "label_colors.txt", "class_dict.csv")
_COLOURS = 2**24


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """Classes by colour.

    Args:
        file: that says so.
        names: of the classes, in the order of the file.
        indices: uint8 of shape ``(2²⁴,)``: the class of each colour, red · 2¹⁶ + green · 2⁸ + blue; 255 for none.
    """

    file: Path
    names: tuple[str, ...]
    indices: np.ndarray

    def convert(self, mask: Path) -> np.ndarray:
        """The class index of each pixel of a colour mask: uint8 of shape ``(height, width)``.

        Raises:
            DataError: the mask cannot be read, or has a colour that the file does not name.
        """
        pixels = images.decode(mask, 3).astype(np.uint32)
        codes = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
        indices: np.ndarray = self.indices[codes]
        if (indices == VOID).any():
            row, column = np.argwhere(indices == VOID)[0]
            got = f"{','.join(map(str, pixels[row, column]))} at x {column}, y {row}"
            raise check.DataError(check.sentence(str(mask), f"a colour that {self.file.name} names", got))
        return indices


def find_colours(folders: Sequence[Path]) -> Colours | None:
    """The colours that a file in one of the folders names; None where there is none.

    Understood are CVAT's ``labelmap.txt`` (``road:128,64,128::``), CamVid's ``label_colors.txt``
    (``128 64 128 road``) and ``class_dict.csv`` (``name,r,g,b``).

    Raises:
        DataError: the file is wrong; names it and the line.
    """
    for file in (folder / name for folder in folders for name in FILES):
        if file.is_file():
            return _read(file)
    return None


def _read(file: Path) -> Colours:
    names: list[str] = []
    indices = np.full(_COLOURS, VOID, np.uint8)
    for number, name, words in _lines(file):
        place = f"{file}:{number}"
        if not name or len(words) != 3 or not all(word.isascii() and word.isdigit() for word in words):
            raise check.DataError(check.sentence(place, "a name and three numbers", f"{name!r} and {words}"))
        if any(len(word) > 3 or int(word) > 255 for word in words):
            raise check.DataError(check.sentence(place, "numbers from 0 to 255", ", ".join(words)))
        code = int(words[0]) << 16 | int(words[1]) << 8 | int(words[2])
        if name in names or indices[code] != VOID:
            raise check.DataError(check.sentence(place, "a name and a colour of its own", f"{name!r} {words} again"))
        if len(names) == VOID:
            raise check.DataError(check.sentence(place, f"at most {VOID} classes", "more"))
        indices[code] = len(names)
        names.append(name)
    if not names:
        raise check.DataError(check.sentence(str(file), "names with their colours", "none"))
    return Colours(file, tuple(names), indices)


def _lines(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, name and the three numbers, as they are written."""
    for number, raw in enumerate(read_text(file).splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if file.name == "labelmap.txt":
            name, colour = [*line.split(":"), ""][:2]
            yield number, name.strip(), [word.strip() for word in colour.split(",")]
        elif file.name == "class_dict.csv":
            cells = [cell.strip().strip('"') for cell in line.split(",")]
            if number > 1 or cells[1:4] != ["r", "g", "b"]:
                yield number, cells[0], cells[1:4]
        else:
            words = line.split()
            yield number, " ".join(words[3:]), words[:3]
