"""Distillation: the loss against a slow reference, the teacher asked once, and a student that gains by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import backend, check, compose, data, train
from lensmith.backend import keras
from lensmith.compose import Classify, Dense, Recipe
from lensmith.data import Preprocessing
from lensmith.records import Labels, Record, Records
from lensmith.reuse.distillation import Softened, Teaching, distil, objectives, student
from lensmith.reuse.features import features
from lensmith.reuse.teacher import Answers, aligned, ask, taught
from lensmith.train import Fit, Objective

CLASSES = Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")
PLAIN = Preprocessing(image=(8, 8, 1))


def slow(teacher, pupil, temperature, activation):
    """The loss of one batch in float64, example by example, as the paper writes it."""
    found = []
    for v, z in zip(np.float64(teacher), np.float64(pupil), strict=True):
        if activation == "linear":
            found.append(np.mean([(a - b) ** 2 for a, b in zip(v, z, strict=True)]))
        elif activation == "softmax":
            p, q = (np.exp(one / temperature) / np.exp(one / temperature).sum() for one in (v, z))
            found.append(temperature**2 * sum(a * np.log(a / b) for a, b in zip(p, q, strict=True)))
        else:
            p, q = (1 / (1 + np.exp(-one / temperature)) for one in (v, z))
            each = [a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b)) for a, b in zip(p, q, strict=True)]
            found.append(temperature**2 * np.mean(each))
    return np.mean(found)


def drawn(seed, shape=(6, 5)):
    return np.random.default_rng(seed).normal(0, 3, shape).astype("float32")


@pytest.mark.backends
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_loss_is_the_papers(activation, temperature):
    loss = Softened(temperature, activation)
    found = float(loss(drawn(1), drawn(2)))
    assert found == pytest.approx(slow(drawn(1), drawn(2), temperature, activation), rel=2e-4)
    assert float(loss(drawn(1), drawn(1))) == pytest.approx(0, abs=1e-6)  # who says the same, loses nothing


@pytest.mark.backends
def test_at_a_high_temperature_centred_logits_are_matched():
    """Section 2.1: half the squared distance of the logits less their means, a share of the number of classes."""
    v, z = np.float64(drawn(1)), np.float64(drawn(2))
    far = (v - v.mean(1, keepdims=True)) - (z - z.mean(1, keepdims=True))
    expected = (far**2).mean(1).mean() / 2
    assert slow(v, z, 1000.0, "softmax") == pytest.approx(expected, rel=5e-3)
    assert float(Softened(100.0)(drawn(1), drawn(2))) == pytest.approx(expected, rel=3e-2)  # float32, times 10⁴


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_gradients_keep_their_size_when_the_temperature_is_doubled(activation):
    """Of the soft loss alone they fall to a quarter, for which T² makes up; logits are small, as the paper has it."""
    v, z = drawn(1) / 100, drawn(2) / 100

    def gradient(temperature):  # of the loss of the first example's first logit, by central differences
        step = np.zeros_like(z, "float64")
        step[0, 0] = 1e-4
        above, below = (slow(v, np.float64(z) + sign * step, temperature, activation) for sign in (1, -1))
        return (above - below) / 2e-4

    assert gradient(8.0) == pytest.approx(gradient(4.0), rel=2e-2)
    assert gradient(8.0) / 64 == pytest.approx(gradient(4.0) / 16 / 4, rel=2e-2)


@pytest.mark.backends
def test_sure_logits_give_finite_losses():
    sure = np.float32([[300.0, -300.0, 0.0]])
    for activation in ("softmax", "sigmoid"):
        assert np.isfinite(float(Softened(1.0, activation)(sure, -sure)))


def test_loss_is_described_by_its_settings():
    loss = Softened(2.0, "sigmoid")
    again = Softened.from_config(loss.get_config())
    assert (again.temperature, again.activation) == (2.0, "sigmoid")
    with pytest.raises(check.SettingError, match=r"activation: expected one of softmax, sigmoid, linear; got 'relu'"):
        Softened(2.0, "relu")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0}, "teacher.temperature: expected a number from 0.01 to 1000; got 0"),
        ({"share": 1.5}, "teacher.share: expected a number from 0 to 1; got 1.5"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(check.SettingError) as caught:
        Teaching(**settings)
    assert str(caught.value) == words


def test_objectives_share_the_weight():
    own = {
        "label": replace(CLASSES, weight=2.0),
        "label_aux1": replace(CLASSES, metrics=(), weight=0.5, target="label"),
        "age": Objective("mean_squared_error"),
    }
    found = objectives(own, Teaching(temperature=3.0, share=0.75), tasks=["label"])
    assert {name: one.weight for name, one in found.items()} == {
        "label": 0.5,
        "label_aux1": 0.125,  # part of the ordinary loss
        "age": 1.0,  # not taught
        "label_teacher": 1.5,
    }
    told = found["label_teacher"]
    assert (told.loss.temperature, told.loss.activation, told.target) == (3.0, "softmax", None)
    assert set(objectives(own, Teaching())) - set(own) == {"label_teacher", "age_teacher"}


def test_names_that_are_taken_or_unknown():
    with pytest.raises(check.SettingError, match=r"teacher\.tasks: expected one of label; got 'lable'"):
        objectives({"label": CLASSES}, Teaching(), tasks=["lable"])
    both = {"label": CLASSES, "label_teacher": CLASSES}
    with pytest.raises(check.SettingError, match="'label_teacher' belongs to a teacher's output; rename the task"):
        objectives(both, Teaching())
    inputs = keras.Input((3,))
    nameless = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(check.SettingError, match=r"teacher\.tasks: expected one name for the model's output; got none"):
        student(nameless)
    assert list(student(nameless, ["label"]).output) == ["label", "label_teacher"]


def test_student_shares_every_layer_and_leaves_auxiliary_heads_alone():
    recipe = Recipe(
        (16, 16, 1),
        None,
        compose.Groups(compose.Group(compose.Conv(), filters=4, pool=2)),
        {"label": Classify(3)},
        auxiliaries=(compose.Auxiliary("label", "learner-group1", pool=None, filters=None, hidden=()),),
    )
    model = compose.logits(recipe.build(seed=0, auxiliaries=True))
    made = student(model)
    assert set(made.output) == {"label", "label_aux1", "label_teacher"}
    assert {id(weight) for weight in made.weights} == {id(weight) for weight in model.weights}


# Teacher's names, student's names, and the order of columns or what the refusal says.
ORDERS = [
    (("a", "b", "c"), ("a", "b", "c"), (0, 1, 2)),
    (("c", "a", "b"), ("a", "b", "c"), (1, 2, 0)),  # only the order differs
    (("a", "b"), ("a", "b", "c"), "teacher: expected a teacher of the student's 3 names; got one without 'c'"),
    (("a", "b", "d"), ("a", "b"), "teacher: expected a teacher of the student's 2 names; got one with 'd'"),
    (("a", "x"), ("a", "b"), "got one without 'b' and one with 'x'"),
]


@pytest.mark.parametrize(("teacher", "pupil", "expected"), ORDERS)
def test_classes_are_matched_by_name(teacher, pupil, expected):
    both = Labels("class", teacher), Labels("class", pupil)
    if isinstance(expected, tuple):
        assert aligned(*both) == expected
        return
    with pytest.raises(check.SettingError) as caught:
        aligned(*both)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("teacher", "pupil", "words"),
    [
        ("classes", "class", "expected targets of kind class; got classes"),
        ("boxes", "boxes", "expected targets that are classes or numbers; got boxes"),
    ],
)
def test_kinds_that_cannot_be_taught(teacher, pupil, words):
    with pytest.raises(check.SettingError, match=words):
        aligned(Labels(teacher, ("a", "b")), Labels(pupil, ("a", "b")))


def rows(count=7, names=("cat", "dog")):
    """Rows of three numbers; the class is whether the first is above 0."""
    values = np.random.default_rng(3).normal(size=(count, 3)).astype("float32")
    items = tuple(Record(f"row {i}", row=row, targets={"label": int(row[0] > 0)}) for i, row in enumerate(values))
    return Records(items, {"label": Labels("class", names)})


def linear(kernel):
    """Logits of a row of three numbers, as one matrix makes them."""
    inputs = keras.Input((3,))
    layer = keras.layers.Dense(np.shape(kernel)[1], use_bias=False, name="task-label-logits")
    model = keras.Model(inputs, layer(inputs))
    layer.kernel.assign(np.float32(kernel))
    return model


ROWS = Preprocessing(columns=3, scaling="none")
TWO = [[1, 4], [2, 5], [3, 7]]  # logits of two classes; their difference:
ONE = [[3], [3], [4]]
NONE = [[0, 3], [0, 3], [0, 4]]  # the same differences as TWO has


@pytest.mark.parametrize(
    ("teacher", "order", "pupil", "expected"),
    [
        (TWO, ("cat", "dog"), TWO, TWO),
        (TWO, ("dog", "cat"), TWO, [[4, 1], [5, 2], [7, 3]]),  # the columns change places
        (TWO, ("cat", "dog"), ONE, ONE),  # two logits teach one
        (TWO, ("dog", "cat"), ONE, [[-3], [-3], [-4]]),
        (ONE, ("cat", "dog"), ONE, ONE),
        (ONE, ("dog", "cat"), ONE, [[-3], [-3], [-4]]),  # the one logit is that of the other class
        (ONE, ("cat", "dog"), TWO, NONE),  # one logit teaches two
    ],
)
def test_logits_in_the_students_units(teacher, order, pupil, expected):
    records = rows()
    answers = ask(linear(teacher), linear(pupil), records, ROWS, {"label": Labels("class", order)})
    x = np.stack([record.row for record in records])
    np.testing.assert_allclose(answers.logits["label"], x @ np.float32(expected), rtol=1e-5, atol=1e-6)
    assert answers.logits["label"].dtype == np.float32
    assert len(answers.names["label"]) == np.shape(expected)[1]


def test_teachers_that_do_not_fit():
    records, labels = rows(), {"label": Labels("class", ("cat", "dog"))}
    three = linear([[1, 2, 3]] * 3)
    with pytest.raises(check.SettingError, match=r"teacher: label: expected 2 outputs, one for each name; got outputs"):
        ask(three, linear(TWO), records, ROWS, labels)
    with pytest.raises(check.SettingError, match="student: label: expected 2 outputs"):
        ask(linear(TWO), three, records, ROWS, labels)
    other = Recipe((3,), None, Dense((2,)), {"age": compose.Regress()}).build(seed=0)
    with pytest.raises(check.SettingError, match="teacher: expected a model with one of the tasks label; got one with"):
        ask(other, linear(TWO), records, ROWS, {"age": Labels("number", ("age",))})


def test_answers_become_targets_that_batches_deliver():
    records = rows()
    answers = ask(linear(TWO), linear(TWO), records, ROWS, records.labels)
    given = taught(answers)
    x, y = next(data.batches(given, ROWS, size=7, seed=3).epoch(0))
    np.testing.assert_allclose(y["label_teacher"], x @ np.float32(TWO), rtol=1e-5, atol=1e-6)  # in any order
    np.testing.assert_array_equal(y["label"], x[:, 0] > 0)
    one = data.batches(given, ROWS, size=7).fingerprint
    another = taught(replace(answers, logits={"label": answers.logits["label"] + 1}))
    assert data.batches(another, ROWS, size=7).fingerprint != one
    with pytest.raises(check.SettingError, match="rename the task"):
        taught(Answers(given, answers.logits, answers.names))


def test_a_file_that_cannot_be_read_is_left_out(tmp_path):
    gone = Record("gone.png", image=tmp_path / "gone.png", targets={"label": 0})
    there = tmp_path / "there.png"
    keras.utils.save_img(there, np.zeros((8, 8, 1)), scale=False)
    records = Records((gone, Record("there.png", image=there, targets={"label": 1})), rows().labels)
    model = compose.logits(Recipe((8, 8, 1), compose.Flatten(), Dense((2,)), {"label": Classify(2)}).build(seed=0))
    answers = ask(model, model, records, PLAIN, records.labels)
    assert [problem.source for problem in answers.lost] == ["gone.png"]
    assert [record.source for record in taught(answers)] == ["there.png"]


# A large teacher that saw many digits, and a small student that sees few.

TEACHER_SIZE = Preprocessing(image=(12, 12, 1), scaling="-1..1")  # other pixels than the student's


def digits(first, last):
    return data.bundled("digits").select(range(first, last))


def network(hidden, image, seed):
    recipe = Recipe(image, compose.Flatten(), Dense(hidden), {"label": Classify(10)})
    return compose.logits(recipe.build(seed=seed))


def numbers(model):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in model.variables]


@pytest.fixture(scope="module")
def teacher():
    """A network of 64-64 that learnt from 1,000 digits."""
    model = network((64, 64), (12, 12, 1), 5)
    batches = data.batches(digits(500, 1500), TEACHER_SIZE, size=50, seed=1)
    train.fit(model, batches, stage=Fit(epochs=6, rate=3e-3), objectives={"label": CLASSES}, seed=1)
    return model


def lesson(teacher, pupil, part, *, shuffle=True, cache=None):
    """Batches of a part of the digits with the teacher's answers."""
    answers = ask(teacher, pupil, part, TEACHER_SIZE, part.labels, cache=cache)
    return data.batches(taught(answers), PLAIN, size=20, seed=2, shuffle=shuffle)


