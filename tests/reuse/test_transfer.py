"""Transfer: the two stages for any network of the zoo, what each gained, and which way a trial speaks for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lensmith import check, compose, data, train, trainable
from lensmith.backend import keras
from lensmith.compose import Binary, Classify, Conv, ConvStem, Group, Groups, Recipe, zoo
from lensmith.compose.layers import Maker
from lensmith.compose.recipe import assemble
from lensmith.data import Preprocessing
from lensmith.reuse.advice import Advice, Way, advise, compare
from lensmith.reuse.transfer import backbone, falls, gains, in_words, is_share, patterns, plan, sentence
from lensmith.train import Fit, Objective

CLASSES = Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")


@cache
def empty(name):
    """The zoo's model with weights of zeros and ones, built once: nothing here trains it."""
    recipe = zoo.get(name)
    return assemble(recipe, Maker(seed=0, empty=True, conventions=recipe.conventions), auxiliaries=True)


def groups(count, *before):
    return (*before, *(f"learner-group{i}" for i in range(1, count + 1)))


slow = pytest.mark.slow

# A row of each family; what the heads' stage freezes, what fine-tuning does, and the share of layers that it trains.
ROWS = [
    ("dense-multi-task", ("learner",), ("learner-dense1",), 0.5),  # two layers: the last trains
    ("compact", ("learner",), groups(2), 0.34),
    ("conv-cats-dogs", ("learner",), groups(2), 0.34),
    ("conv-digits", ("learner",), ("learner-group1-block1",), 0.5),  # one group: the border of its blocks
    ("conv-letters", ("learner",), (), 1.0),  # one convolution: all there is
    ("vgg16", ("learner",), groups(4), 0.24),  # block5, as the books have it
    ("resnet18-v1", ("stem", "learner"), groups(3, "stem"), 0.25),
    ("resnet20-cifar-v1", ("stem", "learner"), groups(2, "stem"), 0.32),
    pytest.param("wrn-16-8", ("stem", "learner"), groups(2, "stem"), 0.34, marks=slow),  # and the last norm
    pytest.param("resnext50-32x4d", ("stem", "learner"), groups(3, "stem"), 0.19, marks=slow),
    pytest.param("se-resnet50", ("stem", "learner"), groups(3, "stem"), 0.19, marks=slow),
    pytest.param("densenet121", ("stem", "learner"), groups(5, "stem"), 0.28, marks=slow),
    ("alexnet", ("learner",), groups(3), 0.4),
    ("mobilenet-v1-0.25", ("stem", "learner"), groups(4, "stem"), 0.15),
    pytest.param("mobilenet-v2", ("stem", "learner"), groups(4, "stem"), 0.42, marks=slow),
    ("googlenet-auxiliaries", ("stem", "learner"), groups(2, "stem"), 0.21),  # its auxiliary heads are heads too
    pytest.param("inception-v3", ("stem", "learner"), groups(2, "stem"), 0.26, marks=slow),
    pytest.param("inception-resnet-v2", ("stem", "learner"), groups(3, "stem"), 0.24, marks=slow),
    pytest.param("xception", ("stem", "learner"), groups(3, "stem"), 0.12, marks=slow),
    pytest.param("nasnet-mobile", ("stem", "learner"), groups(4, "stem"), 0.31, marks=slow),
    ("squeezenet-1.1", ("stem", "learner"), groups(2, "stem"), 0.48),
    pytest.param("shufflenet-v1-g1", ("stem", "learner"), groups(2, "stem"), 0.24, marks=slow),
    pytest.param("efficientnet-b0", ("stem", "learner"), groups(5, "stem"), 0.32, marks=slow),
    ("unet", ("learner", "decoder"), ("learner", "decoder-group1", "decoder-group2"), 0.27),
    ("autoencoder-conv", ("learner", "decoder"), ("learner", "decoder-up1"), 0.25),
]


