"""The recipe: written and read, seeded, counted; its heads, views and outline."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import (
    Basic,
    Binary,
    Bottleneck,
    Classify,
    Conv,
    Conventions,
    ConvStem,
    Dense,
    Flatten,
    Group,
    Groups,
    MultiLabel,
    Pool,
    Recipe,
    Regress,
    zoo,
)
from lensmith.compose.layers import ACTIVATIONS

SMALL = Recipe(
    input=(9, 12, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, blocks=2, stride=1), Group(Basic(), filters=8)),
    tasks={"species": Classify(5, hidden=(6,)), "quality": Regress()},
)


def weights(model) -> dict[str, np.ndarray]:
    return {weight.path: keras.ops.convert_to_numpy(weight).copy() for weight in model.weights}


# --- written and read again: any recipe ----------------------------------------------------------------------------

whole = st.integers(1, 4)
shares = st.floats(0, 1)
activations = st.sampled_from(ACTIVATIONS)
paddings = st.sampled_from(["same", "valid"])
flags = st.booleans()
residual = {
    "version": st.sampled_from(["1", "1.5", "2"]),
    "shortcut": st.sampled_from(["projection", "padding"]),
    "bias": flags,
}
blocks = st.one_of(
    st.builds(
        Conv,
        kernel=whole,
        padding=paddings,
        norm=st.sampled_from(["none", "before", "after"]),
        activation=activations,
        bias=st.none() | flags,
    ),
    st.builds(Basic, **residual),
    st.builds(Bottleneck, **residual, expansion=whole),
    st.builds(Bottleneck, version=st.sampled_from(["1", "1.5"]), norm=st.just("after")),
)
pools = st.builds(
    Pool, size=whole, stride=st.none() | whole, kind=st.sampled_from(["max", "average"]), padding=paddings
)
ends = {"stride": st.none() | whole, "pool": st.none() | whole | pools, "dropout": shares}
groups = st.one_of(
    st.builds(Group, blocks, filters=whole, blocks=st.none() | whole, **ends),
    st.builds(Group, blocks, filters=st.lists(whole, min_size=1, max_size=3), **ends),
)
stems = st.one_of(
    st.none(),
    st.just(Flatten()),
    st.builds(
        ConvStem,
        whole,
        kernel=whole,
        stride=whole,
        pool=st.none() | whole,
        norm=flags,
        activation=activations,
        bias=st.none() | flags,
    ),
)
learners = st.one_of(
    st.none(),
    st.builds(Dense, st.lists(whole, min_size=1, max_size=3), activation=activations, dropout=shares),
    st.lists(groups, min_size=1, max_size=3).map(lambda some: Groups(*some)),
)
head = {
    "pool": st.sampled_from(["average", "max", "flatten"]),
    "hidden": st.lists(whole, max_size=2),
    "dropout": shares,
    "activation": activations,
    "weight": st.floats(0, 1e6),
}
tasks = st.one_of(
    st.builds(Classify, st.integers(2, 5), **head),
    st.builds(Binary, **head),
    st.builds(MultiLabel, whole, **head),
    st.builds(Regress, whole, **head),
)
# Names that YAML would take for something else are among them: yes, no, null, 1, 1_000, 1e5.
names = st.from_regex(r"[A-Za-z0-9_]{1,6}", fullmatch=True) | st.sampled_from(
    ["yes", "no", "null", "1", "1_000", "1e5"]
)
recipes = st.builds(
    Recipe,
    input=st.tuples(whole) | st.tuples(st.integers(1, 12), st.integers(1, 12), whole),
    stem=stems,
    learner=learners,
    tasks=st.dictionaries(names, tasks, min_size=1, max_size=3),
)


@given(recipes)
@settings(deadline=None, max_examples=150)
def test_any_recipe_survives_yaml(recipe):
    again = Recipe.from_yaml(recipe.to_yaml())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert list(again.tasks) == list(recipe.tasks)
    assert again.to_dict() == recipe.to_dict() == Recipe.from_dict(recipe.to_dict()).to_dict()


@given(recipes)
@settings(deadline=None, max_examples=60)
def test_any_recipe_builds_or_is_refused_in_one_line(recipe):
    try:
        total, trainable = recipe.count()
    except check.SettingError as error:
        assert "\n" not in str(error)
        assert str(error).startswith(("stem", "learner"))
    else:
        assert total >= trainable >= 1


# --- how a recipe may be written -----------------------------------------------------------------------------------

SHORT = """
input: [28, 28, 1]
learner:
  part: groups
  groups:
    - {block: conv, filters: [8, 16], pool: 2}
    - {block: {part: bottleneck, version: 1.5}, filters: 4}
tasks:
  digit: {part: classify, classes: 10}