FEW = (0, 100)
STAGE = Fit(epochs=4, rate=1e-2)


def trained(teaching, teacher, *, stage=STAGE, **settings):
    """A network of one hidden layer of 24 that learnt from 100 digits with a teacher; and its history."""
    pupil = network((24,), (8, 8, 1), 7)
    batches = lesson(teacher, pupil, digits(*FEW))
    own = {"label": CLASSES}
    history = distil(pupil, batches, stage=stage, objectives_of=own, teaching=teaching, seed=3, **settings)
    return pupil, history


def accuracy(model):
    held_out = data.batches(digits(1500, 1797), PLAIN, size=99, shuffle=False)
    return train.evaluate(model, held_out, {"label": CLASSES})["accuracy"]


def test_a_student_of_few_examples_gains(teacher):
    long = replace(STAGE, epochs=30)
    with_teacher, _ = trained(Teaching(temperature=4.0, share=0.9), teacher, stage=long)
    without, _ = trained(Teaching(share=0.0), teacher, stage=long)
    assert accuracy(with_teacher) >= accuracy(without) + 0.03  # 0.83 and 0.76 when this was written


def test_share_0_is_ordinary_training_to_the_bit(teacher):
    pupil, history = trained(Teaching(share=0.0), teacher)
    plain = network((24,), (8, 8, 1), 7)
    batches = data.batches(digits(*FEW), PLAIN, size=20, seed=2)
    expected = train.fit(plain, batches, stage=STAGE, objectives={"label": CLASSES}, seed=3)
    assert history["loss"] == expected["loss"]
    assert history["label_accuracy"] == expected["accuracy"]
    for mine, theirs in zip(numbers(pupil), numbers(plain), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_teacher_is_asked_once_for_each_example(teacher, tmp_path, monkeypatch):
    asked = []
    predict = backend.predict

    def counted(model, x):
        asked.append(len(x) if model.name == "teacher" else 0)
        return predict(model, x)

    monkeypatch.setattr(backend, "predict", counted)
    pupil, part = network((4,), (8, 8, 1), 7), digits(*FEW)
    batches = lesson(teacher, pupil, part, cache=tmp_path / "cache")
    stage = Fit(epochs=3)
    distil(pupil, batches, stage=stage, objectives_of={"label": CLASSES}, teaching=Teaching())
    assert sum(asked) == len(part)
    again = ask(teacher, pupil, part, TEACHER_SIZE, part.labels, cache=tmp_path / "cache")
    assert (sum(asked), again.computed) == (len(part), 0)  # nor for another run
    fresh = ask(teacher, pupil, part, TEACHER_SIZE, part.labels)
    np.testing.assert_array_equal(again.logits["label"], fresh.logits["label"])


def test_head_of_a_student_learns_from_cached_features(teacher):
    """Both are computed once: what the frozen front of the student gives, and what the teacher answers."""
    pupil = student(network((24,), (8, 8, 1), 7))
    part = digits(0, 40)
    given = taught(ask(teacher, pupil, part, TEACHER_SIZE, part.labels))
    made = features(pupil, given, PLAIN, freeze=["learner"], cache=None)
    x, y = next(made.batches(20, seed=1).epoch(0))
    assert (x.shape, set(y)) == ((20, 24), {"label", "label_teacher"})
    wanted = objectives({"label": CLASSES}, Teaching())
    history = train.fit(made.rest, made.batches(20), stage=Fit(epochs=2, freeze=made.frozen), objectives=wanted)
    assert set(history.rows[-1]) >= {"loss", "label_loss", "label_teacher_loss", "label_accuracy"}


class StoppedError(Exception):
    """In the middle of an epoch."""


class StopAt(train.Silent):
    def __init__(self, step):
        self.step = step

    def on_step(self, step, values, waited):
        if step == self.step:
            raise StoppedError


def test_interrupted_and_resumed_ends_with_the_same_bits(teacher, tmp_path):
    whole, expected = trained(Teaching(), teacher, folder=tmp_path / "whole")
    stage = replace(STAGE, checkpoint_every=2)
    broken = network((24,), (8, 8, 1), 7)
    batches = lesson(teacher, broken, digits(*FEW))
    settings = {"stage": stage, "objectives_of": {"label": CLASSES}, "teaching": Teaching(), "seed": 3}
    with pytest.raises(StoppedError):
        distil(broken, batches, folder=tmp_path / "broken", progress=StopAt(11), **settings)
    resumed = network((24,), (8, 8, 1), 8)  # whatever it begins with
    history = distil(resumed, batches, folder=tmp_path / "broken", resume=True, **settings)
    assert history.rows == expected.rows
    for mine, theirs in zip(numbers(resumed), numbers(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    other = lesson(teacher, resumed, digits(1, 101))
    with pytest.raises(check.LensmithError):
        distil(resumed, other, folder=tmp_path / "broken", resume=True, **settings)
