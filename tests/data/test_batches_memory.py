"""The memory budget: what is made at once is fitted into it, and what cannot fit is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check, data
from lensmith.data import Preprocessing
from lensmith.data.pipeline.memory import Plan, image_bytes, plan
from lensmith.records import Labels, Record, Records


@pytest.mark.parametrize(
    ("budget", "whole", "expected"),
    [
        (1000, None, Plan(threads=4, ahead=8, kept=False)),  # as much as is of use
        (75, None, Plan(threads=4, ahead=4, kept=False)),  # 4 images of 2; 67 // 10 = 6 batches, 2 outside the queue
        (62, None, Plan(threads=3, ahead=3, kept=False)),  # 4 threads: (62 - 8) // 10 - 2 = 3, fewer than threads
        (32, None, Plan(threads=1, ahead=1, kept=False)),
        (31, None, Plan(threads=0, ahead=0, kept=False)),  # (31 - 2) // 10 - 2 = 0
        (22, None, Plan(threads=0, ahead=0, kept=False)),  # two batches and an image, no more
        (1000, 500, Plan(threads=4, ahead=8, kept=True)),
        (100, 90, Plan(threads=4, ahead=7, kept=False)),  # kept, no two batches would be left; (100 - 8) // 10 - 2
    ],
)
def test_the_plan(budget, whole, expected):
    assert plan(budget, batch=10, image=2, whole=whole, threads=4) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**4), st.integers(1, 900), st.integers(0, 900), st.integers(0, 9), st.integers(1, 10**4))
def test_a_plan_never_exceeds_the_budget(budget, batch, image, threads, whole):
    try:
        made = plan(budget, batch=batch, image=image, whole=whole, threads=threads)
    except check.SettingError:
        assert 2 * batch + image > budget
        return
    alive = (made.ahead + 2) * batch + max(made.threads, 1) * image if made.threads else 2 * batch + image
    assert alive + (whole if made.kept else 0) <= budget
    assert made.threads <= threads


def test_two_batches_that_do_not_fit_are_refused_in_one_line():
    digits = data.bundled("digits")
    with pytest.raises(
        check.SettingError, match=r"memory: expected at least \d+ MiB, for two batches of .*; got 0\.5 MiB"
    ):
        data.batches(digits, Preprocessing(image=(64, 64, 3)), size=100, memory=1 << 19)
    with pytest.raises(check.SettingError, match="memory: expected a whole number of at least 1; got 0"):
        data.batches(digits, Preprocessing(image=(8, 8, 1)), memory=0)


def test_inputs_that_do_not_fit_are_not_kept_and_the_batches_are_the_same():
    digits = data.bundled("digits")
    preprocessing = Preprocessing(image=(8, 8, 1), scaling="-1..1")
    kept, made = (data.batches(digits, preprocessing, size=50, memory=memory) for memory in (1 << 20, 1 << 17))
    assert kept.inputs is not None
    assert made.inputs is None
    for (x, y), (x2, y2) in zip(kept.epoch(0), made.epoch(0), strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)


def test_what_an_image_takes_is_told_by_its_header(tmp_path):
    def records(*names):
        for name in names:
            Image.new("RGB", (400, 200)).save(tmp_path / name)
        items = tuple(Record(name, image=tmp_path / name, targets={"label": 0}) for name in names)
        return Records(items, {"label": Labels("class", ("a",))})

    values = 400 * 200 * 3
    small, large = (image_bytes(records(name), 3, (50, 100)) for name in ("a.jpg", "a.png"))
    assert 6 * values / 4 < small < 6 * values / 4 + 10_000  # halved each way, and the file
    assert 6 * values < large < 6 * values + 10_000
    assert image_bytes(records("a.jpg"), 3, None) > 6 * values
    assert image_bytes(records("a.jpg", "a.png"), 3, (50, 100)) == large
    gone = records("b.png")
    (tmp_path / "b.png").unlink()
    assert image_bytes(gone, 3, (50, 100)) == 0
