"""Moments, entropy and the coins: against paper, against Keras, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from lensmith import check
from lensmith.backend import keras
from lensmith.probe import lab

errors = st.lists(st.floats(-100, 100), min_size=2, max_size=20)
weights = st.lists(st.integers(0, 20), min_size=2, max_size=8).filter(any)


def test_the_coins():
    assert [round(cost, 3) for cost in lab.coins().values()] == [1.737, 1.322, 1.126, 1.029, 1.0]
    assert list(lab.coins()) == [0.1, 0.2, 0.3, 0.4, 0.5]
    # On paper: -(log2 0.1 + log2 0.9) / 2
    assert lab.coins()[0.1] == pytest.approx(-(math.log2(0.1) + math.log2(0.9)) / 2)


def test_the_mean_squared_error_is_the_variance_when_the_mean_error_is_0():
    centred = lab.moments([-3, -1, 1, 3])  # squares 9, 1, 1, 9; fourth powers 81, 1, 1, 81
    assert (centred.mean, centred.variance, centred.mse, centred.mae, centred.skewness) == (0, 5, 5, 2, 0)
    assert centred.kurtosis == 41 / 25
    shifted = lab.moments([-1, 1, 3, 5])  # the same, all two too high
    assert (shifted.mean, shifted.variance, shifted.mse) == (2, 5, 9)


@settings(max_examples=25, deadline=None)
@given(errors)
def test_moments(values):
    found = lab.moments(values)
    assert found.mse == pytest.approx(found.variance + found.mean**2, rel=1e-9, abs=1e-9)
    assert found.variance == pytest.approx(np.var(values), rel=1e-9, abs=1e-9)
    assert found.mae**2 <= found.mse * (1 + 1e-9)
    assume(np.std(values) > 1e-3)
    assert found.skewness == pytest.approx(stats.skew(values), rel=1e-6, abs=1e-6)
    assert found.kurtosis == pytest.approx(stats.kurtosis(values, fisher=False), rel=1e-6, abs=1e-6)


def test_errors_that_are_all_the_same_have_no_shape():
    found = lab.moments([0.1, 0.1, 0.1])
    assert math.isnan(found.skewness) and math.isnan(found.kurtosis) and found.mae == pytest.approx(0.1)


def test_the_mse_is_that_of_keras():
    truth, guess = np.array([[1.0, 2.0, 4.0]]), np.array([[1.5, 0.0, 5.0]])
    expected = keras.ops.convert_to_numpy(keras.losses.MeanSquaredError()(truth, guess))
    assert lab.moments(guess - truth).mse == pytest.approx(float(expected), abs=1e-5)


def test_information():
    assert lab.self_information(1 / 8) == 3 and lab.self_information(1 / 8, "nats") == pytest.approx(3 * math.log(2))
    assert lab.self_information(1) == 0 and lab.self_information(0) == math.inf
    assert str(lab.self_information(1)) == "0.0"  # not -0.0


def test_entropy():
    assert lab.entropy([1 / 8] * 8) == 3
    assert lab.entropy([1 / 2, 1 / 4, 1 / 4]) == 1.5  # 1/2·1 + 1/4·2 + 1/4·2
    assert lab.entropy([1.0, 0.0]) == 0 and str(lab.entropy([1, 0])) == "0.0"
    assert lab.entropy(lab.coin(0.5), "nats") == pytest.approx(math.log(2))


def test_infinities_come_where_the_definition_has_them():
    assert lab.cross_entropy([0.5, 0.5], [1, 0]) == math.inf == lab.kl_divergence([0.5, 0.5], [1, 0])
    assert lab.cross_entropy([1, 0], [0.5, 0.5]) == 1  # what never happens costs nothing
    assert lab.cross_entropy([1, 0], [1, 0]) == 0 and lab.kl_divergence([1, 0], [1, 0]) == 0
    assert lab.cross_entropy([1, 0], [0, 1]) == math.inf
    assert lab.coins(beliefs=(0, 1)) == {0: math.inf, 1: math.inf}
    assert lab.coins(heads=1, beliefs=(0.5, 1)) == {0.5: 1, 1: 0}


def test_the_loss_of_a_label_is_that_of_keras():
    truth, belief = [0.0, 1.0, 0.0], [0.2, 0.7, 0.1]
    expected = keras.losses.CategoricalCrossentropy()(np.array([truth]), np.array([belief]))
    assert lab.cross_entropy(truth, belief, "nats") == pytest.approx(
        float(keras.ops.convert_to_numpy(expected)), abs=1e-5
    )
    assert lab.cross_entropy(truth, belief, "nats") == pytest.approx(lab.self_information(0.7, "nats"))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_divergence_is_what_a_belief_costs_beyond_the_entropy(data):
    first = data.draw(weights)
    second = data.draw(st.lists(st.integers(1, 20), min_size=len(first), max_size=len(first)))
    p, q = np.array(first) / sum(first), np.array(second) / sum(second)
    assert lab.kl_divergence(p, q) == pytest.approx(stats.entropy(p, q, base=2), abs=1e-9)
    assert lab.entropy(p) == pytest.approx(stats.entropy(p, base=2), abs=1e-9)
    assert lab.cross_entropy(p, q) == pytest.approx(lab.entropy(p) + lab.kl_divergence(p, q), abs=1e-9)
    assert 0 <= lab.entropy(p) <= math.log2(len(p)) + 1e-9 and lab.kl_divergence(p, p) == 0
    assert lab.cross_entropy(p, q) == pytest.approx(lab.cross_entropy(p, q, "nats") / math.log(2))


FAULTS = [  # what is called, and a piece of the one line
    (lambda: lab.entropy([0.5, 0.6]), "truth: expected probabilities from 0 to 1 that sum to 1; got a sum of 1.1"),
    (lambda: lab.entropy([1.5, -0.5]), "got 1.5"),
    (lambda: lab.entropy([math.nan, 1]), "got nan"),
    (lambda: lab.entropy([]), "got an array of shape (0,)"),
    (lambda: lab.entropy([[0.5, 0.5]]), "got an array of shape (1, 2)"),
    (lambda: lab.entropy(["heads"]), "truth: expected an array of numbers"),
    (lambda: lab.cross_entropy([0.5, 0.5], [0.2, 0.2]), "belief: expected probabilities"),
    (lambda: lab.cross_entropy([0.5, 0.5], [1]), "belief: expected 2 probabilities, as the truth has; got 1"),
    (lambda: lab.entropy([1], "bit"), "unit: expected one of bits, nats; got 'bit'. Did you mean 'bits'?"),
    (lambda: lab.self_information(1.1), "probability: expected a number from 0 to 1; got 1.1"),
    (lambda: lab.self_information(math.nan), "got nan"),
    (lambda: lab.self_information("heads"), "probability: expected an array of numbers"),
    (lambda: lab.self_information([0.5, 0.5]), "probability: expected a number from 0 to 1; got [0.5, 0.5]"),
    (lambda: lab.coin(-0.1), "probability: expected"),
    (lambda: lab.moments([]), "errors: expected finite numbers, at least one; got none"),
    (lambda: lab.moments([1, math.inf]), "got inf"),
    (lambda: lab.moment([1, 2], 0), "order: expected a whole number"),
]


@pytest.mark.parametrize(("call", "piece"), FAULTS, ids=[piece for _, piece in FAULTS])
def test_what_is_no_distribution_is_refused_in_one_line(call, piece):
    with pytest.raises(check.LensmithError) as refused:
        call()
    assert piece in str(refused.value) and "\n" not in str(refused.value)
