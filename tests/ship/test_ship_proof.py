"""The comparison itself, on outputs written out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lensmith import check
from lensmith.records import Labels, Record
from lensmith.ship import Proof, ProofError, prove

LABELS = {"kind": Labels("class", ("a", "b")), "price": Labels("number", ("euro",))}


@dataclass
class Says:
    """Gives outputs that were written down."""

    kind: list[list[float]]
    price: list[list[float]]
    labels = LABELS

    def predict(self, examples):
        return {"kind": np.array(self.kind, np.float32), "price": np.array(self.price, np.float32)}


MODEL = Says([[0.25, 0.75], [0.5, 0.5]], [[1000.0], [0.5]])
EXAMPLES = [Record("first.png", row=np.zeros(1)), Record("second.png", row=np.zeros(1))]


def test_equal_outputs_are_proven():
    assert prove(MODEL, MODEL, EXAMPLES) == Proof(0.0, 2, 1e-4, "first.png")


@pytest.mark.parametrize(
    ("artifact", "difference", "worst"),
    [
        (Says([[0.25, 0.75], [0.5, 0.75]], MODEL.price), 0.25, "second.png"),  # of a probability: absolute
        (Says(MODEL.kind, [[1250.0], [0.5]]), 0.25, "first.png"),  # of a large number: relative
        (Says(MODEL.kind, [[1000.0], [0.25]]), 0.25, "second.png"),  # of a small number: absolute
        (Says([[0.25, 0.75], [0.5, 0.625]], [[1250.0], [0.5]]), 0.25, "first.png"),  # the worst of all tasks
    ],
)
def test_the_largest_difference_of_any_task_is_named(artifact, difference, worst):
    proof = prove(MODEL, artifact, EXAMPLES, tolerance=0.25)
    assert proof == Proof(difference, 2, 0.25, worst)
    assert proof.to_dict() == {"max_difference": difference, "images": 2, "tolerance": 0.25, "worst": worst}
    with pytest.raises(ProofError, match=f"within 0.2; got a difference of 0.25 on {worst}, the worst of 2"):
        prove(MODEL, artifact, EXAMPLES, tolerance=0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [True, False])
def test_what_is_not_finite_is_refused_even_when_both_say_it(value, both):
    broken = Says(MODEL.kind, [[1000.0], [value]])
    with pytest.raises(ProofError, match=r"second\.png: expected outputs that are finite"):
        prove(broken if both else MODEL, broken, EXAMPLES, tolerance=1)


def test_outputs_of_other_shapes_are_refused():
    with pytest.raises(ProofError, match=r"shape \(2, 2\); got \(2, 1\)"):
        prove(MODEL, Says([[0.25], [0.5]], MODEL.price), EXAMPLES)


@pytest.mark.parametrize("tolerance", [-1e-4, 2, np.nan])
def test_a_tolerance_that_means_nothing_is_refused(tolerance):
    with pytest.raises(check.SettingError, match="tolerance"):
        prove(MODEL, MODEL, EXAMPLES, tolerance=tolerance)
