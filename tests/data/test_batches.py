"""Batches: what they hold, in which order, and from where they go on."""

import json
import logging
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check, data
from lensmith.data import Preprocessing
from lensmith.records import Labels, Record, Records


def numbered(count):
    """Rows that hold their own place, and their place modulo 3 as the class."""
    rows = np.arange(count, dtype=np.float32)[:, None]
    return data.from_rows(rows, np.arange(count) % 3, ["a", "b", "c"])


def rows(count, **options):
    return data.batches(numbered(count), Preprocessing(columns=1, scaling="none"), **options)


def places(batches):
    return [x[:, 0].astype(int).tolist() for x, _ in batches]


@pytest.fixture
def photos(tmp_path):
    """Twelve image files whose pixels hold their place."""
    for place in range(12):
        path = tmp_path / "ab"[place % 2] / f"{place:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((6, 6), place, np.uint8)).save(path)
    return data.read(tmp_path)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 15), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_an_epoch_holds_every_example_once_with_its_target(count, size, seed, epoch):
    made = rows(count, size=size, seed=seed)
    batches = list(made.epoch(epoch))
    assert len(batches) == len(made) == -(-count // size)
    assert all(len(x) == size for x, _ in batches[:-1])
    assert sorted(chain.from_iterable(places(batches))) == list(range(count))
    for x, y in batches:
        np.testing.assert_array_equal(x[:, 0] % 3, y)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 15), stop=st.integers(0, 40), threads=st.integers(0, 3))
def test_it_goes_on_from_a_saved_position(count, size, stop, threads):
    made = rows(count, size=size, threads=threads)
    whole = places(made.epoch(2))
    iterator = made.epoch(2)
    taken = [next(iterator) for _ in range(min(stop, len(made)))]
    state = json.loads(json.dumps(iterator.get_state()))
    again = rows(count, size=size, threads=threads).epoch(2)
    again.set_state(state)
    assert places(taken) + places(again) == whole


def test_the_order_follows_from_seed_and_epoch_alone(photos):
    def order(threads=None, seed=1, epoch=0):
        made = data.batches(photos, Preprocessing(image=(6, 6, 1)), size=5, seed=seed, threads=threads)
        return [np.rint(x[:, 0, 0, 0] * 255).astype(int).tolist() for x, _ in made.epoch(epoch)]

    assert order(threads=0) == order(threads=1) == order(threads=4) == order()
    assert order() != order(epoch=1)
    assert order() != order(seed=2)
    assert order(epoch=1) != order(seed=2)  # not the same sequence, one later


def test_without_shuffling_the_order_is_that_of_the_records():
    assert places(rows(5, size=2, shuffle=False).epoch(3)) == [[0, 1], [2, 3], [4]]


def test_files_and_arrays_make_the_same_batches(photos):
    arrays = data.from_arrays(
        np.stack([data.decode(record.image, 1) for record in photos]),
        [record.targets["label"] for record in photos],
    )
    for size in ((6, 6, 1), (3, 9, 3)):
        preprocessing = Preprocessing(image=size, scaling="-1..1")
        from_files, from_arrays = (data.batches(each, preprocessing, size=5) for each in (photos, arrays))
        for (x, y), (x2, y2) in zip(from_files.epoch(0), from_arrays.epoch(0), strict=True):
            np.testing.assert_array_equal(x, x2)
            np.testing.assert_array_equal(y, y2)


def test_targets_of_several_tasks():
    records = data.from_rows(
        np.zeros((2, 1)), {"kind": [1, 0], "size": [[1.5, 2.5], [3.5, 4.5]], "marks": np.eye(2, 3, dtype=bool)}
    )
    preprocessing = Preprocessing(columns=1, scaling="none")
    (_, y), *_ = data.batches(records, preprocessing, shuffle=False).epoch(0)
    assert {task: (values.dtype.name, values.tolist()) for task, values in y.items()} == {
        "kind": ("int32", [1, 0]),
        "size": ("float32", [[1.5, 2.5], [3.5, 4.5]]),
        "marks": ("float32", [[1, 0, 0], [0, 1, 0]]),
    }
    (_, y), *_ = data.batches(records, preprocessing, tasks=["size"], shuffle=False).epoch(0)
    assert y.tolist() == [[1.5, 2.5], [3.5, 4.5]]


