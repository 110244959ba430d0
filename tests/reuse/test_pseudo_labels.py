"""Unlabelled examples get the labels that a model is sure of, and none that is judged on is among them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lensmith import check, compose, data, train
from lensmith.backend import keras
from lensmith.data import Preprocessing
from lensmith.records import Labels, Record, Records
from lensmith.reuse.pseudo import Pseudo, held_out, label, merged, self_train

SHAPE = Labels("class", ("circle", "square", "star"))
YES = Labels("class", ("no", "yes"))
MARKS = Labels("classes", ("red", "round", "large"))


def written(*rows: tuple[float, ...]) -> Records:
    """Examples whose numbers are what the model answers."""
    items = tuple(Record(f"row {i}", row=np.array(row, np.float32)) for i, row in enumerate(rows))
    return Records(items, labels={}, name="unlabelled")


def repeater(units: dict[str, int] | int) -> Any:
    """A model whose outputs are its input, cut into tasks where there are several."""
    sizes = units if isinstance(units, dict) else {"": units}
    start, at, outputs = keras.Input((sum(sizes.values()),)), 0, {}
    for task, size in sizes.items():
        pick = np.eye(sum(sizes.values()), dtype="float32")[:, at : at + size]
        layer = keras.layers.Dense(size, use_bias=False, name=f"{task or 'only'}-picked")
        outputs[task] = layer(start)
        layer.set_weights([pick])
        at += size
    return keras.Model(start, outputs if isinstance(units, dict) else outputs[""])


def marked(records: Records, labels: dict[str, Labels], units: dict[str, int] | int, **settings: Any) -> Pseudo:
    columns = Preprocessing(columns=len(records[0].row), scaling="none")
    return label(repeater(units), records, columns, labels, batch=2, **settings)


# What the model answers, and the label it leads to at 0.9; None is left out.
SOFTMAX = [
    ((0.97, 0.02, 0.01), 0),
    ((0.50, 0.30, 0.20), None),
    ((0.03, 0.03, 0.94), 2),
    ((0.90, 0.05, 0.05), 0),  # exactly at the threshold
    ((0.89, 0.11, 0.00), None),
]
SIGMOID = [
    ((0.95,), 1),
    ((0.05,), 0),  # sure of no
    ((0.60,), None),
    ((0.10,), 0),  # exactly at the threshold
    ((0.30,), None),
]
SEVERAL = [
    ((0.99, 0.01, 0.95), (0, 2)),
    ((0.99, 0.50, 0.95), None),  # one of them is unsure
    ((0.02, 0.01, 0.03), ()),  # sure that it is none of them
    ((0.05, 0.92, 0.05), (1,)),
]


@pytest.mark.backends
@pytest.mark.parametrize(
    ("labels", "table", "units"),
    [(SHAPE, SOFTMAX, 3), (YES, SIGMOID, 1), (MARKS, SEVERAL, 3)],
    ids=["softmax", "sigmoid", "several"],
)
def test_who_is_sure(labels: Labels, table: list, units: int) -> None:
    found = marked(written(*(row for row, _ in table)), {"label": labels}, units, above=0.9)
    expected = {f"row {i}": target for i, (_, target) in enumerate(table) if target is not None}
    assert {record.source: record.targets["label"] for record in found.records} == expected
    assert found.left == len(table) - len(expected)
    assert found.records.labels == {"label": labels}
    assert found.by_class == {"label": found.records.counts("label")}
    assert found.confidence.dtype == np.float32 and (found.confidence >= np.float32(0.9)).all()
    assert all(record.part == "train" for record in found.records)


def test_how_sure_is_kept_with_the_record() -> None:
    found = marked(written((0.97, 0.02, 0.01), (0.0, 1.0, 0.0)), {"label": SHAPE}, 3)
    np.testing.assert_allclose(found.confidence, [0.97, 1.0])
    assert [dict(record.facts) for record in found.records] == [{"pseudo-label": "0.9700"}, {"pseudo-label": "1.0000"}]


def test_with_several_tasks_all_must_be_sure() -> None:
    #                   shape              yes
    rows = written((0.98, 0.01, 0.01, 0.97), (0.98, 0.01, 0.01, 0.50), (0.4, 0.3, 0.3, 0.99))
    labels, units = {"shape": SHAPE, "good": YES}, {"shape": 3, "good": 1}
    both = marked(rows, labels, units)
    assert [(one.source, dict(one.targets)) for one in both.records] == [("row 0", {"shape": 0, "good": 1})]
    assert both.confidence.tolist() == [pytest.approx(0.97)]
    alone = marked(rows, labels, units, tasks=["good"])
    assert [(one.source, dict(one.targets)) for one in alone.records] == [
        ("row 0", {"good": 1}),
        ("row 2", {"good": 1}),
    ]


def test_a_class_takes_no_more_than_its_most_and_of_these_the_surest() -> None:
    rows = written((0.96, 0.04, 0), (0.99, 0.01, 0), (0.98, 0.02, 0), (0.03, 0.97, 0), (0.98, 0.02, 0))
    found = marked(rows, {"label": SHAPE}, 3, most=2)
    assert [one.source for one in found.records] == ["row 1", "row 2", "row 3"]  # of equals the first; order is kept
    assert found.by_class == {"label": {"circle": 2, "square": 1, "star": 0}}
    assert found.left == 2


def test_nobody_is_sure() -> None:
    found = marked(written((0.5, 0.3, 0.2)), {"label": SHAPE}, 3)
    assert (len(found.records), found.left, found.confidence.shape) == (0, 1, (0,))
    part = replace(written((1.0, 0.0, 0.0)), labels={"label": SHAPE})
    assert len(merged(part, found)) == 1


REFUSED = [
    # labels, units, settings, the line
    ({"label": SHAPE}, 3, {"above": 0.4}, r"pseudo-label\.above: expected a number from 0\.5 to 1; got 0\.4"),
    ({"label": SHAPE}, 3, {"most": 0}, r"pseudo-label\.most: expected a whole number of at least 1"),
    ({"label": Labels("number", ("a",))}, 3, {}, r"label: expected a task of classes, .*; got one of number\. Name"),
    ({"label": Labels("boxes", ("a",))}, 3, {}, r"label: expected a task of classes, .*; got one of boxes\. Name"),
    ({"label": SHAPE}, 3, {"tasks": ["lable"]}, r"got 'lable'\. Did you mean 'label'\?"),
    ({"label": YES}, 3, {}, r"output for 'label': expected one probability for each of 2 classes; got shape \(2, 3\)"),
    ({}, 3, {}, "at least one task of classes"),
]


@pytest.mark.parametrize(("labels", "units", "settings", "line"), REFUSED)
def test_refused_in_one_line(labels: dict, units: int, settings: dict, line: str) -> None:
    with pytest.raises(check.LensmithError, match=line) as raised:
        marked(written((0.9, 0.1, 0.0), (0.9, 0.1, 0.0)), labels, units, **settings)
    assert "\n" not in str(raised.value)


def test_logits_are_no_probabilities() -> None:
    with pytest.raises(check.DataError, match=r"expected probabilities; got numbers from -1 to 5.*last activation"):
        marked(written((5.0, -1.0, 0.0)), {"label": SHAPE}, 3)
    with pytest.raises(check.DataError, match=r"expected probabilities; got numbers from 0 to 0\.9"):
        marked(written((0.9, 0.9, 0.0)), {"label": SHAPE}, 3)  # of one class of several they come to 1


def test_nothing_left_to_label() -> None:
    part = data.bundled("digits")[:50]
    nothing = held_out(part[:20], part)
    assert len(nothing) == 0
    line = r"expected unlabelled examples; got none\. Give others than those that training"
    with pytest.raises(check.DataError, match=line):
        label(repeater(3), nothing, Preprocessing(columns=3, scaling="none"), {"label": SHAPE})


def test_a_file_that_is_gone_is_left_out(tmp_path: Path) -> None:
    items = []
    for i, value in enumerate((255, 0, 255)):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((1, 1), value, np.uint8)).save(path)
        items.append(Record(path.name, image=path))
    (tmp_path / "1.png").unlink()
    start = keras.Input((1, 1, 1))
    model = keras.Model(start, keras.layers.Flatten()(start))
    found = label(model, Records(tuple(items), labels={}), Preprocessing(image=(1, 1, 1)), {"label": YES})
    assert [(one.source, one.targets["label"]) for one in found.records] == [("0.png", 1), ("2.png", 1)]
    assert found.left == 1


def pictures(*pixels: np.ndarray, group: str | None = None) -> Records:
    items = tuple(Record(f"picture {i}", image=one, group=group) for i, one in enumerate(pixels))
    return Records(items, labels={}, name="unlabelled")


def test_what_the_test_part_knows_is_never_labelled(tmp_path: Path, shared_data: Path) -> None:
    photos = sorted((shared_data / "cats_vs_dogs").rglob("*.jpg"))[:12]
    known = Records(tuple(Record(path.name, image=path) for path in photos[:6]), labels={}, name="test")
    again = tmp_path / "again.png"
    Image.open(photos[0]).save(again)  # the same pixels in another file
    poor = tmp_path / "poor.jpg"
    half = Image.open(photos[1])
    half.resize((half.width * 7 // 10, half.height * 7 // 10)).save(poor, quality=60)  # a near copy
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    paths = [*photos[2:9], again, poor, broken]
    unlabelled = Records(tuple(Record(path.name, image=path) for path in paths), labels={}, name="more")
    free = held_out(unlabelled, known)
    assert [record.source for record in free] == [path.name for path in photos[6:9]]
    assert [problem.source for problem in free.set_aside] == ["broken.jpg"]


def test_of_groups_that_are_judged_on_none_comes() -> None:
    rng = np.random.default_rng(0)
    one, two, three = rng.integers(0, 256, (3, 16, 16, 1), np.uint8)
    test = pictures(one, group="patient 1")
    unlabelled = replace(
        pictures(two, three), items=(*pictures(two, group="patient 1"), *pictures(three, group="patient 2"))
    )
    assert len(held_out(unlabelled, test)) == 2
    assert [record.group for record in held_out(unlabelled, test, groups=[test])] == ["patient 2"]


def test_rows_count_by_their_numbers() -> None:
    known, new = written((1.0, 2.0)), written((2.0, 1.0), (1.0, 2.0))
    assert [record.source for record in held_out(new, known)] == ["row 0"]
    assert len(held_out(new)) == 2


def test_other_labels_are_not_merged() -> None:
    found = marked(written((1.0, 0.0, 0.0)), {"label": SHAPE}, 3)
    other = replace(written((1.0, 0.0, 0.0)), labels={"label": Labels("class", ("circle", "star", "square"))})
    with pytest.raises(check.DataError, match="expected pseudo-labels of all tasks of unlabelled, with its classes"):
        merged(other, found)


INPUT = Preprocessing(image=(8, 8, 1))


def trained(part: Records) -> Any:
    """A small network that was trained on these digits."""
    recipe = compose.Recipe((8, 8, 1), compose.Flatten(), compose.Dense((64,)), {"label": compose.Classify(10)})
    model = recipe.build(seed=0)
    batches = data.batches(part, INPUT, size=32, seed=0)
    # As many steps whatever the size of the part, so that only the examples differ.
    stage = train.Fit(epochs=240 // len(batches), rate=1e-2)
    objective = train.Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax")
    train.fit(compose.logits(model), batches, stage=stage, objectives={"label": objective}, seed=0)
    return model


def accuracy(model: Any, part: Records) -> float:
    x, y = next(data.batches(part, INPUT, size=len(part), shuffle=False).epoch(0))
    return float((model.predict_on_batch(x).argmax(axis=1) == y).mean())


def test_digits_of_which_few_have_labels() -> None:
    digits = data.bundled("digits")
    part, more, test = digits[:100], digits[100:900], digits[1000:]
    mixed = replace(digits, items=(*more, *test[:3]), labels={})
    unlabelled = held_out(mixed, part, test, groups=[test])
    assert [one.source for one in unlabelled] == [one.source for one in more]
    models: list[Any] = []

    def fit(records: Records) -> Any:
        models.append(trained(records))
        return models[-1]

    def mark(model: Any, records: Records) -> Pseudo:
        return label(model, records, INPUT, part.labels, above=0.9)

    model, rounds = self_train(part, unlabelled, fit=fit, mark=mark, rounds=2)
    assert model is models[-1] and (len(models), len(rounds)) == (3, 2)
    truth = {one.source: one.targets["label"] for one in more}
    for found in rounds:
        right = [one.targets["label"] == truth[one.source] for one in found.records]
        assert len(right) > 300 and np.mean(right) > 0.9
        assert sum(found.by_class["label"].values()) == len(right) == len(more) - found.left
    alone, both = accuracy(models[0], test), accuracy(model, test)
    assert both > alone, f"{both:.3f} with pseudo-labels, {alone:.3f} without"
    _, [again] = self_train(part, unlabelled, fit=fit, mark=mark)  # the same, bit for bit
    np.testing.assert_array_equal(again.confidence, rounds[0].confidence)
    assert [one.source for one in again.records] == [one.source for one in rounds[0].records]
    np.testing.assert_array_equal(models[-1].get_weights()[0], models[1].get_weights()[0])


def test_rounds_end_when_the_model_is_sure_of_nothing() -> None:
    part = replace(written((1.0, 0.0, 0.0)), labels={"label": SHAPE})

    def mark(model: Any, records: Records) -> Pseudo:
        return marked(records, {"label": SHAPE}, 3)

    model, rounds = self_train(part, written((0.4, 0.3, 0.3)), fit=len, mark=mark, rounds=3)
    assert (model, len(rounds)) == (1, 1)  # trained once, on one example
