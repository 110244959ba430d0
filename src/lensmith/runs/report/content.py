"""What a report is made of: plain records, filled by the run and read by the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lensmith import check
from lensmith.runs.report.detection import AnchorMap, Detection
from lensmith.runs.report.probed import Look

if TYPE_CHECKING:  # compose loads Keras, which a report can be written without
    from lensmith.compose import Part

ResultKind = Literal["class", "classes", "number", "boxes"]
RESULT_KINDS: tuple[Literal["class", "classes", "number"], ...] = (
    "class",
    "classes",
    "number",
)  # that a few names and numbers tell
_KINDS: tuple[ResultKind, ...] = (*RESULT_KINDS, "boxes")


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """One example that the model was wrong about.

    Args:
        source: the file, or file and line, it came from.
        truth: the name of its class.
        predicted: the name of the class that the model gave it.
        probability: of the predicted class; 0..1.
        image: uint8 of shape ``(height, width, channels)``; None for a row of numbers.

    Raises:
        DataError: the image has another type or shape.
    """

    source: str
    truth: str
    predicted: str
    probability: float
    image: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.image is not None and (self.image.dtype != np.uint8 or self.image.ndim != 3):
            got = f"{self.image.dtype} {self.image.shape}"
            raise check.DataError(check.sentence(self.source, "a uint8 image (height, width, channels)", got))


@dataclass(frozen=True, slots=True)
class ClassRow:
    """How well one class is told from the others; see :func:`lensmith.runs.report.per_class`.

    Args:
        name: of the class.
        examples: how many of them the part holds.
        precision: share of right ones among those given this class; None when none was.
        recall: share found of this class; None when there is no example of it.
        f1: harmonic mean of both; None when the class neither occurs nor was given.
    """

    name: str
    examples: int
    precision: float | None
    recall: float | None
    f1: float | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class TaskResult:
    """What one task of the model did on the examples it was measured on.

    Args:
        name: of the task.
        kind: ``class``, ``classes`` (any number of labels an example), ``number`` or ``boxes`` (any number of objects
            an example; the one box of a localiser is four numbers).
        names: of the classes, or of the numbers.
        metrics: by name, the most important first; losses may be among them.
        confusion: for ``class``, counts of shape ``(k, k)``: rows are the truth, columns what was predicted.
        per_class: one row a class, for ``class`` and ``classes``.
        mistakes: the wrong ones the model was surest of, surest first; the page shows up to 24.
        scatter: for ``number``, the true and the predicted values, each of shape ``(n, len(names))``.
        detection: for ``boxes``, how well the objects were found; None where nobody measured it.
        anchors: for ``boxes``, the sizes that the detector begins with, map by map.
    """

    name: str
    kind: ResultKind
    names: tuple[str, ...]
    metrics: Mapping[str, float | None]
    confusion: np.ndarray | None = None
    per_class: tuple[ClassRow, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    scatter: tuple[np.ndarray, np.ndarray] | None = None
    detection: Detection | None = None
    anchors: tuple[AnchorMap, ...] = ()

    def __post_init__(self) -> None:
        check.one_of(f"{self.name}: kind", self.kind, _KINDS)
        count = len(self.names)
        if self.confusion is not None and self.confusion.shape != (count, count):
            got = f"shape {self.confusion.shape}"
            raise check.DataError(check.sentence(f"{self.name}: confusion", f"shape {(count, count)}", got))
        for values in self.scatter or ():
            if values.ndim != 2 or values.shape[1] != count:
                raise check.DataError(check.sentence(f"{self.name}: scatter", f"shape (n, {count})", values.shape))


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """All that a report says. Whatever is left out is left empty, and the page says so.

    Args:
        title: the run's name.
        subtitle: one sentence: which model on which data.
        finished: whether the training has come to its end; if not, the page says what is known so far.
        seconds: how long training took.
        seed: of the run.
        backend: Keras' backend, such as ``torch``.
        examples: how many there are, by part.
        history: one row an epoch: ``epoch`` (from 1), ``loss``, metrics, the same after ``val_``, ``rate``.
        best_epoch: the one whose weights were kept.
        monitor: the value that chose it.
        stopped: whether training ended early.
        stages: of the plan, each with ``name``, ``epochs``, ``best_epoch`` and ``gain``, what it gained in words.
        part: which part the results were measured on.
        evaluations: how often that part was measured on.
        before: of a run that trained on, what its model came to before on the same part: values by name.
        results: one a task.
        diagnosis: the troubles of the training, each with ``kind``, ``epoch``, ``evidence`` and ``advice``, as
            ``train.diagnosis.Diagnosis.to_dict()``; None where nobody looked.
        watched: rows of ``watch.jsonl``, of which the page reads the gradients by layer.
        outline: the model's parts, from ``compose.outline``.
        audit: ``data.Audit.to_dict()``, of which the page reads ``kind``, ``counts``, ``heights``, ``widths``,
            ``findings`` and ``set_aside``.
        pictures: by the place of a finding of the audit, a sheet of its examples: uint8 ``(height, width, 3)``.
        environment: versions, devices, threads and platform; values are text, numbers, lists or mappings.
        spec: the whole spec as YAML.
        proof: of the shipped artifact: ``max_difference``, ``images``, ``tolerance``; empty where nothing was shipped.
        commands: how to go on: what for, and the command.
        looks: what was seen inside the model, an image each; without any, the page does not speak of it.
    """

    title: str
    subtitle: str = ""
    finished: bool = True
    seconds: float | None = None
    seed: int | None = None
    backend: str = ""
    examples: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Mapping[str, float | None], ...] = ()
    best_epoch: int | None = None
    monitor: str = ""
    stopped: bool = False
    stages: tuple[Mapping[str, Any], ...] = ()
    part: str = "test"
    evaluations: int = 1
    before: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[TaskResult, ...] = ()
    diagnosis: tuple[Mapping[str, Any], ...] | None = None
    watched: tuple[Mapping[str, Any], ...] = ()
    outline: tuple[Part, ...] = ()
    audit: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[int, np.ndarray] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    spec: str = ""
    proof: Mapping[str, Any] = field(default_factory=dict)
    commands: tuple[tuple[str, str], ...] = ()
    looks: tuple[Look, ...] = ()
