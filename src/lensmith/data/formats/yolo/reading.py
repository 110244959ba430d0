"""YOLO txt: a text file beside each image, one line an object; with Ultralytics', Darknet's or no config at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.masks.reading import read_masks
from lensmith.data.formats.pairs.gathering import Pair
from lensmith.data.formats.pairs.layout import Source, find_configs, locate
from lensmith.data.formats.pairs.tasks import Example, Task, combine, each, named, unlabelled
from lensmith.data.formats.paths import without_steps_up
from lensmith.data.formats.text import read_text
from lensmith.data.formats.walking import check_opens
from lensmith.data.formats.yolo.lines import parse
from lensmith.data.formats.yolo.looking import recognise
from lensmith.data.formats.yolo.writing import write_yolo
from lensmith.data.images import extent
from lensmith.records import Boxes, Labels, Problem, Records

TASK = "objects"
LAYOUT = "images, and for each a .txt of its name beside it or in a folder labels"
HOLDS = frozenset({"polygons"})  # what a label file says of a box besides its place and class


def read_yolo(path: Path | str, hints: Hints | None = None) -> Records:
    """Read YOLO label files: boxes, outlines, or both in one file.

    Understood are Ultralytics' YAML (``names``, ``path``, ``train``, ``val``, ``test``: folders, lists of folders,
    or text files that list images), Roboflow's form of it, Darknet's ``.data`` with its lists, and folders alone:
    ``images/`` with ``labels/``, either inside or around part folders, or text files beside the images. The names
    come from ``hints.names``, the config, ``classes.txt``, or a ``.names`` file; else the numbers are the names.
    Class numbers with gaps become indices without, in the same order.

    An image without a label file shows none of the objects, as YOLO has it, unless nothing in its part has one (it
    is unlabelled), or the config says ``skip_if_label_file_missing``. What sticks out of the image is kept for the
    audit; a line that is wrong sets its image aside. Where a folder has several configs in folders of their own,
    each is a task, of the name of its folder, masks included, or of those that ``hints.labels`` names; a record lacks
    the tasks for which its image has no label. Of an image that stands in two parts the first counts: train,
    validation, test.

    Args:
        path: a folder, a YAML, or a ``.data`` file. What these point to must lie in the folder that was named, or
            in the folder above a config's own.
        hints: ``names``, ``labels`` for the names of the tasks, and, where there is no config, ``images`` count.

    Returns:
        Records of the task ``objects``, of kind ``boxes``, or of a task for each config.

    Raises:
        DataError: there are no such images and labels, a config is wrong, or nothing usable is left.
        SettingError: a hint does not fit.
    """
    hints = hints or Hints()
    root = without_steps_up(Path(path))
    if not root.is_file():
        check_opens(root, LAYOUT)
    configs = find_configs(root)
    if configs and all(config.kind == "mask" for config in configs):
        raise check.DataError(check.sentence(str(root), LAYOUT, f"masks, by {configs[0].file}"))
    wanted = [one for one in configs if len(configs) == 1 or _wanted(Path(one.file).parent.name, hints)]
    sources = [locate(root, config.kind, hints, config) for config in wanted or configs]
    sources = sources or [locate(root, "boxes", hints, None)]
    tasks = named([_read(source, str(root)) for source in sources], hints, TASK)
    says = "; ".join(f"{name}: {task.says}" if len(tasks) > 1 else task.says for name, task in tasks.items())
    return combine(tasks, str(root), f"YOLO: {says}")


def _wanted(name: str, hints: Hints) -> bool:
    return hints.labels is None or name in hints.labels


def _read(source: Source, place: str) -> Task:
    return read_masks(source, place) if source.kind == "mask" else _read_boxes(source, place)


def _read_boxes(source: Source, place: str) -> Task:
    ids = {number: index for index, number in enumerate(source.names)} if source.names else None
    pairs, lacking = unlabelled(source.pairs, place, LAYOUT)
    missing = dict.fromkeys(pair.image for pair in pairs if pair.label is None and source.skip)
    lacking += [Problem(image, "no label file, and the config says to skip such an image") for image in missing]

    def work(pair: Pair) -> Example:
        size = extent(pair.image)
        text = read_text(Path(pair.label)) if pair.label else ""
        return Example(pair, parse(text, ids, size, str(pair.label)), size)

    examples, problems = each([pair for pair in pairs if pair.image not in missing], work)
    if problems and ids:
        _refuse_counted_from_one(pairs, ids, place)
    problems += _without_labels([pair for pair in pairs if pair.image not in missing])
    names = tuple(source.names.values()) if source.names else _numbers(examples)
    try:
        labels = Labels("boxes", names)
    except check.DataError as error:
        raise check.DataError(f"{place}: {error}") from error
    files = sum(pair.label is not None for pair in source.pairs)
    says = f"{len(source.pairs)} images, {files} label files, {len(names)} classes"
    return Task(source.name, labels, examples, (*problems, *source.problems), tuple(lacking), says)


def _refuse_counted_from_one(pairs: Sequence[Pair], ids: Mapping[int, int], place: str) -> None:
    """Refuse labels whose classes are all one too high: half of them would pass, each under a wrong name."""
    used = set[str]()
    for pair in pairs:
        with suppress(check.DataError):  # told with the others that cannot be read
            used |= {
                line.split()[0]
                for line in (read_text(Path(pair.label)) if pair.label else "").splitlines()
                if line.strip()
            }
    numbers = {int(word) for word in used if word.isdecimal() and len(word) < 9}
    if min(ids) == 0 and numbers and (min(numbers), max(numbers)) == (1, max(ids) + 1):
        remedy = "They seem to count from 1: subtract 1 from each, or put a name before the others"
        expected, got = f"classes 0 to {max(ids)}, as {len(ids)} are named", f"1 to {max(numbers)}"
        raise check.DataError(check.sentence(place, expected, got, remedy))


def _without_labels(pairs: Sequence[Pair]) -> list[Problem]:
    """How many images have no label file, and where one was looked for: nothing, if each has one."""
    folders = {str(Path(pair.image).parent): Path(pair.label).parent for pair in pairs if pair.label}
    lacking = [pair.image for pair in pairs if pair.label is None]
    if not lacking:
        return []
    first = Path(lacking[0])
    looked = folders.get(str(first.parent)) or next(iter(folders.values()))
    said = "image has" if len(lacking) == 1 else "images have"
    reason = (
        f"there is no such file; {len(lacking):,} of {len(pairs):,} {said} no label file, and count as without objects"
    )
    return [Problem(str(looked / f"{first.stem}.txt"), reason)]


def _numbers(examples: dict[str, Example]) -> tuple[str, ...]:
    """The names of classes that nothing names: their numbers."""
    boxes = [one.target for one in examples.values() if isinstance(one.target, Boxes)]
    return tuple(str(index) for index in range(max((int(one.classes.max(initial=0)) for one in boxes), default=0) + 1))


YOLO = Format(
    name="yolo",
    title="YOLO",
    says="a text file of boxes or outlines for each image",
    recognise=recognise,
    read=read_yolo,
    write=write_yolo,
    heeds=frozenset(("images", "labels", "names")),
    holds=HOLDS,
)
