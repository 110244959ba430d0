"""Beginning from trained weights: an earlier run, a file, published ones; frozen parts stay to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import check, compose, data, runs, ship, train
from lensmith.compose import weights, zoo
from lensmith.records import Labels
from lensmith.runs import pretrained
from lensmith.ship.saved import arrays_of

EYE = compose.Groups(compose.Group(compose.Conv(norm="before"), filters=4, pool=2))
RECIPE = compose.Recipe((8, 8, 1), compose.ConvStem(4, kernel=3, stride=1), EYE, {"label": compose.Classify(10)})


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> runs.Run:
    """A short run on the bundled digits, with statistics of its own in its preprocessing."""
    parts = data.split(data.bundled("digits")[:200], 0.6, 0.2, 0.2)
    return runs.start(
        tmp_path_factory.mktemp("first") / "run",
        recipe=RECIPE,
        data=parts,
        plan=train.Fit(epochs=1),
        scaling="standardise",
    )


def spec(first: runs.Run, **model) -> runs.Spec:
    return runs.Spec(
        data=runs.DataSpec(source="bundled:digits"),
        model={"weights": str(first.folder.path), **model},
        train=({"epochs": 1, "freeze": ["stem", "learner"]},),
        ship=None,
    )


def test_a_run_begins_where_another_ended_and_keeps_what_is_frozen(first, tmp_path):
    prepared = runs.prepare(spec(first), data.bundled("digits")[:200])
    before = first.saved()
    assert prepared.preprocessing == before.preprocessing  # scaled as the weights were trained, not anew
    assert prepared.recipe.learner == RECIPE.learner
    run = runs.begin(tmp_path / "run", prepared)
    old, new = arrays_of(before.model), arrays_of(run.saved().model)
    for name, value in old.items():
        assert np.array_equal(value, new[name]) != name.startswith("task-"), name
    written = runs.read_spec(run.folder.spec)
    assert written.model.weights.source == str(first.folder.path)


def test_another_scaling_than_that_of_the_weights_is_refused(first):
    asked = spec(first)
    asked = asked.model_copy(update={"data": runs.DataSpec(source="bundled:digits", scaling="0..1")})
    with pytest.raises(check.SettingError, match=r"data\.scaling: expected standardise, as the weights were trained"):
        runs.prepare(asked, data.bundled("digits")[:200])


def test_a_frozen_part_that_is_not_there_is_refused_before_the_run_begins(first):
    asked = spec(first).model_copy(update={"train": (runs.FitSpec(epochs=1, freeze=("steem",)),)})
    with pytest.raises(check.SettingError, match="freeze"):
        runs.prepare(asked, data.bundled("digits")[:200])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"learner": "vgg16", "weights": "imagnet"}, "weights of vgg16: expected a file or 'imagenet'"),
        ({"learner": {"part": "dense", "units": [4]}, "weights": "x.npz"}, "model.weights.row: missing"),
    ],
    ids=["misspelt", "no row"],
)
def test_weights_that_cannot_be_meant(model, words):
    section = runs.Spec(data=runs.DataSpec(source="bundled:digits"), model=model).model
    with pytest.raises(check.SettingError) as caught:
        pretrained.backbone(section)
    assert words in str(caught.value)


def test_a_file_says_by_its_names_how_pixels_were_scaled(tmp_path):
    """SqueezeNet's Caffe names: BGR less the mean, whatever the data would have it."""
    row = "squeezenet-1.1"
    model = zoo.get(row).build(seed=3)
    names = next(names for names in weights.maps_for(row) if names.name == "SqueezeNet for Caffe")
    places = names.find(weights.weights_of(model), _every_name(names, model))
    arrays = {}
    values = arrays_of(model)
    for path, foreign in places.items():
        value = values[path]
        arrays[foreign] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
    np.savez(tmp_path / "weights.npz", **arrays)
    saved = ship.pretrained(row, tmp_path / "weights.npz")
    assert (saved.preprocessing.channels, saved.preprocessing.mean) == ("bgr", (104.0, 117.0, 123.0))
    for path, value in arrays_of(saved.model).items():
        np.testing.assert_array_equal(value, values[path])
    assert saved.labels["label"] == Labels("class", saved.labels["label"].names)
    assert len(saved.labels["label"].names) == 1000


def _every_name(names, model):
    """All names that the map would look for, as if a file had them."""

    class Anything(dict):
        def __contains__(self, name: object) -> bool:
            return True

        def __missing__(self, name: str) -> np.ndarray:
            return np.zeros(1)

    return Anything()


def test_a_network_that_sorts_nothing_has_no_published_weights(tmp_path):
    with pytest.raises(check.SettingError, match=r"dense-regressor: expected a network that sorts images"):
        ship.pretrained("dense-regressor", tmp_path / "weights.npz")


def test_a_chain_is_joined_of_trained_models_and_not_trained_as_a_run(tmp_path):
    find = compose.Recipe((8, 8, 1), None, EYE, {"where": compose.Localise()})
    chain = compose.Chain(find, compose.Crop("where"), RECIPE)
    parts = data.split(data.bundled("digits")[:50], 0.6, 0.2, 0.2)
    with pytest.raises(check.SettingError, match=r"recipe: expected a Recipe; got Chain\. Train the two models"):
        runs.start(tmp_path / "run", recipe=chain, data=parts)
