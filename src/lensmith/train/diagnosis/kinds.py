"""The troubles that are known, and the record of one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lensmith import check

# The most important first.
KINDS = (
    "exploding-gradients",
    "initial-loss",
    "dead-units",
    "vanishing-gradients",
    "rate-too-high",
    "divergence",
    "oscillation",
    "rate-too-low",
    "plateau",
    "underfitting",
    "overfitting",
    "validation-easier",
    "class-never-predicted",
    "data-starvation",
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One trouble of a training run.

    Args:
        kind: which, one of :data:`KINDS`.
        epoch: from which epoch on, counted from 1 over all stages; None where it is not of an epoch.
        evidence: the numbers that show it, in a sentence without its full stop.
        advice: what to do, likewise.
    """

    kind: str
    epoch: int | None
    evidence: str
    advice: str

    def __post_init__(self) -> None:
        check.one_of("kind", self.kind, KINDS)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON holds it: ``kind``, ``epoch``, ``evidence`` and ``advice``."""
        return asdict(self)


def said(value: float) -> str:
    """A number in three digits.

    >>> said(2.302585), said(1234567.0), said(7.2e-08)
    ('2.3', '1,230,000', '7.2e-08')
    """
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
