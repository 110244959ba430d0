"""Measures of all examples at once: when they are taken, what they are called, and what they decide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lensmith import check, train
from lensmith.backend import keras
from lensmith.train import measures
from lensmith.train.measuring import evaluate


class Largest:
    """The largest target and the largest output: no mean over batches gives it."""

    def __init__(self):
        self.directions = {"largest": "max", "off": "min"}

    def begin(self):
        return Seen()


class Seen:
    def __init__(self):
        self.y, self.outputs = [], []

    def add(self, y, outputs):
        assert isinstance(y, np.ndarray)
        assert isinstance(outputs, np.ndarray)
        self.y.append(y.max())
        self.outputs.append(outputs.max())

    def result(self):
        return {"largest": max(self.y), "off": max(self.y) - max(self.outputs)}


class Batches:
    """Rows of numbers in batches of two, whose target is given."""

    def __init__(self, y, tasks=()):
        self.y, self.tasks = np.asarray(y, np.float32)[:, None], tasks
        self.fingerprint = str(y)

    def __len__(self):
        return len(self.y) // 2

    def epoch(self, number):
        x = np.ones((len(self.y), 3), np.float32)
        for first in range(0, len(self.y), 2):
            y = self.y[first : first + 2]
            yield x[first : first + 2], (dict.fromkeys(self.tasks, y) if self.tasks else y)


def model(tasks=()):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    outputs = {task: keras.layers.Dense(1, name=task)(inputs) for task in tasks} or keras.layers.Dense(1)(inputs)
    return keras.Model(inputs, outputs)


def measured(name="label"):
    return {name: train.Objective("mse", measures=(Largest(),))}


def fit(y, objectives=None, tasks=(), validation=True, **settings):
    objectives = objectives or measured()
    own = Batches(y, tasks)
    stage = train.Fit(**({"epochs": 3} | settings))
    return train.fit(model(tasks), own, stage=stage, objectives=objectives, validation=own if validation else None)


def test_their_values_stand_in_every_row_beside_the_loss():
    history = fit([1, 9, 2, 3])
    assert [row["val_largest"] for row in history.rows] == [9, 9, 9]
    assert set(history.rows[0]) == {"epoch", "loss", "val_loss", "val_largest", "val_off", "rate"}


@pytest.mark.parametrize(("name", "best"), [("val_off", "min"), ("val_largest", "max")])
def test_one_decides_on_the_best_epoch_and_when_to_stop(name, best):
    history = fit([1, 9, 2, 3], monitor=name, stop=train.Patience(patience=1), epochs=6)
    assert history.monitor == name
    values = [row[name] for row in history.rows]
    assert history.restored == 1 + values.index(min(values) if best == "min" else max(values))
    if name == "val_largest":  # it stays, so the first is the best and the second the last
        assert (len(history.rows), history.restored, history.stopped) == (2, 1, True)


def test_with_several_tasks_they_begin_with_the_task():
    objectives = {"a": train.Objective("mse"), "b": train.Objective("mse", measures=(Largest(),))}
    assert measures.directions(objectives) == {"b_largest": "max", "b_off": "min"}
    history = fit([1, 9], objectives, ("a", "b"), monitor="val_b_largest")
    assert history.rows[-1]["val_b_largest"] == 9
    assert "val_a_largest" not in history.rows[-1]


def test_without_validation_there_is_no_such_value():
    assert set(fit([1, 9], validation=False).rows[0]) == {"epoch", "loss", "rate"}
    with pytest.raises(check.SettingError, match="monitor: expected one of loss; got 'val_largest'"):
        fit([1, 9], validation=False, monitor="val_largest")


def test_a_measure_is_none_of_the_training_values():
    with pytest.raises(check.SettingError, match=r"monitor: .*got 'largest'"):
        fit([1, 9], monitor="largest")


def test_a_plateau_may_follow_one():
    history = fit([1, 9], schedule=train.Plateau(monitor="val_largest", patience=1), epochs=4)
    assert history.rows[-1]["rate"] < history.rows[0]["rate"]


def test_a_loss_that_is_no_number_is_refused_before_a_measure_of_it_counts():
    with pytest.raises(check.LensmithError, match="validation"):
        train.fit(
            model(),
            Batches([1, 2]),
            stage=train.Fit(epochs=1),
            objectives=measured(),
            validation=Batches([1, math.inf]),
        )


def test_evaluation_has_them_without_a_prefix():
    found = evaluate(model(), Batches([1, 9, 2, 3]), measured())
    assert found["largest"] == 9
    assert set(found) == {"loss", "largest", "off"}


def test_an_auxiliary_head_measures_nothing():
    """It has the targets of its task, and no name of its own that anyone would look for."""
    objectives = measured("a") | {"a_aux1": train.Objective("mse", target="a")}
    assert measures.directions(objectives) == {"a_largest": "max", "a_off": "min"}
