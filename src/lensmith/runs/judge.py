"""What a trained model comes to: its scores, its worst mistakes as pictures, and the proven artifact."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lensmith import check, data, ship
from lensmith.files import put_file
from lensmith.records import PARTS, Problem, Record, Records
from lensmith.runs.folder import RunFolder
from lensmith.runs.found import told
from lensmith.runs.manifest import Parts
from lensmith.runs.report import surest_mistakes
from lensmith.runs.scoring import Scores, chosen, score

PROOF_EXAMPLES = 64  # of the test part; more would prove little more and take longer
MISTAKES = 24  # a page of them
PICTURE = 160  # longest side of a picture of a mistake, in pixels


def judge(folder: RunFolder, saved: ship.Saved, parts: Parts) -> dict[str, Any]:
    """Evaluate on the test part (or the last part there is), and keep the mistakes as pictures.

    Returns:
        What ``results.json`` holds.
    """
    name, part = judged(parts)
    lost: tuple[Problem, ...] = ()
    try:
        scores = score(saved, part)
    except check.DataError:  # a file has gone since the run began; what is left is judged
        part = data.readable(replace(part, set_aside=()))
        lost, scores = part.set_aside, score(saved, part)
    return {
        "part": name,
        "lost": [asdict(problem) for problem in lost],
        "examples": scores.examples,
        "metrics": ({} if scores.loss is None else {"loss": scores.loss}) | dict(scores.metrics),
        "classes": scores.classes(),
        "confusion": {task: table.tolist() for task, table in scores.confusion.items()},
        "mistakes": {task: _mistakes(folder, task, scores, part) for task in scores.confusion},
        "numbers": _numbers(scores),
        "detections": {task: told(folder, task, one, part) for task, one in scores.detections.items()},
        "artifact": None,
        "proof": None,
    }


def judged(parts: Parts) -> tuple[str, Records]:
    """The part that judges: the test part, or the last there is."""
    return next((name, part) for name, part in reversed(list(zip(PARTS, parts, strict=True))) if part)


def proof_examples(parts: Parts) -> Records:
    """What an artifact is proven on: examples from all over the part that judges."""
    return some(judged(parts)[1])


def some(part: Records) -> Records:
    """At most 64 examples from all over a part, whose files are there."""
    there = [i for i, record in enumerate(part) if not isinstance(record.image, Path) or record.image.is_file()]
    part = part.select(there)
    count = min(len(part), PROOF_EXAMPLES)
    return part.select(round(i * (len(part) - 1) / max(count - 1, 1)) for i in range(count))


def _mistakes(folder: RunFolder, task: str, scores: Scores, part: Records) -> list[dict[str, Any]]:
    """The wrong answers the model was surest of, surest first."""
    outputs, truth, names = scores.outputs[task], scores.truth[task], scores.labels[task].names
    answer = chosen(outputs)
    sure = outputs.max(axis=1) if outputs.shape[1] > 1 else np.maximum(outputs[:, 0], 1 - outputs[:, 0])
    wrong = surest_mistakes(truth, outputs, MISTAKES)
    return [
        {
            "source": part[i].source,
            "truth": names[int(truth[i])],
            "predicted": names[int(answer[i])],
            "probability": float(sure[i]),
            "picture": _picture(folder, f"{task}-{number:02}", part[i]),
        }
        for number, i in enumerate(wrong, start=1)
    ]


def _picture(folder: RunFolder, name: str, record: Record) -> str | None:
    """Keep a small picture of an example in the run folder; rows of numbers have none."""
    if record.image is None:
        return None
    picture = Image.fromarray(data.decode(record.image, 3))
    picture.thumbnail((PICTURE, PICTURE))
    path = folder.mistakes / f"{name}.png"
    put_file(path, lambda beside: picture.save(beside, "png"))
    return str(path.relative_to(folder.path))


def _numbers(scores: Scores) -> dict[str, Any]:
    """True and predicted values of the tasks of numbers and of one box, for the scatter plots."""
    return {
        task: {"truth": scores.truth[task].tolist(), "predicted": outputs.tolist()}
        for task, outputs in scores.outputs.items()
        if scores.labels[task].kind in ("number", "points", "boxes")
    }
