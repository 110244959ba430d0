"""A contact sheet: many examples on one picture, with what is known about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lensmith import check, files
from lensmith.data.augmentation.following import fit, read_masks
from lensmith.data.augmentation.preview import preview
from lensmith.data.augmentation.record import Augment
from lensmith.data.images import decode
from lensmith.data.overlay import Colour, colour_of, is_painted, painted, palettes
from lensmith.data.page import Cell, Words, laid_out
from lensmith.data.reading import problem
from lensmith.data.resampling import resize
from lensmith.records import Boxes, Labels, Record, Records, Target

_CAPTIONS = ("class", "classes", "number", "boxes", "mask", "points")  # points have many names, and come last
_COUNT, _ROWS = 24, 4  # examples shown: as they are, and with changes, where each takes a row
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_QUALITY = 92  # of JPEG


def sheet(
    records: Records,
    *,
    columns: int = 6,
    cell: int = 160,
    count: int | None = None,
    seed: int = 0,
    augment: Augment | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Draw a sample of images with their labels below, and boxes, outlines, points and masks over them.

    Every class has a colour, in the image and in the line below it. With ``augment``, each row has one image: as it
    is, then changed, by another draw in every column, whatever the record's ``share``. A mosaic, and what
    MixUp and CutMix mix, is made of images of the other rows too; where it is mixed, the line below says how much of
    what. An image that cannot be read leaves a gray cell with the reason.

    Args:
        records: of images.
        columns: cells in a row.
        cell: side of a cell in pixels.
        count: of examples, which are drawn without repetition, and stand in the order of the records; left out, 24,
            or 4 with ``augment``, where each has a row.
        seed: of the sample and of the changes.
        augment: ranges of changes.
        size: height and width to which a model's input is resized; left out, images keep their shape, but for
            those that are mixed, which become squares.

    Returns:
        uint8 ``(height, width, 3)``.

    Raises:
        DataError: there is no record, or they are rows of numbers.
        SettingError: a setting is wrong, or the ranges mix images of which a task has boxes, masks or points.

    Example:
        >>> from lensmith.data import bundled
        >>> sheet(bundled("digits"), columns=4, cell=64, count=8).shape
        (276, 338, 3)
    """
    wanted = (_COUNT if augment is None else _ROWS) if count is None else count
    for name, value in (("columns", columns), ("cell", cell), ("count", wanted)):
        check.positive(f"sheet: {name}", value)
    pictures = [place for place, record in enumerate(records) if record.image is not None]
    if not pictures:
        raise check.DataError(check.sentence(records.name, "images to draw", "none"))
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(pictures)[:wanted].tolist())
    sample = records.select(chosen)
    if augment is None:
        cells = [_as_it_is(_loaded(record, records.labels), records.labels, cell, size) for record in sample]
    else:
        loaded = [_loaded(record, records.labels) for record in sample]  # few: one a row
        if augment.mixes and size is None:
            size = cell, cell
        cells = [_as_it_is(one, records.labels, cell, size) for one in loaded]
        draws = [[np.random.default_rng([seed, place, column]) for place in chosen] for column in range(1, columns)]
        later = [_changed(loaded, records.labels, cell, size, augment, one) for one in draws]
        cells = [one for row in zip(cells, *later, strict=True) for one in row]
    title = f"{len(sample):,} of {len(records):,} images" + (", each as it is and then changed" if augment else "")
    return laid_out(cells, columns, cell, records.name, title)


def save_sheet(
    path: Path | str,
    records: Records,
    *,
    columns: int = 6,
    cell: int = 160,
    count: int | None = None,
    seed: int = 0,
    augment: Augment | None = None,
    size: tuple[int, int] | None = None,
) -> Path:
    """Draw a sheet as :func:`sheet` does and write it; a file there is replaced once it is complete.

    Returns:
        The path.

    Raises:
        SettingError: the path ends neither in ``.png`` nor in ``.jpg`` or ``.jpeg``; or as :func:`sheet`.
        LensmithError: the disk refuses; or as :func:`sheet`.
    """
    kind = _SUFFIXES.get(Path(path).suffix.lower())
    if kind is None:
        raise check.SettingError(
            check.sentence("sheet: path", "a file that ends in .png, .jpg or .jpeg", repr(str(path)))
        )
    drawn = sheet(records, columns=columns, cell=cell, count=count, seed=seed, augment=augment, size=size)
    picture, target = Image.fromarray(drawn), Path(path)
    files.put_file(target, lambda beside: picture.save(beside, format=kind, quality=_QUALITY))  # PNG has none
    return target


def strip(records: Records, title: str, *, groups: Sequence[int] = (), columns: int = 6, cell: int = 116) -> np.ndarray:
    """Draw records in their order, each with its name and its labels below; for a page that says what they are.

    Args:
        records: of images, at least one.
        title: the line above them.
        groups: a number for each record; those that follow one another with the same number have one line over them.
        columns: cells in a row.
        cell: side of a cell in pixels.

    Returns:
        uint8 ``(height, width, 3)``.

    Example:
        >>> from lensmith.data import bundled
        >>> strip(bundled("digits").select([3, 5]), "2 of 9", columns=2, cell=64).shape
        (169, 182, 3)
    """
    names = short_names([record.source for record in records])
    cells = []
    for name, record in zip(names, records, strict=True):
        loaded = _loaded(record, records.labels)
        made = _as_it_is(loaded, records.labels, cell, None)
        cells.append(replace(made, caption=_caption(loaded.targets, records.labels), name=name))
    return laid_out(cells, columns, cell, "", title, groups)


