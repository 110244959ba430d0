"""Masks as PNG: beside each image a picture of class indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lensmith import check
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.masks.colours import Colours, find_colours
from lensmith.data.formats.pairs.gathering import Pair
from lensmith.data.formats.pairs.layout import Source, configs_of, find_configs, locate, matches
from lensmith.data.formats.pairs.tasks import Example, Task, combine, each, named
from lensmith.data.formats.paths import without_steps_up
from lensmith.data.formats.walking import check_opens, shown
from lensmith.data.formats.writing import image_extent, made, one_task, put_image, target_of, unique_names
from lensmith.data.images import extent
from lensmith.data.masks import BINARY, VOID, check_size, load_mask, look
from lensmith.records import Labels, Problem, Records

TASK = "mask"
LAYOUT = "images, and for each a PNG of its name in a folder masks, or beside it with _mask in its name"
_SEEN = 50  # masks opened to learn the classes, where no file names them


def read_mask_folders(path: Path | str, hints: Hints | None = None) -> Records:
    """Read images and masks of class indices.

    Understood are ``images/`` with ``masks/`` (or ``labels``, ``annotations``, ``SegmentationClass``), inside or
    around part folders; masks beside the images; and a YAML with ``classes`` and ``train: {images: …, masks: …}``.
    A mask has the stem of its image, or that and ``_mask`` or ``_L``. The names come from ``hints.names``, the
    config, or ``classes.txt``, one a line from pixel value 0; else up to 50 masks are opened, and the classes are
    called ``class 0`` and so on up to the largest value; or ``background`` and ``foreground`` where these hold 0
    and 255 alone. What the values mean, :func:`lensmith.data.masks.load_mask` says; the targets are paths, which
    it reads. Only headers are opened here, to compare the size with the image's; but masks of colours are read as a
    whole, and held in memory, where ``labelmap.txt``, ``label_colors.txt`` or ``class_dict.csv`` says what these
    mean (see :func:`lensmith.data.formats.masks.colours.find_colours`), and are refused where nothing does.

    Args:
        path: a folder, or the YAML.
        hints: ``names``, ``labels`` for the name of the task, and, where there is no config, ``images`` count.

    Returns:
        Records of the task ``mask``, or of a task for each config, of the name of its folder.

    Raises:
        DataError: there are no such images and masks, or nothing usable is left.
        SettingError: a hint does not fit.
    """
    hints = hints or Hints()
    root = without_steps_up(Path(path))
    if not root.is_file():
        check_opens(root, LAYOUT)
    configs = [config for config in find_configs(root) if config.kind == "mask"]
    sources = [locate(root, "mask", hints, config) for config in configs] or [locate(root, "mask", hints, None)]
    tasks = named([read_masks(source, str(root)) for source in sources], hints, TASK)
    return combine(tasks, str(root), f"masks: {'; '.join(task.says for task in tasks.values())}")


def read_masks(source: Source, place: str) -> Task:
    """Read one task. An image without a mask is set aside, for unlike boxes a mask says of each pixel what it is.

    Raises:
        DataError: no image has a mask, or the names are wrong; names the place.
    """
    pairs = [pair for pair in source.pairs if pair.label]
    if not pairs:
        got = f"{len(source.pairs)} images and no mask" if source.pairs else "no image"
        raise check.DataError(check.sentence(place, LAYOUT, got))
    bare = [Problem(pair.image, "no mask of its name") for pair in source.pairs if not pair.label]
    colours = find_colours([source.folder, *{Path(pair.label or "").parent: None for pair in pairs}])
    examples, problems = each(pairs, lambda pair: _example(pair, colours))
    if colours and any(isinstance(one.target, np.ndarray) for one in examples.values()):
        names = colours.names
    elif source.names:
        names = _gapless(source.names)
    else:
        names = _seen([pair for pair in pairs if pair.image in examples])
    try:
        labels = Labels("mask", names)
    except check.DataError as error:
        raise check.DataError(f"{place}: {error}") from error
    says = f"{len(source.pairs)} images, {len(pairs)} masks, {len(names)} classes"
    return Task(source.name, labels, examples, (*problems, *source.problems), tuple(bare), says)


def _example(pair: Pair, colours: Colours | None) -> Example:
    file = Path(pair.label or "")
    size = extent(pair.image)
    facts = look(file)
    check_size((facts.height, facts.width), size, str(file))
    if not facts.indices:
        if colours:
            return Example(pair, colours.convert(file), size)
        load_mask(file, str(file))  # gray stored as colour will do; a header cannot tell it from real colours
    return Example(pair, file, size)


def _gapless(known: Mapping[int, str]) -> tuple[str, ...]:
    """Names by pixel value; a value without one is called by its number."""
    if max(known) >= VOID:
        expected = f"pixel values below {VOID}, which means that nothing is known"
        raise check.DataError(check.sentence("classes", expected, f"{max(known)}"))
    return tuple(known.get(value, f"class {value}") for value in range(max(known) + 1))


def _seen(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Names for the values in some of the masks, evenly chosen."""
    values: set[int] = set()
    chosen = {round(place) for place in np.linspace(0, len(pairs) - 1, min(_SEEN, len(pairs)))}
    for place in sorted(chosen):
        file = Path(pairs[place].label or "")
        try:
            values |= set(np.unique(load_mask(file, str(file), classes=VOID)).tolist())
        except check.DataError:
            continue  # a damaged one is for the audit to find
    if VOID in values and values <= {0, VOID}:
        return BINARY
    return tuple(f"class {value}" for value in range(max(values - {VOID}, default=0) + 1))