def test_a_file_that_vanishes_leaves_its_batch_smaller_and_is_listed(photos, caplog):
    made = data.batches(photos, Preprocessing(image=(6, 6, 1)), size=4, shuffle=False)
    photos[5].image.unlink()
    with caplog.at_level(logging.WARNING):
        first, second, third = made.epoch(0)
        list(made.epoch(1))  # it is listed once, however often it is missed
    assert [len(x) for x, _ in (first, second, third)] == [4, 3, 4]
    assert len(second[1]) == 3
    assert [(one.source, one.reason) for one in made.lost] == [(photos[5].source, "the file is missing")]
    assert caplog.text.count("left out of its batch") == 1


@pytest.mark.parametrize("threads", [0, 2])
def test_a_batch_of_which_nothing_is_left_is_an_error(photos, threads):
    made = data.batches(photos, Preprocessing(image=(6, 6, 1)), size=1, shuffle=False, threads=threads)
    photos[0].image.unlink()
    with pytest.raises(check.DataError, match="no file of a batch can be read; the file is missing"):
        next(made.epoch(0))


def test_the_fingerprint_tells_other_batches_and_not_other_threads():
    made = rows(9)
    assert made.fingerprint == rows(9, threads=3).fingerprint
    assert made.fingerprint != rows(8).fingerprint
    assert made.fingerprint != rows(9, seed=1).fingerprint
    assert made.fingerprint != rows(9, size=2).fingerprint
    assert made.fingerprint != rows(9, shuffle=False).fingerprint
    other = data.from_rows(np.zeros((9, 1)), [0, 1, 2] * 3, ["a", "b", "c"])
    scaled = data.batches(other, data.preprocessing(other))
    assert scaled.fingerprint != made.fingerprint


def test_keras_fit_takes_a_dataset():
    from lensmith.backend import keras

    made = data.batches(data.bundled("digits")[:50], Preprocessing(image=(8, 8, 1)), size=16)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(made.dataset(0), steps_per_epoch=len(made), shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_a_target_outside_the_names_is_named_before_training_begins():
    item = Record("list.csv:7", row=np.zeros(1, np.float32), targets={"label": 2})
    records = Records((item,), {"label": Labels("class", ("cat", "dog"))})
    with pytest.raises(check.DataError, match=r"list\.csv:7: label: expected a class index from 0 to 1; got 2"):
        data.batches(records, Preprocessing(columns=1, scaling="none"))


def test_a_missing_target_is_named():
    item = Record("list.csv:7", row=np.zeros(1, np.float32))
    records = Records((item,), {"label": Labels("class", ("cat", "dog"))})
    with pytest.raises(check.DataError, match=r"list\.csv:7: has no target for the task 'label'"):
        data.batches(records, Preprocessing(columns=1, scaling="none"))


def test_refusals():
    with pytest.raises(check.DataError, match="there are no records"):
        data.batches(numbered(3)[:0], Preprocessing(columns=1, scaling="none"))
    with pytest.raises(check.SettingError, match="batch size: expected a whole number of at least 1; got 0"):
        rows(3, size=0)
    with pytest.raises(check.SettingError, match="seed: expected a whole number of at least 0; got -1"):
        rows(3, seed=-1)
    with pytest.raises(check.SettingError, match="threads: expected a whole number of at least 0; got -1"):
        rows(3, threads=-1)
    with pytest.raises(check.SettingError, match="Did you mean 'label'"):
        rows(3, tasks=["labell"])
    with pytest.raises(check.DataError, match="no targets"):
        data.batches(Records(numbered(3).items, {}), Preprocessing(columns=1, scaling="none"))
