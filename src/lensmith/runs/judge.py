"""What a trained model comes to: its scores, its worst mistakes as pictures, and the proven artifact."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from lensmith import data, ship
from lensmith.records import PARTS, Record, Records
from lensmith.runs.folder import RunFolder
from lensmith.runs.manifest import Parts
from lensmith.runs.report import surest_mistakes
from lensmith.runs.scoring import Scores, chosen, score
from lensmith.runs.spec import Spec

PROOF_EXAMPLES = 64  # of the test part; more would prove little more and take longer
MISTAKES = 24  # a page of them
PICTURE = 160  # longest side of a picture of a mistake, in pixels


def judge(folder: RunFolder, spec: Spec, saved: ship.Saved, parts: Parts) -> dict[str, Any]:
    """Evaluate on the test part (or the last part there is), keep the mistakes as pictures, and ship.

    Returns:
        What ``results.json`` holds.
    """
    name, part = next((name, part) for name, part in reversed(list(zip(PARTS, parts, strict=True))) if part)
    scores = score(saved, part)
    results: dict[str, Any] = {
        "part": name,
        "examples": scores.examples,
        "metrics": {"loss": scores.loss, **scores.metrics},
        "classes": scores.classes(),
        "confusion": {task: table.tolist() for task, table in scores.confusion.items()},
        "mistakes": {task: _mistakes(folder, task, scores, part) for task in scores.confusion},
        "numbers": _numbers(scores),
        "artifact": None,
        "proof": None,
    }
    if spec.ship is not None:
        proof = ship.export(saved, folder.artifact, part[:PROOF_EXAMPLES])
        results |= {"artifact": str(folder.artifact), "proof": proof.to_dict()}
    return results


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
    folder.mistakes.mkdir(exist_ok=True)
    path = folder.mistakes / f"{name}.png"
    picture.save(path)
    return str(path.relative_to(folder.path))


def _numbers(scores: Scores) -> dict[str, Any]:
    """True and predicted values of the tasks of numbers, for the scatter plots."""
    return {
        task: {"truth": scores.truth[task].tolist(), "predicted": outputs.tolist()}
        for task, outputs in scores.outputs.items()
        if scores.labels[task].kind == "number"
    }