def short_names(sources: Sequence[str]) -> list[str]:
    """Names of files without the folders that all of them share.

    Example:
        >>> short_names(["a/cat/1.png", "a/dog/1.png"]), short_names(["a/1.png"])
        (['cat/1.png', 'dog/1.png'], ['1.png'])
    """
    parts = [source.replace("\\", "/").split("/") for source in sources]
    shared = 0
    while all(len(one) > shared + 1 and one[shared] == parts[0][shared] for one in parts):
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An example as it was read, or the reason why it cannot be."""

    name: str
    pixels: np.ndarray | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    reason: str = ""


def _loaded(record: Record, labels: Mapping[str, Labels]) -> _Loaded:
    name = Path(record.source).name
    known = {task: record.targets[task] for task in labels if task in record.targets}
    try:
        pixels = decode(record.image, 3, place=record.source)  # type: ignore[arg-type]
        return _Loaded(name, pixels, read_masks(known, labels, (pixels.shape[0], pixels.shape[1])))
    except check.DataError as error:
        return _Loaded(name, reason=problem(record, error).reason)


def _as_it_is(one: _Loaded, labels: Mapping[str, Labels], side: int, size: tuple[int, int] | None) -> Cell:
    if one.pixels is None:
        return Cell(None, ((one.name, None),), one.reason)
    before = (one.pixels.shape[0], one.pixels.shape[1])
    shape = size or _fitting(before, side, grow=False)
    image, targets = resize(one.pixels, shape), fit(one.targets, labels, before, shape)
    return Cell(_picture(image, targets, labels, side), _caption(one.targets, labels) or ((one.name, None),))


def _changed(
    loaded: Sequence[_Loaded],
    labels: Mapping[str, Labels],
    side: int,
    size: tuple[int, int] | None,
    augment: Augment,
    draws: Sequence[np.random.Generator],
) -> list[Cell]:
    """One column: every image changed by a draw of its own, and mixed with the others if the ranges say so."""
    cells = [Cell(None) for _ in loaded]
    readable = [(place, one.pixels, one.targets) for place, one in enumerate(loaded) if one.pixels is not None]
    if not readable:
        return cells
    places, pixels, targets = zip(*readable, strict=True)
    sizes = [size or _fitting(image.shape[:2], side, grow=False) for image in pixels]
    made = preview(
        list(zip(pixels, targets, strict=True)),
        labels,
        sizes=sizes,
        augment=augment,
        draws=[draws[place] for place in places],
    )
    captions = [_caption(loaded[place].targets, labels) or ((loaded[place].name, None),) for place in places]
    for place, one in zip(places, made, strict=True):
        words = _shares(one.shares, captions) if augment.mixes else ()
        cells[place] = Cell(_picture(one.image, one.targets, labels, side), words)
    return cells


def _picture(image: np.ndarray, targets: Mapping[str, Target], labels: Mapping[str, Labels], side: int) -> np.ndarray:
    """An image that fills its cell, with its targets drawn."""
    before = (image.shape[0], image.shape[1])
    shown = _fitting(before, side, grow=True)
    return painted(_enlarged(image, shown), fit(targets, labels, before, shown), labels)


def _shares(shares: Mapping[int, float], captions: Sequence[Words]) -> Words:
    """The captions of what was mixed, each with its share in percent; those that are alike are one."""
    parts: Counter[tuple[str, Colour | None]] = Counter()
    for place, share in shares.items():
        for word in captions[place]:
            parts[word] += share  # type: ignore[assignment]
    known = [(f"{share:.0%}", text, colour) for (text, colour), share in parts.most_common() if share >= 0.005]
    return tuple((text if share == "100%" else f"{share} {text}", colour) for share, text, colour in known)


def _fitting(size: tuple[int, int], side: int, *, grow: bool) -> tuple[int, int]:
    """The size at which an image of this one fills a cell."""
    factor = side / max(size)
    if not grow:
        factor = min(factor, 1)
    elif factor >= 2:
        factor = int(factor)  # tiny images show their pixels, all alike
    return max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)


def _enlarged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if size[0] >= 2 * image.shape[0]:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST)
    rounded: np.ndarray = np.rint(resize(image, size))
    return rounded.astype(np.uint8)


def _caption(targets: Mapping[str, Target], labels: Mapping[str, Labels]) -> Words:
    """What the line below an image says: its classes and numbers."""
    words: list[tuple[str, Colour | None]] = []
    palette, several = palettes(labels), len({tuple(one.names) for one in labels.values()}) > 1
    for task in sorted(targets, key=lambda task: _CAPTIONS.index(labels[task].kind)):
        target, kind, names = targets[task], labels[task].kind, labels[task].names
        if kind == "number":
            pairs = zip(names, target, strict=True)  # type: ignore[arg-type]
            words.append((", ".join(f"{word} {value:,g}" for word, value in pairs), None))
            continue
        for index, count in _classes(target, kind, names).items():
            word = names[index] if index < len(names) else f"class {index}"
            word = f"{word} x{count}" if count > 1 else word
            words.append((f"{task}: {word}" if several else word, colour_of(palette[task] + index)))
    return tuple(dict.fromkeys(words))  # tasks that say the same say it once


def _classes(target: Target, kind: str, names: Sequence[str]) -> dict[int, int]:
    """The classes that an image shows, and of boxes how many; points count as classes, as each has a name."""
    if isinstance(target, Boxes):
        return dict(sorted(Counter(target.classes.tolist()).items()))
    if kind == "mask":
        return {int(index): 1 for index in np.unique(target) if is_painted(int(index), names)}  # type: ignore[arg-type]
    if kind == "points":
        return dict.fromkeys(range(len(names)), 1)
    return dict.fromkeys(target if isinstance(target, tuple) else (target,), 1)  # type: ignore[arg-type]
