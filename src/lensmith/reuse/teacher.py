"""What a teacher says of examples: asked once, kept, and put beside their own targets for a student to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import views
from lensmith.data import Preprocessing
from lensmith.records import Labels, Problem, Record, Records
from lensmith.reuse.feature_outputs import Told, outputs_of

SUFFIX = "_teacher"  # of the output that is compared with a task's teacher, and of its targets
_KINDS = ("class", "classes", "number")  # whose answer is a row of numbers that no change of the image moves


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a teacher says of examples.

    Args:
        records: those that could be read, in the order they came in.
        logits: by task, float32 ``(n, units)``: a row for each of them, in the student's units.
        names: by task, what to call each unit.
        lost: the examples that could not be read.
        computed: about how many of them the teacher was asked now; the others' answers were in the cache.
    """

    records: Records
    logits: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[str, ...]]
    lost: tuple[Problem, ...] = ()
    computed: int = 0


def ask(
    teacher: Any,
    pupil: Any,
    records: Records,
    preprocessing: Preprocessing,
    labels: Mapping[str, Labels],
    *,
    cache: Path | None = None,
    limit: int | None = None,
    batch: int = 32,
    progress: Told | None = None,
) -> Answers:
    """Let a teacher answer for every example, once.

    Args:
        teacher: a ``keras.Model`` whose outputs are logits, a tensor for one task or a dict by task. It may take
            images of another size with other preprocessing, and have its classes in another order.
        pupil: the model that will learn, whose outputs are logits too.
        records: of the training part, or of the validation part.
        preprocessing: the teacher's.
        labels: what the teacher's outputs mean, by task. A task that only one of the two has is left out.
        cache: a folder to keep the answers in, as those of :func:`lensmith.reuse.features.features`; None keeps them
            in memory.
        limit: bytes that the cache may take on disk.
        batch: examples that the teacher is given at once.
        progress: is told after each block how many examples are done, and how many there are.

    Raises:
        SettingError: the two have no task in common, or other classes; names the first difference.
        DataError: there are no examples, or none of them can be read.
        LensmithError: the cache cannot be written.
    """
    given, wanted = named_outputs(teacher, tuple(labels)), named_outputs(pupil, tuple(records.labels))
    common = [task for task in wanted if task in given and task in labels and task in records.labels]
    if not common:
        expected = f"a model with one of the tasks {', '.join(wanted)}"
        raise check.SettingError(check.sentence("teacher", expected, f"one with {', '.join(given)}"))
    turns = {task: _turn(task, labels[task], records.labels[task], given[task], wanted[task]) for task in common}
    model = keras.Model(teacher.input, {task: given[task] for task in common}, name="teacher")
    found = outputs_of(model, records, preprocessing, cache=cache, limit=limit, batch=batch, progress=progress)
    raw = {task: found.arrays[task][found.places[0]] for task in common}
    return Answers(
        records=found.records,
        logits={task: turn.to_student(raw[task]) for task, turn in turns.items()},
        names={task: turn.names for task, turn in turns.items()},
        lost=found.lost,
        computed=found.computed,
    )


def taught(answers: Answers) -> Records:
    """The records with the teacher's answers as further targets: ``label_teacher`` beside ``label``.

    These are plain numbers, which :func:`lensmith.data.batches` and cached features deliver as any others, in
    whatever order, and which are part of the batches' fingerprint.

    Raises:
        SettingError: a task of that name is there already.

    Example:
        >>> record = Record("a", row=np.zeros(2, np.float32), targets={"label": 1})
        >>> records = Records((record,), {"label": Labels("class", ("cat", "dog"))})
        >>> given = taught(Answers(records, {"label": np.float32([[-1, 3]])}, {"label": ("cat", "dog")}))
        >>> given.labels["label_teacher"].names, given[0].targets
        (('cat', 'dog'), {'label': 1, 'label_teacher': (-1.0, 3.0)})
    """
    records = answers.records
    for task in answers.logits:
        check_free(f"{task}{SUFFIX}", records.labels)
    labels = {f"{task}{SUFFIX}": Labels("number", names) for task, names in answers.names.items()}

    def with_answers(record: Record, place: int) -> Record:
        further = {f"{task}{SUFFIX}": tuple(rows[place].tolist()) for task, rows in answers.logits.items()}
        return replace(record, targets={**record.targets, **further})

    items = tuple(with_answers(record, place) for place, record in enumerate(records))
    return replace(records, items=items, labels={**records.labels, **labels})


