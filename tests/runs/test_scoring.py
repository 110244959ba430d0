"""Scores: numbers that can be checked on paper, and labels matched by name."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose, data, runs, ship
from lensmith.check import DataError
from lensmith.records import Labels
from lensmith.runs.scoring import _measure, chosen, match_labels


def test_loss_and_accuracy_of_classes() -> None:
    outputs = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32)
    values = _measure(compose.Classify(3), np.array([0, 1]), outputs)
    assert values["loss"] == pytest.approx((math.log(2) + math.log(10)) / 2, abs=1e-6)
    assert values["accuracy"] == 0.5


def test_loss_and_accuracy_of_yes_and_no() -> None:
    values = _measure(compose.Binary(), np.array([1, 0, 0]), np.array([[0.5], [0.25], [0.75]], np.float32))
    assert values["loss"] == pytest.approx((math.log(2) - math.log(0.75) + math.log(4)) / 3, abs=1e-6)
    assert values["accuracy"] == pytest.approx(1 / 3)


def test_loss_and_accuracy_of_many_labels() -> None:
    truth = np.array([[1, 0], [1, 1]], np.float32)
    values = _measure(compose.MultiLabel(2), truth, np.array([[0.5, 0.5], [0.75, 0.25]], np.float32))
    assert values["loss"] == pytest.approx((2 * math.log(2) - math.log(0.75) + math.log(4)) / 4, abs=1e-6)
    assert values["accuracy"] == 0.5


def test_errors_of_numbers() -> None:
    values = _measure(compose.Regress(), np.array([[1.0], [3.0]]), np.array([[2.0], [1.0]]))
    assert values == {"loss": 2.5, "mean_absolute_error": 1.5}


def test_one_sure_mistake_does_not_make_the_loss_infinite() -> None:
    values = _measure(compose.Classify(2), np.array([0]), np.array([[0.0, 1.0]], np.float32))
    assert values["loss"] == pytest.approx(-math.log(1e-7))


def test_the_chosen_class() -> None:
    assert chosen(np.array([[0.2, 0.8], [0.6, 0.4]])).tolist() == [1, 0]
    assert chosen(np.array([[0.2], [0.8], [0.5]])).tolist() == [0, 1, 0]


def test_classes_are_matched_by_name_not_by_order() -> None:
    digits = data.bundled("digits")
    backwards = tuple(reversed(digits.labels["label"].names))
    moved = match_labels(digits, {"label": Labels("class", backwards)})
    assert [record.targets["label"] for record in moved[:3]] == [9, 8, 7]
    with pytest.raises(DataError, match=r"label: expected classes the model knows .* got 9$"):
        match_labels(digits, {"label": Labels("class", tuple("012345678"))})
    with pytest.raises(DataError, match="task 'species'"):
        match_labels(digits, {"species": digits.labels["label"]})


def test_scores_of_a_model_agree_with_keras() -> None:
    digits = data.bundled("digits")[:100]
    recipe = replace(compose.zoo.get("compact"), input=(8, 8, 1))
    preprocessing = data.Preprocessing(image=(8, 8, 1))
    model = recipe.build(seed=1)
    scores = runs.score(ship.Saved(model, recipe, digits.labels, preprocessing), digits)
    batches = data.batches(digits, preprocessing, size=100, shuffle=False)
    x, y = next(iter(batches.epoch(0)))
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert scores.loss == pytest.approx(loss, rel=1e-5)
    assert scores.metrics["accuracy"] == pytest.approx(accuracy)
    assert scores.confusion["label"].sum() == 100
    rows = scores.to_dict()["classes"]["label"]
    assert [row["name"] for row in rows] == list("0123456789")
    assert sum(row["correct"] for row in rows) == round(100 * accuracy)
