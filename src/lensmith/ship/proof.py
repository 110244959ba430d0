"""The proof: an artifact gives what the model it came from gives, on real examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from lensmith import check
from lensmith.records import Labels
from lensmith.ship.artifact import Example, Outputs, name_of
from lensmith.ship.found_alike import finding_differences

TOLERANCE = 1e-4


class ProofError(check.LensmithError):
    """An artifact is not equal to the model it came from."""


class Predictor(Protocol):
    """What a saved model and an artifact have in common."""

    @property
    def labels(self) -> Mapping[str, Labels]: ...

    def predict(self, examples: Sequence[Example]) -> Outputs: ...


@dataclass(frozen=True, slots=True)
class Proof:
    """How close an artifact is to its model.

    Args:
        max_difference: the largest of all outputs and examples: of probabilities absolute, of numbers relative to
            max(1, abs(number)); for objects that are found see
            :func:`~lensmith.ship.found_alike.finding_differences`.
        images: how many examples were compared.
        tolerance: the largest difference that is accepted.
        worst: the example with the largest difference.
    """

    max_difference: float
    images: int
    tolerance: float
    worst: str

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds."""
        return asdict(self)


def prove(model: Predictor, artifact: Predictor, examples: Sequence[Example], *, tolerance: float = TOLERANCE) -> Proof:
    """Compare an artifact with its model, each from the undecoded example to its outputs.

    Args:
        model: runs through Keras.
        artifact: runs through ONNX Runtime.
        examples: image files, uint8 pixels or rows; at least one.
        tolerance: the largest difference to accept.

    Raises:
        ProofError: they differ by more, or an output is no finite number; says on which example.
        DataError: there are no examples, or one cannot be read.
    """
    check.between("tolerance", tolerance, 0, 1)
    thresholds = getattr(model, "thresholds", {})  # by task that finds objects; a plain predictor has none
    parts = []
    if thresholds:
        parts.append(finding_differences(model, artifact, examples, thresholds))  # type: ignore[arg-type]
    if any(task not in thresholds for task in model.labels):
        expected, got = model.predict(examples), artifact.predict(examples)
        others = (task for task in expected if task not in thresholds)
        parts += [_differences(expected[task], got[task], model.labels[task]) for task in others]
    differences = np.max(parts, axis=0)
    place = int(np.argmax(differences))  # a NaN counts as the largest
    worst, difference = name_of(examples[place], place), float(differences[place])
    if not np.isfinite(difference):
        raise ProofError(check.sentence(worst, "outputs that are finite numbers", "NaN or infinity", "Train anew"))
    if difference > tolerance:
        expected_text = f"an artifact equal to its model within {tolerance:g}"
        text = check.sentence("proof", expected_text, f"a difference of {difference:.2g} on {worst}")
        raise ProofError(f"{text}, the worst of {len(examples)}. Nothing was written")
    return Proof(difference, len(examples), tolerance, worst)


def _differences(expected: np.ndarray, got: np.ndarray, labels: Labels) -> np.ndarray:
    """The largest difference of each example, float64 of shape (examples,); NaN where an output is not finite."""
    if expected.shape != got.shape:
        raise ProofError(check.sentence("proof", f"outputs of shape {expected.shape}", got.shape))
    finite = np.isfinite(expected) & np.isfinite(got)
    apart = np.abs(np.where(finite, expected, np.nan).astype(np.float64) - np.where(finite, got, np.nan))
    if labels.kind in ("number", "boxes", "points"):
        apart /= np.fmax(1, np.abs(expected))
    worst: np.ndarray = apart.reshape(len(apart), -1).max(axis=1)
    return worst
