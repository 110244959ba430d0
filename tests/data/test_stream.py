"""The user's own source and functions: order, length, position, and errors that name their place."""

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check, data
from lensmith.data.pipeline.ahead import Ahead
from lensmith.data.pipeline.stream import stream
from lensmith.records import Labels, Record, Records


def flat(batches):
    return [value for batch in batches for value in np.asarray(batch).ravel().tolist()]


def example(number):
    return np.full((2, 2, 1), number, np.float32), number % 3


def test_a_chain_of_everything():
    made = stream(range(10)).map(lambda number: number * number).shuffle(4, seed=1).repeat(2).take(15).batch(4)
    batches = list(made)
    assert len(made) == len(batches) == 4
    assert [len(batch) for batch in batches] == [4, 4, 4, 3]
    assert sorted(flat(batches)[:10]) == [number * number for number in range(10)]


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 30),
    window=st.integers(1, 40),
    size=st.integers(1, 8),
    steps=st.one_of(st.none(), st.integers(1, 12)),
    stop=st.integers(0, 12),
    threads=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_it_goes_on_from_a_saved_position(count, window, size, steps, stop, threads, epoch):
    def made(threads):
        return stream(range(count), steps=steps, threads=threads).map(example).shuffle(window, seed=2).batch(size)

    whole = list(made(0).epoch(epoch))
    assert len(whole) == len(made(0))
    iterator = made(threads).epoch(epoch)
    taken = [next(iterator) for _ in range(min(stop, len(whole)))]
    again = made(threads).epoch(epoch)
    again.set_state(json.loads(json.dumps(iterator.get_state())))
    found = taken + list(again)
    assert len(found) == len(whole)
    for (x, y), (x2, y2) in zip(found, whole, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)


def test_a_shuffle_is_a_permutation_within_its_window_and_new_each_epoch():
    made = stream(range(50)).shuffle(10, seed=0)
    first, second = list(made.epoch(0)), list(made.epoch(1))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert first == list(stream(range(50)).shuffle(10, seed=0).epoch(0))
    assert first != list(stream(range(50)).shuffle(10, seed=1).epoch(0))
    assert all(number <= place + 10 for place, number in enumerate(first))  # nothing comes before it was seen


def test_a_repeated_shuffle_is_another_each_time():
    found = list(stream(range(20)).shuffle(20).repeat(2))
    assert sorted(found[:20]) == sorted(found[20:]) == list(range(20))
    assert found[:20] != found[20:]


def test_with_steps_a_sequence_goes_on_where_the_last_epoch_left_it():
    made = stream(range(5), steps=2).batch(2)
    epochs = [[batch.tolist() for batch in made.epoch(number)] for number in range(3)]
    assert epochs == [[[0, 1], [2, 3]], [[4], [0, 1]], [[2, 3], [4]]]


def test_a_function_is_called_anew_for_every_epoch_so_that_what_arrives_later_joins():
    arrived = [0, 1]
    made = stream(lambda: list(arrived), steps=3)
    assert list(made.epoch(0)) == [0, 1, 0]  # it ends before, and begins anew
    arrived.append(2)
    assert list(made.epoch(1)) == [0, 1, 2]


def test_a_growing_folder(tmp_path):
    from PIL import Image

    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4), 9).save(tmp_path / name / "first.png")

    def prepare(record):
        return data.decode(record.image, 1) / 255, record.targets["label"]

    made = stream(lambda: data.read(tmp_path), steps=1).map(prepare).batch(8)
    assert len(next(made.epoch(0))[1]) == 2
    Image.new("L", (4, 4), 9).save(tmp_path / "b" / "later.png")
    x, y = next(made.epoch(1))
    assert (x.dtype, x.shape, y.dtype, y.tolist()) == (np.float32, (3, 4, 4, 1), np.int32, [0, 1, 1])


def test_a_function_may_take_the_number_of_the_epoch():
    made = stream(lambda epoch: range(10 * epoch, 10 * epoch + 3), steps=3)
    assert list(made.epoch(2)) == [20, 21, 22]
    assert list(stream(lambda step=5: range(step), steps=2)) == [0, 1]  # a default of its own is no epoch


def test_a_generator_without_end():
    def count():
        number = 0
        while True:
            yield number
            number += 1

    made = stream(count, steps=3).map(example).batch(2)
    assert [y.tolist() for _, y in made.epoch(0)] == [[0, 1], [2, 0], [1, 2]]
    assert len(made) == 3


