"""The feature dataset: the front runs once for each image and never again, and a head trained on it is the model's."""

from __future__ import annotations

import importlib
import json
import linecache
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from lensmith import backend, check, train
from lensmith.backend import keras
from lensmith.compose import Classify, Conv, Group, Groups, Recipe, Regress, logits
from lensmith.data import Augment, Preprocessing, bundled, from_arrays, from_rows, read
from lensmith.data import batches as data_batches
from lensmith.records import Labels, Record, Records
from lensmith.reuse.feature_keys import key_of
from lensmith.reuse.feature_outputs import outputs_of
from lensmith.reuse.features import features

RECIPE = Recipe(
    input=(8, 8, 1),
    stem=None,
    learner=Groups(Group(Conv(norm="before"), filters=(4,), pool=2)),
    tasks={"label": Classify(10, hidden=(12,), dropout=0.25)},
)
TWO = replace(RECIPE, tasks={"label": Classify(10), "size": Regress()})
INPUT = Preprocessing(image=(8, 8, 1))
OBJECTIVES = {"label": train.Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")}
FLIP = Augment(flip="horizontal", brightness=0.3)


def model(recipe: Recipe = RECIPE, seed: int = 0):
    """Its norms know something: statistics of 0 and 1 would hide a norm in the wrong mode."""
    made = logits(recipe.build(seed=seed))
    for i, weight in enumerate(weight for weight in made.weights if "moving" in weight.path):
        weight.assign(np.linspace(0.5 + i, 1.0 + i, weight.shape[0]))
    return made


def digits(count: int = 70):
    return bundled("digits")[:count]


class Counted:
    """Counts the calls of the front, and can end the process at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        whole = backend.predict

        def predict(one, x):
            self.sizes.append(len(x))
            return whole(one, x)

        monkeypatch.setattr(backend, "predict", predict)


@pytest.fixture
def calls(monkeypatch) -> Counted:
    return Counted(monkeypatch)


def made(records, cache, *, of=None, preprocessing=INPUT, **settings):
    return features(of or model(), records, preprocessing, freeze=["learner"], cache=cache, batch=16, **settings)


def rows(found, view: int = 0) -> np.ndarray:
    return found.outputs.take(np.arange(len(found)), view)


# --- what the rows are ---------------------------------------------------------------------------------------------


@pytest.mark.backends
@pytest.mark.parametrize("on_disk", [True, False])
def test_the_rest_gives_for_the_features_what_the_model_gives_for_the_images(tmp_path, on_disk):
    whole = model()
    found = made(digits(), tmp_path / "c" if on_disk else None, of=whole)
    x = np.stack([INPUT(record) for record in digits()])
    assert rows(found).shape == (70, 4)
    joined = keras.ops.convert_to_numpy(found.rest(rows(found), training=False))
    np.testing.assert_allclose(joined, keras.ops.convert_to_numpy(whole(x, training=False)), rtol=1e-5, atol=1e-6)


def test_the_first_time_is_equal_to_the_bit_to_every_other(tmp_path, calls):
    first, again, memory = made(digits(), tmp_path / "c"), made(digits(), tmp_path / "c"), made(digits(), None)
    assert calls.sizes == [16, 16, 16, 16, 6] * 2  # of 70 images, and none of the second time
    assert (first.computed, again.computed, memory.computed) == (70, 0, 70)
    np.testing.assert_array_equal(rows(first), rows(again))
    np.testing.assert_array_equal(rows(first), rows(memory))
    assert first.batches().fingerprint == again.batches().fingerprint == memory.batches().fingerprint


def test_images_that_are_the_same_are_computed_once(tmp_path):
    records = digits(10).select([0, 1, 0, 1, 0])
    assert made(records, tmp_path / "c").computed == 2


@pytest.mark.backends
def test_several_outputs_are_kept_by_name():
    start = keras.Input((64,))
    one, two = keras.layers.Dense(4, name="one")(start), keras.layers.Dense(3, name="two")(start)
    both = keras.layers.Concatenate(name="both")([keras.layers.Dropout(0.5)(one), two])
    whole = keras.Model(start, keras.layers.Dense(10, name="end")(both))
    x, y = load_digits(return_X_y=True)
    records = from_rows(x[:40].astype(np.float32), y[:40])
    task = next(iter(records.labels))
    found = features(whole, records, Preprocessing(columns=64, scaling="none"), freeze=["one", "two"], cache=None)
    batch, y = next(found.batches(8, shuffle=False).epoch(0))
    assert {name: values.shape for name, values in batch.items()} == {"one-features": (8, 4), "two-features": (8, 3)}
    stage = train.Fit(epochs=2)
    objectives = {task: OBJECTIVES["label"]}
    history = train.fit(found.rest, found.batches(8), stage=stage, objectives=objectives)
    assert len(history.rows) == 2


# --- views ---------------------------------------------------------------------------------------------------------


def test_view_0_is_the_image_and_the_others_are_changed_from_the_seed(tmp_path):
    plain = made(digits(), None)
    one, same, other = (made(digits(), None, augment=FLIP, views=2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(rows(one), rows(plain))
    assert not np.array_equal(rows(one, 1), rows(plain))
    assert not np.array_equal(rows(one, 1), rows(one, 2))
    np.testing.assert_array_equal(rows(one, 2), rows(same, 2))
    assert not np.array_equal(rows(one, 1), rows(other, 1))


def test_a_view_follows_the_image_and_not_its_place():
    backwards = digits().select(range(69, -1, -1))
    one, other = (made(records, None, augment=FLIP, views=1) for records in (digits(), backwards))
    np.testing.assert_allclose(rows(one, 1), rows(other, 1)[::-1], rtol=1e-5, atol=1e-6)


def test_more_views_are_added_to_those_there(tmp_path):
    assert made(digits(), tmp_path / "c", augment=FLIP, views=1).computed == 140
    assert made(digits(), tmp_path / "c", augment=FLIP, views=2).computed == 70
    assert made(digits(), tmp_path / "c", augment=FLIP, views=2, seed=5).computed == 140  # all but the plain ones


def test_epochs_take_the_views_in_turn():
    found = made(digits(), None, augment=FLIP, views=2)
    batches = found.batches(70, shuffle=False)
    for epoch, view in enumerate([0, 1, 2, 0, 1]):
        x, _ = next(batches.epoch(epoch))
        np.testing.assert_array_equal(x, rows(found, view))


# --- what is computed anew -----------------------------------------------------------------------------------------


def photos(folder: Path, count: int = 20):
    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / ("cats", "dogs")[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (12, 10), np.uint8))
    return read(folder)


def two_classes(seed: int = 0):
    return model(replace(RECIPE, tasks={"label": Classify(2)}), seed)


def test_a_changed_image_is_computed_anew_and_no_other(tmp_path):
    records = photos(tmp_path / "photos")
    before = made(records, tmp_path / "c", of=two_classes())
    cv2.imwrite(str(records[3].image), np.zeros((12, 10), np.uint8))
    after = made(records, tmp_path / "c", of=two_classes())
    assert (before.computed, after.computed) == (20, 1)
    same = np.all(rows(before) == rows(after), axis=1)
    assert np.flatnonzero(~same).tolist() == [3]
    assert before.batches().fingerprint != after.batches().fingerprint


def test_a_row_computed_alone_is_equal_to_the_bit_to_one_among_others(tmp_path):
    whole = rows(made(digits(), None))
    made(digits().select([place for place in range(70) if place != 37]), tmp_path / "c")
    found = made(digits(), tmp_path / "c")
    assert found.computed == 1
    np.testing.assert_array_equal(rows(found)[37], whole[37])


def nudged():
    other = model()
    weight = other.layers[1].weights[0]
    weight.assign(weight + 1e-6)
    return other


def rebuilt():
    """Another network of the same weights."""
    other = model(replace(RECIPE, learner=Groups(Group(Conv(norm="before", activation="elu"), filters=(4,), pool=2))))
    other.set_weights(model().get_weights())
    return other


@pytest.mark.parametrize(
    "settings",
    [
        {"of": nudged},  # a weight
        {"of": rebuilt},  # what is done with the weights
        {"preprocessing": Preprocessing(image=(8, 8, 1), scaling="-1..1")},
    ],
)
def test_another_front_or_preprocessing_has_rows_of_its_own(tmp_path, settings):
    if "of" in settings:
        settings = {"of": settings["of"]()}
    made(digits(), tmp_path / "c")
    assert made(digits(), tmp_path / "c", **settings).computed == 70
    assert made(digits(), tmp_path / "c").computed == 0


def test_another_head_trains_from_the_same_rows(tmp_path):
    one = model()
    made(digits(), tmp_path / "c", of=one)
    other = model(TWO, seed=0)
    for mine, theirs in zip(other.layers, one.layers, strict=False):
        if mine.name.startswith("learner"):
            mine.set_weights(theirs.get_weights())
    found = made(digits(), tmp_path / "c", of=other, tasks=["label"])
    assert found.computed == 0


def test_names_of_layers_do_not_matter(tmp_path):
    """Keras counts unnamed layers on, so the same network built twice has other names for what crosses the border."""

    def unnamed() -> tuple[keras.Model, str]:
        x = keras.Input((8, 8, 1))
        conv = keras.layers.Conv2D(4, 3, kernel_initializer="ones")
        pools = keras.layers.GlobalAveragePooling2D(), keras.layers.GlobalMaxPooling2D()
        outputs = {str(i): keras.layers.Dense(2)(pool(conv(x))) for i, pool in enumerate(pools)}
        return keras.Model(x, outputs), conv.name

    def kept():
        net, front = unnamed()
        return features(net, digits(20), INPUT, freeze=[front], cache=tmp_path / "c", tasks=["label"])

    first, again = kept(), kept()
    assert (first.computed, again.computed) == (20, 0)
    assert set(first.outputs.arrays).isdisjoint(again.outputs.arrays)
    for a, b in zip(first.outputs.arrays.values(), again.outputs.arrays.values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_code_of_a_users_own_layer_has_rows_of_its_own(tmp_path, monkeypatch):
    keys = []
    for factor in (2, 3, 3):
        (tmp_path / "mine.py").write_text(
            f"import keras\n\nclass Scaled(keras.layers.Layer):\n    def call(self, x):\n        return {factor} * x\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        linecache.clearcache()
        importlib.invalidate_caches()
        own = importlib.import_module("mine").Scaled
        x = keras.Input((8, 8, 1))
        keys.append(key_of(keras.Model(x, own()(x)), INPUT))
        del sys.modules["mine"]
    assert keys[0] != keys[1] == keys[2]


@pytest.mark.skipif(os.name == "nt", reason="folders are not locked there")
def test_another_process_that_fills_the_same_rows_is_not_disturbed(tmp_path, monkeypatch):
    """While one computes, a second finds what is there, and is refused where it would have to write."""
    made(digits(16), tmp_path / "c")
    whole, told = backend.predict, []

    def predict(one, x):
        monkeypatch.setattr(backend, "predict", whole)
        told.append(made(digits(16), tmp_path / "c").computed)
        with pytest.raises(check.LensmithError, match=r"got one that another process is filling\. Wait for it"):
            made(digits(70), tmp_path / "c")
        return whole(one, x)

    monkeypatch.setattr(backend, "predict", predict)
    found = made(digits(40), tmp_path / "c")
    assert (told, found.computed) == ([0], 24)
    np.testing.assert_array_equal(rows(found), rows(made(digits(40), None)))


def test_a_flipped_byte_is_noticed_and_the_row_computed_again(tmp_path):
    first = made(digits(), tmp_path / "c")
    before = rows(first).copy()
    [file] = (tmp_path / "c").glob("*/rows.bin")
    content = bytearray(file.read_bytes())
    content[5 * 16 + 3] ^= 1  # 4 numbers of 4 bytes a row: in the sixth
    file.write_bytes(content)
    again = made(digits(), tmp_path / "c")
    assert again.computed == 1
    np.testing.assert_array_equal(rows(again), before)
    assert made(digits(), tmp_path / "c").computed == 0


CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from lensmith import backend
import test_features as t
whole, left = backend.predict, [int(sys.argv[2])]
def predict(model, x):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return whole(model, x)
backend.predict = predict
t.made(t.digits(), Path(sys.argv[1]))
"""


def test_killed_half_way_it_goes_on_where_it_was(tmp_path, calls):
    command = [sys.executable, "-c", CHILD, str(tmp_path / "c"), "3", str(Path(__file__).parent)]
    ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    found = made(digits(), tmp_path / "c")
    assert calls.sizes == [16, 6]  # 3 of the 5 blocks were kept
    assert found.computed == 22
    np.testing.assert_array_equal(rows(found), rows(made(digits(), None)))


# --- what cannot be read, and what does not fit --------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_set_aside_by_name(tmp_path, caplog):
    records = photos(tmp_path / "photos")
    Path(records[4].image).write_bytes(b"no image")
    Path(records[7].image).unlink()
    found = made(records, tmp_path / "c", of=two_classes())
    assert [problem.source for problem in found.lost] == [records[4].source, records[7].source]
    assert len(found) == 18
    assert len(found.batches(4)) == 5
    assert sum(len(y) for _, y in found.batches(4).epoch(0)) == 18
    assert "left out" in caplog.text


def test_where_no_file_can_be_read_it_says_so(tmp_path):
    records = photos(tmp_path / "photos", 2)
    for record in records:
        Path(record.image).write_bytes(b"no image")
    with pytest.raises(check.DataError, match="no file can be read"):
        made(records, None, of=two_classes())


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"limit": 1000}, "limit: expected at least 0.06"),
        ({"views": 2}, "augment: expected changes to make of the images; got none"),
        ({"augment": FLIP}, "views: expected a number of views of at least 1; got none"),
        ({"augment": replace(FLIP, mixup=0.2), "views": 1}, "augment: expected changes of one image at a time"),
        ({"tasks": ["colour"]}, "task: expected one of "),
        ({"views": -1, "augment": FLIP}, "views: expected a whole number of at least 0; got -1"),
        ({"preprocessing": Preprocessing(image=(9, 8, 1))}, "features: expected a preprocessing that makes"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(tmp_path, calls, settings, line):
    with pytest.raises(check.SettingError) as caught:
        made(digits(), tmp_path / "c", **settings)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert calls.sizes == []
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("kind", "target", "views", "line"),
    [
        ("mask", np.zeros((8, 8), np.uint8), 0, "features: task where: expected no masks; got mask"),
        ("points", np.zeros((2, 2), np.float32), 1, "features: task where: expected targets that stay as they are"),
    ],
)
def test_targets_that_cannot_be_delivered_are_refused(kind, target, views, line):
    record = Record("one", image=np.zeros((8, 8, 1), np.uint8), targets={"where": target})
    records = Records((record,), {"where": Labels(kind, ("a", "b"))})
    with pytest.raises(check.SettingError, match=line):
        made(records, None, views=views, augment=FLIP if views else None)


