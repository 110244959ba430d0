"""Labels in the names of the files of one folder: ``cat.0.jpg``, ``dog_12.png``, or as a pattern says."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lensmith import check
from lensmith.data.formats.folders.patterns import Pattern
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.parts import PART_OF
from lensmith.data.formats.walking import (
    check_opens,
    folders,
    holds_image,
    images_and_parts,
    in_order,
    loose_images,
    part_folders,
    shown,
)
from lensmith.data.formats.writing import check_file_names, class_tasks, part_name, put_image, target_of
from lensmith.records import Labels, Problem, Record, Records

TASK = "label"
LAYOUT = "a folder of images with the label in front of a number in most file names, such as cat.0.jpg and dog_12.jpg"
# Words of letters, a separator, and something with a digit in it: golden_retriever_12, cat.0, cat (3)
_WORDS = re.compile(r"(?P<label>[^\W\d_]+(?:[ _-][^\W\d_]+)*)[._ -]+(?P<rest>\D*\d.*)", re.DOTALL)
_NUMBER = re.compile(r"\W*(\d+)\W*")
# What cameras, phones and programs put before the number of a picture says nothing about what it shows.
_CAMERAS = {"dsc", "dscf", "dscn", "frame", "image", "img", "imgp"}
_CAMERAS |= {"photo", "pic", "picture", "pxl", "scan", "screenshot", "wp"}
_FITTING = 0.9  # of the names, at the least

_File = tuple[Path, str | None]  # an image, and the part its folder says it belongs to
_Places = Mapping[str, str]  # what a file name holds, by the name of the place


def read_names(
    folder: Path | str, *, pattern: str | None = None, labels: Sequence[str] | None = None, group: str | None = None
) -> Records:
    """Read a folder of images whose file names hold their labels, or ``train/``, ``test/`` … folders of such images.

    Args:
        folder: as the user wrote it; every record's source begins with it. With a pattern, folders below it
            are read, too.
        pattern: see :class:`Pattern`. Every place becomes one of the record's facts, and the place ``label`` a
            class. Left out, the label is what stands before the separator and the number: ``cat.0``, ``dog_12``.
        labels: further places that become classes; without a pattern, what to call the one task.
        group: the place that gives the group of an example; without a pattern there is ``number``.

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
        return _by_habit(root, labels, group, problems)
    form = Pattern(pattern)
    tasks = list(dict.fromkeys((*(place for place in form.places if place == TASK), *(labels or ()))))
    for place in (*tasks, *([group] if group else ())):
        check.one_of(f"places of the pattern {pattern!r}", place, form.places)
    files = images_and_parts(root, problems)
    found = [form.match(file.stem) for file, _ in files]
    if not any(found):
        got = shown(files[0][0].name) if files else "no image at all"
        raise check.DataError(check.sentence(shown(root), f"images with names of the form {pattern}", got))
    by_task = {task: task for task in tasks}
    return _records(
        root, files, found, by_task, group=group, why=f"the name has not the form {pattern}", problems=problems
    )


def add_places(records: Records, pattern: str, group: str | None) -> Records:
    """Add what the file names hold to the facts of records, and take the group from there.

    Raises:
        DataError: no name fits.
        SettingError: as :func:`read_names`.
    """
    form = Pattern(pattern)
    if group is not None:
        check.one_of(f"places of the pattern {pattern!r}", group, form.places)
    items, problems = [], list(records.set_aside)
    for record in records:
        places = form.match(record.image.stem) if isinstance(record.image, Path) else None
        if places is None:
            problems.append(Problem(record.source, f"the name has not the form {pattern}"))
        else:
            chosen = record.group if group is None else places[group]
            items.append(replace(record, facts={**record.facts, **places}, group=chosen))
    if not items:
        expected = f"images with names of the form {pattern}"
        raise check.DataError(check.sentence(shown(records.name), expected, shown(records[0].source)))
    return replace(records, items=tuple(items), set_aside=tuple(problems))


def write_names(records: Records, folder: Path) -> None:
    """Write each image as its class, a dot and a number: ``cat.0.jpg``; in part folders where there are parts.

    Raises:
        DataError: there is another task than one class task, or the classes could not be told from the names again.
    """
    (task,) = class_tasks(records, 1, "one class task, for a file name holds one label")
    check_file_names(records, task)
    names = records.labels[task].names
    numbers: Counter[str] = Counter()
    stems = []
    for record in records:
        name = names[target_of(record, task)]
        stems.append(f"{name}.{numbers[name]}")
        numbers[name] += 1
    read_back = split_names(stems) or [None] * len(stems)
    for stem, places, record in zip(stems, read_back, records, strict=True):
        if places is None or stem != f"{places[TASK]}.{places['number']}":
            expected = "classes named in letters, two or more, with 2 images each and 4 on average"
            raise check.DataError(check.sentence(shown(record.source), expected, f"the file name {shown(stem)}"))
    parts = any(record.part for record in records)
    for stem, record in zip(stems, records, strict=True):
        place = folder / part_name(record) if parts else folder
        place.mkdir(exist_ok=True)
        put_image(record, place / stem)


