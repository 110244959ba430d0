"""The audit as a verb: with a model's opinion of the labels, as a page with pictures, and as a split of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lensmith import check, data
from lensmith.data import Audit, Finding
from lensmith.records import Records
from lensmith.runs.data_spec import DataSpec, SplitSpec
from lensmith.runs.examples import audited, earlier, refuse_leakage, shares_of, split
from lensmith.runs.folder import write_text
from lensmith.runs.manifest import Parts
from lensmith.runs.matching import match_labels
from lensmith.runs.opening import open_model
from lensmith.runs.pictured import pictures
from lensmith.runs.report import Content, render_audit


def inspect(
    section: DataSpec, *, model: str | Path | None = None, on_file: Callable[[int, int], None] | None = None
) -> Audit:
    """Audit what a section of a spec names.

    Args:
        section: the source, and how to read it.
        model: a run, a saved model or an artifact; labels that contradict it become findings of kind ``suspect``.
        on_file: told of each example.

    Raises:
        DataError: nothing can be read, or the model does not know the labels.
    """
    audit = audited(section, on_file=on_file)
    return audit if model is None else _with_suspects(audit, model)


def _with_suspects(audit: Audit, model: str | Path) -> Audit:
    opened = open_model(model)
    records = match_labels(audit.records, opened.labels)
    outputs = opened.predict(records)
    found: list[Finding] = []
    for task, labels in opened.labels.items():
        if labels.kind == "class":
            doubted = data.suspects(records, task, _both(outputs[task]))
            found += data.suspect_findings(doubted, task, total=len(records))
    return replace(audit, findings=data.by_severity((*audit.findings, *found)))


def _both(outputs: np.ndarray) -> np.ndarray:
    """Probabilities of every class, where a single column says yes or no."""
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def write_audit_page(audit: Audit, path: Path) -> None:
    """Write the audit as one HTML file with pictures of what was found."""
    title = Path(audit.records.name).name or audit.records.name
    subtitle = f"Read as {audit.records.layout}" if audit.records.layout else ""
    write_text(path, render_audit(Content(title, subtitle, audit=audit.to_dict(), pictures=pictures(audit))))


def write_split(
    section: DataSpec, wanted: SplitSpec, path: Path, *, on_file: Callable[[int, int], None] | None = None
) -> Parts:
    """Audit a source, divide it, and write the parts down.

    Args:
        section: the source, and how to read it.
        wanted: the shares; ``file`` is an earlier split, whose examples stay where they are.
        path: of the file to write.
        on_file: told of each audited example.

    Raises:
        DataError: the source's own parts leak into one another, or there are too few examples.
        SettingError: the earlier split is one of other data, which would be lost.
    """
    records = section.records()
    previous = earlier(wanted)
    if previous is not None:
        _refuse_other_data(records, previous, str(wanted.file))
    audit = audited(section, records, on_file=on_file)
    refuse_leakage(audit, allowed=section.allow_leakage)
    parts = split(audit, wanted, previous)
    data.write_split(path, parts, fractions=shares_of(wanted, previous), seed=wanted.seed)
    return parts


def _refuse_other_data(records: Records, known: data.Split, file: str) -> None:
    if known.parts and not known.kept(records):
        got = f"one of others, such as {min(known.parts)!r}"
        remedy = f"{file} is a split of other data; choose another file"
        raise check.SettingError(check.sentence(file, f"a split of the examples of {records.name}", got, remedy))


def write_folds(
    section: DataSpec, count: int, wanted: SplitSpec, path: Path, *, on_file: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Audit a source, divide it for cross-validation, and write each fold down as a split without a test part.

    Args:
        section: the source, and how to read it.
        count: of folds, at least 2.
        wanted: its seed and its group.
        path: of the files: ``split.json`` becomes ``split-1.json`` and so on.
        on_file: told of each audited example.

    Raises:
        DataError: too few examples for so many folds.
    """
    audit = audited(section, on_file=on_file)
    dealt = data.folds(audit.records, count, seed=wanted.seed, group=wanted.group, together=audit.together)
    paths = [path.with_stem(f"{path.stem}-{number}") for number in range(1, count + 1)]
    there = next((one for one in paths if one.exists()), None)
    if there is not None:
        raise check.SettingError(check.sentence("folds", "new files", f"{there}, which exists", "Choose another name"))
    for place, (training, validation) in zip(paths, dealt, strict=True):
        parts = training, validation, audit.records.select(())
        data.write_split(place, parts, fractions=((count - 1) / count, 1 / count, 0.0), seed=wanted.seed)
    return paths
