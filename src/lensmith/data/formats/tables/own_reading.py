"""The JSON form of our own, which holds everything that records do.

It is ``records.json``, with the image files in ``images/`` and masks as PNG files beside it::

    {"lensmith": 1,
     "labels": {"species": {"kind": "class", "names": ["cat", "dog"]}},
     "examples": [
      {"image": "images/1.png", "targets": {"species": "dog"}, "group": "litter 3", "part": "train",
       "size": [480, 640], "facts": {"camera": "old"}}]}

Instead of ``image`` there may be ``row``, a list of numbers. All but one of these two may be left out. A target is:

========  ==================================================================================================
class     the name
classes   a list of names
number    a list of numbers, one a name
points    a list of ``[x, y]`` in pixels, one a name; ``null`` for a number that is not known
boxes     ``{"xyxy": [[x1, y1, x2, y2], …], "classes": [name, …]}``, and where they are known ``polygons`` (for each
          box a list of rings of ``[x, y]``), ``crowd``, ``difficult``, ``truncated`` (for each box true or false)
mask      the path of a PNG whose values are places in the names
========  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.data.formats.tables.images import ImageFolders
from lensmith.data.formats.tables.json_text import object_in
from lensmith.data.formats.tables.own_targets import array_in, path_in, target_in
from lensmith.data.formats.walking import shown
from lensmith.records import PARTS, Labels, Problem, Record, Records

FILE = "records.json"


def read_own(
    content: Mapping[str, Any], file: Path, images: ImageFolders, name: str, tasks: Sequence[str] | None = None
) -> Records:
    """Read the form of our own.

    Args:
        content: of the file, an object with the key ``lensmith``.
        file: that it stands in.
        images: where relative paths may start from.
        name: of the records.
        tasks: those that are wanted; left out, all.

    Raises:
        DataError: another version, no labels or examples, or none that can be used.
        SettingError: a task that is wanted is not there; names the nearest.
    """
    if content["lensmith"] != 1:
        remedy = "A newer Lensmith may have written it"
        raise check.DataError(check.sentence(f"{shown(file)}: lensmith", "1", repr(content["lensmith"]), remedy))
    given, examples = content.get("labels"), content.get("examples")
    if not isinstance(given, dict) or not isinstance(examples, list):
        raise check.DataError(check.sentence(shown(file), "'labels', an object, and 'examples', a list", "others"))
    labels = {task: _labels(one, f"{shown(file)}: labels of {task!r}") for task, one in given.items()}
    wanted = [check.one_of(f"{shown(file)}: labels", task, labels) for task in (labels if tasks is None else tasks)]
    items, problems = _records(examples, str(file), labels, wanted, images)
    if not items:
        got = f"none; the first, {shown(problems[0].source)}: {problems[0].reason}" if problems else "none"
        raise check.DataError(check.sentence(shown(file), "at least one example that can be used", got))
    chosen = {task: labels[task] for task in wanted}
    return Records(tuple(items), chosen, name, tuple(problems), "JSON written by Lensmith")


def _records(
    examples: Sequence[object], name: str, labels: Mapping[str, Labels], wanted: Collection[str], images: ImageFolders
) -> tuple[list[Record], list[Problem]]:
    items, problems = [], []
    for index, example in enumerate(examples):
        source = f"{name}[{index}]"
        try:
            items.append(_record(object_in(example, "the example"), source, labels, wanted, images))
        except check.LensmithError as error:
            problems.append(Problem(source, str(error).removeprefix(f"{source}: ")))
    return items, problems


def _labels(given: object, place: str) -> Labels:
    values = object_in(given, place)
    names = values.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise check.DataError(check.sentence(place, "names, a list of texts", repr(names)[:80]))
    try:
        return Labels.from_dict({"kind": values.get("kind"), "names": names})
    except check.LensmithError as error:
        raise check.DataError(f"{place}: {error}") from error


def _record(
    example: Mapping[str, Any], source: str, labels: Mapping[str, Labels], wanted: Collection[str], images: ImageFolders
) -> Record:
    targets = {}
    for task, value in object_in(example.get("targets", {}), "targets").items():
        if check.one_of("task", task, labels) in wanted:
            targets[task] = target_in(value, f"target of {task!r}", labels[task], images)
    facts = object_in(example.get("facts", {}), "facts")
    row, image, group, part, size = (example.get(key) for key in ("row", "image", "group", "part", "size"))
    if part is not None:
        check.one_of("part", part, PARTS)
    texts = [*facts.values(), *([group] if group is not None else [])]
    if not all(isinstance(text, str) for text in texts):
        raise check.DataError(check.sentence("group and facts", "texts", repr(texts)[:80]))
    return Record(
        source,
        image=None if image is None else path_in(image, "image", images),
        row=None if row is None else array_in(row, "row", 1),
        targets=targets,
        group=group,
        part=part,
        size=None if size is None else _size(size),
        facts=facts,
    )


def _size(size: object) -> tuple[int, int]:
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise check.DataError(check.sentence("size", "[height, width] in pixels", repr(size)[:80]))
    return size[0], size[1]