@pytest.mark.parametrize(("name", "heads", "tuning", "share"), ROWS)
def test_two_stages_for_every_family(name, heads, tuning, share):
    model = empty(name)
    first, second = plan(model)
    assert (first.freeze, second.freeze) == (heads, tuning)
    every = [place.path for place in trainable.places(model)]
    still = [place.path for place in trainable.chosen("freeze", model, first.freeze)]
    assert still == [path for path in every if not path.startswith("task-")]
    tuned = len(still) - len(trainable.chosen("freeze", model, second.freeze))
    assert tuned / len(still) == pytest.approx(share, abs=0.02)


def test_every_family_has_a_row():
    rows = [row.values[0] if hasattr(row, "values") else row[0] for row in ROWS]
    assert {zoo.family(row).name for row in rows} == {family.name for family in zoo.FAMILIES}


def test_settings_of_the_stages():
    first, second = plan(empty("compact"), head_epochs=7, tune_epochs=3, rate=2e-3, patience=4, monitor="val_accuracy")
    assert (first.epochs, first.rate, first.hold_norms) == (7, 2e-3, False)
    assert (second.epochs, second.rate, second.hold_norms) == (3, 1e-4, True)  # a twentieth
    for stage in (first, second):
        assert stage.schedule == train.Cosine()
        assert (stage.monitor, stage.stop) == ("val_accuracy", train.Patience("val_accuracy", 4))
    assert plan(empty("compact"), tune_rate=3e-5)[1].rate == 3e-5


# The share asked for, and the groups of VGG16's 13 convolutions (2, 2, 3, 3, 3) that stay as they are.
SHARES = [(0.0, 4), (0.24, 4), (0.4, 3), (0.5, 3), (0.7, 2), (0.84, 1), (1.0, 0)]


@pytest.mark.parametrize(("share", "still"), SHARES)
def test_share_is_cut_at_the_nearest_border(share, still):
    assert plan(empty("vgg16"), share=share)[1].freeze == groups(still)


def test_networks_of_others_are_frozen_by_layer():
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for i in (1, 2, 3):
        x = keras.layers.Conv2D(2, 3, padding="same", name=f"block{i}_conv")(x)
    whole = compose.with_head(keras.Model(inputs, x), {"kind": Binary()}, seed=0)
    first, second = plan(whole)
    assert first.freeze == ("block1_conv", "block2_conv", "block3_conv")
    assert second.freeze == ("block1_conv", "block2_conv")
    outer = keras.Input((8, 8, 1))
    inner = keras.Model(inputs, x, name="theirs")
    nested = keras.Model(outer, keras.layers.Dense(1, name="task-kind-logits")(keras.layers.Flatten()(inner(outer))))
    assert plan(nested)[1].freeze == ("theirs/block1_conv", "theirs/block2_conv")


def test_patterns_choose_no_more_than_was_meant():
    model = empty("dense-digits-deep")  # learner-dense1 and learner-dense10 begin alike
    some = [place for place in backbone(model) if place.path in ("learner-dense1", "learner-dense3")]
    assert patterns(model, some) == ("learner-dense1", "learner-dense3")
    assert patterns(model, ()) == ()
    assert patterns(model, backbone(model)) == ("learner",)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "task-NAME-…; got none. Put a head on"),
        (lambda: empty("dense-digits-small"), "layers with weights before the heads; got none"),  # a head alone
    ],
)
def test_models_without_a_part_to_keep(make, words):
    with pytest.raises(check.SettingError) as caught:
        plan(make())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_share_out_of_range():
    with pytest.raises(check.SettingError, match=r"share: expected a number from 0 to 1; got 2"):
        plan(empty("compact"), share=2)


# What the stages gained.

HEADS, TUNING = Fit(freeze=("stem", "learner")), Fit(freeze=("stem",), hold_norms=True)


def row(stage, epoch, loss, accuracy):
    return {"stage": stage, "epoch": epoch, "loss": 0.1, "val_loss": loss, "val_accuracy": accuracy}


def test_gains_are_of_the_epochs_whose_weights_were_kept():
    rows = [
        row(1, 1, 0.40, 0.90),
        row(1, 2, 0.30, 0.92),  # the lowest loss: this epoch's weights
        row(1, 3, 0.35, 0.95),
        row(2, 4, 0.32, 0.94),
        row(2, 5, 0.31, 0.91),  # likewise, and worse than the stage before
    ]
    first, second = gains(rows, {1: HEADS, 2: TUNING})
    assert (first.name, first.before, first.after, first.gain) == ("heads alone", None, 0.92, None)
    assert (second.name, second.before, second.after) == ("fine-tuning", 0.92, 0.91)
    assert second.gain == pytest.approx(-0.01)
    assert sentence((first, second)) == "heads alone: val_accuracy 92.0 %; fine-tuning: -1.0 points, 91.0 %"


