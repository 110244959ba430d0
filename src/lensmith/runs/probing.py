"""Look inside a model and leave what was seen in a folder: arrays, pictures, a page, and the report of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check, data, probe
from lensmith.backend import keras
from lensmith.probe import Subject, Wanted
from lensmith.probe.looking import without_classes
from lensmith.records import Record, Records
from lensmith.runs.data_spec import DataSpec
from lensmith.runs.folder import write_text
from lensmith.runs.looked import FOLDER
from lensmith.runs.opening import measured_on
from lensmith.runs.report import Content, Look, Said, render_probe
from lensmith.runs.report.content import RESULT_KINDS
from lensmith.runs.run import open_run
from lensmith.ship.predictions import named
from lensmith.ship.proof import Predictor


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen with an image, with a data set, or with neither.

    Args:
        name: of the image, of the data set, or of the model.
        facts: what is said of it all.
        look: the figures, and what the model says of the image.
    """

    name: str
    facts: Mapping[str, Any]
    look: Look


def look_inside(
    subject: Subject,
    folder: Path,
    *,
    images: Sequence[Path] = (),
    source: DataSpec | None = None,
    wanted: Wanted | None = None,
    tell: probe.Tell | None = None,
) -> dict[str, Any]:
    """Look inside a model with images, with a data set, and without either.

    Args:
        subject: the model; see :func:`lensmith.runs.open_subject`.
        folder: below which a folder is written for each image and for the data set, and a page for all of them.
        images: files.
        source: a data set; its unreadable examples are set aside.
        wanted: what to look at; of a head that finds objects, what explains a class is left out, with a note.
        tell: makes a progress bar for what takes long.

    Returns:
        What can be told to a machine: ``model``, ``page`` and ``looks``, each with its predictions, and with every
        array and picture that was written.

    Raises:
        SettingError: there is no such layer, head, class or unit; nothing is left to look at.
        DataError: an image cannot be read.
    """
    wanted = wanted or Wanted()
    note = ""
    if images or wanted.show:
        wanted, note = without_classes(subject, wanted)
    _check_folder(folder)
    if images and subject.preprocessing.image is None:
        got = f"one that takes rows of {subject.preprocessing.columns} numbers"
        raise check.SettingError(check.sentence(subject.name, "a model that takes images", got))
    said = [_said(subject, image) for image in images]  # an image that cannot be read is refused before all else
    records = None if source is None else data.readable(source.records())
    seen = [_of_image(subject, *each, wanted, tell) for each in zip(images, said, strict=True)]
    seen.append(_of_model(subject, wanted, tell))
    if records is not None:
        seen.append(_of_data(subject, records, images[0] if images else None, wanted, tell))
    seen = [one for one in seen if one.look.figures]
    if not seen:
        remedy = "Looks of a data set need one: --data DATA; looks of an image need an IMAGE"
        raise check.SettingError(check.sentence("probe", "something to look at", ", ".join(wanted.show), remedy))
    looks = _written(folder, seen)
    facts = {"preprocessing": subject.preprocessing.to_dict(), "notes": [*subject.notes, *filter(None, [note])]}
    return _paged(folder, subject.name, looks, tuple(one.look for one in seen)) | facts


def compare_inside(
    first: Predictor,
    second: Predictor,
    names: tuple[str, str],
    folder: Path,
    records: Records,
    *,
    tell: probe.Tell | None = None,
) -> dict[str, Any]:
    """Let two models answer the same images, and show where they disagree.

    Args:
        first: a model, or an artifact.
        second: another.
        names: what they are called.
        folder: below which arrays, pictures and a page are written.
        records: the images, with what is known of them.
        tell: makes a progress bar.

    Raises:
        SettingError: they have nothing in common that could be compared.
        DataError: no example can be read.
    """
    _check_folder(folder)
    progress = tell(" and ".join(names)) if tell else None
    found = probe.compare(first, second, records, names=names, progress=progress)
    figures = tuple(probe.comparison_figures(found))
    seen = Seen(f"{names[0]} and {names[1]}", found.to_dict(), Look(Path(records.name).name, figures))
    return found.to_dict() | _paged(folder, seen.name, _written(folder, [seen]), (seen.look,))