def test_progress_is_told(tmp_path):
    told: list[tuple[int, int]] = []
    made(digits(40), tmp_path / "c", progress=lambda done, total: told.append((done, total)))
    assert told == [(16, 40), (32, 40), (40, 40)]


# --- batches -------------------------------------------------------------------------------------------------------


def test_batches_are_in_the_order_and_with_the_targets_of_those_of_images():
    found = made(digits(), None).batches(16, seed=3)
    theirs = data_batches(digits(), INPUT, size=16, seed=3)
    assert len(found) == len(theirs) == 5
    for epoch in (0, 1):
        for (x, y), (_, wanted) in zip(found.epoch(epoch), theirs.epoch(epoch), strict=True):
            assert len(x) == len(y)
            assert y.dtype == wanted.dtype
            np.testing.assert_array_equal(y, wanted)


def test_a_position_is_saved_and_set():
    batches = made(digits(), None).batches(16)
    whole = list(batches.epoch(2))
    one = batches.epoch(2)
    next(one), next(one)
    other = batches.epoch(2)
    other.set_state(json.loads(json.dumps(one.get_state())))
    for (x, _), (wanted, _) in zip(other, whole[2:], strict=True):
        np.testing.assert_array_equal(x, wanted)


def test_the_fingerprint_changes_with_what_decides_the_batches():
    found = made(digits(), None)
    prints = {
        found.batches(16).fingerprint,
        found.batches(8).fingerprint,
        found.batches(16, seed=1).fingerprint,
        found.batches(16, shuffle=False).fingerprint,
        made(digits(69), None).batches(16).fingerprint,
        made(digits(), None, of=nudged()).batches(16).fingerprint,
        made(digits(), None, augment=FLIP, views=1).batches(16).fingerprint,
    }
    assert len(prints) == 7
    assert found.batches(16).fingerprint in prints


