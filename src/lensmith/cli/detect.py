"""``lensmith detect``: what is where in images and videos."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lensmith import check
from lensmith.cli import FAILED, show

if TYPE_CHECKING:
    from rich.console import Console

    from lensmith.detect.results import Answer, CocoIds
    from lensmith.detect.tiles import Tiles
    from lensmith.runs.detecting import Looked

NAME = "detect"
_LISTED = 20  # detections of a picture that are shown to a person


def command(
    model: Annotated[
        Path, typer.Argument(help="A Darknet network (FILE.cfg), a run, a saved model or a shipped artifact.")
    ],
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Images, videos, folders (with all that is below), or bundled:china."),
    ],
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Of a Darknet network: FILE.weights.")] = None,
    names: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of its classes, one a line.", show_default="their numbers"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="A new or empty one for pictures.", show_default="detections"
        ),
    ] = None,
    score: Annotated[
        float | None, typer.Option(help="The least, 0 to 1.", show_default="the model's own, as a rule 0.25")
    ] = None,
    iou: Annotated[
        float | None,
        typer.Option(
            help="Of two boxes that overlap more, the better is kept; 0 to 1.", show_default="the model's own, 0.45"
        ),
    ] = None,
    most: Annotated[
        int | None, typer.Option(help="How many are kept of a picture.", show_default="the model's own, 100")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,NAME", help="Tell of these only; may be repeated.", show_default="all"),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Of a model with several detectors.")] = None,
    tiles: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Cut bigger pictures into tiles of this side, for small objects."),
    ] = None,
    overlap: Annotated[
        float | None, typer.Option(help="What neighbouring tiles share, 0.05 to 0.9.", show_default="0.2")
    ] = None,
    only_tiles: Annotated[
        bool, typer.Option("--only-tiles", help="Do not look at the whole picture as well, for large objects.")
    ] = False,
    coco: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write COCO results there. image_id: of --annotations, else the number that ends the file's name if"
            " all have one of their own, else the position from 1. category_id: of --annotations, else COCO's own"
            " (1 to 90) if the names are its 80, else the place of the class from 1.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option("--annotations", "--images", metavar="FILE", help="With --coco: the annotations, for their ids."),
    ] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Write no pictures.")] = False,
    as_json: show.Json = False,
) -> None:
    """Find the objects in each IMAGE by MODEL: boxes with names and scores."""
    for option, value in (("--score", score), ("--iou", iou)):
        if value is not None:
            check.between(option, value, 0.0, 1.0)
    if most is not None:
        check.positive("--most", most)
    cutting, chosen = _tiles(tiles, overlap, only_tiles), _classes(classes)
    _check_files(coco, annotations, out, no_pictures)

    from lensmith.detect.results import image_ids, read_coco_ids
    from lensmith.detect.sources import sources
    from lensmith.runs.detecting import Looked, look, open_finder

    found, refused = sources(images)
    if not found:
        _tell(Looked([], refused, []), coco=None, as_json=as_json)
    known = None if annotations is None else read_coco_ids(annotations)
    if known is not None:  # before the work, not after it
        image_ids([str(source.path) for source in found], known)

    with show.several() as begin:  # what the rooms below warn of is shown too
        finder = open_finder(
            model, weights, names, score=score, iou=iou, most=most, task=task, classes=chosen, tiles=cutting
        )
        folder = None if no_pictures else _folder(out)
        looked = look(finder, found, folder, begin)
    looked.refused[:0] = refused
    console = show.console(as_json)
    _say(looked.answers, console)
    if looked.written:
        console.print(f"Pictures  {folder}")
    elif folder is not None:
        with contextlib.suppress(OSError):
            folder.rmdir()
    if coco is not None:
        _write_coco(coco, looked.answers, finder.names, known, console)
    _tell(looked, coco, as_json)


# --- what is asked for ---------------------------------------------------------------------------------------------


def _tiles(size: int | None, overlap: float | None, only: bool) -> Tiles | None:
    from lensmith.detect.tiles import Tiles

    if size is None:
        if overlap is not None or only:
            option = "--only-tiles" if only else "--overlap"
            raise check.SettingError(check.sentence(option, "--tiles PIXELS beside it", "none"))
        return None
    return Tiles(size, 0.2 if overlap is None else overlap, whole=not only)


def _check_files(coco: Path | None, annotations: Path | None, out: Path | None, no_pictures: bool) -> None:
    """Refuse what cannot be written, before the work."""
    if annotations is not None and coco is None:
        raise check.SettingError(check.sentence("--annotations", "--coco FILE beside it", "none"))
    if coco is not None and coco.is_dir():
        raise check.SettingError(check.sentence("--coco", "the name of a file", f"{coco}, which is a folder"))
    if coco is not None and annotations is not None and coco.resolve() == annotations.resolve():
        raise check.SettingError(check.sentence("--coco", "another file than the annotations", str(coco)))
    if coco is not None:
        _check_can_be_made(coco)
    if out is not None and no_pictures:
        raise check.SettingError(check.sentence("--out", "pictures to put there", "--no-pictures"))
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        got = "one that holds something" if out.is_dir() else "a file"
        raise check.SettingError(check.sentence(f"--out {out}", "a new or empty folder", got, "Name another folder"))


def _check_can_be_made(path: Path) -> None:
    """Refuse a file that could not be written; nothing is left behind."""
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.LensmithError(f"could not write {path}: {reason} ({nearest})") from error


def _classes(given: list[str] | None) -> list[str] | None:
    if not given:
        return None
    names = [name.strip() for some in given for name in some.split(",") if name.strip()]
    if not names:
        raise check.SettingError(check.sentence("--classes", "names of classes", repr(given[-1])))
    return names


def _folder(out: Path | None) -> Path:
    """The folder for pictures, made: what cannot be written is to be known before the work."""
    from lensmith import runs

    folder = out or runs.fresh("detections", Path())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.LensmithError(f"could not make the folder {folder}: {reason}; say --no-pictures") from error
    return folder


# --- what is told --------------------------------------------------------------------------------------------------


def _say(answers: list[Answer], console: Console) -> None:
    for file, of_file in groupby(answers, key=lambda answer: answer.file):
        some = list(of_file)
        if some[0].frame is not None:
            for line in _of_video(some):
                console.print(line)
            continue
        for answer in some:
            height, width = answer.found.size
            console.print(f"{file}  {width}×{height} pixels, {len(answer.found)} found", style="bold")
            for line in _rows(answer):
                console.print(line)


def _rows(answer: Answer) -> Iterator[str]:
    found = answer.found
    broadest = max((len(label) for label in found.labels), default=0)
    for label, score, box in list(zip(found.labels, found.scores.tolist(), found.boxes.tolist(), strict=True))[
        :_LISTED
    ]:
        yield f"  {label:<{broadest}}  {score:.3f}  " + " ".join(f"{round(side):5d}" for side in box)
    if len(found) > _LISTED:
        yield f"  and {len(found) - _LISTED} more"


def _of_video(answers: list[Answer]) -> Iterator[str]:
    height, width = answers[0].found.size
    counts = Counter(label for answer in answers for label in answer.found.labels)
    yield f"{answers[0].file}  {width}×{height} pixels, {len(answers)} frames, {counts.total()} found"
    for label, count in counts.most_common(_LISTED):
        frames = sum(label in answer.found.labels for answer in answers)
        yield f"  {label}: {count} in {frames} frames"


def _tell(looked: Looked, coco: Path | None, as_json: bool) -> None:
    """The document, and what was refused: then the exit status says so."""
    if as_json:
        show.document(_document(looked, coco))
    for line in looked.refused:
        print(f"lensmith: {line}", file=sys.stderr)
    if looked.refused:
        raise typer.Exit(FAILED)


def _write_coco(
    path: Path, answers: list[Answer], names: tuple[str, ...], known: CocoIds | None, console: Console
) -> None:
    from lensmith.detect.results import category_ids, coco_results, image_ids
    from lensmith.files import put_file

    images, images_from = image_ids([answer.file for answer in answers], known)
    categories, categories_from = category_ids(names, known)
    text = json.dumps(coco_results(answers, images, categories))
    put_file(path, lambda beside: beside.write_text(text + "\n", encoding="utf-8"))
    console.print(f"COCO      {path}  image_id: {images_from}; category_id: {categories_from}")


def _document(looked: Looked, coco: Path | None) -> dict[str, Any]:
    return {
        "images": [answer.to_dict() for answer in looked.answers],
        "pictures": [str(path) for path in looked.written],
        "coco": None if coco is None else str(coco),
        "refused": looked.refused,
    }