def probe_folder(model: Path) -> Path:
    """Where looks go if nothing else is said: into a run's own folder, else ``probe/NAME`` here."""
    is_run = (model / "spec.yaml").is_file()
    return model / FOLDER if is_run else Path(FOLDER) / model.name.removesuffix(".keras")


def to_compare(model: Path, source: DataSpec | None, images: Sequence[Path]) -> Records:
    """The images two models are compared on: a data set, image files, or the test part of the first model's run.

    Raises:
        SettingError: none of these is there.
        DataError: no image can be read, or an example of the run has changed.
    """
    if source is not None:
        return data.readable(source.records())
    if images:
        items = tuple(Record(source=str(one), image=one) for one in images)
        return data.readable(Records(items, {}, "images"))
    if not (model / "data.json").is_file():
        remedy = "Name some: lensmith probe --compare MODEL OTHER DATA"
        raise check.SettingError(check.sentence("--compare", "images", f"none, and {model} is no run", remedy))
    return measured_on(model)


def _of_image(subject: Subject, image: Path, said: tuple[Said, ...], wanted: Wanted, tell: probe.Tell | None) -> Seen:
    figures = probe.look(subject, image, wanted, tell=tell)
    predictions = {one.task: dict(one.values) for one in said}
    facts = {"image": str(image), "predictions": predictions, "kinds": {one.task: one.kind for one in said}}
    return Seen(image.stem, facts, Look(image.name, tuple(figures), said))


def _of_model(subject: Subject, wanted: Wanted, tell: probe.Tell | None) -> Seen:
    figures = probe.look_at_model(subject, wanted, tell=tell)
    return Seen(subject.name, {"model": subject.name}, Look("", tuple(figures)))


def _of_data(subject: Subject, records: Records, query: Path | None, wanted: Wanted, tell: probe.Tell | None) -> Seen:
    figures = probe.look_at_data(subject, records, wanted, query=query, tell=tell)
    set_aside = [{"source": problem.source, "reason": problem.reason} for problem in records.set_aside]
    facts = {"data": records.name, "images": len(records), "set_aside": set_aside}
    return Seen(Path(records.name).name, facts, Look(records.name, tuple(figures)))


def _said(subject: Subject, image: Path) -> tuple[Said, ...]:
    outputs = subject.predict([image])
    found = []
    for task, labels in subject.labels.items():
        kind = next((one for one in RESULT_KINDS if one == labels.kind), None)
        if kind is not None and outputs[task].ndim == 2:
            scored = named(outputs[task][0], labels, top=5)
            found.append(Said(task, kind, tuple((one.label, one.score) for one in scored)))
    return tuple(found)


def _written(folder: Path, seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """Write each into a folder of its own; of several with one name, the later have a number."""
    names = [re.sub(r"[^A-Za-z0-9_.-]+", "-", one.name).strip("-.") or "image" for one in seen]
    looks = []
    for place, (name, one) in enumerate(zip(names, seen, strict=True)):
        before = names[:place].count(name)
        target = folder / (f"{name}-{before + 1}" if before else name)
        written = probe.write(target, one.look.figures, one.facts)
        figures = [_below(target, figure) for figure in written["figures"]]
        looks.append({"name": one.name, **one.facts, "document": str(target / "probe.json"), "figures": figures})
    return looks


def _below(folder: Path, figure: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a figure, with its files as the folder was named."""
    arrays = [array | {"file": str(folder / Path(array["file"]).name)} for array in figure["arrays"]]
    return {**figure, "picture": str(folder / Path(figure["picture"]).name), "arrays": arrays}


def _check_folder(folder: Path) -> None:
    """Refuse a place where nothing can be written before much is computed."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        got = "a file" if nearest.is_file() else "a folder that may not be written in"
        raise check.SettingError(
            check.sentence("--out", f"a folder, so that {folder} can be made", f"{nearest}, {got}")
        )


def _paged(folder: Path, model: str, looks: list[dict[str, Any]], shown: tuple[Look, ...]) -> dict[str, Any]:
    page = folder / "probe.html"
    write_text(page, render_probe(Content(model, looks=shown, backend=keras.config.backend())))
    run = folder.parent if folder.name == FOLDER and (folder.parent / "spec.yaml").is_file() else None
    report = str(open_run(run).report()) if run else None
    return {"model": model, "out": str(folder), "page": str(page), "report": report, "looks": looks}
