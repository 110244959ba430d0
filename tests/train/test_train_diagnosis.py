"""Every trouble by name, on histories that trigger it on paper and on networks that have it; none for healthy ones."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from sklearn import datasets
from train_digits import CLASSES, Arrays, digits

from lensmith import compose
from lensmith.backend import keras
from lensmith.check import DataError, SettingError
from lensmith.train import Constant, Cosine, Fit, Objective, Silent, fit
from lensmith.train.diagnosis import KINDS, Diagnosis, diagnose, never_predicted

TEN = {"label": 10}  # guessing costs 2.303
LABEL = {"label": CLASSES}


def rows(loss, validation=None, rate=0.1, stage=None, first=1, **more):
    found = []
    for at, value in enumerate(loss):
        row = {"epoch": first + at} | ({} if stage is None else {"stage": stage}) | {"loss": value}
        row |= {name: values[at] for name, values in more.items()}
        row |= {} if validation is None else {"val_loss": validation[at]}
        found.append(row | {"rate": rate[at] if isinstance(rate, list) else rate})
    return found


def steps(*losses):
    return {"count": len(losses), "first": losses[0], "highest": max(losses), "losses": list(losses)}


def watched(epoch, *losses, layers=(), dead=None, loss=2.3, normalised=False, examples=32, look=True):
    """A row of watch.jsonl; ``layers`` are gradients beside weights of norm 1."""
    seen = {
        "loss": loss,
        "losses": {"label": loss},
        "normalised": normalised,
        "layers": [{"name": f"dense{at + 1}", "gradient": value, "weights": 1.0} for at, value in enumerate(layers)],
        "examples": examples,
        "dead": dead or {},
    }
    return {"epoch": epoch, "steps": steps(*(losses or (2.4, 2.3))), "seen": seen if look else None}


def kinds(found):
    return [one.kind for one in found]


GOOD = [2.0, 1.0, 0.6, 0.4, 0.3, 0.25, 0.2, 0.18]
STUCK = [2.303] * 8


@pytest.mark.parametrize(
    ("history", "expected", "epoch"),
    [
        (rows(GOOD), None, None),
        (rows([0.7]), None, None),  # one epoch says nothing
        (rows(GOOD, [2.1, 1.2, 0.8, 0.6, 0.5, 0.5, 0.52, 0.55]), None, None),  # rises by 0.05 of 2.3: nothing much
        (rows(GOOD, [2.1, 1.2, 0.8, 0.6, 0.7, 0.8, 0.9, 1.0]), "overfitting", 5),  # from 0.6 to 0.95 by medians
        (rows(GOOD, [2.1, 1.2, 0.8, 0.6, 0.5, 0.4, 0.9, 0.4]), None, None),  # a single bad epoch
        (rows([2.0, 1, 0.5, 0.3, 0.2, 0.1], [2.2, 2.1, 2.1, 2.1, 2.12, 2.13]), "overfitting", 3),  # by heart: 0.1 / 2.1
        (rows([2.0, 1, 0.5, 0.3, 0.2, 0.1], [3.0, 2.6, 2.2, 1.8, 1.5, 1.2]), None, None),  # the validation still falls
        (rows([2, 1, 0.9, 0.9, 1.2, 1.9, 2.6, 3.2]), "divergence", 4),  # 0.9 in epoch 3, then 2.6 and 3.2
        (rows([2.0, 1.0, None, None]), "divergence", 3),  # no finite number
        (rows([2, 1, 1.5, 0.9, 1.4, 0.8, 1.3, 0.9]), "oscillation", 3),  # three rises by 0.5, over 0.1 · 2.303
        (rows(GOOD, [1, 2.5, 0.9, 2.6, 0.8, 2.4, 0.7, 0.6]), "oscillation", 2),  # the validation: three by 1.5
        (rows(GOOD, [1, 0.6, 0.9, 0.6, 0.8, 0.5, 0.7, 0.6]), None, None),  # three by 0.3, under 0.5 · 2.303
        (rows(STUCK), "plateau", 1),  # never left ln 10
        (rows(STUCK, rate=[0.1] * 3 + [0.001] * 5), None, None),  # only three epochs at a rate that moves anything
        (rows([2.303 - 0.005 * at for at in range(8)]), "rate-too-low", 1),  # a little better each time
        (rows([2.1, 1.8, 1.7, 1.66, 1.65, 1.65, 1.645, 1.645]), "underfitting", 3),  # 1.645 of 2.303, and no gain
        (rows([2.1, 1.8, 1.7, 1.66, 1.65, 1.65, 1.645, 1.645], [2.6] * 8), "plateau", 3),  # stands still, but not alone
        (rows([2.1, 1.8, 1.5, 1.3, 1.15, 1.1, 1.1, 1.1]), None, None),  # 1.1 is under half of 2.303
    ],
)
def test_histories_on_paper(history, expected, epoch):
    found = diagnose(history, classes=TEN)
    assert kinds(found) == ([] if expected is None else [expected])
    assert [one.epoch for one in found] == ([] if expected is None else [epoch])


LEARNS = rows(GOOD)
LAYERS = (0.1, 0.2, 0.1, 0.3, 0.2, 0.1)
FADED = (2e-6, 4e-6, 1e-4, 1e-3, 0.01, 0.1)


@pytest.mark.parametrize(
    ("history", "looks", "expected"),
    [
        (LEARNS, [watched(1, layers=LAYERS, dead={"relu": 0.6})], []),  # the usual
        (rows(STUCK), [watched(1, layers=FADED)], ["vanishing-gradients"]),  # 4e-6 / 0.1, and no plateau beside it
        (LEARNS, [watched(1, layers=FADED)], []),  # it learns in spite of it
        (rows(STUCK), [watched(1, layers=(2e-5, 4e-5, *FADED[2:]))], ["plateau"]),  # 4e-4 of the largest will do
        (rows(STUCK), [watched(1, layers=FADED[-3:])], ["plateau"]),  # three layers are not deep
        (rows(STUCK), [watched(1, layers=FADED, normalised=True)], ["plateau"]),  # nothing normalised yet
        (rows(STUCK), [watched(1, layers=FADED, normalised=True), watched(2, layers=FADED)], ["vanishing-gradients"]),
        (rows(STUCK), [watched(1, layers=LAYERS, dead={"relu": 1.0})], ["dead-units"]),
        (rows(STUCK), [watched(1, layers=LAYERS, dead={"relu": 0.93}, examples=8)], ["plateau"]),  # too few to say so
        (rows(STUCK), [watched(1, layers=FADED, dead={"relu": 1.0})], ["dead-units"]),  # why it fades
        (
            rows(STUCK),
            [watched(1, layers=FADED), watched(2, layers=(0,) * 6, dead={"relu": 1.0})],
            ["vanishing-gradients"],
        ),  # the units died of it
        (rows(STUCK), [watched(1, layers=LAYERS), watched(2, layers=LAYERS, dead={"relu": 1.0})], ["dead-units"]),
        (rows(STUCK), [watched(1, 2.3, 9.0, 8.0, 7.0), watched(2, dead={"relu": 1.0})], ["rate-too-high"]),  # its cause
        (LEARNS, [watched(1, 2.3, 2.4, 6.0, 2.2, 2.0)], ["rate-too-high"]),  # (2.4 + 6 + 2.2) / 3 is over 1.4 · 2.303
        (LEARNS, [watched(1, 2.3, 2.4, 3.6, 3.6, 3.6)], []),  # under 1.6 · 2.303
        (LEARNS, [watched(1, 1.9, 1.6, 6.0, 1.5, 1.4)], []),  # one hard batch between easy ones: 3.17 by three
        (LEARNS, [watched(1, 7.0, 3.0)], ["initial-loss"]),  # over 3 · 2.303
        (LEARNS, [watched(1, 6.8, 3.0)], []),
        (LEARNS, [watched(1, 120.0, 900.0, 800.0, 700.0)], ["initial-loss"]),  # too high a rate is the same trouble
        (LEARNS, [watched(1, layers=(5e3, 1.0))], ["exploding-gradients"]),  # over 1,000 · 2.303
        (LEARNS, [watched(1, layers=(2e3, 1.0))], []),
        (LEARNS, [watched(1, layers=(None, 1.0))], ["exploding-gradients"]),  # no finite number
    ],
)
def test_looks_on_paper(history, looks, expected):
    looks = [*looks, *(watched(epoch, look=False) for epoch in range(len(looks) + 1, 9))]
    assert kinds(diagnose(history, looks, classes=TEN)) == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (1.9, []),  # it came back: under 0.85 · 2.303
        (2.0, ["rate-too-high"]),
        (None, ["rate-too-high"]),  # not known
    ],
)
def test_a_spike_that_is_over_within_its_epoch(end, expected):
    look = watched(1, 2.3, 9.0, 8.0, 7.0, 3.0, 1.9)
    look["steps"]["end"] = end
    assert kinds(diagnose(LEARNS, [look], classes=TEN)) == expected


def test_the_evidence_names_layers_numbers_and_epochs():
    [found] = diagnose(rows(STUCK), [watched(1, layers=FADED)], classes=TEN)
    assert "0.1 of the weights in dense6" in found.evidence
    assert "4e-06 at most in the first 2 layers (dense1 to dense2), 25,000 times less" in found.evidence
    assert "batch normalisation" in found.advice
    [found] = diagnose(rows(STUCK), [watched(1, dead={"one": 0.95, "two": 1.0})], classes=TEN)
    assert found.evidence.startswith("all units of two give 0 for each of 32 examples")
    [found] = diagnose(rows(GOOD), [watched(1, 120.0, 3.0)], classes=TEN)
    assert found.evidence == "the loss of the first step is 120, where guessing among 10 classes costs 2.3"
    assert "Scale the inputs" in found.advice
    [found] = diagnose(rows(GOOD, rate=0.5), [watched(1, 2.3, 9.0, 8.0, 7.0)], classes=TEN)
    assert (found.epoch, "from 2.3 at the start" in found.evidence) == (1, True)
    assert "0.05" in found.advice  # a tenth


def test_the_classes_are_those_seen_where_none_are_given():
    look = watched(1, 7.0, 3.0)
    look["seen"]["classes"] = {"label": 10}
    assert kinds(diagnose(LEARNS, [look])) == ["initial-loss"]
    look["seen"]["classes"] = {}
    assert diagnose(LEARNS, [look]) == ()
    assert diagnose(LEARNS, [look], classes={"other": 10}) == ()  # a task that this stage has not


def test_a_rate_too_low_shows_in_weights_that_stand_still():
    slow = rows([2.303 - 0.002 * at for at in range(8)])
    looks = [watched(epoch, layers=LAYERS) for epoch in range(1, 9)]
    [found] = diagnose(slow, looks, classes=TEN)
    assert found.kind == "rate-too-low"
    assert found.evidence.endswith("; no layer's weights have changed in size")
    looks[-1]["seen"]["layers"][0]["weights"] = 1.00004
    [found] = diagnose(slow, looks, classes=TEN)
    assert found.evidence.endswith("; no layer's weights have changed in size by more than 0.01%")
    looks[-1]["seen"]["layers"][0]["weights"] = 1.2  # they move, but to no effect
    assert kinds(diagnose(slow, looks, classes=TEN)) == ["plateau"]


@pytest.mark.parametrize(
    ("losses", "rate", "says"),
    [
        ([2.34, 2.33, 2.32, 2.32], 1e-7, "the loss fell only from 2.34 to 2.32 in 4 epochs at a rate of 1e-07 ("),
        ([2.31, 2.32, 2.32, 2.32], 1e-7, "the loss stays at 2.31 to 2.32 in 4 epochs"),  # it rose
        ([2.312, 2.311, 2.31, 2.309], 1e-7, "the loss stays at 2.31 in 4 epochs"),  # the same in three digits
        # under a cosine that ends near 0, the largest rate tells
        ([2.34, 2.33, 2.32, 2.32], [1e-7, 8e-8, 3e-8, 1e-12], "at a rate of 1e-07 at most (2.3 for guessing)"),
    ],
)
def test_the_evidence_of_a_rate_too_low(losses, rate, says):
    looks = [watched(epoch, layers=LAYERS) for epoch in range(1, 5)]
    [found] = diagnose(rows(losses, rate=rate), looks, classes=TEN)
    assert found.kind == "rate-too-low"
    assert says in found.evidence


def test_validation_that_is_easier():
    loss, validation = [1.5, 1.2, 1.1, 1.0, 1.0], [0.5, 0.45, 0.4, 0.4, 0.4]
    history = rows(loss, validation)
    same = [watched(epoch, loss=1.0) for epoch in range(1, 6)]  # training examples measured as the validation is
    assert kinds(diagnose(history, same, classes=TEN, augmented=False)) == ["validation-easier"]
    assert diagnose(history, same, classes=TEN, augmented=True) == ()
    assert diagnose(history, same, classes=TEN) == ()
    dropout = [watched(epoch, loss=0.42) for epoch in range(1, 6)]  # without dropout they are as easy
    assert diagnose(history, dropout, classes=TEN, augmented=False) == ()
    assert diagnose(rows(loss, [0.9] * 5), same, classes=TEN, augmented=False) == ()  # not by much
    assert diagnose(history, (), classes=TEN, augmented=False) == ()  # nothing was measured to compare with


@pytest.mark.parametrize(
    ("waited", "seconds", "told"),
    [
        (0.29, 1000, False),
        (0.31, 1000, True),
        (0.9, 5, False),  # 4.5 seconds are not worth a word
        (0.4, None, False),  # of an unknown time, half
        (0.6, None, True),
        (None, 1000, False),
        (float("nan"), 1000, False),
    ],
)
def test_waiting_for_data(waited, seconds, told):
    found = diagnose(LEARNS, classes=TEN, waited=waited, seconds=seconds)
    assert kinds(found) == (["data-starvation"] if told else [])
    assert all(one.epoch is None for one in found)


def test_several_tasks_are_named():
    stuck = rows([3.0] * 8, species_loss=STUCK, size_loss=[0.7] * 8)
    [found] = diagnose(stuck, classes={"species": 10})
    assert (found.kind, "the loss of species stands still at 2.3" in found.evidence) == ("plateau", True)
    fine = rows(GOOD, species_loss=[value / 2 for value in GOOD], size_loss=[value / 2 for value in GOOD])
    assert diagnose(fine, classes={"species": 10, "size": 3}) == ()


def test_stages_are_judged_one_by_one():
    head = rows(GOOD, [2.1, 1.2, 0.8, 0.6, 0.7, 0.8, 0.9, 1.0], stage=1)
    tuned = rows([0.3, 0.29, 0.29, 0.29, 0.29, 0.29], [0.5] * 6, stage=2, first=9)
    assert [(one.kind, one.epoch) for one in diagnose([*head, *tuned], classes=TEN)] == [("overfitting", 5)]
    assert diagnose(tuned) == ()  # a first loss of 0.3 is no scale for a second stage that hardly moves
    # The loss jumps up where another stage with another task begins: no divergence.
    pretext = rows([0.4, 0.2, 0.1], stage=1)
    assert diagnose([*pretext, *rows(GOOD, stage=2, first=4)], classes=TEN) == ()


def test_penalties_on_weights_are_set_aside():
    """A loss of 5 in penalties is no loss at the start far from guessing, and no underfitting at the end."""
    look = watched(1, 7.3, 7.3, loss=7.3)
    look["seen"]["losses"] = {"label": 2.3}
    history = rows([value + 5 for value in GOOD], [value + 5 for value in GOOD])
    assert diagnose(history, [look], classes=TEN) == ()
    flat = rows([value + 5 for value in [2.0, 1.0, *[0.5] * 8]])
    assert diagnose(flat, [look], classes=TEN) == ()
    [found] = diagnose(rows([7.3] * 8), [look], classes=TEN)
    assert (found.kind, "stands still at 2.3" in found.evidence) == ("plateau", True)


def test_without_anything_known():
    assert diagnose(()) == ()
    assert diagnose(rows([-1.0, -2.0, -3.0, -3.0, -3.0, -3.0, -3.0])) == ()  # losses below 0 have no scale
    assert diagnose(rows([0.0] * 8)) == ()
    assert kinds(diagnose(rows([None] * 3))) == ["divergence"]
    assert diagnose(rows(GOOD, [None] * 8)) == ()


@pytest.mark.parametrize(
    ("table", "evidence"),
    [
        ([[9, 1], [6, 0]], None),  # each is said once at least
        ([[10, 0], [4, 0]], None),  # four examples are too few to say so
        ([[10, 0], [5, 0]], "nothing is taken for b, though 5 of 15 examples are of it; 15 of the 15 answers are a"),
        ([[10, 0], [0, 0]], None),  # there are none of it
    ],
)
def test_a_class_that_is_never_predicted(table, evidence):
    found = never_predicted(np.array(table), ("a", "b"))
    assert (None if found is None else found.evidence) == evidence


def test_classes_never_predicted_of_a_task():
    table = np.zeros((8, 8), int)
    table[:, 0] = 10
    found = never_predicted(table, "abcdefgh", "species")
    assert found.evidence.startswith("species: nothing is taken for b, c, d, e, f and 2 more, though 70 of 80 examples")
    with pytest.raises(DataError, match=r"^confusion: expected shape \(2, 2\); got \(8, 8\)"):
        never_predicted(table, ("a", "b"))


def test_the_record():
    one = Diagnosis("plateau", 3, "it stands still", "Wait")
    assert one.to_dict() == {"kind": "plateau", "epoch": 3, "evidence": "it stands still", "advice": "Wait"}
    with pytest.raises(SettingError, match="Did you mean 'plateau'"):
        Diagnosis("plato", 3, "", "")
    assert all(kind == kind.lower() and " " not in kind for kind in KINDS)


# Real networks on real data from here on, through the loop itself.


def network(hidden, *, seed=0, inputs=64, outputs=10, activation="relu", kernel=None, bias=0.0, drop=0.0):
    start = keras.Input((inputs,))
    x = start
    for at, units in enumerate(hidden):
        first = keras.initializers.GlorotUniform(100 * seed + at) if kernel is None else kernel(100 * seed + at)
        shift = keras.initializers.Constant(bias)
        x = keras.layers.Dense(units, activation, kernel_initializer=first, bias_initializer=shift, name=f"d{at + 1}")(
            x
        )
        x = keras.layers.Dropout(drop)(x) if drop else x
    last = keras.initializers.GlorotUniform(seed)
    return keras.Model(start, keras.layers.Dense(outputs, kernel_initializer=last, name="logits")(x))


def convolutional(shape=(8, 8, 1), widths=(8, 16), *, seed=0, normalised=False, units=32):
    start = keras.Input(shape)
    x = start
    for at, width in enumerate(widths):
        kernel = keras.initializers.HeNormal(10 * seed + at)
        x = keras.layers.Conv2D(width, 3, padding="same", kernel_initializer=kernel)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x) if normalised else x
        x = keras.layers.MaxPooling2D()(keras.layers.Activation("relu")(x))
    kernel = keras.initializers.HeNormal(seed)
    x = keras.layers.Dense(units, "relu", kernel_initializer=kernel)(keras.layers.Flatten()(x))
    return keras.Model(start, keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(seed))(x))


def trained(model, batches, validation=None, *, epochs=6, rate=2e-3, optimizer="adam", objectives=None, cosine=False):
    """What the loop says of a run, at its end and on the way."""
    told = []

    class Listener(Silent):
        def on_diagnosis(self, found):
            told.extend(found)

    stage = Fit(epochs=epochs, rate=rate, optimizer=optimizer, schedule=Cosine() if cosine else Constant())
    history = fit(
        model, batches, stage=stage, objectives=objectives or LABEL, validation=validation, progress=Listener(), seed=1
    )
    return kinds(history.diagnoses), kinds(told)


@pytest.mark.parametrize(
    "objective",
    [
        Objective("focal", activation="softmax"),
        replace(CLASSES, smoothing=0.2),
        replace(CLASSES, class_weights=(0.01,) * 10),
        replace(CLASSES, weight=50.0),  # its first loss is 115
        replace(CLASSES, weight=0.001),
        replace(CLASSES, loss=[("sparse_categorical_crossentropy", 20.0)]),
    ],
    ids=["focal", "smoothed", "weighed classes", "heavy", "light", "several"],
)
def test_only_a_plain_cross_entropy_costs_the_logarithm_of_the_classes(objective):
    assert trained(network((32,)), digits(0, 700), epochs=4, objectives={"label": objective}) == ([], [])


def test_the_loop_is_told_whether_examples_are_varied():
    """A third of the training labels is drawn by lot, and those of the validation, which are copies, are right."""
    noisy, true = mixed(0, 1400, share=0.3, size=64), digits(0, 400, seed=None)

    def found(augmented, **changes):
        stage = Fit(epochs=4, steps=200, rate=1e-3, schedule=Constant(), **changes)
        arguments = {"objectives": LABEL, "validation": true, "seed": 1, "augmented": augmented}
        return kinds(fit(network((64,)), noisy, stage=stage, **arguments).diagnoses)

    assert found(False) == ["validation-easier"]
    assert found(True) == found(None) == []
    assert found(False, average=0.5) == []  # the look is at the weights, the validation at their averages


def mixed(first, last, seed=0, share=1.0, **options):
    """Digits of which a share has a label drawn by lot."""
    found = digits(first, last, **options)
    generator = np.random.default_rng(seed)
    found.y = np.where(generator.random(len(found.y)) < share, generator.permutation(found.y), found.y).astype("int32")
    return found


def varied(factor, first=0, last=1400, **options):
    found = digits(first, last, **options)
    found.x = found.x * np.float32(factor)
    return found


def pictures(first, last, **options):
    found = digits(first, last, **options)
    found.x = found.x.reshape(-1, 8, 8, 1)
    return found


def standard(x):
    return ((x - x.mean(0)) / (x.std(0) + 1e-9)).astype("float32")


def two_tasks(first, last, **options):
    found = digits(first, last, **options)
    found.y = {"digit": found.y, "even": (found.y % 2).astype("int32")}
    return found


def two_heads(seed):
    start = keras.Input((64,))
    hidden = keras.layers.Dense(48, "relu", kernel_initializer=keras.initializers.GlorotUniform(seed))(start)
    heads = {"digit": 10, "even": 2}
    return keras.Model(start, {name: keras.layers.Dense(units, name=name)(hidden) for name, units in heads.items()})


def table(loaded, split, targets, seed=0):
    x, y = loaded(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = standard(x)[order], targets(y)[order]
    return Arrays(x[:split], y[:split]), Arrays(x[split:], y[split:], seed=None)


def of_diabetes(seed):
    parts = table(datasets.load_diabetes, 330, lambda y: standard(y)[:, None], seed)
    model = network((32,), inputs=10, outputs=1, seed=seed)
    return trained(model, *parts, epochs=15, rate=1e-2, objectives={"target": Objective("mse", ("mae",))})


def of_diabetes_not_scaled(seed):
    parts = table(datasets.load_diabetes, 330, lambda y: y.astype("float32")[:, None], seed)
    model = network((32,), inputs=10, outputs=1, seed=seed)
    return trained(model, *parts, epochs=15, rate=3e-2, objectives={"target": Objective("mse")})


def of_cancer(seed):
    parts = table(datasets.load_breast_cancer, 450, lambda y: y.astype("int32"), seed)
    objectives = {"label": Objective("binary_crossentropy", ("accuracy",), activation="sigmoid")}
    return trained(network((16,), inputs=30, outputs=1, seed=seed), *parts, epochs=10, objectives=objectives)


def of_two_tasks(seed):
    objectives = {"digit": CLASSES, "even": CLASSES}
    parts = two_tasks(0, 1400), two_tasks(1400, 1797, seed=None)
    return trained(two_heads(seed), *parts, epochs=4, objectives=objectives)


def tuned_on_few(seed):
    model = network((64, 64), seed=seed)
    trained(model, digits(0, 1000), epochs=10)
    return trained(model, digits(1000, 1040, size=8), digits(1400, 1450, seed=None), epochs=8, rate=1e-4)


def head_on_frozen(seed):
    model = network((64, 64), seed=seed)
    trained(model, digits(0, 1000), epochs=6)
    front = keras.Model(model.input, model.layers[-2].output)
    front.trainable = False
    start = keras.Input((64,))
    head = keras.Model(start, keras.layers.Dense(10, name="new")(front(start)))
    return trained(head, digits(1000, 1100, size=10), digits(1400, 1500, seed=None), epochs=10, rate=1e-2)


TEST = {"first": 1400, "last": 1797, "seed": None}
HEALTHY = {
    "dense": lambda seed: trained(network((32,), seed=seed), digits(0, 1400), digits(**TEST), epochs=5),
    "long": lambda seed: trained(network((32,), seed=seed), digits(0, 1400), digits(**TEST), epochs=30),
    "slow": lambda seed: trained(network((32,), seed=seed), digits(0, 1400), digits(**TEST), rate=1e-3),
    "sgd": lambda seed: trained(
        network((64, 64), seed=seed), digits(0, 1400), digits(**TEST), rate=0.1, optimizer="sgd", epochs=8
    ),
    "momentum": lambda seed: trained(
        network((64,), seed=seed),
        digits(0, 1400),
        digits(**TEST),
        rate=0.05,
        optimizer={"name": "sgd", "momentum": 0.9},
        epochs=10,
    ),
    "cosine": lambda seed: trained(
        network((32,), seed=seed), digits(0, 1400), digits(**TEST), epochs=12, rate=5e-3, cosine=True
    ),
    "dropout": lambda seed: trained(
        network((128, 128), seed=seed, drop=0.5), digits(0, 1400), digits(**TEST), epochs=8, rate=1e-3
    ),
    "deep": lambda seed: trained(
        network((64,) * 8, seed=seed, kernel=keras.initializers.HeNormal), digits(0, 1400), digits(**TEST), rate=1e-3
    ),
    "few": lambda seed: trained(network((32,), seed=seed), digits(0, 100, size=10), digits(**TEST), epochs=20),
    "alone": lambda seed: trained(network((32,), seed=seed), digits(0, 1400)),
    "pictures": lambda seed: trained(
        convolutional(seed=seed), pictures(0, 600), pictures(**TEST), epochs=4, rate=3e-3, cosine=True
    ),
    "normalised": lambda seed: trained(
        convolutional(seed=seed, normalised=True), pictures(0, 600), pictures(**TEST), epochs=4, rate=3e-3
    ),
    "regression": of_diabetes,
    "regression, not scaled": of_diabetes_not_scaled,
    "binary": of_cancer,
    "two tasks": of_two_tasks,
    "tuned on few": tuned_on_few,
    "head on frozen layers": head_on_frozen,
}


LONG = {"long", "momentum", "cosine", "dropout", "deep", "slow", "head on frozen layers", "regression, not scaled"}


@pytest.mark.parametrize("name", [name for name in HEALTHY if name not in LONG])
def test_a_healthy_run_gets_no_warning(name):
    assert HEALTHY[name](0) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_runs_of_other_seeds_get_no_warning(name, seed):
    assert HEALTHY[name](seed) == ([], [])


def loud(seed):
    return keras.initializers.RandomNormal(0, 0.6, seed=seed)


SICK = {
    # The books' dense network: 1 + 40 layers of 64.
    "vanishing-gradients, adam": lambda seed: trained(
        network((64,) * 41, seed=seed), digits(0, 300), digits(**TEST), epochs=2, rate=1e-3
    ),
    "vanishing-gradients, sgd": lambda seed: trained(
        network((64,) * 41, seed=seed), digits(0, 300), digits(**TEST), epochs=2, rate=1e-2, optimizer="sgd"
    ),
    "vanishing-gradients, sigmoid": lambda seed: trained(
        network((64,) * 12, seed=seed, activation="sigmoid"), digits(0, 300), epochs=2, rate=1e-3
    ),
    "overfitting, noise": lambda seed: trained(
        network((256,), seed=seed), mixed(0, 200, seed, size=20), digits(**TEST), epochs=20, rate=5e-3
    ),
    "overfitting, some noise": lambda seed: trained(
        network((256,), seed=seed), mixed(0, 300, seed, 0.6, size=20), digits(**TEST), epochs=40, rate=5e-3
    ),
    "initial-loss, adam": lambda seed: trained(
        network((64, 64), seed=seed), varied(255), varied(255, 1400, 1797, seed=None), rate=1e-3, epochs=4
    ),
    "initial-loss, sgd": lambda seed: trained(
        network((64, 64), seed=seed), varied(255), rate=1e-2, optimizer="sgd", epochs=4
    ),
    "rate-too-high, adam": lambda seed: trained(network((64, 64), seed=seed), digits(0, 1400), rate=1.0, epochs=3),
    "rate-too-high, sgd": lambda seed: trained(
        network((64, 64), seed=seed), digits(0, 1400), rate=3.0, optimizer="sgd", epochs=3
    ),
    "rate-too-low, adam": lambda seed: trained(network((32,), seed=seed), digits(0, 1400), rate=1e-6),
    "rate-too-low, sgd": lambda seed: trained(
        network((32,), seed=seed), digits(0, 1400), digits(**TEST), rate=1e-5, optimizer="sgd"
    ),
    "dead-units": lambda seed: trained(network((64, 64), seed=seed, bias=-5.0), digits(0, 1400), epochs=2),
    "underfitting": lambda seed: trained(
        network((1,), seed=seed, activation="tanh"), digits(0, 1400), digits(**TEST), epochs=20, rate=1e-2
    ),
    "exploding-gradients": lambda seed: trained(
        network((64,) * 12, seed=seed, kernel=loud), digits(0, 300), epochs=2, rate=1e-3
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_a_sick_network_is_told_what_it_has(name):
    found, told = SICK[name](0)
    assert found[0] == name.split(",")[0]
    assert found[0] in told
    # A cause is not named beside its symptoms.
    assert not {"plateau", "divergence", "oscillation"} & set(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("name", SICK)
def test_sick_networks_of_other_seeds_are_told_what_they_have(name, seed):
    assert SICK[name](seed)[0][0] == name.split(",")[0]


def of_mnist(folder, part, count):
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(16 + 784 * count), np.uint8, offset=16).reshape(count, 28, 28, 1)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    return Arrays(x / np.float32(255), y.astype("int32"), seed=0 if part == "train" else None)


@pytest.mark.slow
def test_mnist_in_good_and_in_bad_hands(shared_data):
    """A small convolutional and a dense network are healthy; the same at 0..255, and 1 + 40 layers, are not."""
    batches, test = of_mnist(shared_data / "mnist", "train", 3000), of_mnist(shared_data / "mnist", "t10k", 1000)
    assert trained(convolutional((28, 28, 1)), batches, test, epochs=5, rate=1e-3) == ([], [])
    flat, flat_test = (Arrays(part.x.reshape(-1, 784), part.y, seed=part.seed) for part in (batches, test))
    assert trained(network((512, 512), inputs=784), flat, flat_test, epochs=8, rate=1e-3) == ([], [])
    raw = Arrays(flat.x * np.float32(255), flat.y)
    assert trained(network((512, 512), inputs=784), raw, epochs=2, rate=1e-3)[0][0] == "initial-loss"
    deep = network((64,) * 41, inputs=784)
    assert trained(deep, flat, flat_test, epochs=3, rate=1e-3)[0] == ["vanishing-gradients"]


@pytest.mark.slow
def test_the_convnet_that_overfits_on_cifar(shared_data):
    """The books' case, on 4,000 images where they have 50,000: earlier, and named with the epoch."""
    with np.load(shared_data / "cifar10_5000" / "cifar10_exact_5000.npz", allow_pickle=False) as file:
        parts = {
            name: (file[f"x_{name}"] / np.float32(255), file[f"y_{name}"].astype("int32")) for name in ("train", "test")
        }
    model = convolutional((32, 32, 3), (16, 32), units=128)
    found, _ = trained(
        model, Arrays(*parts["train"]), Arrays(*parts["test"], size=250, seed=None), epochs=14, rate=2e-3
    )
    assert found == ["overfitting"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_convnet_without_augmentation_at_the_usual_rate_overfits_and_nothing_else(seed, shared_data):
    """Adam's first steps raise the loss to three times what it was, and it comes back within the epoch."""
    with np.load(shared_data / "cifar10_5000" / "cifar10_exact_5000.npz", allow_pickle=False) as file:
        x, y = file["x_train"] / np.float32(255), file["y_train"].astype("int32")
    model = compose.logits(compose.zoo.get("conv-cifar").build(seed=seed))
    shown, held = Arrays(x[:3200], y[:3200], size=64, seed=seed), Arrays(x[3200:], y[3200:], size=200, seed=None)
    name = next(iter(compose.zoo.get("conv-cifar").tasks))
    found, told = trained(model, shown, held, epochs=13, rate=1e-3, objectives={name: CLASSES})
    assert found == told == ["overfitting"]