"""


def test_what_is_left_out_takes_its_default():
    expected = Recipe(
        input=(28, 28, 1),
        stem=None,
        learner=Groups(Group(Conv(), filters=(8, 16), pool=Pool(2)), Group(Bottleneck(version="1.5"), filters=4)),
        tasks={"digit": Classify(10)},
    )
    assert Recipe.from_yaml(SHORT) == expected


def test_every_default_is_written_out():
    written = Recipe((4,), Flatten(), None, {"y": Binary()}).to_dict()
    head = {"part": "binary", "pool": "average", "hidden": [], "dropout": 0.0, "activation": "relu", "weight": 1.0}
    usual = {"part": "conventions", "epsilon": 1e-5, "momentum": 0.9, "padding": "symmetric", "bias": False}
    usual |= {"norm_scale": True}
    assert written["tasks"] == {"y": head}
    assert written["conventions"] == usual
    assert (written["input"], written["stem"], written["learner"]) == ([4], {"part": "flatten"}, None)


def test_a_recipe_is_frozen():
    with pytest.raises(FrozenInstanceError):
        SMALL.input = (3,)
    with pytest.raises(TypeError):
        SMALL.tasks["more"] = Binary()


def test_lists_become_tuples_so_that_a_recipe_can_be_a_key():
    listed = Recipe([8], None, Dense([4, 4]), {"y": Regress(hidden=[3])})
    assert listed == Recipe((8,), None, Dense((4, 4)), {"y": Regress(hidden=(3,))})
    assert {listed: "found"}[replace(listed)] == "found"


# --- seeds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        replace(SMALL, input=(21, 8, 3)),  # another size of image
        replace(SMALL, stem=replace(SMALL.stem, kernel=5)),
        replace(SMALL, learner=Groups(SMALL.learner.groups[0], Group(Basic(), filters=8, blocks=2))),
        replace(SMALL, tasks={"quality": Regress(), "genus": Classify(3)}),  # other heads, in another order
    ],
    ids=["input", "stem", "learner", "tasks"],
)
def test_changing_one_part_leaves_the_weights_of_all_others(changed):
    before, after = weights(SMALL.build(seed=3)), weights(changed.build(seed=3))
    shared = [path for path in before if path in after and before[path].shape == after[path].shape]
    assert len(shared) > 10
    for path in shared:
        np.testing.assert_array_equal(after[path], before[path])


def test_no_two_layers_of_one_shape_start_alike():
    kernels = [value for path, value in weights(SMALL.build(seed=3)).items() if value.shape == (3, 3, 4, 4)]
    assert len(kernels) == 4
    assert len({kernel.tobytes() for kernel in kernels}) == 4


def test_without_a_seed_the_global_one_decides():
    first, second, third = (weights(_after_global_seed(seed)) for seed in (11, 11, 12))
    kernel = "stem-conv/kernel"
    np.testing.assert_array_equal(second[kernel], first[kernel])
    assert not np.array_equal(third[kernel], first[kernel])


def _after_global_seed(seed):
    keras.utils.set_random_seed(seed)
    return SMALL.build()


def test_initial_weights_have_the_spread_of_their_papers():
    """He: standard deviation √(2 / fan-in). Glorot: uniform within ±√(6 / (fan-in + fan-out))."""
    recipe = Recipe((8, 8, 32), None, Groups(Group(Conv(), filters=64)), {"y": Regress(hidden=(128,))})
    found = weights(recipe.build(seed=0))
    assert found["learner-group1-block1-conv/kernel"].std() == pytest.approx(np.sqrt(2 / (9 * 32)), rel=0.02)
    limit = np.sqrt(6 / (64 + 128))
    dense = found["task-y-dense1/kernel"]
    assert np.abs(dense).max() <= limit
    assert dense.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_every_dropout_has_a_seed_of_its_own():
    """A run that stops and resumes must find the state of each."""
    model = Recipe((8,), None, Dense((4, 4), dropout=0.5), {"y": Regress(dropout=0.5)}).build(seed=1)
    seeds = [layer.seed for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(seeds) == len(set(seeds)) == 3


# --- the zoo's families --------------------------------------------------------------------------------------------


def test_biases_for_a_whole_recipe():
    """Those of a row's own parts stay as they are: the stem of this one has none."""
    biased = replace(zoo.get("resnet18-v1"), conventions=Conventions(bias=True), input=(33, 33, 3)).build(seed=0)
    convs = {layer.name: layer.use_bias for layer in biased.layers if isinstance(layer, keras.layers.Conv2D)}
    assert [name for name, bias in convs.items() if not bias] == ["stem-conv"]
    assert len(convs) == 20


def test_families_make_other_members():
    assert zoo.vgg((2, 2, 3, 3, 3)) == zoo.get("vgg16")
    assert zoo.resnet(34, "1.5") == zoo.get("resnet34-v1.5")
    eight = zoo.cifar_resnet(8, "2", classes=100)
    assert [group.blocks for group in eight.learner.groups] == [1, 1, 1]
    assert eight.tasks["label"].units == 100
