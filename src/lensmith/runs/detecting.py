"""Find objects with any MODEL: a Darknet pair, a run, a saved model or a shipped artifact; in images and videos."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from lensmith import check
from lensmith.data import decode
from lensmith.detect import video
from lensmith.detect.drawing import draw
from lensmith.detect.finding import AT_ONCE, BYTES, Finder, Found, finder
from lensmith.detect.results import Answer
from lensmith.detect.sources import Source
from lensmith.detect.tiles import Tiles
from lensmith.files import put_file
from lensmith.records import Record
from lensmith.runs.opening import open_model

_log = logging.getLogger(__name__)

Tell = Callable[[int, int | None], None]  # how many of how many are done
Begin = Callable[[str], Tell]  # something that takes a while, by its name


def open_finder(
    model: str | Path,
    weights: str | Path | None = None,
    names: str | Path | None = None,
    *,
    score: float | None = None,
    iou: float | None = None,
    most: int | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    tiles: Tiles | None = None,
) -> Finder:
    """The detector at a path, ready to be asked.

    Args:
        model: a Darknet network (``FILE.cfg``), a run, a saved model or an artifact.
        weights: of a Darknet network, ``FILE.weights``.
        names: of its classes, a file with one on each line; left out, they are called by their numbers.
        score, iou, most: of the thresholds; left out, those of the model's recipe.
        task, classes, tiles: see :func:`lensmith.detect.finding.finder`.

    Raises:
        SettingError: nothing is there, weights are missing or names not called for, the model finds no objects,
            or a class is unknown.
        DataError: a file is broken, or they do not belong together.
    """
    made = finder(open_model(model, weights, names), task=task, classes=classes, tiles=tiles)
    own = made.thresholds
    asked = replace(
        own,
        score=own.score if score is None else score,
        iou=own.iou if iou is None else iou,
        most=own.most if most is None else most,
    )
    return replace(made, thresholds=asked)


@dataclass(slots=True)
class Looked:
    """What came of looking at images and videos.

    Args:
        answers: one a picture or frame, in order.
        refused: one line for each that could not be read, or not to its end.
        written: the pictures and videos that were made.
    """

    answers: list[Answer]
    refused: list[str]
    written: list[Path]


def look(finder: Finder, sources: Sequence[Source], out: Path | None, begin: Begin) -> Looked:
    """Find objects in images and videos; one that cannot be read does not keep the others from being answered.

    Args:
        finder: the detector.
        sources: what is looked at.
        out: the folder for pictures; None makes none.
        begin: is told of progress.
    """
    looked = Looked([], [], [])
    frames = begin("Frames") if any(source.video for source in sources) else None
    for some in _in_turn(sources, looked, begin("Finding")):
        if isinstance(some, Source):
            _look_at_video(finder, some, out, looked, frames)
        else:
            _look_at_images(finder, some, out, looked)
    return looked


Read = list[tuple[Source, np.ndarray]]


def _in_turn(sources: Sequence[Source], looked: Looked, tell: Tell) -> Iterator[Source | Read]:
    """Videos one by one, images a few at a time, read."""
    batch: Read = []
    for done, source in enumerate(sources):
        if batch and (source.video or len(batch) == AT_ONCE or sum(pixels.size for _, pixels in batch) > BYTES):
            yield batch
            batch = []
        tell(done, len(sources))
        if source.video:
            yield source
            continue
        try:
            batch.append((source, decode(source.path, 3)))
        except check.DataError as error:
            looked.refused.append(str(error))
    if batch:
        yield batch
    tell(len(sources), len(sources))


def _look_at_images(finder: Finder, batch: Read, out: Path | None, looked: Looked) -> None:
    try:
        all_found = finder([Record(str(source.path), image=pixels) for source, pixels in batch])
    except check.DataError as error:
        if len(batch) == 1:
            looked.refused.append(str(error))
            return
        for one in batch:  # which of them it was is found out one at a time
            _look_at_images(finder, [one], out, looked)
        return
    for (source, pixels), found in zip(batch, all_found, strict=True):
        looked.answers.append(Answer(str(source.path), found))
        if out is not None:
            looked.written.append(_save(out / source.target, draw(pixels, found)))


def _look_at_video(finder: Finder, source: Source, out: Path | None, looked: Looked, tell: Tell | None) -> None:
    """All frames that can be read; a line is left about those that cannot."""
    try:
        with video.reading(source.path) as opened:
            frames = _frames(finder, source, opened, looked, tell)
            if out is None:
                for _ in frames:
                    pass
            else:
                drawn = (draw(frame.pixels, found) for frame, found in frames)
                looked.written.append(video.write(out / source.target, opened.fps, drawn))
            if opened.damage:
                looked.refused.append(opened.damage)
    except check.DataError as error:
        looked.refused.append(str(error))


def _frames(
    finder: Finder, source: Source, opened: video.Video, looked: Looked, tell: Tell | None
) -> Iterator[tuple[video.Frame, Found]]:
    """Each frame, and what is in it."""
    rest = iter(opened)
    while frames := list(islice(rest, AT_ONCE)):
        if tell is not None:
            tell(frames[0].index, opened.count)
        some = finder([Record(f"{source.path}: frame {frame.index}", image=frame.pixels) for frame in frames])
        for frame, found in zip(frames, some, strict=True):
            looked.answers.append(Answer(str(source.path), found, frame.index, frame.seconds))
            yield frame, found


def _save(path: Path, picture: np.ndarray) -> Path:
    jpeg = path.suffix.lower() != ".png"
    options = {"quality": 95, "subsampling": 0} if jpeg else {}
    put_file(path, lambda beside: Image.fromarray(picture).save(beside, format="JPEG" if jpeg else "PNG", **options))
    return path
