"""Cross-validation: every example validates once, classes in proportion, groups whole."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check, data
from lensmith.data.splits import folds
from lensmith.records import Labels, Record, Records


def examples(classes, groups=None, part=None):
    items = tuple(
        Record(
            f"r:{place}",
            row=np.zeros(1, np.float32),
            targets={"label": label},
            group=None if groups is None else str(groups[place]),
            part=part,
        )
        for place, label in enumerate(classes)
    )
    return Records(items, {"label": Labels("class", tuple(str(index) for index in range(max(classes) + 1)))})


def sources(part):
    return [record.source for record in part]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(5, 30), min_size=1, max_size=4), k=st.integers(2, 5), seed=st.integers(0, 4))
def test_every_example_validates_once_and_classes_are_in_proportion(sizes, k, seed):
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes)).tolist()
    records = examples(classes)
    made = folds(records, k, seed=seed)
    assert len(made) == k
    assert sorted(chain.from_iterable(sources(part) for _, part in made)) == sorted(sources(records))
    for training, validation in made:
        assert sorted(sources(training) + sources(validation)) == sorted(sources(records))
        assert sources(training) == sorted(sources(training), key=sources(records).index)
        for count, size in zip(validation.counts("label").values(), sizes, strict=True):
            assert size // k <= count <= -(-size // k)


@settings(max_examples=30, deadline=None)
@given(owners=st.lists(st.integers(0, 14), min_size=30, max_size=60), k=st.integers(2, 4))
def test_no_group_trains_and_validates(owners, k):
    owners = [*range(15, 20), *owners]  # groups enough, however these join
    records = examples([0] * len(owners), owners)
    for training, validation in folds(records, k, together=[(0, 1)]):
        assert not {r.group for r in training} & {r.group for r in validation}
        assert validation
        assert ("r:0" in sources(training)) == ("r:1" in sources(training))


def test_the_seed_decides():
    records = data.bundled("wine")
    first, again, other = (folds(records, 4, seed=seed) for seed in (1, 1, 2))
    assert [sources(part) for _, part in first] == [sources(part) for _, part in again]
    assert [sources(part) for _, part in first] != [sources(part) for _, part in other]


def test_numbers_are_alike_in_every_fold():
    records = data.bundled("diabetes")
    values = [float(np.mean([r.targets[next(iter(records.labels))][0] for r in part])) for _, part in folds(records, 5)]
    assert max(values) - min(values) < 12, "of numbers from 25 to 346"


def test_labels_are_alike_in_every_fold():
    rng = np.random.default_rng(0)
    shown = rng.random((300, 4)) < (0.5, 0.2, 0.1, 0.05)
    records = data.from_rows(np.zeros((300, 1)), shown)
    for _, part in folds(records, 5):
        counts = np.array(list(part.counts("label").values()))
        assert np.abs(counts - shown.sum(0) / 5).max() <= 1.6
        assert len(part) == pytest.approx(60, abs=1)


# k, and what the line must say.
@pytest.mark.parametrize(("k", "message"), [(1, "at least 2; got 1"), (0, "at least 1"), (2.0, "a whole number")])
def test_k_is_checked(k, message):
    with pytest.raises(check.SettingError, match=f"folds: k: .*{message}"):
        folds(data.bundled("wine"), k)


def test_refusals():
    with pytest.raises(
        check.DataError, match=r"at least 5 examples .* fold 1 to fold 5; got 4 of '1'\. .* fewer folds"
    ):
        folds(examples([0] * 9 + [1] * 4), 5)
    with pytest.raises(check.DataError, match=r"at least 3 groups, one each for fold 1, fold 2, fold 3; got 2"):
        folds(examples([0] * 9, [0, 1, 1] * 3), 3)
    with pytest.raises(check.DataError, match=r"no examples for testing; got 9 of the test part"):
        folds(examples([0] * 9, part="test"), 3)