def recognise(path: Path) -> str | None:
    """What is seen of masks at a path; None where it is another format. A config is opened, but no image."""
    path = without_steps_up(path)
    configs = configs_of(path)
    if configs is None or not path.exists():
        return None
    if configs:
        masks = all(config.kind == "mask" for config in configs)
        return f"the config {Path(configs[0].file).name}, which names masks" if masks else None
    pair = next(matches(path, "mask"), None) if path.is_dir() else None
    return f"masks, such as {Path(pair.label or '').relative_to(path)}" if pair else None


def write_masks(records: Records, folder: Path) -> None:
    """Write ``images/<part>/``, ``masks/<part>/`` with single-channel PNG, and ``classes.txt``.

    Args:
        records: with one task of masks; other tasks are not written.
        folder: an empty one.

    Raises:
        DataError: there is no task of masks, or several, a name does not fit on a line, or a record cannot be
            written; names it.
    """
    task = one_task(records, "mask", "masks")
    names = records.labels[task].names
    for name in names:
        if [name] != name.strip().splitlines() or not name.isprintable():
            raise check.DataError(check.sentence(f"{records.name}: {task}", "class names of one line", repr(name)))
    for record, name in zip(records, unique_names(records.items), strict=True):
        target, place = target_of(record, task), f"{shown(record.source)}: {task}"
        if not isinstance(target, (Path, np.ndarray)):
            raise check.DataError(check.sentence(place, "a mask", type(target).__name__))
        mask = load_mask(target, place, size=image_extent(record), classes=len(names))
        _check_values(set(np.unique(mask).tolist()), len(names), place)
        put_image(record, made(folder, "images", record) / name)
        Image.fromarray(mask).save(made(folder, "masks", record) / f"{name}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _check_values(values: set[int], classes: int, place: str) -> None:
    if max(values - {VOID}, default=0) >= classes:
        expected = f"class indices from 0 to {classes - 1}, or {VOID}"
        raise check.DataError(check.sentence(place, expected, f"{max(values - {VOID})}"))
    if classes == len(BINARY) and VOID in values and values <= {0, VOID}:
        expected = "a pixel of the second class beside those of which nothing is known, lest these be taken for it"
        raise check.DataError(check.sentence(place, expected, "none"))


MASKS = Format(
    name="masks",
    title="PNG masks",
    says="a class index for each pixel of an image",
    recognise=recognise,
    read=read_mask_folders,
    write=write_masks,
    heeds=frozenset(("images", "labels", "names")),
)
