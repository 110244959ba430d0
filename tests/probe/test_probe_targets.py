"""Which number of which head is looked at: names, defaults, logits, and what is refused."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import (
    Basic,
    Binary,
    Classify,
    ConvStem,
    Dense,
    Group,
    Groups,
    Localise,
    MultiLabel,
    Recipe,
    Regress,
    logits,
    zoo,
)
from lensmith.compose.zoo import inception
from lensmith.data import Preprocessing
from lensmith.probe import targets
from lensmith.probe.heads import head_of, heads, parts, raw
from lensmith.probe.subject import Subject
from lensmith.probe.targets import Target, chosen, probability, score, target
from lensmith.records import Labels

layers = keras.layers
ROWS = Recipe((4,), None, Dense((8,)), {"label": Classify(3)})


def array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def dense(units: int, activation: str | None = None, name: str = "last") -> Any:
    return keras.Sequential([keras.Input((4,)), layers.Dense(units, activation=activation, name=name)])


def listed() -> Any:
    """Two outputs as a list, from layers of one's own."""
    x = keras.Input((4,))
    return keras.Model(x, [layers.Dense(3, name="kind")(x), layers.Dense(1, activation="sigmoid", name="sick")(x)])


def same_named() -> Any:
    """A dict whose keys Keras would sort, one of its outputs from an inner model."""
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="d"), layers.Softmax(name="s")], name="inner")
    return keras.Model(x, {"zebra": inner(x), "ape": layers.Dense(5, name="own")(x)})


def subject(tasks: dict[str, Any], labels: dict[str, Labels]) -> Subject:
    model = Recipe(ROWS.input, ROWS.stem, ROWS.learner, tasks).build(seed=0)
    return Subject(model, Preprocessing(columns=4, scaling="none"), labels)


# The model, and of each head: name, units, whether they are classes, what makes probabilities, and the first name.
HEADS: list[tuple[str, Callable[[], Any], list[tuple[str, int, bool, str, str]]]] = [
    ("softmax in Dense", lambda: dense(3, "softmax"), [("last", 3, True, "softmax", "0")]),
    # Logits of one's own: classes, but nobody says whether several may be true at once.
    ("logits", lambda: dense(3), [("last", 3, True, "linear", "0")]),
    ("one sigmoid", lambda: dense(1, "sigmoid"), [("last", 1, True, "sigmoid", "0")]),
    ("one number", lambda: dense(1), [("last", 1, False, "linear", "0")]),
    ("a list", listed, [("kind", 3, True, "linear", "0"), ("sick", 1, True, "sigmoid", "0")]),
    # A dict keeps the order in which it was written.
    ("a dict", same_named, [("zebra", 2, True, "softmax", "0"), ("ape", 5, True, "linear", "0")]),
    ("a recipe", lambda: ROWS.build(seed=0), [("label", 3, True, "softmax", "0")]),
    # Its logits, without labels: no probabilities are known.
    ("a recipe's logits", lambda: logits(ROWS.build(seed=0)), [("label", 3, True, "linear", "0")]),
    (
        "all kinds",
        lambda: subject(
            {"k": Classify(2), "b": Binary(), "m": MultiLabel(3), "n": Regress(2), "box": Localise()},
            {
                "k": Labels("class", ("cat", "dog")),
                "b": Labels("class", ("well", "ill")),
                "m": Labels("classes", ("sun", "rain", "wind")),
                "n": Labels("number", ("age", "size")),
                "box": Labels("boxes", ("cat",)),
            },
        ),
        [
            ("k", 2, True, "softmax", "cat"),
            ("b", 1, True, "sigmoid", "well"),
            ("m", 3, True, "sigmoid", "sun"),
            ("n", 2, False, "linear", "age"),
            ("box", 4, False, "linear", "x1"),
        ],
    ),
]


