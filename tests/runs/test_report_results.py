"""Confusion, per-class figures and mistakes: numbers on paper, and against scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from lensmith.check import DataError
from lensmith.runs.report.results import confused_pairs, confusion, per_class, per_label, surest_mistakes

TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 1, 0])


def test_confusion_on_paper():
    assert confusion(TRUTH, PREDICTED, 3).tolist() == [[1, 2, 0], [0, 2, 0], [1, 0, 0]]


def test_confusion_of_nothing_is_all_zeros():
    assert confusion(np.array([], int), np.array([], int), 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("truth", "predicted", "says"),
    [
        ([0, 3], [0, 0], "confusion: truth: expected classes from 0 to 2; got 3"),  # a label outside the head
        ([0, 0], [0, -1], "confusion: predicted: expected classes from 0 to 2; got -1"),
        ([0, 0], [0], "one prediction a target"),  # lengths differ
    ],
)
def test_confusion_refuses(truth, predicted, says):
    with pytest.raises(DataError, match=says):
        confusion(np.array(truth), np.array(predicted), 3)


def test_per_class_on_paper():
    first, second, third = per_class(confusion(TRUTH, PREDICTED, 3), ("a", "b", "c"))
    assert (first.name, first.examples) == ("a", 3)
    assert (first.precision, first.recall, first.f1) == (1 / 2, 1 / 3, 2 / 5)
    assert (second.precision, second.recall, second.f1) == (2 / 4, 1.0, 4 / 6)
    assert (third.precision, third.recall, third.f1) == (None, 0.0, 0.0)  # nothing was called c


def test_a_class_that_does_not_occur_has_no_recall():
    absent = per_class(np.array([[2, 1], [0, 0]]), ("here", "absent"))[1]
    assert (absent.examples, absent.precision, absent.recall, absent.f1) == (0, 0.0, None, 0.0)


def test_a_row_as_json():
    row = per_class(np.array([[1, 0], [0, 3]]), ("a", "b"))[1].to_dict()
    assert row == {"name": "b", "examples": 3, "precision": 1.0, "recall": 1.0, "f1": 1.0}


def _reference(truth, predicted):
    """Scikit-learn's figures, with None where it has no denominator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = metrics.precision_recall_fscore_support(
            truth, predicted, labels=None if truth.ndim == 2 else range(4), zero_division=np.nan
        )[:3]
    return [[None if np.isnan(value) else pytest.approx(value) for value in row] for row in zip(*columns, strict=True)]


classes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(classes)
def test_confusion_and_per_class_agree_with_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    table = confusion(truth, predicted, 4)
    np.testing.assert_array_equal(table, metrics.confusion_matrix(truth, predicted, labels=range(4)))
    rows = per_class(table, "abcd")
    assert [[row.precision, row.recall, row.f1] for row in rows] == _reference(truth, predicted)


def test_per_label_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random((50, 4)) < 0.4
    predicted = truth ^ (rng.random((50, 4)) < 0.2)
    rows = per_label(truth, predicted, "abcd")
    assert [row.examples for row in rows] == truth.sum(axis=0).tolist()
    assert [[row.precision, row.recall, row.f1] for row in rows] == _reference(truth, predicted)


def test_surest_mistakes_come_first_and_right_ones_never():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    assert surest_mistakes(np.array([1, 1, 0, 0]), probabilities).tolist() == [0, 2, 3]
    assert surest_mistakes(np.array([1, 1, 0, 0]), probabilities, count=2).tolist() == [0, 2]
    assert surest_mistakes(np.array([0, 1, 1, 1]), probabilities).tolist() == []


def test_surest_mistakes_of_a_yes_or_no():
    yes = np.array([[0.95], [0.1], [0.6]])
    assert surest_mistakes(np.array([0, 1, 0]), yes).tolist() == [0, 1, 2]  # 0.95 yes, 0.9 no, 0.6 yes


def test_confused_pairs_on_paper():
    table = np.array([[8, 2, 0], [0, 5, 5], [1, 0, 3]])
    pairs = confused_pairs(table, ("a", "b", "c"), count=2)
    assert [(pair.truth, pair.predicted, pair.count, pair.share) for pair in pairs] == [
        ("b", "c", 5, 0.5),
        ("a", "b", 2, 0.2),
    ]


def test_a_perfect_model_has_no_confused_pairs():
    assert confused_pairs(np.diag([3, 4]), ("a", "b")) == ()