def test_gains_in_a_loss_are_what_it_fell_by():
    rows = [row(1, 1, 0.4, 0.9), row(2, 2, 0.25, 0.8)]
    found = gains(rows, {1: HEADS, 2: TUNING}, metric="val_loss")
    assert found[1].gain == pytest.approx(0.15)
    assert sentence(found) == "heads alone: val_loss 0.4; fine-tuning: 0.15 better, 0.25"


def test_gains_of_other_plans():
    """A stage that did not train has no rows; stages are called as asked; a run of one stage has no numbers of them."""
    rows = [row(2, 1, 0.4, 0.9), row(4, 2, 0.3, 0.95)]
    found = gains(rows, {1: HEADS, 2: Fit(), 4: Fit()}, names={4: "with the teacher"})
    assert [(gain.stage, gain.name) for gain in found] == [(2, "training"), (4, "with the teacher")]
    alone = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}]  # no validation: the last epoch's
    assert [(gain.monitor, gain.after) for gain in gains(alone, {1: Fit()})] == [("loss", 0.4)]
    with pytest.raises(check.SettingError, match="metric: expected one of"):
        gains(rows, {2: Fit()}, metric="val_acuracy")


def test_kinds_of_values():
    assert [name for name in ("val_accuracy", "val_label_auc", "val_loss", "val_f1", "mae") if is_share(name)] == [
        "val_accuracy",
        "val_label_auc",
        "val_f1",
    ]
    assert [falls(name) for name in ("val_loss", "val_mean_absolute_error", "val_accuracy")] == [True, True, False]
    assert in_words("val_loss", 0.0) == "0"


# Which way to take.


def ways(head, tuned, scratch):
    return [Way("scratch", scratch, 6, 90.0), Way("head", head, 6, 2.0), Way("fine-tune", tuned, 6, 60.0)]


# Shares of 300 examples; one standard error of 0.94 is sqrt(0.94 * 0.06 / 300) = 0.0137.
TRIED = [
    (ways(0.93, 0.94, 0.64), "head", "fine-tune is 1.0 points better, which 300 examples cannot tell from chance (1.4"),
    (ways(0.90, 0.94, 0.64), "fine-tune", "it is 4.0 points better than head"),
    (ways(0.60, 0.58, 0.94), "scratch", "it is 34.0 points better than head"),
    (ways(0.95, 0.94, 0.64), "head", "it is 1.0 points better than fine-tune"),
    (ways(1.0, 1.0, 1.0), "head", "it is 0.0 points better"),  # nothing to tell them apart by
]


@pytest.mark.parametrize(("tried", "best", "words"), TRIED)
def test_the_simplest_way_within_the_noise(tried, best, words):
    advice = advise(tried, "val_accuracy", 300)
    assert advice.best == best
    assert words in advice.sentence
    assert [way.name for way in advice.ways] == ["head", "fine-tune", "scratch"]
    assert advice.to_dict()["ways"][0]["name"] == "head"


def test_more_examples_tell_more():
    tried = ways(0.93, 0.94, 0.64)
    assert advise(tried, "val_accuracy", 1000).best == "fine-tune"  # 0.0075
    assert advise(tried, "val_loss", 1000).best == "scratch"  # less is better, and no noise is known
    with pytest.raises(check.SettingError, match="way: expected one of head, fine-tune, scratch; got 'heads'"):
        advise([Way("heads", 1.0, 1, 1.0)], "val_accuracy", 10)


# With real numbers, on digits: a network that knows 0 to 4 learns 5 to 9 from few.

UNIT = Preprocessing(image=(8, 8, 1))
SMALL = Recipe(
    (8, 8, 1),
    ConvStem(6, kernel=3, stride=1),
    Groups(
        Group(Conv(norm="before"), filters=8, pool=2),
        Group(Conv(norm="before"), filters=12),
        Group(Conv(norm="before"), filters=16, pool=2),
    ),
    {"label": Classify(5)},
)


