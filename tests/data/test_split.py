"""The parts of a split: every example once, classes in proportion, groups whole, the source's own parts obeyed."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check, data
from lensmith.records import Labels, Record, Records

FRACTIONS = [(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.7, 0.3, 0.0), (0.5, 0.0, 0.5), (1.0, 0.0, 0.0)]


def examples(classes, groups=None, parts=None):
    """Records of one number each, of these classes."""
    names = tuple(str(index) for index in range(max(classes) + 1))
    items = tuple(
        Record(
            source=f"r:{place}",
            row=np.zeros(1, np.float32),
            targets={"label": label},
            group=None if groups is None else str(groups[place]),
            part=None if parts is None else parts[place],
        )
        for place, label in enumerate(classes)
    )
    return Records(items, {"label": Labels("class", names)})


def sources(part):
    return [record.source for record in part]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(3, 30), min_size=1, max_size=5),
    fractions=st.sampled_from(FRACTIONS),
    seed=st.integers(0, 5),
)
def test_every_example_once_in_order_and_every_class_in_proportion(sizes, fractions, seed):
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes)).tolist()
    records = examples(classes)
    parts = data.split(records, *fractions, seed=seed)
    assert sorted(chain.from_iterable(map(sources, parts)), key=sources(records).index) == sources(records)
    for part, fraction in zip(parts, fractions, strict=True):
        assert sources(part) == sorted(sources(part), key=sources(records).index)
        for count, size in zip(part.counts("label").values(), sizes, strict=True):
            assert abs(count - size * fraction) <= 1 + (size * fraction < 1) + 2 * (size < 20)
            assert (count > 0) == (fraction > 0)


def test_exact_proportions_where_they_are_whole():
    parts = data.split(examples([0] * 10 + [1] * 50), 0.6, 0.2, 0.2)
    assert [part.counts("label") for part in parts] == [{"0": 6, "1": 30}, {"0": 2, "1": 10}, {"0": 2, "1": 10}]


def test_ties_do_not_add_up_in_one_part():
    parts = data.split(examples(list(range(40)) * 5), 0.5, 0.25, 0.25)  # 2.5, 1.25, 1.25 of each class
    assert [len(part) for part in parts] == [120, 40, 40]
    halves = data.split(examples(list(range(40)) * 5), 0.5, 0.5, 0)  # 2.5 and 2.5: each gets the third in turn
    assert [len(part) for part in halves] == [100, 100, 0]


def test_the_seed_decides():
    records = examples([0, 1] * 50)
    first, again, other = (data.split(records, 0.6, 0.2, 0.2, seed=seed) for seed in (1, 1, 2))
    assert [sources(part) for part in first] == [sources(part) for part in again]
    assert [sources(part) for part in first] != [sources(part) for part in other]


@settings(max_examples=60, deadline=None)
@given(
    owners=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=8, max_size=40),
    fractions=st.sampled_from(FRACTIONS),
    seed=st.integers(0, 5),
)
def test_no_group_is_ever_divided(owners, fractions, seed):
    classes = [label for label, count in owners for _ in range(count)]
    groups = [number for number, (_, count) in enumerate(owners) for _ in range(count)]
    if min(np.bincount(classes)[np.unique(classes)]) < 3:
        classes = [0] * len(classes)
    records = examples(classes, groups=groups)
    parts = data.split(records, *fractions, seed=seed)
    held = [{record.group for record in part} for part in parts]
    assert sum(len(names) for names in held) == len(set(groups))
    assert sum(len(part) for part in parts) == len(records)
    assert [bool(part) for part in parts] == [fraction > 0 for fraction in fractions]


def test_groups_are_nearly_stratified():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 120, 1200)
    classes = (groups % 3).tolist()  # a patient has one disease
    parts = data.split(examples(classes, groups=groups.tolist()), 0.6, 0.2, 0.2)
    for part, fraction in zip(parts, (0.6, 0.2, 0.2), strict=True):
        for name, count in part.counts("label").items():
            assert count == pytest.approx(classes.count(int(name)) * fraction, rel=0.15)


def test_the_parts_of_the_source_are_obeyed():
    given = ["train"] * 80 + ["validation"] * 10 + ["test"] * 10
    parts = data.split(examples([0, 1] * 50, parts=given), 0.5, 0.25, 0.25)
    assert [len(part) for part in parts] == [80, 10, 10]
    assert {record.part for record in parts[2]} == {"test"}


def test_a_missing_validation_part_is_carved_from_training():
    given = ["train"] * 100 + ["test"] * 20
    parts = data.split(examples([0, 1] * 60, parts=given), 0.6, 0.2, 0.2)
    # 0.2 of 0.6 + 0.2 are 12.5 of each class
    assert [part.counts("label") for part in parts] == [{"0": 38, "1": 37}, {"0": 12, "1": 13}, {"0": 10, "1": 10}]
    assert {record.part for record in parts[1]} == {"train"}


def test_a_training_folder_alone_gives_all_three():
    parts = data.split(examples([0, 1] * 50, parts=["train"] * 100), 0.6, 0.2, 0.2)
    assert [len(part) for part in parts] == [60, 20, 20]


def test_a_validation_part_alone_is_divided():
    parts = data.split(examples([0, 1] * 50, parts=["validation"] * 100), 0.6, 0.2, 0.2)
    assert [len(part) for part in parts] == [60, 20, 20]


def test_a_test_part_alone_is_an_error():
    with pytest.raises(check.DataError, match="no record to train on"):
        data.split(examples([0, 1] * 5, parts=["test"] * 10), 0.6, 0.2, 0.2)


def test_a_class_with_fewer_examples_than_parts_is_named():
    records = examples([0] * 5 + [1] * 2 + [2])
    with pytest.raises(check.DataError, match=r"at least 3 examples .* got 2 of '1', 1 of '2'\. Add examples"):
        data.split(records, 0.6, 0.2, 0.2)
    with pytest.raises(check.DataError, match=r"at least 2 examples .* train, validation; got 1 of '2'"):
        data.split(records, 0.6, 0.4, 0)


def test_fewer_groups_than_parts():
    with pytest.raises(check.DataError, match=r"at least 3 groups, .*; got 2"):
        data.split(examples([0] * 9, groups=[0, 1, 1] * 3), 0.6, 0.2, 0.2)


def test_numbers_are_divided_without_classes():
    parts = data.split(data.bundled("diabetes"), 0.6, 0.2, 0.2)
    assert [len(part) for part in parts] == [265, 89, 88]


def test_the_class_task_may_be_named():
    records = data.from_rows(np.zeros((20, 1)), {"even": [0] * 20, "rare": [0] * 16 + [1] * 4})
    parts = data.split(records, 0.5, 0.25, 0.25, stratify="rare")
    assert [part.counts("rare")["1"] for part in parts] == [2, 1, 1]
    with pytest.raises(check.SettingError, match="Did you mean 'rare'"):
        data.split(records, 0.5, 0.25, 0.25, stratify="rear")


# The fractions, and what the line must say.
REFUSALS = [
    ((0.6, 0.2, 0.3), r"expected three fractions that add up to 1; got 0\.6 \+ 0\.2 \+ 0\.3 = 1\.1"),
    ((1.2, -0.1, -0.1), "split: train: expected a number from 0 to 1; got 1.2"),
    ((0, 0.5, 0.5), "split: train: expected more than 0"),
    (("most", 0.5, 0.5), "split: train: expected a number"),
]


@pytest.mark.parametrize(("fractions", "message"), REFUSALS)
def test_refusals(fractions, message):
    with pytest.raises(check.SettingError, match=message):
        data.split(examples([0, 1] * 5), *fractions)
