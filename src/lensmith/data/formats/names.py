"""Labels in the names of the files of one folder: ``cat.0.jpg``, ``dog_12.png``, or as a pattern says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.walking import (
    PART_OF,
    check_opens,
    folders,
    holds_image,
    images,
    in_order,
    loose_images,
    part_folders,
    shown,
)
from lensmith.data.formats.writing import part_name, put_image
from lensmith.records import Labels, Problem, Record, Records

TASK = "label"
LAYOUT = "a folder of images with the label in front of a number in most file names, such as cat.0.jpg and dog_12.jpg"
# Words of letters, a separator, and something with a digit in it: golden_retriever_12, cat.0, cat (3)
_WORDS = re.compile(r"(?P<label>[^\W\d_]+(?:[ _-][^\W\d_]+)*)(?:[._-]| ?(?=\(| ))(?P<rest>[^\d]*\d.*)", re.DOTALL)
_NUMBER = re.compile(r"\W*(\d+)\W*")
# What cameras, phones and programs put before the number of a picture says nothing about what it shows.
_CAMERAS = frozenset("dsc dscf dscn frame image img imgp mvi photo pic picture pxl scan screenshot vid wp".split())
_FITTING = 0.9  # of the names, at the least


@dataclass(frozen=True, slots=True)
class Pattern:
    """A form of file names, without the suffix, with named places: ``{label}_{patient}_{row}``.

    A place holds at least one character. Where a name can be split in several ways, the places in front take the
    most: ``golden_retriever_12`` is ``{label}_{number}`` with the label ``golden_retriever``.

    Raises:
        SettingError: a bracket is not closed, a place has no plain name or stands twice, or two stand side by side.

    Example:
        >>> Pattern("{label}_{patient}_{row}").match("benign_P12_3")
        {'label': 'benign', 'patient': 'P12', 'row': '3'}
    """

    text: str

    def __post_init__(self) -> None:
        literals, places = self._pieces()
        plain = all(place.isidentifier() for place in places) and not set("{}") & set("".join(literals))
        if not places or not plain or len(set(places)) < len(places) or not all(literals[1:-1]):
            expected = "different names in brackets with something between them, such as {label}_{number}"
            raise check.SettingError(check.sentence("pattern", expected, repr(self.text)))

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(self._pieces()[1])

    def match(self, stem: str) -> dict[str, str] | None:
        """What each place holds in a file name without its suffix; None where the name has another form."""
        literals, places = self._pieces()
        start, end = len(literals[0]), len(stem) - len(literals[-1])
        if end <= start or not stem.startswith(literals[0]) or not stem.endswith(literals[-1]):
            return None
        found = {}
        # From the right, each literal as far right as can be: linear, where a regular expression may not be.
        for literal, place in zip(literals[-2:0:-1], places[:0:-1], strict=True):
            at = stem.rfind(literal, start + 1, end - 1)
            if at < 0:
                return None
            found[place], end = stem[at + len(literal) : end], at
        found[places[0]] = stem[start:end]
        return {place: found[place] for place in places}

    def _pieces(self) -> tuple[list[str], list[str]]:
        pieces = re.split(r"\{([^{}]*)\}", self.text)
        return pieces[::2], pieces[1::2]


def read_names(
    folder: Path | str,
    *,
    pattern: str | None = None,
    labels: Sequence[str] | None = None,
    group: str | None = None,
) -> Records:
    """Read a folder of images whose file names hold their labels, or ``train/``, ``test/`` … folders of such images.

    Args:
        folder: as the user wrote it; every record's source begins with it. With a pattern, folders below it
            are read, too.
        pattern: see :class:`Pattern`. Every place becomes one of the record's facts, and the place ``label`` a
            class. Left out, the label is what stands before the separator and the number: ``cat.0``, ``dog_12``.
        labels: further places that become classes; without a pattern, what to call the one task.
        group: the place that gives the group of an example.

    Returns:
        The records by part and name. A file whose name does not fit is set aside, and without a pattern so is one
        whose label no other file has.

    Raises:
        DataError: there is no such folder, or too few of the names fit.
        SettingError: the pattern is wrong, or has no place of a name that is asked for.
    """
    root = Path(folder)
    check_opens(root, LAYOUT)
    problems: list[Problem] = []
    if pattern is None:
        files = _flat(root, problems)
        found = _split([file.stem for file, _ in files])
        if found is None:
            raise check.DataError(check.sentence(shown(root), LAYOUT, _seen(files)))
        wanted = _checked_places("label", (TASK, "number"), [group] if group else [])
        tasks = {one: TASK for one in (labels or (TASK,))[:1]}
    else:
        form = Pattern(pattern)
        named = (TASK,) if TASK in form.places else ()
        wanted = _checked_places(pattern, form.places, [*(labels or ()), *([group] if group else [])])
        tasks = {one: one for one in dict.fromkeys((*named, *(labels or ())))}
        files = _nested(root, problems)
        found = [form.match(file.stem) for file, _ in files]
    del wanted
    return _records(root, files, found, tasks, group=group, problems=problems)
