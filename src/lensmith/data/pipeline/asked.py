"""What was asked for of batches, checked against the examples: tasks, rows of objects, sizes and changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lensmith import check
from lensmith.data.augmentation import mixing, mosaic
from lensmith.data.augmentation.record import Augment
from lensmith.data.preprocess import Preprocessing
from lensmith.data.targets import check_has, most_boxes
from lensmith.records import Labels, Records


def sizes(sizes: Sequence[tuple[int, int]], labels: Mapping[str, Labels]) -> tuple[tuple[int, int], ...]:
    """The sizes to draw from, checked."""
    made = tuple((check.positive("sizes", height), check.positive("sizes", width)) for height, width in sizes)
    masks = [task for task, one in labels.items() if one.kind == "mask"]
    if made and masks:
        raise check.SettingError(check.sentence("sizes", "tasks whose targets have no size", f"the mask {masks[0]!r}"))
    return made


def labels(records: Records, tasks: Sequence[str] | None) -> dict[str, Labels]:
    """The tasks to deliver, each of which every example has a mask for, where it is one of masks."""
    wanted = tuple(records.labels) if tasks is None else (tasks,) if isinstance(tasks, str) else tuple(tasks)
    if not wanted:
        raise check.DataError(f"{records.name}: the records have no targets")
    found = {task: records.labels[check.one_of("task", task, records.labels)] for task in wanted}
    for task, one in found.items():
        for record in records if one.kind == "mask" else ():
            check_has(record, task)
    return found


def rows(
    records: Records, labels: Mapping[str, Labels], several: Sequence[str], augment: Augment | None
) -> dict[str, int]:
    """How many rows the targets of each detector have; a mosaic may hold the objects of four images."""
    for task in several:
        check.one_of("several", task, [name for name, one in labels.items() if one.kind == "boxes"])
    images = 4 if augment is not None and augment.mosaic else 1
    return {task: images * most_boxes(records, task) for task in several}


def check_augment(
    augment: Augment, preprocessing: Preprocessing, labels: Mapping[str, Labels], several: Sequence[str]
) -> None:
    """Refuse changes that these examples cannot have."""
    if preprocessing.image is None:
        raise check.SettingError(check.sentence("augment", "images", "rows of numbers", "Leave it out"))
    single = [task for task, one in labels.items() if one.kind == "boxes" and task not in several]
    if augment.mosaic:
        mosaic.check_kinds(labels)
        if single:
            expected, got = "targets that hold several boxes", "batches of one box an image"
            raise check.SettingError(check.sentence("augment.mosaic", expected, got, "Set augment.mosaic to 0"))
    if augment.mixes:
        mixing.check_kinds(labels)