def digits(wanted, first, last):
    """Some of the digits ``wanted``, as classes from 0."""
    every = data.bundled("digits")
    there = [i for i, record in enumerate(every) if record.targets["label"] in wanted][first:last]
    items = tuple(
        replace(every[i], targets={"label": wanted.index(every[i].targets["label"])}, source=f"digit {i}")
        for i in there
    )
    labels = {"label": replace(every.labels["label"], names=tuple(str(digit) for digit in wanted))}
    return replace(every, items=items, labels=labels)


def batches(wanted, first, last, *, shuffle=True):
    return data.batches(digits(wanted, first, last), UNIT, size=20, seed=1, shuffle=shuffle)


@pytest.fixture(scope="module")
def learnt():
    """Weights that know 0 to 4."""
    model = SMALL.build(seed=0)
    fitted = compose.logits(model)
    part = batches((0, 1, 2, 3, 4), 0, 600)
    train.fit(fitted, part, stage=Fit(epochs=2, rate=3e-3), objectives={"label": CLASSES})
    return {place.path: place.layer.get_weights() for place in trainable.places(fitted)}


def begun(learnt):
    """The network with these weights before its head."""
    model = compose.logits(SMALL.build(seed=3))
    for place in backbone(model):
        place.layer.set_weights([value.copy() for value in learnt[place.path]])
    return model


def weights(model):
    return {
        f"{place.path}/{i}": keras.ops.convert_to_numpy(weight).copy()
        for place in trainable.places(model)
        for i, weight in enumerate(place.layer.weights)
    }


def changed(before, after):
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


LATER = (5, 6, 7, 8, 9)


def test_the_stages_train_what_they_say(learnt):
    model = begun(learnt)
    first, second = plan(model, head_epochs=2, tune_epochs=1)
    settings = {"objectives": {"label": CLASSES}, "validation": batches(LATER, 100, 160, shuffle=False)}
    before = weights(model)
    train.fit(model, batches(LATER, 0, 100), stage=first, **settings)
    between = weights(model)
    assert {name.rsplit("/", 1)[0] for name in changed(before, between)} == {"task-label-logits"}
    assert second.freeze == ("stem", "learner-group1", "learner-group2")
    train.fit(model, batches(LATER, 0, 100), stage=second, **settings)
    now = {name.split("-")[1] for name in changed(between, weights(model))}
    assert now == {"group3", "label"}
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    statistics = {place.path for place in trainable.places(model) if place.layer in norms}
    assert len(statistics) == 4
    kept = {name for name in before if name.rsplit("/", 1)[0] in statistics and name.endswith(("/2", "/3"))}
    assert not kept & changed(before, weights(model))  # moving means and variances


def test_trial_of_the_three_ways(learnt, tmp_path):
    fresh = []

    def scratch():
        fresh.append(compose.logits(SMALL.build(seed=3)))
        return fresh[-1]

    advice = compare(
        lambda: begun(learnt),
        scratch,
        batches(LATER, 0, 60),
        batches(LATER, 60, 260, shuffle=False),
        objectives={"label": CLASSES},
        epochs=4,
        rate=1e-2,
        cache=tmp_path / "features",
    )
    assert isinstance(advice, Advice)
    assert advice.monitor == "val_accuracy"
    assert [way.name for way in advice.ways] == ["head", "fine-tune", "scratch"]
    assert len(fresh) == 1
    assert all(0 < way.value <= 1 and way.epochs == 4 for way in advice.ways)
    top = max(way.value for way in advice.ways)
    assert advice.noise == pytest.approx((top * (1 - top) / 200) ** 0.5)
    assert advice == replace(advise(advice.ways, "val_accuracy", 200))


def test_trial_of_too_few_epochs(learnt):
    part = batches(LATER, 0, 20)
    with pytest.raises(check.SettingError, match=r"epochs: expected a number from 2 to inf; got 1"):
        compare(lambda: begun(learnt), lambda: begun(learnt), part, part, objectives={"label": CLASSES}, epochs=1)
