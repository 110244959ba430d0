"""Cutting a model where its frozen front ends: the two halves give what the model gives, and the cut lies deep."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import backend, check, compose
from lensmith.backend import keras
from lensmith.compose import Basic, Classify, ConvStem, Dense, Group, Groups, Recipe, Regress, freeze, frozen, logits
from lensmith.compose.halving import halves

pytestmark = pytest.mark.backends

TWO = Recipe(
    input=(9, 12, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, blocks=2, stride=1), Group(Basic(), filters=8)),
    tasks={"species": Classify(5, hidden=(6,), dropout=0.5), "quality": Regress()},
)


def arrays(outputs) -> dict[str, np.ndarray]:
    by_name = outputs if isinstance(outputs, dict) else {"": outputs}
    return {name: keras.ops.convert_to_numpy(value) for name, value in by_name.items()}


def assert_the_same(model, cut, x) -> None:
    """Called by Keras, and by the fast way through the graph."""
    if isinstance(getattr(model, "output", None), dict):
        assert list(model.output) == list(cut.rest.output)
    for call in (lambda one, value: one(value, training=False), backend.predict):
        whole, joined = arrays(call(model, x)), arrays(call(cut.rest, call(cut.front, x)))
        assert whole.keys() == joined.keys()
        for name in whole:
            # To the bit on torch; other backends compile the whole and the halves, each in its own way.
            close = 0 if keras.config.backend() == "torch" else 1e-5
            np.testing.assert_allclose(joined[name], whole[name], rtol=close, atol=close)


def named(model) -> list[str]:
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize(
    ("row", "patterns"),
    [
        ("compact", ["learner"]),  # convolutions without norms
        ("resnet18-v2", ["stem", "learner"]),  # the whole backbone, with norms
        ("resnet18-v2", ["stem", "learner-group1"]),  # the border is before a shortcut
        ("resnet18-v1", ["stem", "learner-group1-block1"]),  # and after an addition
        ("mobilenet-v2", ["stem", "learner-group1"]),
        ("vgg16", ["learner"]),  # flattened: two hidden layers and dropout behind
        ("squeezenet-1.1", ["stem", "learner-group1"]),  # what is concatenated crosses the border as one
    ],
)
def test_the_halves_of_a_zoo_row_give_what_the_model_gives(small, built, batch, row, patterns):
    if keras.config.backend() != "torch" and row not in ("compact", "resnet18-v1"):
        pytest.skip("other backends compile every operation anew for every shape: one row of each kind is enough")
    model, x = built(row), batch(small(row).input)
    cut = halves(model, patterns)
    assert_the_same(model, cut, x)
    assert cut.front.count_params() > 0
    assert cut.front.count_params() + cut.rest.count_params() == model.count_params()


@pytest.mark.parametrize("view", [lambda model: model, logits])
@pytest.mark.parametrize(
    "patterns", [["stem", "learner"], ["stem", "learner-group1"], ["stem", "learner", "*quality*"]]
)
def test_two_tasks(fill, batch, view, patterns):
    model = view(fill(TWO.build(seed=0)))
    assert_the_same(model, halves(model, patterns), batch(TWO.input))


def test_the_pooled_vector_is_in_front_and_dropout_behind():
    model = logits(TWO.build(seed=0))
    cut = halves(model, ["stem", "learner"])
    assert cut.front.output_shape == (None, 8)  # both heads take the average of the last 8 maps
    assert [type(layer).__name__ for layer in cut.rest.layers if layer.weights] == ["Dense", "Dense", "Dense"]
    assert any("Dropout" in type(layer).__name__ for layer in cut.rest.layers)
    assert cut.frozen == ()


def test_dropout_before_frozen_layers_ends_the_front():
    recipe = Recipe((6,), None, Dense((5, 4), dropout=0.5), {"label": Classify(3)})
    model = recipe.build(seed=0)
    cut = halves(model, ["learner"])
    first, second = (layer.name for layer in model.layers if layer.weights and layer.name.startswith("learner"))
    assert first in named(cut.front)
    assert second in named(cut.rest)
    assert cut.frozen == (second,)  # it is behind the border and still not to be trained


def test_dropout_of_nothing_is_no_chance():
    start = keras.Input((4,))
    x = keras.layers.Dropout(0.0)(keras.layers.Dense(3, name="one")(start))
    model = keras.Model(start, keras.layers.Dense(2, name="two")(x))
    assert [layer for layer in halves(model, ["one"]).rest.layers if "Dropout" in type(layer).__name__] == []


def test_a_norm_that_trains_is_behind_and_a_frozen_one_in_front():
    start = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(3, name="one")(start))
    model = keras.Model(start, keras.layers.Dense(2, name="two")(x))
    assert "norm" in named(halves(model, ["one"]).rest)
    assert "norm" in named(halves(model, ["one", "norm"]).front)


def test_a_norm_without_weights_that_train_still_follows_its_batches():
    start = keras.Input((4,))
    x = keras.layers.Dense(3, name="one")(start)
    x = keras.layers.BatchNormalization(center=False, scale=False, name="norm")(x)
    model = keras.Model(start, keras.layers.Dense(2, name="two")(x))
    assert "norm" in named(halves(model, ["one"]).rest)


def test_several_tensors_cross_by_name(batch):
    start = keras.Input((8,))
    one, two = keras.layers.Dense(4, name="one")(start), keras.layers.Dense(3, name="two")(start)
    end = keras.layers.Dense(2, name="end")(
        keras.layers.Concatenate(name="both")([keras.layers.Dropout(0.1)(one), two])
    )
    model = keras.Model(start, end)
    cut = halves(model, ["one", "two"])
    assert {name: tensor.shape for name, tensor in cut.front.output.items()} == {
        "one-features": (None, 4),
        "two-features": (None, 3),
    }
    assert_the_same(model, cut, batch((8,)))


def test_an_output_that_does_not_change_is_passed_through(batch):
    start = keras.Input((8,))
    x = keras.layers.Dense(4, name="one")(start)
    outputs = {"still": keras.layers.Dense(2, name="still")(x), "moving": keras.layers.Dense(2, name="moving")(x)}
    model = keras.Model(start, outputs)
    cut = halves(model, ["one", "still"])
    assert "still" in named(cut.front)
    assert_the_same(model, cut, batch((8,)))


def test_a_layer_called_on_both_sides(batch):
    start = keras.Input((4,))
    twice = keras.layers.Dense(4, name="twice")
    x = keras.layers.Dense(4, name="moving")(twice(start))
    model = keras.Model(start, twice(x))
    cut = halves(model, ["twice"])
    assert "twice" in named(cut.front)
    assert cut.frozen == ("twice",)
    assert_the_same(model, cut, batch((4,)))


def test_a_model_inside_a_model(batch):
    start = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="block1_conv")(start)
    x = keras.layers.BatchNormalization(name="block1_norm")(x)
    base = keras.Model(start, keras.layers.Conv2D(2, 3, name="block2_conv")(x), name="base")
    head = [keras.layers.GlobalAveragePooling2D(name="pool"), keras.layers.Dense(3, name="out")]
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), base, *head])
    for patterns, last in ((["base"], "pool"), (["base/block1*"], "block1_norm")):
        cut = halves(model, patterns)
        assert named(cut.front)[-1] == last
        assert_the_same(model, cut, batch((8, 8, 3)))


def test_operations_without_a_layer(batch):
    start = keras.Input((4,))
    x = keras.ops.relu(keras.layers.Dense(4, name="one")(start)) * 2.0
    model = keras.Model(start, keras.ops.tanh(keras.layers.Dense(2, name="two")(x)) + 1.0)
    cut = halves(model, ["one"])
    assert_the_same(model, cut, batch((4,)))


def test_what_trains_is_as_before_and_shared(batch):
    model = logits(TWO.build(seed=0))
    before = frozen(model)
    cut = halves(model, ["stem", "learner"])
    assert frozen(model) == before
    x = batch(TWO.input)
    old = arrays(model(x, training=False))
    for weight in cut.rest.trainable_weights:
        weight.assign(weight + 1.0)
    new = arrays(model(x, training=False))
    assert all(not np.array_equal(old[name], new[name]) for name in old)
    assert_the_same(model, cut, x)


def test_layers_that_were_frozen_before_need_no_pattern():
    model = TWO.build(seed=0)
    freeze(model, "stem", "learner")
    assert halves(model).front.output_shape == (None, 8)


class Own(keras.layers.Layer):
    """Does another thing in training, and nobody can know."""

    def call(self, x, training=False):
        return x + 1.0 if training else x


def test_a_layer_of_the_users_own_that_asks_whether_it_trains_is_behind():
    start = keras.Input((4,))
    x = Own(name="own")(keras.layers.Dense(3, name="one")(start))
    model = keras.Model(start, keras.layers.Dense(2, name="two")(x))
    assert "own" in named(halves(model, ["one"]).rest)


def dense() -> keras.Model:
    layers = [keras.layers.Dense(3, name="one"), keras.layers.Dense(2, name="two")]
    return keras.Sequential([keras.layers.Input((4,)), *layers], name="small")


@pytest.mark.parametrize(
    ("patterns", "line"),
    [
        (["one", "two"], "freeze: expected layers that still train; got all of them frozen. Freeze fewer"),
        ([], "freeze: expected frozen layers at the start of small; got one, which trains or is left to chance"),
        (["two"], "freeze: expected frozen layers at the start of small; got one, which trains or is left to chance"),
        (["on"], "freeze: expected a name or pattern of layers with weights; got 'on'. Did you mean 'one'?"),
    ],
)
def test_what_cannot_be_cut_is_refused(patterns, line):
    with pytest.raises(check.SettingError) as caught:
        halves(dense(), patterns)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_model_of_unknown_connections_is_refused():
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.one = keras.layers.Dense(2, name="one")

        def call(self, x):
            return self.one(x)

    model = Subclassed()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(check.SettingError, match="whose layers are connected"):
        halves(model, ["one"])


def test_a_logits_view_and_the_whole_model_are_cut_alike():
    model = compose.zoo.get("compact").build(seed=0)
    one, other = (halves(view, ["learner"]).front for view in (model, logits(model)))
    assert named(one) == named(other)
