"""One batch by heart: what learns, what does not and why, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from train_digits import CLASSES, dense, digits, forgetful

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Fit, Objective, Warmup, fit
from lensmith.train.trial import Trial, try_one_batch

BATCH = next(digits(0, 32).epoch(0))


def values(model: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in model.variables]


def tried(model: Any, stage: Fit, *, batch: Any = BATCH, objective: Objective = CLASSES, steps: int = 60) -> Trial:
    """The trial of a model, which is seen to be the same after as before."""
    before, flags = values(model), [layer.trainable for layer in model.layers]
    found = try_one_batch(model, batch, stage=stage, objectives={"digit": objective}, steps=steps)
    for one, other in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [layer.trainable for layer in model.layers] == flags
    assert found.steps == len(found.losses) and "\n" not in found.evidence + found.advice
    return found


@pytest.mark.backends
def test_a_healthy_network_learns_it() -> None:
    found = tried(dense(), Fit(rate=0.01))
    assert found.learnt and found.losses[-1] < 0.1 < found.losses[0]
    assert found.evidence.startswith(f"the loss went from {found.losses[0]:.3g} to ")
    assert found.evidence.endswith(f" in {found.steps} steps") and found.steps < 60
    assert found.advice == "the network, its losses and its labels go together: train on all the data"


@pytest.mark.backends
def test_a_network_with_dropout_and_norms_learns_it_and_is_as_it_was() -> None:
    model = forgetful(None)  # with random states of its own
    assert tried(model, Fit(rate=0.01)).learnt
    model = forgetful()
    tried(model, Fit(rate=0.01))
    # A stage after a trial is that without one, to the last bit.
    stage = Fit(epochs=1, rate=0.01)
    untried = forgetful()
    for one in (model, untried):
        fit(one, digits(0, 64), stage=stage, objectives={"digit": CLASSES}, seed=5)
    for mine, other in zip(values(model), values(untried), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_rate_that_is_far_too_low() -> None:
    found = tried(dense(), Fit(rate=1e-6))
    assert not found.learnt and found.steps == 60
    assert found.evidence == f"the loss stays at {np.mean(found.losses[-5:]):.4g}: nothing is learnt in 60 steps"
    assert found.advice.startswith("train at a higher rate, 0.01 in place of 1e-06: there the loss went from 2.59 to ")


def test_a_rate_that_is_far_too_high() -> None:
    found = tried(dense(), Fit(rate=1e3, optimizer="sgd"))
    assert not found.learnt and found.evidence.startswith("the loss rose from 2.59 to ")
    assert (
        found.advice.startswith("train at a lower rate, ") and "in place of 1000: there the loss went" in found.advice
    )


def test_a_loss_that_is_no_number_any_more() -> None:
    targets = np.eye(10, dtype="float32")[BATCH[1]]
    found = tried(dense(), Fit(rate=1e3, optimizer="sgd"), batch=(BATCH[0], targets), objective=Objective("mse"))
    assert not found.learnt and found.steps < 60 and not np.isfinite(found.losses[-1])
    assert found.evidence.startswith("the loss was ") and f"after {found.steps - 1} steps" in found.evidence
    assert found.advice.startswith("train at a lower rate, ")


def dead() -> Any:
    """A network whose hidden units never answer, and whose outputs are all 0."""
    model = dense()
    model.layers[1].set_weights([np.zeros((64, 32)), np.full(32, -1.0)])
    model.layers[2].bias.assign(np.zeros(10))
    return model


def test_a_network_that_cannot_learn() -> None:
    found = tried(dead(), Fit(rate=0.01, freeze=("logits",)))
    assert not found.learnt
    assert found.evidence == "the loss stays at 2.303, which is ln 10: nothing is learnt in 60 steps"
    assert found.advice.startswith("the rate is not the reason, from 0.001 to 100 none does better: look at the labels")
    assert "the inputs (0 to 1)" in found.advice and "the initial weights" in found.advice


def test_inputs_that_are_no_numbers() -> None:
    found = tried(dense(), Fit(), batch=(np.full_like(BATCH[0], np.nan), BATCH[1]))
    assert found.evidence == "the loss is nan before the first step"
    assert "look at the inputs (nan to nan)" in found.advice


def test_the_same_image_with_two_labels_is_not_learnt_by_heart() -> None:
    x, y = np.repeat(BATCH[0][:1], 8, axis=0), np.array([0, 1] * 4)
    found = tried(dense(), Fit(rate=0.01), batch=(x, y))
    assert not found.learnt and found.losses[-1] == pytest.approx(np.log(2), abs=0.02)
    assert "which is not by heart" in found.evidence and "look at the labels" in found.advice


def test_what_the_stage_does_with_its_rate_does_not_matter_here() -> None:
    plain = tried(dense(), Fit(rate=0.01))
    stage = Warmup(rate=0.01, accumulate=4).to_fit()
    assert tried(dense(), stage) == plain
    smoothed = Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax", smoothing=0.1)
    assert tried(dense(), Fit(rate=0.01, average=0.99), objective=smoothed) == plain


def test_a_regression_is_learnt_by_its_loss_alone() -> None:
    x = np.linspace(-1, 1, 16, dtype="float32")[:, None]
    model = dense(1, inputs=1)
    found = tried(model, Fit(rate=0.05), batch=(x, 3 * x), objective=Objective("mse"), steps=200)
    assert found.learnt and found.losses[-1] < found.losses[0] / 10


def test_labels_outside_the_range_are_refused_and_nothing_is_left_behind() -> None:
    model = forgetful(None)
    before = values(model)
    with pytest.raises(check.DataError, match=r"^the batch: expected classes 0 to 9"):
        try_one_batch(model, (BATCH[0], BATCH[1] + 5), stage=Fit(), objectives={"digit": CLASSES})
    for one, other in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