def aligned(teacher: Labels, pupil: Labels, *, place: str = "teacher") -> tuple[int, ...]:
    """The place among the teacher's classes of each of the student's.

    Raises:
        SettingError: the targets are of another kind, or the classes differ; names the first that does.

    Example:
        >>> aligned(Labels("class", ("dog", "cat")), Labels("class", ("cat", "dog")))
        (1, 0)
    """
    if pupil.kind not in _KINDS:
        raise check.SettingError(check.sentence(place, "targets that are classes or numbers", pupil.kind))
    if teacher.kind != pupil.kind:
        raise check.SettingError(check.sentence(place, f"targets of kind {pupil.kind}", teacher.kind))
    lacks = [name for name in pupil.names if name not in teacher.names]
    extra = [name for name in teacher.names if name not in pupil.names]
    if lacks or extra:
        differs = [f"one without {name!r}" for name in lacks[:1]] + [f"one with {name!r}" for name in extra[:1]]
        expected = f"a teacher of the student's {len(pupil.names)} names"
        raise check.SettingError(check.sentence(place, expected, " and ".join(differs)))
    return tuple(teacher.names.index(name) for name in pupil.names)


def named_outputs(model: Any, tasks: Sequence[str] | None) -> dict[str, Any]:
    """The outputs of a model by task.

    Args:
        model: whose outputs are a tensor for one task, or a dict by task.
        tasks: the name of a single output, where no head's layer says it.

    Raises:
        SettingError: the name of the single output is not known.
    """
    if isinstance(model.output, Mapping):
        return dict(model.output)
    found = list(views.heads_found(model)) or list(tasks or ())
    if len(found) != 1:
        got = ", ".join(found) or "none"
        remedy = "Name it: tasks=('label',)"
        raise check.SettingError(check.sentence("teacher.tasks", "one name for the model's output", got, remedy))
    return {found[0]: model.output}


def check_free(name: str, taken: Mapping[str, Any]) -> None:
    """Refuse a task that has the name of a teacher's output."""
    if name in taken:
        raise check.SettingError(f"tasks: the name {name!r} belongs to a teacher's output; rename the task")


@dataclass(frozen=True, slots=True)
class _Turn:
    """How the teacher's logits become the student's.

    Args:
        columns: the place among the teacher's classes of each of the student's.
        units: how many logits the student has: as many, or one for two classes.
        names: of these.
    """

    columns: tuple[int, ...]
    units: int
    names: tuple[str, ...]

    def to_student(self, logits: np.ndarray) -> np.ndarray:
        """``(n, units of the teacher)`` as ``(n, units of the student)``, float32."""
        if logits.shape[1] < len(self.columns):  # one logit z of two classes says the same as the two 0 and z
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        ordered = logits[:, list(self.columns)].astype(np.float32)
        return ordered if self.units == len(self.columns) else ordered[:, 1:] - ordered[:, :1]


def _turn(task: str, teacher: Labels, pupil: Labels, given: Any, wanted: Any) -> _Turn:
    columns = aligned(teacher, pupil, place=f"teacher: {task}")
    _units(f"teacher: {task}", given, teacher)
    units = _units(f"student: {task}", wanted, pupil)
    return _Turn(columns, units, pupil.names if units == len(pupil.names) else pupil.names[1:])


def _units(place: str, output: Any, labels: Labels) -> int:
    shape, count = tuple(output.shape[1:]), len(labels.names)
    if shape == (count,) or (shape == (1,) and labels.kind == "class" and count == 2):
        return int(shape[0])
    raise check.SettingError(check.sentence(place, f"{count} outputs, one for each name", f"outputs of shape {shape}"))