# --- training ------------------------------------------------------------------------------------------------------

STAGE = train.Fit(epochs=4, rate=3e-3, checkpoint_every=3)


class Interrupt(train.Silent):
    """Asks to stop at a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step, values, waited) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def weights(one) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(weight).copy() for weight in one.weights]


def trained(cache: Path, folder: Path | None, *, resume: bool = False, progress=None):
    whole = model()
    found = made(digits(), cache, of=whole, augment=FLIP, views=1)
    arguments = {"stage": replace(STAGE, freeze=found.frozen), "objectives": OBJECTIVES, "seed": 7}
    history = train.fit(found.rest, found.batches(16), folder=folder, resume=resume, progress=progress, **arguments)
    return whole, found, history


@pytest.mark.backends
def test_a_head_trained_on_features_is_the_head_of_the_model(tmp_path):
    before = weights(model())
    whole, found, history = trained(tmp_path / "c", None)
    assert len(history.rows) == 4
    changed = [not np.array_equal(a, b) for a, b in zip(before, weights(whole), strict=True)]
    assert changed == [weight.path.startswith("task") for weight in whole.weights]  # and nothing of the backbone
    x = np.stack([INPUT(record) for record in digits(16)])
    for give in (lambda one, values: keras.ops.convert_to_numpy(one(values, training=False)), backend.predict):
        # Other backends compile the whole and the halves, each in its own way.
        close = 0 if keras.config.backend() == "torch" else 1e-5
        np.testing.assert_allclose(give(found.rest, give(found.front, x)), give(whole, x), rtol=close, atol=close)


@pytest.mark.backends
@pytest.mark.parametrize("step", [1, 4, 5, 13])  # in the middle of epochs of 5 steps, and at the end of one
def test_interrupted_and_resumed_it_is_equal_to_the_bit(tmp_path, step):
    whole, _, history = trained(tmp_path / "c", tmp_path / "one")
    with pytest.raises(train.Interrupted):
        trained(tmp_path / "c", tmp_path / "two", progress=Interrupt(step))
    resumed, _, later = trained(tmp_path / "c", tmp_path / "two", resume=True)
    assert later.rows == history.rows
    for mine, theirs in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_two_tasks_from_one_cache(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
    records = from_arrays(
        images, {"label": np.arange(30) % 10, "size": np.linspace(0, 1, 30, dtype=np.float32)[:, None]}
    )
    found = made(records, tmp_path / "c", of=model(TWO))
    _, y = next(found.batches(10).epoch(0))
    assert set(y) == {"label", "size"}
    objectives = OBJECTIVES | {"size": train.Objective("mse")}
    history = train.fit(found.rest, found.batches(10), stage=train.Fit(epochs=2), objectives=objectives)
    assert "size_loss" in history.rows[0]


def test_a_teachers_predictions_are_kept_the_same_way(tmp_path):
    teacher = model()
    for computed in (70, 0):
        found = outputs_of(teacher, digits(), INPUT, cache=tmp_path / "c")
        assert found.computed == computed
        assert found.take(np.array([3, 1])).shape == (2, 10)
