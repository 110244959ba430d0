"""Whether a folder holds Pascal VOC, seen by opening a few files."""

from __future__ import annotations

import re
from pathlib import Path

from lensmith.data.formats.annotation_places import files_named, likely_folders
from lensmith.data.formats.annotations import count
from lensmith.data.formats.walking import shown


def recognise(path: Path) -> str | None:
    """What is seen: the number of XML files and where, if the first of them hold an ``<annotation>``."""
    if not path.is_dir():
        return None
    for folder in likely_folders(path):
        names = files_named(folder, ".xml", all_of_them=False)
        if any(_is_annotation(folder / name) for name in names[:3]):
            folders = {place: len(files_named(place, ".xml")) for place in likely_folders(path)}
            total = sum(folders.values())
            where = [f"{place.relative_to(path)}/" for place, number in folders.items() if number and place != path]
            return f"{count(total, 'XML file')} in {shown(', '.join(where)) if where else 'the folder'}"
    return None


def _is_annotation(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return re.search(rb"<annotation[\s>]", opened.read(4096)) is not None
    except OSError:
        return False
