"""Feature maps as further outputs, and losses that read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Basic, Classify, ConvStem, Group, Groups, Recipe, Regress, logits, tap_names
from lensmith.compose.tapping import with_taps
from lensmith.train import Constant, Fit, Objective, fit

RECIPE = Recipe(
    input=(16, 16, 1),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, stride=1), Group(Basic(), filters=8)),
    tasks={"label": Classify(4)},
)
TWO = Recipe(RECIPE.input, RECIPE.stem, RECIPE.learner, {"kind": Classify(4), "size": Regress()})
CLASSES = Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax")


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


class Drawn:
    """Pictures of a bright quarter, whose place is their class."""

    fingerprint = "drawn"

    def __init__(self, count: int = 64, size: int = 16) -> None:
        rng = np.random.default_rng(0)
        self.y = rng.integers(0, 4, count).astype("int32")
        self.x = rng.random((count, 16, 16, 1)).astype("float32") * 0.2
        for image, place in zip(self.x, self.y, strict=True):
            image[8 * (place // 2) :, 8 * (place % 2) :][:8, :8] += 0.8
        self.size = size

    def __len__(self) -> int:
        return len(self.x) // self.size

    def epoch(self, number: int) -> Any:
        return Walk(self)


class Walk:
    def __init__(self, batches: Drawn) -> None:
        self.batches, self.next = batches, 0

    def __iter__(self) -> Walk:
        return self

    def __next__(self) -> Any:
        if self.next >= len(self.batches):
            raise StopIteration
        here = slice(self.next * self.batches.size, (self.next + 1) * self.batches.size)
        self.next += 1
        return self.batches.x[here], self.batches.y[here]

    def get_state(self) -> dict[str, int]:
        return {"next": self.next}

    def set_state(self, state: Any) -> None:
        self.next = state["next"]


@pytest.mark.backends
def test_the_outputs_are_those_of_the_layers(batch, fill) -> None:
    model = fill(logits(RECIPE.build(seed=0)))
    taps = tap_names(model)
    stem = next(layer.name for layer in model.layers if layer.name.startswith("stem"))
    tapped = with_taps(model, {"P1": "P1", "again": taps["P1"], "stem": stem})
    assert list(tapped.output) == ["label", "P1", "again", "stem"]
    x = batch(RECIPE.input)
    found = tapped(x)
    np.testing.assert_array_equal(array(found["label"]), array(model(x)))
    expected = keras.Model(model.input, [model.get_layer(taps["P1"]).output, model.get_layer(stem).output])(x)
    np.testing.assert_array_equal(array(found["P1"]), array(expected[0]))
    np.testing.assert_array_equal(array(found["again"]), array(expected[0]))
    np.testing.assert_array_equal(array(found["stem"]), array(expected[1]))
    assert [id(weight) for weight in tapped.weights] == [id(weight) for weight in model.weights]


def test_tasks_keep_their_names_and_order() -> None:
    model = logits(TWO.build(seed=0))
    assert list(with_taps(model, {"P0": "P0"}).output) == ["kind", "size", "P0"]
    one = logits(RECIPE.build(seed=0))
    assert list(with_taps(one, {"P0": "P0"}, task="species").output) == ["species", "P0"]
    assert list(with_taps(one, {}).output) == ["label"]


def test_models_of_ones_own_are_tapped_by_layer() -> None:
    inner = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="conv")], name="inner")
    last = [keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 1)), inner, *last])
    assert tuple(with_taps(model, {"maps": "conv"}).output["maps"].shape) == (None, 6, 6, 2)


@pytest.mark.backends
def test_a_penalty_on_a_tap_quiets_its_features() -> None:
    def activity(y_true, maps):
        return keras.ops.mean(keras.ops.abs(maps), axis=(1, 2, 3))

    # Of the first maps, which are not scaled again by a normalisation that would undo the penalty.
    means, batches = {}, Drawn()
    for weight in (0.0, 1.0):
        model = with_taps(logits(RECIPE.build(seed=0)), {"P0": "P0"})
        objectives = {"label": CLASSES, "P0": Objective(activity, tap=True, target="label", weight=weight)}
        stage = Fit(epochs=4, rate=0.01, schedule=Constant())
        history = fit(model, batches, stage=stage, objectives=objectives)
        means[weight] = float(np.abs(model.predict(batches.x, verbose=0)["P0"]).mean())
        assert set(history.rows[0]) == {"epoch", "loss", "label_loss", "P0_loss", "label_accuracy", "rate"}
    assert means[1.0] < 0.5 * means[0.0], "the mean activation falls where it is penalised"
    assert history["label_loss"][-1] < history["label_loss"][0], "and the classes are learnt all the same"


TAPS = "taps: expected one of P0, P1, or the name of a layer; got 'P7'"
WRONG = [
    ({"P7": "P7"}, TAPS),
    ({"deep": "P7"}, TAPS.replace("taps:", "taps.deep:")),
    ({"deep": "learner-group2-block1-rel"}, "Did you mean 'learner-group2-block1-relu"),
    ({"label": "P0"}, "taps: expected a name of letters, digits, '_', '.' and '-' that no task has; got 'label'"),
    ({"a/b": "P0"}, "that no task has; got 'a/b'"),
]


@pytest.mark.parametrize(("taps", "message"), WRONG)
def test_refused_in_one_line(taps: dict[str, str], message: str) -> None:
    with pytest.raises(check.SettingError) as caught:
        with_taps(logits(RECIPE.build(seed=0)), taps)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_that_cannot_be_tapped() -> None:
    start = keras.Input((4,))
    two = keras.Model(start, [keras.layers.Dense(1)(start), keras.layers.Dense(1)(start)])
    with pytest.raises(check.SettingError, match="taps: expected one output, or a dict of them by task; got 2 outputs"):
        with_taps(two, {"a": "b"})
    with pytest.raises(check.SettingError, match="whose layers are connected"):
        with_taps(keras.Sequential([keras.layers.Dense(1)]), {"a": "b"})
