"""What is noted while training: gradients and dead units on paper, and that looking changes no bit."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_digits import CLASSES, dense, digits, forgetful

from lensmith.backend import keras
from lensmith.backend.gradients import gradients, norm
from lensmith.train import Constant, Fit, Objective, fit, watch
from lensmith.train.compiled import compiled, fitted
from lensmith.train.state import arrays_of, seed_layers, variables_of

MSE = {"number": Objective("mse")}


def made(model, objectives=None, optimizer=None):
    return compiled(model, objectives or {"digit": CLASSES}, optimizer or keras.optimizers.Adam(0.01))


def looked(model, x, y, objectives=None):
    steps = made(model, objectives)
    y = fitted(steps.tasks, y, "here")
    steps.build(x, y)
    return watch.look(steps, x, y)


def linear(*weights):
    start = keras.Input((1,))
    x = start
    for place, weight in enumerate(weights):
        kernel = keras.initializers.Constant(weight)
        x = keras.layers.Dense(1, use_bias=False, kernel_initializer=kernel, name=f"w{place}")(x)
    return keras.Model(start, x)


@pytest.mark.parametrize(
    ("epoch", "steps", "expected"),
    [
        (0, 1, True),  # before the first step
        (1, 10, True),
        (3, 199, False),  # neither a power of two nor long
        (3, 200, True),  # two steps are a hundredth of it
        (64, 10, True),
        (65, 10, False),
    ],
)
def test_when_a_look_is_due(epoch, steps, expected):
    assert watch.due(epoch, steps) is expected


@pytest.mark.backends
def test_gradients_on_paper():
    x, y = np.array([[3.0]], "float32"), np.array([[0.0]], "float32")
    seen = looked(linear(2.0, 5.0), x, y, MSE)  # output 2·5·3 = 30, loss 900, dL/dout = 60
    assert seen["loss"] == pytest.approx(900)
    assert seen["losses"] == {"number": pytest.approx(900)}
    assert seen["classes"] == {}
    expected = [{"name": "w0", "gradient": 60 * 5 * 3, "weights": 2}, {"name": "w1", "gradient": 60 * 6, "weights": 5}]
    assert [layer["name"] for layer in seen["layers"]] == ["w0", "w1"]
    for layer, wanted in zip(seen["layers"], expected, strict=True):
        assert layer == {"name": wanted["name"]} | {key: pytest.approx(wanted[key]) for key in ("gradient", "weights")}


@pytest.mark.backends
def test_dead_units_on_paper():
    start = keras.Input((1,))
    bias = keras.initializers.Constant(-2.0)
    a = keras.layers.Dense(3, activation="relu", kernel_initializer="ones", name="alive")(start)
    b = keras.layers.Dense(3, kernel_initializer="ones", bias_initializer=bias, name="before")(start)
    b = keras.layers.Activation("relu", name="dead")(b)  # x - 2 with x of 0 and 1
    c = keras.layers.LeakyReLU(name="leaky")(keras.layers.Dense(2, name="other")(start))
    out = keras.layers.Dense(1, name="out")(keras.layers.Concatenate()([a, b, c]))
    x = np.tile(np.array([[0.0], [1.0]], "float32"), (20, 1))
    seen = looked(keras.Model(start, out), x, np.zeros((40, 1), "float32"), MSE)
    assert seen["dead"] == {"alive": 0.0, "dead": 1.0}
    assert seen["examples"] == 32


def test_a_unit_is_alive_that_lights_up_anywhere(monkeypatch):
    start = keras.Input((4, 4, 1))
    kernel = keras.initializers.Constant(np.array([1.0, -1.0]).reshape(1, 1, 1, 2))
    x = keras.layers.Conv2D(2, 1, activation="relu", kernel_initializer=kernel, name="conv")(start)
    model = keras.Model(start, keras.layers.Dense(1, name="out")(keras.layers.Flatten()(x)))
    x = np.zeros((6, 4, 4, 1), "float32")
    x[5, 2, 3] = 1.0  # one pixel of one example lights the first channel
    for most in (2**24, 64):  # all at once, and one example at a time
        monkeypatch.setattr(watch, "_MOST_VALUES", most)
        assert looked(model, x, np.zeros((6, 1), "float32"), MSE)["dead"] == {"conv": 0.5}


def test_a_model_with_one_of_a_class_of_its_own_inside():
    class Own(keras.Model):
        def call(self, x):
            return self.last(self.first(x))

    model = Own(name="own")
    model.first = keras.layers.Dense(4, activation="relu", name="hidden")
    model.last = keras.layers.Dense(10, name="logits")
    start = keras.Input((64,))
    seen = looked(keras.Model(start, model(start)), *next(digits().epoch(0)))
    assert seen["dead"] == {}  # nothing is known of what is inside
    assert [layer["name"] for layer in seen["layers"]] == ["own/hidden", "own/logits"]


def test_frozen_layers_are_left_out():
    model = dense()
    model.get_layer("hidden").trainable = False
    seen = looked(model, *next(digits().epoch(0)))
    assert [layer["name"] for layer in seen["layers"]] == ["logits"]
    assert seen["dead"] == {}
    model.trainable = False
    assert looked(model, *next(digits().epoch(0)))["layers"] == []


@pytest.mark.backends
def test_losses_and_classes_by_task():
    start = keras.Input((64,))
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(start)
    heads = {"digit": keras.layers.Dense(10, name="a")(hidden), "even": keras.layers.Dense(1, name="b")(hidden)}
    objectives = {"digit": CLASSES, "even": Objective("binary_crossentropy", activation="sigmoid")}
    x, y = next(digits().epoch(0))
    steps = made(keras.Model(start, heads), objectives)
    targets = fitted(steps.tasks, {"digit": y, "even": y % 2}, "here")
    steps.build(x, targets)
    seen = watch.look(steps, x, targets)
    assert seen["classes"] == {"digit": 10, "even": 2}
    assert seen["loss"] == pytest.approx(sum(seen["losses"].values()), rel=1e-5)
    assert set(seen["losses"]) == {"digit", "even"}
    alone = compiled(steps.model, objectives, keras.optimizers.Adam(), tasks=("even",))
    alone.build(x, targets)
    seen = watch.look(alone, x, targets)
    assert (list(seen["losses"]), seen["classes"]) == (["even"], {"even": 2})
    reached = [layer["name"] for layer in seen["layers"] if layer["gradient"]]
    assert reached == ["hidden", "b"]  # no gradient comes to the other head; on JAX it is 0, elsewhere there is none


@pytest.mark.backends
def test_penalties_on_weights_are_of_the_whole_loss_only():
    start = keras.Input((1,))
    layer = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(1)
    )
    seen = looked(keras.Model(start, layer(start)), np.ones((2, 1), "float32"), np.zeros((2, 1), "float32"), MSE)
    assert (seen["loss"], seen["losses"]) == (pytest.approx(2), {"number": pytest.approx(1)})


@pytest.mark.backends
def test_looking_changes_nothing():
    """Weights, optimizer, metrics, seeds and all following steps are bit-equal with and without a look."""

    def run(look):
        model = forgetful()
        steps = made(model, optimizer=keras.optimizers.Adam(0.01))
        seed_layers(model, 5)
        states = []
        for step, (x, y) in enumerate(digits(0, 128).epoch(0)):
            steps.build(x, y)
            if look:
                before = [arrays_of(group) for group in variables_of(model).values()]
                gradients_before = [getattr(weight.value, "grad", None) for weight in model.trainable_weights]
                seen = watch.look(steps, x, y)
                assert json.loads(json.dumps(seen, allow_nan=False)) == seen
                after = [arrays_of(group) for group in variables_of(model).values()]
                for old, new in zip(before, after, strict=True):
                    assert old.keys() == new.keys()
                    assert all(np.array_equal(old[name], new[name]) for name in old)
                kept = [getattr(weight.value, "grad", None) for weight in model.trainable_weights]
                assert all(one is two for one, two in zip(gradients_before, kept, strict=True))
            values = steps.train(x, y)
            states.append((step, steps.floats(values), [np.array(v) for v in model.get_weights()]))
        return states

    for (_, one, ones), (_, two, twos) in zip(run(False), run(True), strict=True):
        assert one == two
        assert all(np.array_equal(a, b) for a, b in zip(ones, twos, strict=True))


@pytest.mark.backends
def test_the_loop_trains_the_same_bits_when_it_looks():
    def run(diagnose):
        model = forgetful()
        stage = Fit(epochs=2, rate=0.01, schedule=Constant())
        history = fit(model, digits(0, 128), stage=stage, objectives={"digit": CLASSES}, seed=3, diagnose=diagnose)
        return history.rows, model.get_weights()

    (rows, weights), (rows_looked, weights_looked) = run(False), run(True)
    assert rows == rows_looked
    assert all(np.array_equal(a, b) for a, b in zip(weights, weights_looked, strict=True))


@pytest.mark.backends
def test_gradients_that_are_no_numbers_and_large_ones():
    seen = looked(linear(1e30, 1e30), np.ones((1, 1), "float32"), np.zeros((1, 1), "float32"), MSE)
    assert seen["loss"] is None
    assert seen["layers"][0]["gradient"] is None
    assert seen["layers"][0]["weights"] == pytest.approx(1e30)
    assert norm(np.full((2, 2), 3e30, "float32")) == pytest.approx(6e30)  # the squares are beyond float32
    assert norm(np.zeros((2, 2), "float32")) == 0


def test_gradients_are_those_of_keras():
    model = dense()
    x, y = next(digits().epoch(0))
    steps = made(model, optimizer=keras.optimizers.SGD(1.0))
    steps.build(x, y)
    norms = gradients(model, x, y).norms
    before = model.get_weights()
    steps.train(x, y)  # at a rate of 1, the step is the gradient
    stepped = [np.linalg.norm(old - new) for old, new in zip(before, model.get_weights(), strict=True)]
    assert norms == pytest.approx(stepped, rel=1e-4)


def test_thin_lists_keep_both_ends():
    assert watch.thinned(range(1000), 60)[0] == 0
    assert watch.thinned(range(1000), 60)[-1] == 999
    assert len(watch.thinned(range(61), 60)) == 60
    assert watch.thinned([1, 2], 60) == [1, 2]


def traced(losses):
    trace = watch.Trace()
    for step, mean in enumerate(np.cumsum(losses) / np.arange(1, len(losses) + 1), start=1):
        trace.add(float(mean), step)
    return trace


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=700))
@settings(max_examples=40, deadline=None)
def test_a_trace_says_what_the_losses_say(losses):
    trace = traced(losses)
    summary = trace.summary()
    kept = trace.losses()
    assert 1 <= len(kept) <= 64
    assert summary["count"] == len(losses)
    near = {"rel": 1e-6, "abs": 1e-6}
    assert summary["first"] == pytest.approx(losses[0], **near)
    assert summary["lowest"] == pytest.approx(min(losses), **near)
    assert summary["highest"] == pytest.approx(max(losses), **near)
    every = trace.every
    parts = [np.mean(losses[at : at + every]) for at in range(0, len(losses), every)]
    assert kept == pytest.approx(parts, **near)
    changes = np.mean(np.abs(np.diff(losses))) / np.mean(losses) if len(losses) > 1 else 0
    assert summary["roughness"] == pytest.approx(changes, rel=1e-3, abs=1e-5)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=300), st.integers(0, 300))
@settings(max_examples=40, deadline=None)
def test_a_trace_goes_on_to_the_same_bits(losses, stop):
    means = [float(np.float32(mean)) for mean in np.cumsum(losses) / np.arange(1, len(losses) + 1)]
    whole, resumed = watch.Trace(), watch.Trace()
    for step, mean in enumerate(means, start=1):
        if step == stop:
            resumed = watch.Trace.from_dict(json.loads(json.dumps(resumed.to_dict())))
        whole.add(mean, step)
        resumed.add(mean, step)
    assert whole.to_dict() == resumed.to_dict()


def test_a_trace_with_steps_that_were_not_told():
    trace = watch.Trace()
    trace.add(4.0, 1)
    trace.add(2.0, 3)  # the second and third cost 2 in all
    trace.add(2.0, 3)  # told twice
    trace.add(float("nan"), 4)
    assert trace.losses() == (4.0, 1.0, 1.0)
    assert watch.Trace().summary()["end"] is None
    assert watch.row(3, trace, None) == {"epoch": 3, "steps": trace.summary(), "seen": None}
