"""A contact sheet: many examples on one picture, with what is known about them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lensmith import check, files
from lensmith.data.augmentation.applying import augmented
from lensmith.data.augmentation.following import fit, read_masks
from lensmith.data.augmentation.record import Augment
from lensmith.data.images import decode
from lensmith.data.overlay import Colour, colour_of, is_painted, painted
from lensmith.data.reading import problem
from lensmith.data.resampling import resize
from lensmith.records import Boxes, Labels, Record, Records, Target

_PAPER, _MATTE, _BROKEN = (250, 250, 251), (236, 237, 240), (214, 216, 221)
_INK, _PALE = (34, 38, 46), (122, 128, 140)
_MARGIN, _GAP, _TITLE = 20, 14, 46  # pixels: round the sheet, between cells, above all
_LINE, _LINES = 15, 2  # pixels of a line below a cell, and how many there may be
_CAPTIONS = ("class", "classes", "number", "boxes", "mask", "points")  # points have many names, and come last
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_SQUARE, _SPACE = 13, 9  # pixels: a square of colour with its gap, and between two pieces of a line
_Words = tuple[tuple[str, Colour | None], ...]  # pieces of a line, each with the colour of the square before it


@dataclass(frozen=True, slots=True)
class _Cell:
    """What one place of the sheet shows: a picture, or the reason why there is none."""

    picture: np.ndarray | None
    caption: _Words = ()
    reason: str = ""


def sheet(
    records: Records,
    *,
    columns: int = 6,
    cell: int = 160,
    count: int = 24,
    seed: int = 0,
    augment: Augment | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Draw a sample of images with their labels below, and boxes, outlines, points and masks over them.

    Every class has a colour, in the image and in the line below it. With ``augment``, each row has one image: as it
    is, then changed, by another draw in every column. What makes one image of several (MixUp, CutMix, mosaic) is not
    shown. An image that cannot be read leaves a gray cell with the reason.

    Args:
        records: of images.
        columns: cells in a row.
        cell: side of a cell in pixels.
        count: of cells; images are drawn without repetition, and stand in the order of the records.
        seed: of the sample and of the changes.
        augment: ranges of changes.
        size: height and width to which a model's input is resized; left out, images keep their shape.

    Returns:
        uint8 ``(height, width, 3)``.

    Raises:
        DataError: there is no record, or they are rows of numbers.
        SettingError: a setting is wrong.

    Example:
        >>> from lensmith.data import bundled
        >>> sheet(bundled("digits"), columns=4, cell=64, count=8).shape
        (276, 338, 3)
    """
    for name, value in (("columns", columns), ("cell", cell), ("count", count)):
        check.positive(f"sheet: {name}", value)
    pictures = [place for place, record in enumerate(records) if record.image is not None]
    if not pictures:
        raise check.DataError(check.sentence(records.name, "images to draw", "none"))
    rng = np.random.default_rng(seed)
    wanted = count if augment is None else max(count // columns, 1)
    chosen = sorted(rng.permutation(pictures)[:wanted].tolist())
    sample = records.select(chosen)
    cells: list[_Cell] = []
    for place, record in zip(chosen, sample, strict=True):
        draws = [np.random.default_rng([seed, place, column]) for column in range(1, columns)] if augment else []
        cells += _cells_of(record, records.labels, cell, size, augment, draws)
    title = f"{len(sample):,} of {len(records):,} images" + (", each as it is and then changed" if augment else "")
    return _laid_out(cells, columns, cell, records.name, title)


def save_sheet(
    path: Path | str,
    records: Records,
    *,
    columns: int = 6,
    cell: int = 160,
    count: int = 24,
    seed: int = 0,
    augment: Augment | None = None,
    size: tuple[int, int] | None = None,
) -> Path:
    """Draw a sheet as :func:`sheet` does and write it as PNG; a file there is replaced once it is complete.

    Returns:
        The path.

    Raises:
        LensmithError: the disk refuses; or as :func:`sheet`.
    """
    drawn = sheet(records, columns=columns, cell=cell, count=count, seed=seed, augment=augment, size=size)
    picture, target = Image.fromarray(drawn), Path(path)
    files.put_file(target, lambda beside: picture.save(beside, format="PNG"))
    return target


def _cells_of(
    record: Record,
    labels: Mapping[str, Labels],
    side: int,
    size: tuple[int, int] | None,
    augment: Augment | None,
    draws: Sequence[np.random.Generator],
) -> Iterator[_Cell]:
    """The image as it is, then a changed one for each draw."""
    name = Path(record.source).name
    known = {task: record.targets[task] for task in labels if task in record.targets}
    try:
        pixels = decode(record.image, 3, place=record.source)  # type: ignore[arg-type]
        before = (pixels.shape[0], pixels.shape[1])
        targets = read_masks(known, labels, before)
    except check.DataError as error:
        yield _Cell(None, ((name, None),), problem(record, error).reason)
        yield from (_Cell(None) for _ in draws)
        return
    shape = size or _fitting(before, side, grow=False)
    shown = _fitting(shape, side, grow=True)

    def cell(image: np.ndarray, moved: Mapping[str, Target], caption: _Words) -> _Cell:
        return _Cell(painted(_enlarged(image, shown), fit(moved, labels, shape, shown), labels), caption)

    yield cell(resize(pixels, shape), fit(targets, labels, before, shape), _caption(targets, labels, name))
    for rng in draws:
        changed, moved = augmented(pixels, targets, labels, size=shape, augment=augment or Augment(), rng=rng)
        yield cell(changed, moved, ())


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


def _caption(targets: Mapping[str, Target], labels: Mapping[str, Labels], name: str) -> _Words:
    """What the line below an image says: its classes and numbers, or without any the name of the file."""
    words: list[tuple[str, Colour | None]] = []
    for task in sorted(targets, key=lambda task: _CAPTIONS.index(labels[task].kind)):
        target, kind, names = targets[task], labels[task].kind, labels[task].names
        if kind == "number":
            pairs = zip(names, target, strict=True)  # type: ignore[arg-type]
            words.append((", ".join(f"{word} {value:g}" for word, value in pairs), None))
            continue
        for index, count in _classes(target, kind, names).items():
            word = names[index] if index < len(names) else f"class {index}"
            words.append((f"{word} x{count}" if count > 1 else word, colour_of(index)))
    return tuple(words) or ((name, None),)


def _classes(target: Target, kind: str, names: Sequence[str]) -> dict[int, int]:
    """The classes that an image shows, and of boxes how many; points count as classes, as each has a name."""
    if isinstance(target, Boxes):
        return dict(sorted(Counter(target.classes.tolist()).items()))
    if kind == "mask":
        return {int(index): 1 for index in np.unique(target) if is_painted(int(index), names)}  # type: ignore[arg-type]
    if kind == "points":
        return dict.fromkeys(range(len(names)), 1)
    return dict.fromkeys(target if isinstance(target, tuple) else (target,), 1)  # type: ignore[arg-type]


def _laid_out(cells: Sequence[_Cell], columns: int, side: int, name: str, title: str) -> np.ndarray:
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    captions = [_wrapped(cell.caption, side) for cell in cells]
    step = side + 9 + _LINE * max(map(len, captions))
    width = 2 * _MARGIN + columns * side + (columns - 1) * _GAP
    page = Image.new("RGB", (width, 2 * _MARGIN + _TITLE + rows * step + (rows - 1) * _GAP), _PAPER)
    pen = ImageDraw.Draw(page)
    for text, y, size, ink in ((name, -6, 17, _INK), (title, 16, 12, _PALE)):
        pen.text((_MARGIN, _MARGIN + y), _cut(text, width - 2 * _MARGIN, _font(size)), fill=ink, font=_font(size))
    for place, (cell, lines) in enumerate(zip(cells, captions, strict=True)):
        left = _MARGIN + place % columns * (side + _GAP)
        top = _MARGIN + _TITLE + place // columns * (step + _GAP)
        _place(page, pen, cell, (left, top), side)
        for row, line in enumerate(lines):
            _line(pen, line, (left, top + side + 5 + row * _LINE))
    return np.asarray(page)


def _place(page: Image.Image, pen: ImageDraw.ImageDraw, cell: _Cell, corner: tuple[int, int], side: int) -> None:
    left, top = corner
    back = _BROKEN if cell.picture is None else _MATTE
    pen.rectangle((left, top, left + side - 1, top + side - 1), fill=back)
    if cell.picture is None:
        _paragraph(pen, cell.reason, corner, side)
    else:
        height, width = cell.picture.shape[:2]
        page.paste(Image.fromarray(cell.picture), (left + (side - width) // 2, top + (side - height) // 2))


def _font(size: int) -> _Font:
    return ImageFont.load_default(size)


def _wrapped(words: _Words, width: int) -> list[_Words]:
    """The pieces in lines, few enough; of what is left out, three dots remain."""
    font, lines, x = _font(12), [[]], 0.0  # type: ignore[var-annotated]
    for text, colour in words:
        room = width - (0 if colour is None else _SQUARE)
        length = width - room + font.getlength(text)
        if lines[-1] and x + length > width:
            if len(lines) == _LINES:
                last, square = lines[-1][-1]
                fits = x + font.getlength("…") <= width
                lines[-1][-1:] = [(last, square), ("…", None)] if fits else [(f"{last.rstrip('…')}…", square)]
                break
            lines.append([])
            x = 0.0
        lines[-1].append((_cut(text, room, font), colour))
        x += length + _SPACE
    return [tuple(line) for line in lines]


def _line(pen: ImageDraw.ImageDraw, words: _Words, corner: tuple[int, int]) -> None:
    """Pieces of text side by side, each after a square of its colour."""
    (x, y), font = corner, _font(12)
    for text, colour in words:
        if colour is not None:
            pen.rectangle((x, y + 3, x + 8, y + 11), fill=colour)
            x += _SQUARE
        pen.text((x, y), text, fill=_INK, font=font)
        x += round(font.getlength(text)) + _SPACE


def _cut(text: str, width: float, font: _Font) -> str:
    text = " ".join(_plain(text).split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…" if font.getlength("…") <= width else ""


def _plain(text: str) -> str:
    """Text without accents, which the font that Pillow brings along cannot draw; nor can it draw other scripts."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")


def _paragraph(pen: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], side: int) -> None:
    """A reason, broken into lines that fit into a cell."""
    font, lines, room = _font(11), [""], side - 16
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= room or not lines[-1] else [*lines, word]
    most = max((side - 16) // 15, 1)
    shown = [_cut(line, room, font) for line in lines[:most]]
    for place, line in enumerate(shown):
        y = corner[1] + (side - 15 * len(shown)) // 2 + 15 * place
        pen.text((corner[0] + side / 2, y), line, fill=_INK, font=font, anchor="ma")
