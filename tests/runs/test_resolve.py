"""A recipe fitted to the data: input, heads, and what is refused."""

from types import SimpleNamespace

import pytest

from lensmith import compose, data
from lensmith.check import SettingError
from lensmith.compose import Binary, Classify, MultiLabel, Regress
from lensmith.records import Labels
from lensmith.runs.resolve import image_size, resolve
from lensmith.runs.spec import ModelSpec

CATS = {"label": Labels("class", ("cat", "dog"))}
TEN = {"label": Labels("class", tuple("0123456789"))}


def test_a_zoo_name_keeps_the_style_of_its_head() -> None:
    recipe = resolve(ModelSpec(learner="conv-digits"), (28, 28, 1), CATS)
    assert recipe.tasks["label"] == Classify(2, pool="flatten", hidden=(128,), dropout=0.5)
    assert recipe.input == (28, 28, 1)


def test_a_yes_or_no_head_stays_one() -> None:
    recipe = resolve(ModelSpec(learner="conv-cats-dogs"), (64, 64, 3), CATS)
    assert isinstance(recipe.tasks["label"], Binary)
    assert isinstance(resolve(ModelSpec(learner="conv-cats-dogs"), (64, 64, 3), TEN).tasks["label"], Classify)


def test_heads_follow_the_kind_of_the_labels() -> None:
    labels = {
        "species": Labels("class", ("cat", "dog", "fox")),
        "tags": Labels("classes", ("wet", "old")),
        "age": Labels("number", ("years",)),
    }
    tasks = resolve(ModelSpec(), (32, 32, 3), labels).tasks
    assert {name: (type(task), task.units) for name, task in tasks.items()} == {
        "species": (Classify, 3),
        "tags": (MultiLabel, 2),
        "age": (Regress, 1),
    }


def test_rows_get_a_dense_network_by_themselves() -> None:
    recipe = resolve(ModelSpec(), (13,), {"price": Labels("number", ("price",))})
    assert recipe.count() == (261, 261)


def test_parts_written_out_and_a_stem_of_ones_own() -> None:
    learner = {"part": "groups", "groups": [{"block": {"part": "basic"}, "filters": 8, "blocks": 2}]}
    written = resolve(ModelSpec(learner=learner, stem={"part": "conv-stem", "filters": 4}), (32, 32, 3), TEN)
    assert compose.Recipe.from_dict(written.to_dict()) == written
    small = resolve(
        ModelSpec(learner="resnet18-v1", stem={"part": "conv-stem", "filters": 64, "kernel": 3, "stride": 1}),
        (32, 32, 3),
        TEN,
    )
    assert isinstance(small.stem, compose.ConvStem)
    assert small.stem.kernel == 3


def test_a_zoo_name_brings_its_conventions() -> None:
    thousand = {"label": Labels("class", tuple(str(i) for i in range(1000)))}
    recipe = resolve(ModelSpec(learner="resnet50-v1-keras"), (224, 224, 3), thousand)
    assert recipe.count()[1] == 25_583_592


# Each row: the tasks asked for, and what the refusal says.
@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ({"labl": "classify"}, ["model.tasks.labl", "label"]),
        ({"label": "clasify"}, ["clasify", "Did you mean 'classify'?"]),
        ({"label": "regress"}, ["expected classify", "regress"]),
        ({"label": {"part": "classify", "classes": 5}}, ["the 10 labels", "one for 5"]),
        ({"label": "binary"}, ["the 10 labels", "one for 2"]),
    ],
)
def test_tasks_that_do_not_fit_are_refused(tasks: dict, words: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        resolve(ModelSpec(tasks=tasks), (32, 32, 3), TEN)
    for word in words:
        assert word in str(caught.value)


def test_the_size_of_the_input_is_that_of_small_images() -> None:
    digits = data.audit(data.bundled("digits"))
    assert image_size(digits) == (8, 8, 1)
    assert image_size(data.audit(data.bundled("wine"))) is None


@pytest.mark.parametrize(
    ("heights", "widths", "usual", "expected"),
    [
        ((8, 8, 8), (10, 10, 10), (), (8, 10, 3)),  # small ones are taken as they are
        ((8, 8, 8), (10, 10, 10), (224, 224, 3), (8, 10, 3)),
        ((8, 9, 10), (10, 10, 10), (), (128, 128, 3)),  # of several sizes
        ((400, 400, 400), (300, 300, 300), (), (128, 128, 3)),  # large ones
        ((400, 400, 400), (300, 300, 300), (96, 64, 3), (96, 64, 3)),  # as a trained backbone has them
        ((400, 400, 400), (300, 300, 300), (13,), (128, 128, 3)),  # which takes rows
    ],
)
def test_the_size_when_nobody_named_one(heights, widths, usual, expected) -> None:
    audit = SimpleNamespace(heights=heights, widths=widths, channels=3)
    assert image_size(audit, usual) == expected  # type: ignore[arg-type]