@pytest.mark.backends
@pytest.mark.parametrize(("make", "expected"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_heads(make: Callable[[], Any], expected: Any) -> None:
    asked = make()
    found = heads(asked)
    assert [(one.name, one.units, one.classes, one.activation, one.names[0]) for one in found] == expected
    assert not any(one.whole for one in found)
    # The raw outputs with the activation put back are what the model gives.
    model, _ = parts(asked)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    given = keras.tree.flatten(backend.predict(model, x))
    for one in found:
        if one.activation != "linear" or one.ending == "linear":
            values = targets.probabilities(np.asarray(backend.predict(raw(asked, one.name), x)[one.name]), one)
            np.testing.assert_allclose(values, given[one.place], atol=1e-6)


def test_labels_say_what_makes_probabilities_of_logits() -> None:
    rows = Preprocessing(columns=4, scaling="none")
    kinds = {"class": "softmax", "classes": "sigmoid", "number": "linear"}
    for kind, activation in kinds.items():
        [head] = heads(Subject(dense(2), rows, {"what": Labels(kind, ("a", "b"))}))  # type: ignore[arg-type]
        assert (head.name, head.activation, head.names) == ("what", activation, ("a", "b"))


@pytest.mark.backends
def test_a_score_is_the_logit() -> None:
    model = dense(1, "sigmoid")
    model.layers[-1].set_weights([np.float32([[1], [2], [3], [4]]), np.float32([0.5])])
    x = np.float32([[1, 1, 1, 1], [-1, 0, 0, 0]])  # 10.5 and −0.5
    outputs = raw(model)(x)
    np.testing.assert_allclose(array(score(outputs, chosen(head_of(model), 1))), [10.5, -0.5])
    np.testing.assert_allclose(array(score(outputs, chosen(head_of(model), 0))), [-10.5, 0.5])
    np.testing.assert_allclose(array(score(outputs["last"], chosen(head_of(model), 0))), [-10.5, 0.5])
    head, logit = head_of(model), array(outputs["last"])
    np.testing.assert_allclose(probability(logit, head, chosen(head, 1)), 1 / (1 + np.exp([-10.5, 0.5])), atol=1e-12)
    np.testing.assert_allclose(probability(logit, head, chosen(head, 0)), 1 / (1 + np.exp([10.5, -0.5])), atol=1e-12)


@pytest.mark.backends
def test_pixels_are_averaged() -> None:
    x = keras.Input((2, 2, 1))
    conv = layers.Conv2D(2, 1, activation="softmax", name="mask")
    model = keras.Model(x, conv(x))
    conv.set_weights([np.float32([[[[1, -1]]]]), np.float32([0, 10])])
    image = np.float32([1, 2, 3, 6]).reshape(1, 2, 2, 1)
    outputs = raw(model)(image)
    assert array(outputs["mask"]).shape == (1, 2, 2, 2)
    assert array(score(outputs, chosen(head_of(model), 0))) == pytest.approx([3])  # the mean of 1, 2, 3, 6
    assert array(score(outputs, chosen(head_of(model), 1))) == pytest.approx([7])  # 10 − 3


def test_an_activation_that_cannot_be_left_out_is_said() -> None:
    class Own(layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.scale = self.add_weight(shape=(), initializer="ones")
            self.activation = keras.activations.sigmoid

        def call(self, x: Any) -> Any:
            return self.activation(x * self.scale)

    x = keras.Input((1,))
    model = keras.Model(x, Own()(x))
    head = head_of(model)
    assert (head.whole, head.activation, head.ending, head.probable) == (True, "linear", "sigmoid", True)
    given = backend.predict(raw(model), np.float32([[0.0]]))["own"]
    assert given == pytest.approx(0.5)
    assert probability(np.float32([[0.8]]), head, chosen(head, 0)) == pytest.approx([0.2])
    assert target(head, np.float32([[0.4]])).index == 0, "0.4 is a probability, and no logit"


def log(*shares: float) -> Any:
    return np.log([shares])


# Logits, and the class that is taken.
DEFAULTS = [
    (lambda: dense(3, "softmax"), log(0.2, 0.5, 0.3), 1),
    (lambda: dense(3), [[-5.0, -7.0, -1.0]], 2),
    (lambda: dense(1, "sigmoid"), [[-0.4]], 0),
    (lambda: dense(1, "sigmoid"), [[0.4]], 1),
    (lambda: subject({"b": Binary()}, {"b": Labels("class", ("no", "yes"))}), [[0.4]], 1),
    (lambda: dense(1), [[3.0]], 0),  # a number is a number
    # Of several examples, the mean of the probabilities: the logits' own would be largest for class 0.
    (lambda: dense(3, "softmax"), np.concatenate([log(0.6, 0.4, 1e-9), log(1e-3, 0.4, 0.599)]), 1),
]


@pytest.mark.parametrize(("make", "logits_given", "index"), DEFAULTS)
def test_left_out_it_is_the_most_probable(make: Callable[[], Any], logits_given: Any, index: int) -> None:
    [head] = heads(make())
    assert target(head, np.float32(logits_given)).index == index


def test_by_head_and_by_name() -> None:
    one = subject({"k": Classify(2), "b": Binary()}, {"k": Labels("class", ("cat", "dog"))})
    k, b = head_of(one, "k"), head_of(one, "b")
    assert head_of(one) == head_of(one, 0) == k and head_of(one, 1) == head_of(one, "1") == b
    logits_given = np.float32([[0.1, 0.9]])
    assert target(k, logits_given) == Target("k", 1, "dog")
    assert target(b, np.float32([[-0.2]])) == Target("b", 0, "0", unit=0, sign=-1.0)
    assert target(k, logits_given, "cat") == target(k, logits_given, 0) == target(k, logits_given, "0")
    assert target(b, np.float32([[-0.2]]), 1) == Target("b", 1, "1", unit=0, sign=1.0)


def test_a_name_that_is_a_number_is_a_name() -> None:
    head = head_of(subject({"k": Classify(3)}, {"k": Labels("class", ("2", "0", "1"))}))
    assert chosen(head, "2").index == 0
    assert chosen(head, 2).index == 2


def test_googlenet_is_asked_by_its_main_head() -> None:
    whole = zoo.get("googlenet")
    recipe = replace(whole, input=(80, 80, 3), tasks={"label": Classify(4)}, auxiliaries=inception.auxiliaries())
    model = recipe.build(seed=0, auxiliaries=True)
    assert [head.name for head in heads(model)] == ["label", "label_aux1", "label_aux2"]
    assert head_of(model).name == "label"
    assert head_of(model, "label_aux2").units == 4
    turned = keras.Model(model.input, [model.output["label_aux1"], model.output["label"]])
    assert [head.name for head in heads(turned)] == ["label_aux1", "label"]
    assert head_of(turned).name == "label", "wherever it stands"


def test_layers_are_shared_and_the_model_is_let_go() -> None:
    recipe = Recipe(
        (8, 8, 1), ConvStem(2, kernel=3, stride=1), Groups(Group(Basic(), filters=2)), {"label": Classify(2)}
    )
    for make in (lambda: recipe.build(seed=0), lambda: dense(3, "softmax")):
        model = make()
        assert raw(model) is raw(model), "made once"
        known = {id(weight) for weight in model.weights}
        assert {id(weight) for weight in raw(model).weights} <= known
        kept = weakref.ref(model)
        del model
        gc.collect()
        assert kept() is None


THOUSAND = tuple(f"class-{i}" for i in range(1000))
REFUSED = [
    (lambda: head_of(listed(), "sik"), "head: expected one of kind, sick; got 'sik'. Did you mean 'sick'?"),
    (lambda: head_of(listed(), 2), "head: expected one of kind, sick; got 2"),
    (lambda: chosen(head_of(listed()), 3), "target of kind: expected a number from 0 to 2; got 3"),
    (lambda: chosen(head_of(listed()), -1), "target of kind: expected a number from 0 to 2; got -1"),
    (lambda: chosen(head_of(listed()), True), "target of kind: expected a number from 0 to 2; got True"),
    (
        lambda: chosen(head_of(subject({"k": Classify(1000)}, {"k": Labels("class", THOUSAND)})), "clas-77"),
        "target of k: expected a number from 0 to 999 or a name (class-0, class-1, class-2, class-3, class-4, class-5, "
        "class-6, class-7, …); got 'clas-77'. Did you mean 'class-77'?",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused_in_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(check.SettingError) as caught:
        make()
    assert str(caught.value) == message
