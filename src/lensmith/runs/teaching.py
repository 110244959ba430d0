"""A stage that is taught: a trained model's answers beside the labels, and what the student is trained for then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lensmith import check, compose, ship, train
from lensmith.records import Labels, Records
from lensmith.reuse import distillation
from lensmith.reuse import teacher as answers
from lensmith.runs.pretrained import model_folder
from lensmith.runs.stage_specs import TeacherSpec


def check_teacher(asked: TeacherSpec, tasks: Mapping[str, Labels]) -> list[str]:
    """The tasks that a teacher has in common with a student, if it is one for it.

    Raises:
        SettingError: names the first difference.
        DataError: its files are broken.
    """
    found = _teacher(asked)
    common = [task for task in tasks if task in found.labels]
    if not common:
        expected = f"a model with one of the tasks {', '.join(tasks)}"
        raise check.SettingError(check.sentence("teacher", expected, f"one with {', '.join(found.labels)}"))
    for task in common:
        answers.aligned(found.labels[task], tasks[task], place=f"teacher: {task}")
    return common


def answered(asked: TeacherSpec, model: Any, part: Records, cache: Path) -> Records:
    """The examples of a part with the teacher's answers as further targets; it is asked once for each example.

    Args:
        asked: who teaches.
        model: the student, whose outputs are logits.
        part: examples.
        cache: a folder where the answers are kept.
    """
    found = _teacher(asked)
    given = answers.ask(compose.logits(found.model), model, part, found.preprocessing, found.labels, cache=cache)
    taught = answers.taught(given)
    return replace(taught, set_aside=(*taught.set_aside, *given.lost))


def objectives(asked: TeacherSpec, own: Mapping[str, train.Objective], taught: Records) -> dict[str, train.Objective]:
    """What the student is trained for: its own objectives, and to answer as its teacher does."""
    teaching = distillation.Teaching(asked.temperature, asked.share)
    return distillation.objectives(own, teaching, tasks_of(taught))


def tasks_of(taught: Records) -> list[str]:
    """The tasks for which there are a teacher's answers."""
    return [task for task in taught.labels if f"{task}{answers.SUFFIX}" in taught.labels]


def _teacher(asked: TeacherSpec) -> ship.Saved:
    place = Path(asked.source)
    if not place.is_dir():
        raise check.SettingError(check.sentence("teacher.source", "the folder of a run or of a saved model", place))
    return ship.load(model_folder(place))
