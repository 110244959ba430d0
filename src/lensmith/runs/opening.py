"""Open what the command line calls MODEL: a run, a saved model or a shipped artifact."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lensmith import check, data, ship
from lensmith.compose import zoo
from lensmith.detect.darknet import open_darknet
from lensmith.records import PARTS, Records
from lensmith.runs.begun import begun
from lensmith.runs.data_spec import DataSpec, ReadSpec
from lensmith.runs.examples import read_again
from lensmith.runs.folder import RunFolder, existing, read_json, write_json
from lensmith.runs.judge import judged, proof_examples
from lensmith.runs.manifest import Parts, key_of, restore_part
from lensmith.runs.run import open_run, record_artifact
from lensmith.runs.scoring import Scores, score
from lensmith.runs.spec import Spec

_log = logging.getLogger(__name__)
PartName = Literal["train", "validation", "test", "all"]


def open_model(
    path: str | Path, weights: str | Path | None = None, names: str | Path | None = None
) -> ship.Saved | ship.Artifact:
    """The model at a path, a network of the zoo with published weights, or one of Darknet.

    Args:
        path: of a run, a saved model or an artifact; with ``weights`` the name of a row of the zoo, or the ``.cfg`` of
            a Darknet network.
        weights: their published name, such as ``imagenet``, or a file; of a Darknet network ``FILE.weights``.
        names: of the classes of a Darknet network, a file with one on each line; left out, their numbers.

    Raises:
        SettingError: nothing is there, or nothing that is a model.
        DataError: the model's files are broken.
    """
    if Path(path).suffix.lower() == ".cfg":
        return _darknet(Path(path), weights, names)
    if names is not None:
        raise check.SettingError(check.sentence("--names", "none beside a model that has its own", str(names)))
    if weights is not None and Path(path).exists() and str(path) not in zoo.TABLE:
        expected, got = "none beside a model that brings its own", f"{weights} beside {path}"
        raise check.SettingError(check.sentence("--weights", expected, got, "Leave --weights out"))
    if weights is not None:
        return ship.pretrained(str(path), weights)
    path = Path(path)
    if (path / "recipe.yaml").is_file():
        return ship.load(path)
    if (path / "spec.yaml").is_file():
        return ship.load(finished(path).model)
    if path.is_file():
        return ship.open_artifact(path)
    expected = "a run, a saved model or an artifact (.onnx)"
    got = "a folder with none of them in it" if path.is_dir() else "nothing at this path"
    remedy = (
        "A network of the zoo needs weights: --weights imagenet or --weights FILE" if str(path) in zoo.TABLE else ""
    )
    raise check.SettingError(check.sentence(str(path), expected, got, remedy))


def _darknet(path: Path, weights: str | Path | None, names: str | Path | None) -> ship.Saved:
    if weights is None:
        beside = path.with_suffix(".weights")
        remedy = f"Is it {beside}?" if beside.is_file() else ""
        raise check.SettingError(check.sentence("--weights", f"FILE.weights, which {path} needs", "none", remedy))
    read = open_darknet(path, Path(weights), None if names is None else Path(names))
    for note in read.notes:
        _log.warning("%s", note)
    return ship.Saved(read.model, read.recipe, read.labels, read.preprocessing)


def finished(path: str | Path) -> RunFolder:
    """The folder of a run that has a trained model.

    Raises:
        SettingError: it is not a run, or training has not finished.
    """
    folder = existing(Path(path))
    if not folder.model.is_dir():
        remedy = f"Finish it: lensmith train --resume {path}"
        raise check.SettingError(check.sentence(str(path), "a run that has finished training", "no model yet", remedy))
    return folder


def evaluate(
    model: str | Path,
    source: str | Path,
    *,
    part: PartName | None = None,
    weights: str | Path | None = None,
    names: str | Path | None = None,
    read: ReadSpec | None = None,
) -> Scores:
    """How good the model at a path is on labelled examples.

    Args:
        model: a run, a saved model or an artifact.
        source: whatever :func:`lensmith.data.read` reads.
        weights, names: for a network of the zoo or of Darknet; see :func:`open_model`.
        read: how to read the source, where looking is not enough.
        part: which part of the source; left out, its test part, or the only part it has, or all where it has none.
    """
    opened = open_model(model, weights, names)
    records = data.readable(_part(DataSpec(source=str(source), read=read or ReadSpec()).records(), part))
    scores = score(opened, records)
    if (Path(model) / "data.json").is_file():
        _note_evaluation(existing(Path(model)), records)
    return scores


def _note_evaluation(folder: RunFolder, records: Records) -> None:
    """Mark in a run that its test part was looked at once more, if examples of it were among these."""
    test = {entry["source"] for entry in read_json(folder.data)["parts"]["test"]}
    if folder.results.is_file() and any(key_of(record) in test for record in records):
        results = read_json(folder.results)
        write_json(folder.results, results | {"evaluations": results.get("evaluations", 1) + 1})
        open_run(folder.path).report()


def ship_run(run: str | Path, out: Path | None = None) -> tuple[Path, ship.Proof]:
    """Export a finished run, and prove the artifact on the run's own test examples.

    Returns:
        Where the artifact is, and the proof.
    """
    folder = finished(run)
    spec, noted = begun(folder)
    path = out or folder.artifact
    proof = ship.export(ship.load(folder.model), path, proof_examples(_parts(noted, spec)))
    if out is None:
        record_artifact(open_run(run), proof)
    return path, proof


def measured_on(run: str | Path) -> Records:
    """The examples that a run was measured on: its test part, or the validation part where there is none.

    Raises:
        DataError: one of them is gone or has changed since.
    """
    spec, noted = begun(existing(Path(run)))
    return judged(_parts(noted, spec))[1]


def _parts(noted: Mapping[str, Any], spec: Spec) -> Parts:
    """The parts of a run with only the one that judges in it: no other is needed."""
    records, source = read_again(spec.data), spec.data.source
    name = next(name for name in reversed(PARTS) if noted["parts"][name])
    empty = Records((), {}, source)
    train, validation, test = (restore_part(noted, part, records, source) if part == name else empty for part in PARTS)
    return train, validation, test


def _part(records: Records, part: PartName | None) -> Records:
    if part == "all" or (part is None and not any(record.part for record in records)):
        return records
    chosen = records.part(part or "test")
    if part is None and not chosen:  # nobody said test: the only part that there is
        there_are = [name for name in PARTS if records.part(name)]
        chosen = records.part(there_are[0]) if len(there_are) == 1 else chosen
    if not chosen:
        there = ", ".join(sorted({record.part for record in records if record.part})) or "no parts"
        raise check.DataError(check.sentence(records.name, f"a {part or 'test'} part", there, "Say --part all"))
    return chosen
