"""Two models on the same images: counts that can be checked on paper."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.data import decode, from_arrays
from lensmith.probe.agreement import kappa, mcnemar
from lensmith.probe.comparing import compare
from lensmith.records import Labels, Record

ANIMALS = ("cat", "dog", "fox")


@dataclass
class Told:
    """A model that says of each image what its first pixel's value stands for in a table."""

    labels: Mapping[str, Labels]
    table: Mapping[str, np.ndarray]  # by task: (values, units)
    largest: int = field(default=0)

    def predict(self, examples: Iterable[Any]) -> Mapping[str, np.ndarray]:
        images = [one.image if isinstance(one, Record) else one for one in examples]
        self.largest = max(self.largest, len(images))
        first = [int(decode(image, 1)[0, 0, 0]) for image in images]
        return {task: rows[first] for task, rows in self.table.items()}


def model(rows: Any, names: tuple[str, ...] = ANIMALS, task: str = "label", kind: Any = "class") -> Told:
    return Told({task: Labels(kind, names)}, {task: np.asarray(rows, np.float32)})


def images(values: Iterable[int]) -> list[np.ndarray]:
    return [np.full((2, 3, 1), value, np.uint8) for value in values]


FIRST = model([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.0, 0.0, 1.0], [0.6, 0.4, 0.0]])
# The same classes in another order: fox, cat, dog.
SECOND = model([[0.1, 0.7, 0.2], [0.1, 0.6, 0.3], [0.0, 0.2, 0.8], [0.3, 0.5, 0.2]], ("fox", "cat", "dog"))