def test_keras_takes_epoch_after_epoch():
    batches = stream(range(4)).batch(3).dataset(first=0)
    assert [next(batches).tolist() for _ in range(5)] == [[0, 1, 2], [3], [0, 1, 2], [3], [0, 1, 2]]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_function_with_an_rng_gets_its_own_for_each_element(threads):
    def drawn(number, rng):
        return rng.random()

    def numbers(seed, epoch):
        return flat(stream(range(9), threads=threads).map(drawn, seed=seed).batch(4).epoch(epoch))

    assert numbers(0, 0) == numbers(0, 0)
    assert len(set(numbers(0, 0))) == 9
    assert numbers(0, 0) != numbers(1, 0)
    assert numbers(0, 0) != numbers(0, 1)
    later = stream(range(9), threads=threads).map(drawn).batch(4).epoch(0)
    later.set_state({"taken": 1})
    assert flat(later) == numbers(0, 0)[4:]


def test_a_position_is_reached_without_calling_the_functions():
    calls = []

    def noted(number):
        calls.append(number)
        return number

    iterator = stream(range(10), threads=0).map(noted).batch(2).epoch(0)
    iterator.set_state({"taken": 3})
    assert next(iterator).tolist() == [6, 7]
    assert calls == [6, 7]


def test_dicts_and_tuples_are_stacked_member_by_member():
    x, y = next(stream([0, 1]).map(lambda n: (np.zeros(2), {"kind": n, "size": n / 2})).batch(2).epoch(0))
    assert (x.dtype, x.shape) == (np.float32, (2, 2))
    assert {task: (values.dtype.name, values.tolist()) for task, values in y.items()} == {
        "kind": ("int32", [0, 1]),
        "size": ("float32", [0, 0.5]),
    }


def breaks_at_seven(number):
    if number == 7:
        raise ZeroDivisionError("by\nhand")
    return number


def ends_badly():
    yield from range(3)
    raise OSError("the camera is gone")


# The stream, and what the line must say.
@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda **o: stream(range(9), **o).shuffle(1).map(breaks_at_seven).batch(2),
            r"stream: map\(breaks_at_seven\), link 2 of 3, element 7: ZeroDivisionError: by hand$",
        ),
        (
            lambda **o: stream(ends_badly, steps=9, **o).batch(2),
            r"stream: the source 'ends_badly', element 3: OSError: the camera is gone$",
        ),
        (
            lambda **o: stream([np.zeros(2), np.zeros(3)], **o).batch(2),
            r"stream: batch\(2\), link 1 of 1, batch 0: expected elements of one shape; got \(2,\) and \(3,\)",
        ),
        (
            lambda **o: stream(data.bundled("digits"), **o).batch(2),
            "batch 0: expected arrays or numbers; got Record. Map a function",
        ),
        (lambda **o: stream([(1, 2), (1,)], **o).batch(2), "expected every element to be a tuple of 2"),
        (lambda **o: stream([{"a": 1}, {"b": 1}], **o).batch(2), "expected every element to have the keys a"),
        (lambda **o: stream(lambda: [], steps=2, **o).batch(2), "the source '<lambda>' gives nothing"),
        (lambda **o: stream([], steps=2, **o).batch(2), "the source 'list' gives nothing"),
    ],
)
def test_errors_name_their_place_in_the_chain(made, message, threads):
    with pytest.raises(check.DataError, match=message) as caught:
        list(made(threads=threads))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: len(stream(lambda: [1])),
            "expected steps, the number that makes an epoch; got no length of the source",
        ),
        (lambda: len(stream([1]).repeat()), "expected steps"),
        (lambda: stream(number for number in [1]), "got generator. Give the function itself"),
        (lambda: stream([1], steps=0), "stream: steps: expected a whole number of at least 1"),
        (lambda: stream([1], threads=-1), "stream: threads: expected a whole number of at least 0"),
        (lambda: stream([1]).batch(0), "batch: expected a whole number of at least 1; got 0"),
        (lambda: stream([1]).shuffle(0), "shuffle: expected"),
        (lambda: stream([1]).map(3), "map: expected a function; got 3"),
    ],
)
def test_settings_that_are_refused(make, message):
    with pytest.raises(check.SettingError, match=message):
        make()


