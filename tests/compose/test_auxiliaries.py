"""Auxiliary heads: GoogLeNet's counts, a run that trains with them and saves without, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lensmith import compose, data, runs, train
from lensmith.backend import keras
from lensmith.check import DataError, SettingError
from lensmith.compose import Auxiliary, Classify, Conv, Group, Groups, Pool, Recipe, Regress, Segment, zoo
from lensmith.runs.aims import objectives
from lensmith.train.compiled import Task, fitted

SMALL = Auxiliary("label", "learner-group1-block1", pool=Pool(2, kind="average"), filters=4, hidden=(8,), dropout=0.2)
TINY = Recipe(
    input=(8, 8, 1),
    stem=None,
    learner=Groups(Group(Conv(norm="before"), filters=(8, 8), pool=2), Group(Conv(norm="before"), 8)),
    tasks={"label": Classify(10, dropout=0.1)},
    auxiliaries=(SMALL,),
)
PLAN = train.Fit(epochs=2, rate=0.01)


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    """Ends training after one epoch."""

    def on_epoch(self, row: object, waited: float) -> None:
        raise Stop


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def googlenet() -> Recipe:
    taps = ("learner-group2-block1", "learner-group2-block4")  # 4a and 4d
    return replace(zoo.get("googlenet"), auxiliaries=tuple(Auxiliary("label", tap) for tap in taps))


def test_googlenet_with_and_without() -> None:
    # On paper: 512·128 + 128 and 528·128 + 128, then twice 4·4·128·1024 + 1024 and 1024·1000 + 1000.
    added = 65_664 + 67_712 + 2 * (2_098_176 + 1_025_000)
    assert googlenet().count()[0] == 6_998_552
    assert googlenet().count(auxiliaries=True)[0] == 13_378_280 == 6_998_552 + added


def test_the_view_shares_every_weight_with_what_is_trained(batch) -> None:
    model = TINY.build(seed=3, auxiliaries=True)
    plain = compose.without_auxiliaries(model)
    assert list(model.output) == ["label", "label_aux1"]
    assert not isinstance(plain.output, dict)
    assert {id(weight) for weight in plain.weights} < {id(weight) for weight in model.weights}
    x = batch((8, 8, 1))
    for other in (TINY.build(seed=3), replace(TINY, auxiliaries=()).build(seed=3)):  # the same seed, the same weights
        np.testing.assert_array_equal(numbers(plain(x)), numbers(other(x)))
    np.testing.assert_array_equal(numbers(plain(x)), numbers(model(x)["label"]))


def test_a_model_that_has_none_is_its_own_view() -> None:
    model = replace(TINY, auxiliaries=()).build(auxiliaries=True)
    assert compose.without_auxiliaries(model) is model
    several = replace(TINY, tasks={"label": Classify(3), "size": Regress()}, auxiliaries=()).build()
    assert compose.without_auxiliaries(several) is several


def test_the_head_reads_what_its_tap_gives(batch) -> None:
    model = TINY.build(seed=0, auxiliaries=True)
    first = model.get_layer("task-label_aux1-reduce")
    assert first.input is model.get_layer("learner-group1-block1-activation").output
    whole_group = replace(TINY, auxiliaries=(replace(SMALL, tap="learner-group1"),)).build(auxiliaries=True)
    assert whole_group.get_layer("task-label_aux1-reduce").input is whole_group.get_layer("learner-group1-pool").output


def test_written_and_read_again() -> None:
    assert Recipe.from_yaml(TINY.to_yaml()) == TINY
    assert hash(Recipe.from_yaml(googlenet().to_yaml())) == hash(googlenet())
    short = "{input: [8, 8, 1], learner: {part: groups, groups: [{block: conv, filters: 4}]}, tasks: {y: binary}, "
    assert Recipe.from_yaml(short + "auxiliaries: [{task: y, tap: learner-group1, pool: 2}]}").auxiliaries == (
        Auxiliary("y", "learner-group1", pool=Pool(2)),
    )


REFUSED = [
    # A part that is not there: the nearest is named, before anything is built.
    (
        lambda: replace(TINY, auxiliaries=(replace(SMALL, tap="learner-group1-block9"),)),
        "learner-group1-block9'",
        "Did",
    ),
    # A learner whose parts are known only once it is built: refused then.
    (
        lambda: replace(TINY, learner=None, stem=compose.ConvStem(4), auxiliaries=(replace(SMALL, tap="stm"),)).build(
            auxiliaries=True
        ),
        "label_aux1",
        "'stm'. Did you mean 'stem'?",
    ),
    (lambda: replace(TINY, auxiliaries=(replace(SMALL, task="labl"),)), "auxiliaries[0].task", "Did you mean 'label'?"),
    (lambda: replace(TINY, tasks={"label": Segment(3)}), "auxiliaries[0].task", "Segment"),
    (lambda: replace(TINY, tasks={"label": Classify(3), "label_aux1": Regress()}), "label_aux1", "rename"),
    (lambda: replace(TINY, auxiliaries="label"), "auxiliaries", "a list"),
    (lambda: replace(SMALL, pool=0), "auxiliary.pool", "at least 1"),
    (lambda: replace(SMALL, weight=-1), "auxiliary.weight", "-1"),
    (lambda: replace(SMALL, tap=3), "auxiliary.tap", "3"),
    # The window of the pool is larger than the feature maps.
    (lambda: replace(TINY, auxiliaries=(replace(SMALL, pool=9),)).build(auxiliaries=True), "9×9", "8×8"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case, refused) -> None:
    refused(*case)


@pytest.fixture(scope="module")
def parts():
    return data.split(data.read("bundled:digits")[:120], 0.6, 0.2, 0.2)


@pytest.fixture(scope="module")
def finished(parts, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    folder = tmp_path_factory.mktemp("runs") / "aux"
    return runs.start(folder, recipe=TINY, data=parts, plan=PLAN, batch=24, seed=4)


def test_a_run_trains_with_them_and_saves_without(finished: runs.Run) -> None:
    rows = finished.folder.history.read_text().splitlines()
    assert all("label_aux1_loss" in row and "val_label_accuracy" in row for row in rows)
    weights = load_file(finished.folder.model / "weights.safetensors")
    assert not [name for name in weights if "aux" in name]
    assert finished.results is not None
    assert set(finished.results["metrics"]) == {"loss", "accuracy"}
    assert finished.results["proof"]["max_difference"] <= 1e-4
    saved = finished.saved()
    assert saved.recipe == TINY
    assert saved.model.count_params() == TINY.count()[0]


def test_killed_and_resumed_it_ends_with_the_same_bits(finished: runs.Run, parts, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        runs.start(tmp_path / "k", recipe=TINY, data=parts, plan=PLAN, batch=24, seed=4, progress=Killer())
    again = runs.resume(tmp_path / "k")
    assert again.folder.history.read_bytes() == finished.folder.history.read_bytes()
    first, second = (load_file(run.folder.model / "weights.safetensors") for run in (finished, again))
    assert all(np.array_equal(first[name], second[name]) for name in first.keys() | second.keys())


def test_the_loss_is_the_tasks_and_a_share_of_the_auxiliary(parts) -> None:
    model = TINY.build(seed=0, auxiliaries=True)
    batches = data.batches(parts[1], data.Preprocessing(image=(8, 8, 1)), size=100, shuffle=False)
    found = train.evaluate(compose.logits(model), batches, objectives(TINY))
    assert found["loss"] == pytest.approx(found["label_loss"] + 0.3 * found["label_aux1_loss"], rel=1e-6)
    ((x, y),) = batches.epoch(0)
    of_truth = numbers(model(x)["label_aux1"])[np.arange(len(y)), y]
    assert found["label_aux1_loss"] == pytest.approx(float(-np.log(of_truth).mean()), rel=1e-5)


def test_training_changes_the_auxiliary_and_what_it_reads(parts) -> None:
    model = TINY.build(seed=0, auxiliaries=True)
    before = {weight.path: numbers(weight).copy() for weight in model.trainable_weights}
    only_aux = {name: replace(one, weight=float("aux" in name)) for name, one in objectives(TINY).items()}
    batches = data.batches(parts[1], data.Preprocessing(image=(8, 8, 1)), size=60)
    train.fit(compose.logits(model), batches, stage=train.Fit(epochs=1), objectives=only_aux)
    changed = {
        path.split("/")[0]
        for path, was in before.items()
        if not np.array_equal(was, numbers(next(w for w in model.weights if w.path == path)))
    }
    assert changed >= {"task-label_aux1-conv", "task-label_aux1-logits", "learner-group1-block1-conv"}
    assert not [layer for layer in changed if layer.startswith(("learner-group2", "task-label-"))]


TARGETED = {"a": Task((3,), "softmax", "a"), "a_aux1": Task((3,), "softmax", "a_aux1", "a")}


def test_targets_are_handed_to_every_output_that_reads_them() -> None:
    y = np.array([0, 2])
    for given in (y, {"a": y}):  # of one task there may be an array alone
        assert list(fitted(TARGETED, given, "here")) == ["a", "a_aux1"]
        assert fitted(TARGETED, given, "here")["a_aux1"].tolist() == [0, 2]
    with pytest.raises(DataError, match="targets for a; got targets for a, a_aux1"):
        fitted(TARGETED, {"a": y, "a_aux1": y}, "here")


def test_a_target_that_is_no_task_is_refused(parts) -> None:
    batches = data.batches(parts[1], data.Preprocessing(image=(8, 8, 1)), size=60)
    wrong = {name: replace(one, target="labels") for name, one in objectives(TINY).items()}
    with pytest.raises(SettingError, match="Did you mean 'label'"):
        train.evaluate(compose.logits(TINY.build(auxiliaries=True)), batches, wrong)


def test_a_spec_keeps_them_and_hangs_those_of_a_zoo_row_on_its_own_task() -> None:
    from lensmith.records import Labels
    from lensmith.runs.resolve import resolve

    spec = runs.ModelSpec.of(TINY)
    assert resolve(spec, (8, 8, 1), {"label": Labels("class", tuple("abcdefghij"))}) == TINY
    without = spec.model_copy(update={"auxiliaries": []})
    assert resolve(without, (8, 8, 1), {"label": Labels("class", tuple("abcdefghij"))}).auxiliaries == ()