def test_classes_are_matched_by_name() -> None:
    found = compare(FIRST, SECOND, images([0, 1, 2, 3]))
    [task] = found.classes
    assert (task.tasks, task.names, task.only_first, task.only_second) == (("label", "label"), ANIMALS, (), ())
    # cat and cat; dog and cat; fox and dog; cat and cat
    assert task.matrix.tolist() == [[2, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert task.agreement == 0.5 and found.examples == 4 and task.correct is None
    # expected by chance: (2·3 + 1·1 + 1·0) / 16
    assert task.kappa == pytest.approx((0.5 - 7 / 16) / (1 - 7 / 16))
    # half of 0.1 + 0.1; 0.2 + 0.2; 0.2 + 0.8 + 1; 0.1 + 0.2 + 0.3
    assert task.distance == pytest.approx((0.1 + 0.2 + 1 + 0.3) / 4)


def test_the_surest_disagreement_comes_first_with_both_answers_and_the_truth() -> None:
    records = from_arrays(images([0, 1, 2, 3]), [0, 1, 0, 0], list(ANIMALS))
    one, other = compare(FIRST, SECOND, records).classes[0].disagreements
    assert (one.place, one.source, one.first, one.second, one.truth) == (2, "arrays:2", "fox", "dog", "cat")
    assert one.first_probability == 1 and one.second_probability == pytest.approx(0.8)
    assert one.difference == pytest.approx((1 - 0 + 0.8 - 0) / 2)
    assert (other.first, other.second, other.truth) == ("dog", "cat", "dog")
    assert other.difference == pytest.approx((0.5 - 0.4 + 0.6 - 0.3) / 2)
    assert one.picture is not None and one.picture.shape == (2, 3, 3) and (one.picture == 2).all()


def test_who_was_right_is_counted_where_it_is_known() -> None:
    # cat/cat, dog/cat, fox/dog, cat/cat; the last is not labelled
    records = [
        Record(f"n{i}", image, targets={"label": truth})
        for i, (image, truth) in enumerate(zip(images([0, 1, 2]), [0, 1, 0], strict=True))
    ]
    records.append(Record("n3", images([3])[0]))
    found = compare(FIRST, SECOND, records).classes[0].correct
    assert found is not None and (found.both, found.first, found.second, found.neither) == (1, 1, 0, 1)
    assert found.p == 1.0 and found.known == 3
    assert found.to_dict()["accuracy"] == {"first": 2 / 3, "second": 1 / 3}


TESTS = [
    # only the first right, only the second right; p by hand, of the binomial with a half
    (0, 0, 1.0),
    (1, 0, 1.0),
    (5, 0, 2 / 2**5),
    (1, 7, 2 * (1 + 8) / 2**8),
    (4, 4, 1.0),
    (10, 2, 2 * (1 + 12 + 66) / 2**12),
]


@pytest.mark.parametrize(("first", "second", "p"), TESTS)
def test_the_exact_test_of_mcnemar(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_kappa_is_that_of_counting_pairs(answers: list[tuple[int, int]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    matrix = np.zeros((4, 4), np.int64)
    for one, other in answers:
        matrix[one, other] += 1
    if len({one for pair in answers for one in pair}) == 1:
        assert kappa(matrix) is None
    else:
        expected = cohen_kappa_score(*zip(*answers, strict=True), labels=range(4))
        assert kappa(matrix) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([1, 3, 50]))
@settings(max_examples=25, deadline=None)
def test_it_is_what_comparing_one_by_one_gives(seed: int, count: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    tables = [np.round(rng.dirichlet(np.ones(3), 12), 2).astype(np.float32) for _ in range(2)]
    places = rng.integers(0, 12, 30).tolist()
    found = compare(model(tables[0]), model(tables[1]), images(places), count=count, batch=batch).classes[0]
    rows = []
    for i, value in enumerate(places):
        a, b = (table[value].astype(float) for table in tables)
        one, other = int(np.argmax(a)), int(np.argmax(b))
        rows.append((-(a[one] - a[other] + b[other] - b[one]) / 2, i, one, other))
    pairs = Counter((one, other) for *_, one, other in rows)
    assert all(found.matrix[one, other] == pairs[one, other] for one in range(3) for other in range(3))
    expected = sorted(row for row in rows if row[2] != row[3])[:count]
    assert [one.place for one in found.disagreements] == [row[1] for row in expected]
    assert [-one.difference for one in found.disagreements] == pytest.approx([row[0] for row in expected])


def test_classes_that_only_one_has_are_named() -> None:
    other = model([[1, 0], [0, 1]], ("dog", "owl"))
    [task] = compare(model([[0.2, 0.5, 0.3], [1, 0, 0]]), other, images([0, 1])).classes
    assert (task.names, task.only_first, task.only_second) == (("cat", "dog", "fox", "owl"), ("cat", "fox"), ("owl",))
    assert task.matrix[1, 1] == 1 and task.matrix[0, 3] == 1 and task.matrix.sum() == 2
    [one] = task.disagreements
    assert (one.first, one.second, one.difference) == ("cat", "owl", 1.0)


def test_a_single_probability_stands_for_two_classes() -> None:
    single = model([[0.9], [0.2]], ("no", "yes"))
    double = model([[0.1, 0.9], [0.3, 0.7]], ("no", "yes"))
    [task] = compare(single, double, images([0, 1])).classes
    assert task.matrix.tolist() == [[0, 1], [0, 1]]
    assert task.disagreements[0].first_probability == pytest.approx(0.8)


def test_two_models_with_one_task_each_are_compared_whatever_its_name() -> None:
    other = model([[1, 0, 0]], ANIMALS, task="animal")
    records = [Record("one", images([0])[0], targets={"animal": 0})]
    found = compare(model([[0, 1, 0]]), other, records, labels={"animal": Labels("class", ANIMALS)})
    [task] = found.classes
    assert task.tasks == ("label", "animal") and task.matrix[1, 0] == 1
    assert task.correct is not None and task.correct.second == 1 and task.disagreements[0].truth == "cat"
    assert found.left_out == ()


def test_other_tasks_are_named() -> None:
    one = Told({"a": Labels("class", ANIMALS), "b": Labels("points", ANIMALS), "c": Labels("number", ("x",))}, {})
    other = Told({"a": Labels("class", ANIMALS), "b": Labels("points", ANIMALS), "d": Labels("number", ("x",))}, {})
    one.table = other.table = {"a": np.eye(3, dtype=np.float32)}
    found = compare(one, other, images([0, 1]), names=("old", "new"))
    assert [task.tasks for task in found.classes] == [("a", "a")] and found.classes[0].agreement == 1.0
    reasons = {left.source: left.reason for left in found.left_out}
    assert reasons == {
        "c": "only old has it",
        "d": "only new has it",
        "b": "tasks of kind 'points' are not compared",
    }


REFUSED = [
    # labels of the two by task; what the one line says
    (
        {"label": Labels("class", ("cat", "dog"))},
        {"kind": Labels("class", ("car", "bus"))},
        "label and kind: no name in common: cat, dog against car, bus",
    ),
    (
        {"label": Labels("class", ("a", "b"))},
        {"label": Labels("number", ("a", "b"))},
        "label: one is of kind 'class', the other of kind 'number'",
    ),
    (
        {"a": Labels("class", ("x", "y")), "b": Labels("class", ("x", "y"))},
        {"c": Labels("class", ("x", "y"))},
        "only A",
    ),
    ({}, {}, "models without tasks"),
]


@pytest.mark.parametrize(("mine", "theirs", "says"), REFUSED, ids=range(len(REFUSED)))
def test_models_with_nothing_in_common_are_refused_in_one_line(mine: Any, theirs: Any, says: str) -> None:
    with pytest.raises(check.SettingError) as refused:
        compare(Told(mine, {}), Told(theirs, {}), images([0]))
    text = str(refused.value)
    assert text.startswith("models: expected a task that both have") and says in text and "\n" not in text


def test_several_classes_at_once_are_answers_of_yes_and_no() -> None:
    one = model([[0.9, 0.5, 0.1], [0.6, 0.3, 0.2]], kind="classes")
    other = model([[0.1, 0.7, 0.3], [0.9, 0.8, 0.0]], ("owl", "cat", "dog"), kind="classes")
    records = from_arrays(images([0, 1]), np.array([[1, 0, 0], [1, 1, 0]], bool), list(ANIMALS))
    [task] = compare(one, other, records).classes
    assert (task.names, task.only_first, task.only_second) == (("no", "yes"), ("fox",), ("owl",))
    # cat: yes and yes, yes and yes; dog: yes (0.5) and no, no and no
    assert task.matrix.tolist() == [[1, 0], [1, 2]] and task.agreement == 0.75
    assert task.distance == pytest.approx((0.2 + 0.2 + 0.2 + 0.3) / 4)
    [apart] = task.disagreements
    assert (apart.source, apart.first, apart.second, apart.truth) == ("arrays:0", "dog: yes", "dog: no", "dog: no")
    assert apart.first_probability == pytest.approx(0.5) and apart.difference == pytest.approx(0.2)
    assert apart.second_probability == pytest.approx(0.7)
    right = task.correct
    assert right is not None and (right.both, right.first, right.second, right.neither) == (2, 0, 1, 1)


def test_two_answers_to_one_example_that_are_equally_sure_keep_their_order() -> None:
    one, other = model([[1, 1, 0]], kind="classes"), model([[0, 0, 0]], kind="classes")
    [task] = compare(one, other, images([0, 0])).classes
    assert [(row.place, row.first) for row in task.disagreements] == [
        (0, "cat: yes"),
        (0, "dog: yes"),
        (1, "cat: yes"),
        (1, "dog: yes"),
    ]


def test_numbers_on_paper() -> None:
    one = model([[1, 10], [2, 10], [3, 10]], ("x", "y"), kind="number")
    other = model([[10, 0, 2], [30, 0, 2], [10, 0, 8]], ("y", "z", "x"), kind="number")
    records = [
        Record(f"r{i}", image, targets={"label": truth})
        for i, (image, truth) in enumerate(zip(images([0, 1, 2]), [(1.0, 9.0), (2.0, 9.0), (4.0, 9.0)], strict=True))
    ]
    [task] = compare(one, other, records).numbers
    assert (task.names, task.only_first, task.only_second) == (("x", "y"), (), ("z",))
    assert task.difference == pytest.approx(((1 + 0 + 5) / 3, 20 / 3))
    assert task.correlation[0] == pytest.approx(np.corrcoef([1, 2, 3], [2, 2, 8])[0, 1]) and task.correlation[1] is None
    assert task.errors == (pytest.approx((1 / 3, 5 / 3)), pytest.approx((1.0, 23 / 3)))
    assert [row[0] for row in task.farthest] == ["r1", "r2", "r0"]  # 20 of y, then 5 of x
    assert task.farthest[0][1:] == ((2.0, 10.0), (2.0, 30.0))


def test_what_one_cannot_read_is_set_aside_and_the_rest_is_compared(tmp_path: Path) -> None:
    examples = [*images([0, 1]), tmp_path / "gone.png", *images([2])]
    found = compare(FIRST, SECOND, examples)
    assert found.examples == 3 and found.classes[0].matrix.sum() == 3
    assert [(one.source, one.reason) for one in found.set_aside] == [(str(examples[2]), "the file is missing")]
    with pytest.raises(check.DataError, match=r"got none that can be used; the first: .*gone.png: the file is missing"):
        compare(FIRST, SECOND, examples[2:3])
    with pytest.raises(check.DataError, match="examples: expected at least one; got none"):
        compare(FIRST, SECOND, [])


def test_an_answer_that_is_no_number_is_set_aside() -> None:
    rows = np.full((2, 3), 1 / 3, np.float32)
    rows[1] = np.nan
    found = compare(FIRST, model(rows), images([0, 1]), names=("good", "bad"))
    assert found.examples == 1
    assert [(one.source, one.reason) for one in found.set_aside] == [("example 2", "the answer of bad is no number")]


def test_a_model_whose_answers_do_not_fit_its_labels_is_refused() -> None:
    with pytest.raises(check.SettingError, match=r"B: label: expected an array \(1, 3\); got \(1, 2\)"):
        compare(FIRST, model([[0.5, 0.5]]), images([0]))


def test_a_thousand_images_are_read_a_batch_at_a_time() -> None:
    one, other = model(np.eye(3)[[0, 1, 2, 0]]), model(np.eye(3)[[0, 2, 1, 1]])
    told = list[Any]()
    found = compare(
        one,
        other,
        (image for i in range(250) for image in images([0, 1, 2, 3])),
        batch=40,
        count=5,
        progress=lambda *at: told.append(at),
    )
    assert one.largest == other.largest == 40 and told[-1] == (1000, None) and len(told) == 25
    assert found.examples == 1000 and found.classes[0].agreement == 0.25
    assert [(row.place, row.difference) for row in found.classes[0].disagreements] == [
        (i, 1.0) for i in (1, 2, 3, 5, 6)
    ]


def test_no_more_than_a_batch_of_images_is_kept() -> None:
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def drawn() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for value in range(200):
            image = np.full((2, 3, 3), value % 4, np.uint8)
            weakref.finalize(image, gone)
            alive += 1
            most = max(most, alive)
            yield image
            del image

    found = compare(FIRST, SECOND, drawn(), batch=16)
    assert found.classes[0].disagreements and most <= 16 and alive == 0


def test_it_is_written_as_json() -> None:
    records = from_arrays(images([0, 1, 2, 3]), [0, 1, 0, 0], list(ANIMALS))
    values = json.loads(json.dumps(compare(FIRST, SECOND, records).to_dict(), allow_nan=False))
    assert values["classes"][0]["agreement"] == 0.5 and values["classes"][0]["disagreements"][0]["first"] == "fox"
    assert values["examples"] == 4 and values["set_aside"] == []
    numbers = model([[1.0], [2.0]], ("x",), kind="number")
    values = json.loads(json.dumps(compare(numbers, numbers, images([0, 1])).to_dict(), allow_nan=False))
    assert values["numbers"][0]["correlation"] == [pytest.approx(1)] and values["numbers"][0]["farthest"] == []


@pytest.mark.parametrize("wrong", [{"count": 0}, {"batch": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(check.SettingError, match="expected a whole number of at least 1; got 0"):
        compare(FIRST, SECOND, images([0]), **wrong)
