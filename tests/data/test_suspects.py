"""Wrong labels that were planted are found, and right ones mostly left in peace."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from lensmith import check, data
from lensmith.data.inspection.suspects import suspect_findings, suspects
from lensmith.records import Labels, Record, Records

NAMES = ["cat", "dog", "emu"]


def pets(*labels):
    items = tuple(
        Record(f"{place}.png", row=np.zeros(1), targets={} if label is None else {"label": label})
        for place, label in enumerate(labels)
    )
    return Records(items, {"label": Labels("class", NAMES)})


# A model, and what share of what is named must have been planted: the better it knows digits, the fewer it accuses.
MODELS = [
    (KNeighborsClassifier(10), 0.75, 0),
    (KNeighborsClassifier(10), 0.75, 1),
    # a linear model errs on 7 digits of 100 by itself; 0.54 to 0.68 were measured with four seeds
    (LogisticRegression(C=0.1, max_iter=200, tol=0.01), 0.5, 2),
]


@pytest.mark.parametrize(("model", "precision", "seed"), MODELS)
def test_planted_errors_are_found(model, precision, seed):
    pixels, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(labels), len(labels) // 20, replace=False)  # 5 %
    noisy = labels.copy()
    noisy[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
    probabilities = cross_val_predict(model, pixels / 16, noisy, cv=5, method="predict_proba")
    found = suspects(data.from_rows(pixels, noisy), "label", probabilities)
    hits = [one for one in found if one.index in set(wrong.tolist())]
    assert len(hits) / len(wrong) >= 0.9, "recall"
    assert len(hits) / len(found) >= precision, "precision"
    assert np.mean([one.suggested == str(labels[one.index]) for one in hits]) >= 0.9, "the right digit is suggested"
    assert np.mean([one.index in wrong for one in found[: len(wrong) // 2]]) >= 0.95, "the first are the surest"
    assert [one.margin for one in found] == sorted((one.margin for one in found), reverse=True)


def test_counts_on_paper():
    records = pets(0, 0, 1, 1, 1)
    probabilities = [
        [0.8, 0.1, 0.1],
        [0.4, 0.5, 0.1],  # the threshold of a cat is 0.6; that of a dog (0.7 + 0.2 + 0.6) / 3 = 0.5 is reached
        [0.2, 0.7, 0.1],
        [0.7, 0.2, 0.1],  # 0.7 reaches the cats' 0.6
        [0.3, 0.6, 0.1],
    ]
    # of the cats one of two counts as a dog, of the dogs one of three as a cat: 1 + 1 labels are wrong
    found = suspects(records, "label", probabilities)
    assert [(one.index, one.given, one.suggested, one.margin) for one in found] == [
        (3, "dog", "cat", 0.5),
        (1, "cat", "dog", 0.1),
    ]
    probabilities[1] = [
        0.4,
        0.47,
        0.13,
    ]
    assert [one.index for one in suspects(records, "label", probabilities)] == [3]


def test_nobody_is_suspect_where_the_given_class_leads():
    rng = np.random.default_rng(0)
    given = rng.integers(0, 3, 60)
    probabilities = (np.eye(3)[given] + 0.2) / 1.6
    assert suspects(pets(*given.tolist()), "label", probabilities) == ()


def test_a_class_nobody_has_is_never_suggested_and_gaps_are_passed_over():
    found = suspects(pets(0, None, 1), "label", [[0.1, 0.0, 0.9], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert found == ()


def test_the_finding():
    found = suspects(pets(0, 0, 1, 1), "label", [[0.9, 0.1, 0], [0.1, 0.9, 0], [0.2, 0.8, 0], [0.3, 0.7, 0]])
    (one,) = suspect_findings(found, "label", total=4)
    assert (one.kind, one.severity) == ("suspect", "warning")
    assert one.message.startswith("label: 1 of 4 label is probably wrong")
    assert (one.files, one.notes) == (("1.png",), ("cat, looks like dog",))
    assert list(suspect_findings((), "label", total=4)) == []


# The probabilities of two examples, and what the line must say.
REFUSALS = [
    (np.zeros((3, 3)), r"numbers of shape \(2, 3\); got float64 of shape \(3, 3\)"),
    (np.zeros((2, 4)), r"numbers of shape \(2, 3\)"),
    ([["a", "b", "c"]] * 2, r"numbers of shape \(2, 3\); got <U1"),
    ([[0, 0, 1], [0, 2, -1]], r"row 1: expected numbers from 0 to 1; got 0, 2, -1"),
    ([[0, 0, 1], [0, np.nan, 1]], r"row 1: expected numbers from 0 to 1"),
]


@pytest.mark.parametrize(("probabilities", "message"), REFUSALS)
def test_refusals(probabilities, message):
    with pytest.raises(check.SettingError, match=f"probabilities.*{message}"):
        suspects(pets(0, 1), "label", probabilities)


def test_the_task_is_checked():
    with pytest.raises(check.SettingError, match="task: expected one of label; got 'lable'"):
        suspects(pets(0, 1), "lable", np.zeros((2, 3)))
