"""Labels of examples as a model knows them: classes are matched by their names, not by their numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lensmith import check
from lensmith.records import Boxes, Labels, Records

# The same things are called so by Pascal VOC and Darknet's coco.names on one side, by COCO itself on the other.
SYNONYMS = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}


MOST_NAMED = 8  # classes in a refusal


def match_labels(records: Records, labels: Mapping[str, Labels], detectors: Collection[str] = ()) -> Records:
    """The same records with class indices that mean what the model's do.

    Args:
        records: the examples.
        labels: what the model's outputs mean, by task.
        detectors: those of its tasks that find objects, whose boxes have classes that matter. A detector that is the
            model's only task is given the boxes of the examples whatever they call them, if it is clear which.

    Raises:
        DataError: names the task or the classes that the model does not know.
    """
    records = _renamed(records, labels, detectors)
    maps = {task: _places(records, task, known, boxed=task in detectors) for task, known in labels.items()}
    items = tuple(
        replace(record, targets={task: _moved(record.targets[task], maps[task]) for task in labels})
        for record in records
    )
    return replace(records, items=items, labels=dict(labels))


def _renamed(records: Records, labels: Mapping[str, Labels], detectors: Collection[str]) -> Records:
    """The examples with their boxes under the name that the model's only task has.

    Of several tasks of boxes it is the only one that has no outlines: these are drawn for another purpose.
    """
    boxed = [task for task, one in records.labels.items() if one.kind == "boxes"]
    if len(boxed) > 1:
        boxed = [task for task in boxed if not _outlined(records, task)]
    if len(labels) != 1 or len(boxed) != 1 or not detectors or set(labels) & set(records.labels):
        return records
    (here,), (there,) = boxed, labels
    items = tuple(replace(one, targets={there: one.targets[here]} if here in one.targets else {}) for one in records)
    return replace(records, items=items, labels={there: records.labels[here]})


def _outlined(records: Records, task: str) -> bool:
    targets = (one.targets.get(task) for one in records)
    return any(isinstance(target, Boxes) and any(target.polygons) for target in targets)


def _places(records: Records, task: str, known: Labels, *, boxed: bool) -> tuple[int, ...] | None:
    """Where each of the data's classes stands among the model's; None where targets have no classes that matter."""
    if task not in records.labels:
        got = ", ".join(records.labels) or "none"
        raise check.DataError(
            check.sentence(records.name, f"labels for the model's task {task!r}", f"labels for {got}")
        )
    here = records.labels[task]
    if here.kind != known.kind:
        raise check.DataError(check.sentence(f"{records.name}: {task}", f"targets of kind {known.kind}", here.kind))
    if known.kind in ("number", "points", "boxes") and not boxed:
        return None
    places = _by_name(here.names, known.names)
    strange = [name for name in here.names if name not in places]
    if strange:
        more = f", … {len(known.names)} in all" if len(known.names) > MOST_NAMED else ""
        expected = f"classes the model knows ({', '.join(known.names[:MOST_NAMED])}{more})"
        hint = check.nearest(strange[0], known.names)
        raise check.DataError(check.sentence(f"{records.name}: {task}", expected, ", ".join(strange), hint))
    return tuple(places[name] for name in here.names)


def _by_name(names: Sequence[str], known: Sequence[str]) -> dict[str, int]:
    """The place of each name among the known ones: the same name, else the only one that differs in spelling alone."""
    alike: dict[str, list[int]] = {}
    for place, name in enumerate(known):
        alike.setdefault(_plain(name), []).append(place)
    same = {name: place for place, name in enumerate(known)}
    plain = {name: alike[_plain(name)][0] for name in names if len(alike.get(_plain(name), ())) == 1}
    return plain | {name: same[name] for name in names if name in same}


def _plain(name: str) -> str:
    """A name without what differs from one list of classes to another."""
    spelt = name.lower().replace("_", " ")
    return SYNONYMS.get(spelt, spelt)


def _moved(target: Any, places: tuple[int, ...] | None) -> Any:
    if places is None:
        return target
    if isinstance(target, Boxes):
        return replace(target, classes=np.asarray(places, np.int64)[target.classes])
    return tuple(places[index] for index in target) if isinstance(target, tuple) else places[target]
