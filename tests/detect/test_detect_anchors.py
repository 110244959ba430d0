"""Anchors: clusters that one can work out on paper, and what holds of any boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check, data
from lensmith.detect.anchors import fit_anchors, mean_iou, sizes_of
from lensmith.records import Boxes, Labels, Record, Records

patient = settings(max_examples=25, deadline=None)
some_sizes = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=40)


def slow_mean_iou(sizes: list, anchors: list) -> float:
    total = 0.0
    for width, height in sizes:
        overlaps = []
        for wide, high in anchors:
            shared = min(width, wide) * min(height, high)
            overlaps.append(shared / (width * height + wide * high - shared))
        total += max(overlaps)
    return total / len(sizes)


# (sizes, anchors, mean overlap)
ON_PAPER = [
    ([[10, 10]], [[10, 10]], 1.0),
    ([[10, 10]], [[20, 20]], 0.25),
    ([[10, 20]], [[20, 10]], 100 / 300),
    ([[10, 10], [40, 40]], [[10, 10], [40, 20]], (1 + 0.5) / 2),  # each box has its own
]


@pytest.mark.parametrize(("sizes", "anchors", "expected"), ON_PAPER)
def test_mean_overlap_on_paper(sizes: list, anchors: list, expected: float) -> None:
    assert mean_iou(sizes, anchors) == pytest.approx(expected, abs=1e-12)


@patient
@given(some_sizes, some_sizes)
def test_mean_overlap_equals_the_slow_reference(sizes: list, anchors: list) -> None:
    assert mean_iou(sizes, anchors) == pytest.approx(slow_mean_iou(sizes, anchors))


def test_clusters_on_paper() -> None:
    """Three heaps far from each other; the middle one of each is its mean and its median."""
    heaps = [[[size - 1, size], [size, size], [size, size], [size + 1, size]] for size in (10, 50, 200)]
    anchors = fit_anchors(np.concatenate(heaps), 3)
    assert anchors.sizes.tolist() == [[10, 10], [50, 50], [200, 200]]
    # Of each heap two fit, and the others lack or exceed one row of its side.
    expected = np.mean([(2 + (size - 1) / size + size / (size + 1)) / 4 for size in (10, 50, 200)])
    assert anchors.mean_iou == pytest.approx(expected)
    assert anchors.note == ""


def test_one_anchor_for_tall_and_wide() -> None:
    """Of 10 × 20 and 20 × 10 the mean, 15 × 15, overlaps each by 150 of 275; either of the two by 1 and by 1/3."""
    anchors = fit_anchors([[10, 20], [20, 10]], 1)
    assert anchors.mean_iou == pytest.approx((1 + 1 / 3) / 2)
    assert anchors.sizes.tolist() in ([[10, 20]], [[20, 10]])


def test_overlap_and_not_distance_decides() -> None:
    """Boxes from 4 to 400 pixels, as many in each doubling: by distance nearly all anchors would be large ones."""
    sides = np.exp(np.linspace(np.log(4), np.log(400), 300))
    anchors = fit_anchors(np.column_stack([sides, sides]), 5)
    ratios = np.diff(np.log(anchors.sizes[:, 0]))
    assert ratios.min() > 0.5 * np.log(100) / 5
    assert ratios.max() < 1.5 * np.log(100) / 5


@patient
@given(some_sizes, st.integers(1, 9), st.integers(0, 3))
def test_what_holds_of_any_boxes(sizes: list, count: int, seed: int) -> None:
    anchors = fit_anchors(sizes, count, seed=seed)
    assert anchors.sizes.shape == (count, 2)
    assert np.isfinite(anchors.sizes).all()
    assert (anchors.sizes > 0).all()
    assert (np.diff(anchors.sizes.prod(axis=1)) >= 0).all()
    assert (np.diff(anchors.history) >= 0).all()
    assert anchors.mean_iou == pytest.approx(slow_mean_iou(sizes, anchors.sizes.tolist()))
    assert anchors.history[-1] == pytest.approx(anchors.mean_iou)
    assert 0 < anchors.mean_iou <= 1


@patient
@given(st.permutations([(width, height) for width in (3, 8, 21, 55) for height in (5, 13, 34)] * 2), st.integers(1, 5))
def test_the_order_of_the_boxes_does_not_matter(sizes: list, count: int) -> None:
    expected = fit_anchors(sorted(sizes), count)
    got = fit_anchors(sizes, count)
    np.testing.assert_array_equal(got.sizes, expected.sizes)
    assert got.history == expected.history


def test_a_scaled_data_set_has_scaled_anchors() -> None:
    generator = np.random.default_rng(1)
    sizes = np.exp(generator.normal(3, 0.7, (200, 2)))
    first, second = fit_anchors(sizes, 4), fit_anchors(8 * sizes, 4)
    np.testing.assert_allclose(second.sizes, 8 * first.sizes)
    assert second.mean_iou == pytest.approx(first.mean_iou)


def test_more_anchors_fit_better() -> None:
    generator = np.random.default_rng(2)
    sizes = np.exp(generator.normal(4, 0.8, (400, 2)))
    fits = [fit_anchors(sizes, count).mean_iou for count in (1, 2, 3, 5, 9, 15)]
    assert (np.diff(fits) > 0.01).all()


def test_steps_better_than_seeds() -> None:
    generator = np.random.default_rng(2)
    anchors = fit_anchors(np.exp(generator.normal(4, 0.8, (400, 2))), 9)
    assert len(anchors.history) > 3
    assert anchors.history[-1] > anchors.history[0] + 0.02


# (sizes, count, anchors, note): fewer different sizes than anchors
FEW = [
    ([[8, 8], [8, 8]], 1, [[8, 8]], ""),
    ([[8, 8], [16, 8]], 2, [[8, 8], [16, 8]], ""),
    ([[8, 8]], 3, [[8 / 2**0.5, 8 / 2**0.5], [8, 8], [8 * 2**0.5, 8 * 2**0.5]], "1 different size for 3 anchors: 2"),
    ([[8, 8], [8, 16]], 3, [[8, 8], [8, 16], [8 * 2**0.5] * 2], "2 different sizes for 3 anchors: 1 added"),
]


@pytest.mark.parametrize(("sizes", "count", "expected", "note"), FEW)
def test_fewer_sizes_than_anchors(sizes: list, count: int, expected: list, note: str) -> None:
    anchors = fit_anchors(sizes, count)
    by_area = sorted(expected, key=lambda size: (round(size[0] * size[1], 6), size[0]))
    np.testing.assert_allclose(anchors.sizes, by_area)
    assert anchors.note.startswith(note)
    assert bool(anchors.note) == bool(note)
    assert anchors.mean_iou == pytest.approx(1.0)


def test_added_anchors_differ_from_all_others() -> None:
    """The doubled size is there already, so that the steps leave it out."""
    anchors = fit_anchors([[8, 8], [16, 16]], 9)
    assert len(np.unique(anchors.sizes.round(6), axis=0)) == 9


def test_many_sizes_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    sizes = np.exp(generator.normal(4, 0.6, (2000, 2)))
    whole = fit_anchors(sizes, 3)
    monkeypatch.setattr("lensmith.detect.anchors._MOST", 500)
    some = fit_anchors(sizes, 3)
    assert some.mean_iou == pytest.approx(mean_iou(sizes, some.sizes))  # of all boxes
    assert some.mean_iou == pytest.approx(whole.mean_iou, abs=0.01)


def photo(name: str, size: tuple[int, int], target: Boxes | None) -> Record:
    targets = {} if target is None else {"object": target}
    return Record(name, image=Path(name), size=size, targets=targets)


def test_sizes_in_pixels_of_the_input() -> None:
    labels = {"object": Labels("boxes", ("cat",))}
    records = Records(
        (
            photo("wide.jpg", (100, 200), Boxes([[0, 0, 50, 50], [10, 10, 10, 20]], [0, 0])),  # the second has no width
            photo("tall.jpg", (300, 150), Boxes([[0, 0, 15, 30]] * 3, [0] * 3, crowd=[1, 0, 0], difficult=[0, 1, 0])),
            photo("empty.jpg", (10, 10), Boxes([], [])),
            photo("none.jpg", (10, 10), None),
        ),
        labels,
    )
    # 50 of 200 and 50 of 100; 15 of 150 and 30 of 300.
    assert sizes_of(records, "object", (200, 400)).tolist() == [[100, 100], [40, 20]]
    assert sizes_of(records.select([2, 3]), "object", (200, 400)).shape == (0, 2)


def test_sizes_of_real_images(shared_data: Path) -> None:
    records = data.read(shared_data / "raccoon_voc")
    task = next(task for task, labels in records.labels.items() if labels.kind == "boxes")
    sizes = sizes_of(records, task, (416, 416))
    assert len(sizes) == sum(len(record.targets[task]) for record in records)
    assert sizes.max() <= 416
    anchors = fit_anchors(sizes, 5)
    plain = [[(at + 1) * 416 / 6] * 2 for at in range(5)]  # squares from small to large
    assert anchors.mean_iou > mean_iou(sizes, plain) + 0.08


# (sizes, count, what the message says)
FAULTS = [
    ([], 3, r"sizes: expected widths and heights of at least one box, shape \(n, 2\); got shape \(0,\)"),
    (np.zeros((0, 2)), 3, r"got shape \(0, 2\)"),
    ([[1, 2, 3, 4]], 3, r"got shape \(1, 4\)"),
    ([[1, 2], [0, 3]], 1, "expected finite numbers above 0; got 0, 3 in row 1"),
    ([[1, float("nan")]], 1, "got 1, nan in row 0"),
    ([[1, 2]], 0, "count: expected a whole number of at least 1; got 0"),
    ([[1, 2]], 5000, "count: expected a number from 1 to 1000; got 5000"),
]


@pytest.mark.parametrize(("sizes", "count", "message"), FAULTS)
def test_faults(sizes: object, count: int, message: str) -> None:
    with pytest.raises(check.LensmithError, match=message):
        fit_anchors(sizes, count)


def test_faults_of_records() -> None:
    row = Records((Record("a.csv:1", row=np.zeros(2, np.float32)),), {"label": Labels("class", ("a",))})
    with pytest.raises(check.SettingError, match="task: expected one of label; got 'object'"):
        sizes_of(row, "object", (416, 416))
    with pytest.raises(check.SettingError, match="labels of 'label': expected one of boxes; got 'class'"):
        sizes_of(row, "label", (416, 416))
