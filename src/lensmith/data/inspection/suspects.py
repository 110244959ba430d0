"""Labels that a model which has learnt the others finds wrong.

References:
    C. Northcutt, L. Jiang and I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
    Artificial Intelligence Research 70, 2021, sections 3.1 (thresholds, the confident joint and its calibration: how
    many labels are wrong) and 3.2 (ranking by margin: which).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.data.inspection.findings import Finding
from lensmith.records import Records

# A model that is about equally sure of all examples of a class puts half of them just below their mean; without some
# slack a single wrong label would be missed as often as found.
_SLACK = 0.02


@dataclass(frozen=True, slots=True)
class Suspect:
    """An example whose label is probably wrong.

    Args:
        index: its place among the records.
        source: of the record.
        given: the class it is labelled with.
        suggested: the class the model takes it for.
        margin: how much more probable the suggested class is than the given one, above 0 and up to 1.
    """

    index: int
    source: str
    given: str
    suggested: str
    margin: float


def suspects(records: Records, task: str, probabilities: ArrayLike) -> tuple[Suspect, ...]:
    """Find wrong labels by confident learning.

    Of each class the threshold is the mean probability that the model gives it on the examples labelled so. Every
    example that reaches a threshold counts for the most probable of such classes; these counts, scaled to the number
    of examples of each given class, say how many labels are wrong. That many are suspect: those where another class
    leads the given one by most, as far as it leads. Examples without a label are passed over.

    Args:
        records: of the class task; only what the model has not trained on can be judged.
        task: of the records.
        probabilities: ``(n, classes)``, 0..1, out of sample: of each record by a model that has not seen it, as
            from cross-validation (:func:`lensmith.data.folds`). In-sample probabilities repeat the wrong labels.

    Returns:
        The suspects, the largest margin first.

    Raises:
        SettingError: the task is none of classes, or the probabilities have another shape or are none.

    Example:
        >>> from lensmith.data import from_rows
        >>> pets = from_rows([[0.0]] * 4, ["cat", "cat", "dog", "dog"])
        >>> suspects(pets, "label", [[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        (Suspect(index=1, source='rows:1', given='cat', suggested='dog', margin=0.8),)
    """
    classes = [name for name, labels in records.labels.items() if labels.kind == "class"]
    names = records.labels[check.one_of("task", task, classes)].names
    values = _checked(probabilities, len(records), len(names))
    places = np.array([place for place, record in enumerate(records) if task in record.targets], np.int64)
    given = np.array([records[place].targets[task] for place in places], np.int64)
    values = values[places]
    own = values[np.arange(len(places)), given]
    rivals = values.copy()
    rivals[np.arange(len(places)), given] = -1
    rivals[:, np.bincount(given, minlength=len(names)) == 0] = -1  # a class that nobody has cannot be judged
    suggested = rivals.argmax(axis=1)
    margins = rivals.max(axis=1, initial=-1) - own
    ranked = np.argsort(-margins, kind="stable")[: _expected_errors(values, given, own)]
    ranked = ranked[margins[ranked] > 0]
    return tuple(
        Suspect(
            index=int(places[row]),
            source=records[int(places[row])].source,
            given=names[given[row]],
            suggested=names[suggested[row]],
            margin=round(float(margins[row]), 9),  # more digits are noise of floating point
        )
        for row in ranked
    )


def suspect_findings(found: Sequence[Suspect], task: str, *, total: int) -> Iterator[Finding]:
    """The suspects as a finding of the audit, the surest first; nothing where there are none.

    Args:
        found: as :func:`suspects` gives them.
        task: of the labels.
        total: how many examples were judged.
    """
    if found:
        are = "label is" if len(found) == 1 else "labels are"
        yield Finding(
            kind="suspect",
            severity="warning",
            message=f"{task}: {len(found):,} of {total:,} {are} probably wrong, as this model sees it",
            remedy="Look at them, the surest first. A model that was trained on them, or learnt little, says little",
            files=tuple(one.source for one in found),
            notes=tuple(f"{one.given}, looks like {one.suggested}" for one in found),
        )


def _expected_errors(values: np.ndarray, given: np.ndarray, own: np.ndarray) -> int:
    """How many labels are expected to be wrong: what is off the diagonal of the calibrated confident joint."""
    classes = values.shape[1]
    counts = np.bincount(given, minlength=classes)
    means = np.bincount(given, weights=own, minlength=classes) / np.maximum(counts, 1)
    reached = np.where(values >= np.where(counts > 0, means - _SLACK, np.inf), values, -1)
    sure = np.flatnonzero((reached >= 0).any(axis=1))
    joint = np.zeros((classes, classes))
    np.add.at(joint, (given[sure], reached[sure].argmax(axis=1)), 1)
    shares = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1)
    return round(float(((shares.sum(axis=1) - shares.diagonal()) * counts).sum()))


def _checked(probabilities: ArrayLike, count: int, classes: int) -> np.ndarray:
    values = np.asarray(probabilities)
    if values.shape != (count, classes) or values.dtype.kind not in "fiu":
        got = f"{values.dtype} of shape {values.shape}"
        raise check.SettingError(check.sentence("probabilities", f"numbers of shape ({count}, {classes})", got))
    values = values.astype(np.float64)
    wrong = ~((values >= 0) & (values <= 1)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        got = ", ".join(f"{value:g}" for value in values[row, :8])
        raise check.SettingError(check.sentence(f"probabilities: row {row}", "numbers from 0 to 1", got))
    return values