def test_the_fingerprint_tells_what_decides():
    def records(*names):
        items = [Record(name, row=np.zeros(1, np.float32)) for name in names]
        return Records(tuple(items), {"a": Labels("class", ("b",))})

    base = stream(range(5)).map(lambda n: n + 1).shuffle(3, seed=0).batch(2)
    same = stream(range(5), threads=3).map(lambda n: n + 1).shuffle(3, seed=0).batch(2)
    assert base.fingerprint == same.fingerprint
    others = [
        stream(range(6)).map(lambda n: n + 1).shuffle(3, seed=0).batch(2),
        stream(range(5)).map(lambda n: n + 2).shuffle(3, seed=0).batch(2),
        stream(range(5)).map(lambda n: n + 1).shuffle(4, seed=0).batch(2),
        stream(range(5)).map(lambda n: n + 1).shuffle(3, seed=1).batch(2),
        stream(range(5)).map(lambda n: n + 1).shuffle(3, seed=0).batch(3),
        stream(range(5), steps=2).map(lambda n: n + 1).shuffle(3, seed=0).batch(2),
        stream(lambda: range(5), steps=2),
        stream(lambda: range(4), steps=2),
        stream(records("a")),
        stream(records("b")),
    ]
    assert len({base.fingerprint, *(one.fingerprint for one in others)}) == 11


def alive():
    return sum(thread.name == "lensmith-stream" for thread in threading.enumerate())


def ended(count):
    deadline = time.monotonic() + 5
    while (alive() or threading.active_count() > count) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive() == 0 and threading.active_count() <= count


@pytest.mark.parametrize("threads", [1, 3])
def test_an_iterator_that_is_forgotten_closed_or_moved_ends_its_threads(threads):
    before = threading.active_count()
    made = stream(range(1000), threads=threads).map(example).batch(4)
    iterator = made.epoch(0)
    next(iterator)
    assert alive() == 1
    del iterator
    assert ended(before)
    endless = made.dataset()
    next(endless)
    endless.close()
    assert ended(before)
    iterator = made.epoch(0)
    next(iterator)
    iterator.set_state({"taken": 3})
    assert ended(before)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_after_an_error_its_threads_end_and_nothing_more_comes(threads):
    before = threading.active_count()
    iterator = stream(range(9), threads=threads).map(breaks_at_seven).batch(2).epoch(0)
    with pytest.raises(check.DataError, match="element 7"):
        list(iterator)
    assert iterator.get_state() == {"taken": 3}
    assert list(iterator) == []
    assert ended(before)


def test_no_more_is_made_ahead_than_asked_for():
    made = []

    def numbers():
        for number in range(100):
            made.append(number)
            yield number

    ahead = Ahead(numbers, most=2)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 2 + 1  # taken, waiting, and the one in hand
    ahead.close()
    assert list(ahead) == []


def test_the_code_of_a_function_is_told_apart_by_the_plain_values_it_is_given():
    def scaled(number, by=2):
        return number * by

    def other(number, by=3):
        return number * by

    class Adder:
        def __call__(self, number):
            return number + 1

    class Subtracter:
        def __call__(self, number):
            return number - 1

    functions = [scaled, other, partial(scaled, by=4), partial(scaled, by=5), np.sqrt, np.square, Adder(), Subtracter()]
    assert len({stream(range(3)).map(function).fingerprint for function in functions}) == len(functions)
    first, second = (stream(range(3)).map(partial(scaled, by=object())).fingerprint for _ in range(2))
    assert first == second  # an address would differ from process to process


def test_the_fingerprint_is_the_same_in_every_process():
    """The order of a set of texts is not."""
    code = """
from lensmith.data.pipeline.stream import stream
print(stream(range(3)).map(lambda name: name in {"cat", "dog", "bird", "cow"}).fingerprint)
"""
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.add(run.stdout)
    assert len(found) == 1


def test_whole_numbers_that_do_not_fit_are_refused_and_never_wrapped():
    assert next(stream([2**31 - 1, -(2**31)]).batch(2).epoch(0)).tolist() == [2**31 - 1, -(2**31)]
    with pytest.raises(check.DataError, match=r"batch 0: expected whole numbers of 32 bits; got 1 to 2147483648"):
        next(stream([1, 2**31]).batch(2).epoch(0))


def test_a_text_among_numbers_is_refused():
    with pytest.raises(check.DataError, match="batch 0: expected arrays or numbers; got str"):
        next(stream([1, "2"]).batch(2).epoch(0))