def split_names(stems: Sequence[str]) -> list[dict[str, str] | None] | None:
    """Tell labels and numbers in file names apart, if most of the names are made that way.

    Returns:
        For each name its ``label`` and, if the rest is one, its ``number``; None where the name does not fit.
        None for all where fewer than 90 % fit, there is one label only, or hardly fewer labels than names.

    Example:
        >>> split_names(["cat.0", "cat.1", "dog.0", "dog.1"])[3]
        {'label': 'dog', 'number': '1'}
        >>> split_names(["raccoon-1", "raccoon-2", "raccoon-3"]) is None  # one label tells nothing apart
        True
    """
    found = [_WORDS.fullmatch(unicodedata.normalize("NFC", stem)) for stem in stems]
    counts = Counter(match["label"] for match in found if match)
    known = {label for label, count in counts.items() if count > 1 and label.lower() not in _CAMERAS}
    fitting = sum(counts[label] for label in known)
    if not 2 <= len(known) <= max(2, fitting // 4) or fitting < _FITTING * len(stems):
        return None
    return [_places(match) if match and match["label"] in known else None for match in found]


def _places(match: re.Match[str]) -> dict[str, str]:
    number = _NUMBER.fullmatch(match["rest"])
    return {TASK: match["label"], **({"number": number[1]} if number else {})}


def _by_habit(root: Path, labels: Sequence[str] | None, group: str | None, problems: list[Problem]) -> Records:
    if labels is not None and len(labels) != 1:
        expected = "one name, or a pattern with a place for each"
        raise check.SettingError(check.sentence("labels", expected, ", ".join(labels) or "none"))
    if group is not None:
        check.one_of("group", group, ("number",), "Give a pattern with a place of that name")
    files = _labelled(_flat(root, problems), problems)
    found = split_names([file.stem for file, _ in files])
    if found is None:
        got = f"{len(files)} image(s), such as {shown(files[0][0].name)}" if files else "no image at all"
        raise check.DataError(check.sentence(shown(root), LAYOUT, got))
    by_task, why = {labels[0] if labels else TASK: TASK}, "no label that others have, and a number, in its name"
    return _records(root, files, found, by_task, group=group, why=why, problems=problems)


def _records(
    root: Path,
    files: Sequence[_File],
    found: Sequence[_Places | None],
    by_task: Mapping[str, str],
    *,
    group: str | None,
    why: str,
    problems: list[Problem],
) -> Records:
    """The records of the files whose names hold what they must; ``by_task`` says in which place a task's class is."""
    used = []
    for (file, part), places in zip(files, found, strict=True):
        if places is None or (group is not None and group not in places):
            problems.append(Problem(str(file), why if places is None else f"no {group} in its name"))
        else:
            used.append((file, part, places))
    classes = {task: in_order(places[place] for *_, places in used) for task, place in by_task.items()}
    index = {task: {name: number for number, name in enumerate(names)} for task, names in classes.items()}
    items = tuple(
        Record(
            source=str(file),
            image=file,
            targets={task: index[task][places[place]] for task, place in by_task.items()},
            group=None if group is None else places[group],
            part=part,
            facts=dict(places),
        )
        for file, part, places in used
    )
    labels = {task: Labels("class", tuple(names)) for task, names in classes.items()}
    layout = (
        f"labels in file names: {', '.join(f'{len(names)} of {task}' for task, names in classes.items()) or 'none'}"
    )
    return Records(items, labels, str(root), tuple(problems), layout)


def _flat(root: Path, problems: list[Problem]) -> list[_File]:
    """The images of one folder, or of part folders; nothing that lies deeper."""
    parts = [folder for folder in part_folders(root) if loose_images(folder, [])]
    loose = loose_images(root, problems)
    if not parts:
        return [(file, None) for file in loose]
    problems += [Problem(str(file), "an image outside the part folders") for file in loose]
    return [(file, PART_OF[folder.name.lower()]) for folder in parts for file in loose_images(folder, problems)]


def _labelled(files: Sequence[_File], problems: list[Problem]) -> Sequence[_File]:
    """Without the parts in which no name begins with a word: a test part is often numbered only."""
    worded = {part for file, part in files if _WORDS.fullmatch(unicodedata.normalize("NFC", file.stem))}
    if not worded:
        return files
    reason = "no label in the names of its whole part"
    problems += [Problem(str(file), reason) for file, part in files if part not in worded]
    return [(file, part) for file, part in files if part in worded]


def _recognise(path: Path) -> str | None:
    if not path.is_dir():
        return None
    files = _labelled(_flat(path, []), [])
    labels = split_names([file.stem for file, _ in files])
    if labels is None or any(holds_image(folder) for folder in folders(path) if folder.name.lower() not in PART_OF):
        return None
    names = {places[TASK] for places in labels if places}
    return f"{len(names)} labels in the names of {len(files)} images"


def _read(path: Path, hints: Hints) -> Records:
    return read_names(path, pattern=hints.pattern, labels=hints.labels, group=hints.group)


NAMES = Format(
    name="names",
    title="labels in file names",
    says="cat.0.jpg, dog_12.png",
    recognise=_recognise,
    read=_read,
    write=write_names,
    heeds=frozenset(("labels", "pattern", "group")),
)
