"""Trained models made into one: the amalgam's backbone is computed once, the chain looks where it is pointed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import check, compose, data, ship
from lensmith.backend import keras
from lensmith.compose import Chain, Classify, Conv, Crop, Group, Groups, Localise, Recipe, Regress
from lensmith.compose.cropping import crop_and_resize, widened
from lensmith.records import Labels

EYE = Groups(Group(Conv(norm="before"), filters=4, pool=2), Group(Conv(norm="before"), filters=8, pool=2))
SORT = Recipe((16, 20, 1), None, EYE, {"label": Classify(3)})
GRADE = replace(SORT, tasks={"label": Regress()})
WHERE = replace(SORT, tasks={"where": Localise()})
LABELS = {
    "classify": Labels("class", ("a", "b", "c")),
    "regress": Labels("number", ("quality",)),
    "localise": Labels("boxes", ("digit",)),
}


def saved(recipe: Recipe, kind: str, seed: int = 0) -> ship.Saved:
    """A model of this recipe with weights of this seed, and statistics that are not those of a new one."""
    model = recipe.build(seed=seed)
    for weight in model.weights:
        if "moving" in weight.path:
            weight.assign(np.linspace(0.5, 1.5, weight.shape[0], dtype=np.float32))
    (task,) = recipe.tasks
    return ship.Saved(model, recipe, {task: LABELS[kind]}, data.Preprocessing(image=recipe.input))


@pytest.fixture(scope="module")
def three() -> dict[str, ship.Saved]:
    """Three models with one backbone and a head each."""
    return {
        "species": saved(SORT, "classify"),
        "quality": saved(GRADE, "regress"),
        "where": saved(WHERE, "localise"),
    }


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (3, 16, 20, 1), np.uint8))


def test_the_amalgam_answers_what_each_model_answered(three, images):
    amalgam = ship.amalgamate(three)
    assert list(amalgam.recipe.tasks) == ["species", "quality", "where"]
    answers = amalgam.predict(images)
    for name, model in three.items():
        (own,) = model.predict(images).values()
        np.testing.assert_allclose(answers[name], own, atol=1e-6)


def test_the_backbone_is_computed_once_for_all_heads(three, images, monkeypatch):
    amalgam = ship.amalgamate(three)
    called = []
    for layer in amalgam.model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            call = layer.call
            monkeypatch.setattr(layer, "call", lambda x, call=call, name=layer.name: called.append(name) or call(x))
    amalgam.predict(images)
    assert sorted(called) == ["learner-group1-block1-conv", "learner-group2-block1-conv"]


def test_the_amalgam_is_saved_loaded_and_shipped_as_one(three, images, tmp_path):
    amalgam = ship.amalgamate(three)
    ship.save(tmp_path / "model", amalgam)
    loaded = ship.load(tmp_path / "model")
    ship.export(loaded, tmp_path / "one.onnx", images)
    artifact = ship.open_artifact(tmp_path / "one.onnx")
    for name, answer in artifact.predict(images).items():
        np.testing.assert_allclose(answer, amalgam.predict(images)[name], atol=1e-5)


def test_backbones_that_differ_are_refused(three):
    other = saved(GRADE, "regress", seed=1)
    with pytest.raises(check.DataError, match=r"quality: learner-group1-block1-conv/kernel: expected the values of"):
        ship.amalgamate({"species": three["species"], "quality": other})


@pytest.mark.parametrize(
    ("recipes", "words"),
    [
        ({}, "at least one recipe"),
        ({"a": SORT, "b": replace(GRADE, input=(20, 16, 1))}, "b: expected the input that a has"),
        ({"a": SORT, "b": replace(GRADE, learner=Groups(Group(Conv(), 4)))}, "b: expected the learner that a has"),
        ({"a": SORT, "b": replace(SORT, tasks={"a": Regress(), "c": Regress()})}, "two tasks are called 'a'"),
    ],
    ids=["none", "input", "learner", "names"],
)
def test_recipes_that_do_not_go_together(recipes, words):
    with pytest.raises(check.SettingError, match=words):
        compose.amalgamate(recipes)


# --- chains ----------------------------------------------------------------------------------------------------------


def numpy_crop(image: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear sampling, pixel by pixel; for boxes that are enlarged."""
    height, width = image.shape[:2]
    out = np.zeros((*size, image.shape[2]))
    for i in range(size[0]):
        for j in range(size[1]):
            y = np.clip((box[1] + (box[3] - box[1]) * (i + 0.5) / size[0]) * height - 0.5, 0, height - 1)
            x = np.clip((box[0] + (box[2] - box[0]) * (j + 0.5) / size[1]) * width - 0.5, 0, width - 1)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            for row in (top, top + 1):
                for column in (left, left + 1):
                    out[i, j] += (1 - abs(y - row)) * (1 - abs(x - column)) * image[row, column]
    return out


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.5, 0.6), (0, 0, 1, 1), (-0.2, 0.5, 0.4, 1.3)])
def test_crops_are_bilinear(box):
    image = np.random.default_rng(1).random((7, 9, 2)).astype(np.float32)
    crop = crop_and_resize(image[None], np.array([box], np.float32), (11, 13))
    crop = keras.ops.convert_to_numpy(crop)[0]
    np.testing.assert_allclose(crop, numpy_crop(image, np.array(box), (11, 13)), atol=1e-5)


def test_a_crop_that_shrinks_loses_no_pixel():
    board = np.indices((16, 16)).sum(axis=0)[None, ..., None] % 2  # of black and white pixels: gray from afar
    crop = crop_and_resize(board.astype(np.float32), np.array([[0, 0, 1, 1]], np.float32), (4, 4))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(crop), 0.5, atol=0.02)


def test_boxes_widen_to_squares_of_pixels():
    box = widened(np.array([[0.25, 0.25, 0.5, 0.5]], np.float32), 0.0, (40, 80), square=True)
    # 20 by 10 pixels, centred at (30, 15), become 20 by 20
    np.testing.assert_allclose(keras.ops.convert_to_numpy(box), [[20 / 80, 5 / 40, 40 / 80, 25 / 40]], atol=1e-6)
    turned = widened(np.array([[0.5, 0.5, 0.25, 0.25]], np.float32), 0.5, (40, 40), square=False)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(turned), [[0.125, 0.125, 0.625, 0.625]], atol=1e-6)


THEN = Recipe((8, 8, 1), None, EYE, {"digit": Classify(3)})


@pytest.fixture(scope="module")
def linked() -> tuple[ship.Saved, ship.Saved, ship.Saved]:
    find, then = saved(WHERE, "localise"), saved(THEN, "classify", seed=5)
    return find, then, ship.chain(find, Crop("where", margin=0.25), then)


def test_the_chain_crops_where_it_is_pointed(linked, images):
    find, then, both = linked
    answers = both.predict(images)
    boxes = find.predict(images)["where"]
    np.testing.assert_allclose(answers["where"], boxes, atol=1e-6)
    pixels = np.stack([find.preprocessing(image) for image in images])
    crops = crop_and_resize(pixels, widened(boxes, 0.25, (16, 20), square=True), (8, 8))
    expected = keras.ops.convert_to_numpy(then.model(crops))
    np.testing.assert_allclose(answers["digit"], expected, atol=1e-5)


def test_the_chain_is_saved_loaded_and_shipped_as_one(linked, images, tmp_path):
    *_, both = linked
    ship.save(tmp_path / "model", both)
    loaded = ship.load(tmp_path / "model")
    assert loaded.recipe == both.recipe
    ship.export(loaded, tmp_path / "one.onnx", images)
    artifact = ship.open_artifact(tmp_path / "one.onnx")
    for name, answer in artifact.predict(images).items():
        np.testing.assert_allclose(answer, both.predict(images)[name], atol=1e-5)


def test_a_chain_is_a_recipe_in_all_that_matters(linked):
    chain = linked[2].recipe
    assert compose.read_yaml(chain.to_yaml()) == chain
    assert chain.count()[0] == chain.build(seed=0).count_params() == WHERE.count()[0] + THEN.count()[0]
    paths = [weight.path for weight in linked[2].model.weights]
    assert len(set(paths)) == len(paths)
    assert list(compose.logits(linked[2].model).output) == ["where", "digit"]


@pytest.mark.parametrize("learn", [True, False])
def test_the_second_model_moves_the_box_only_where_it_may(learn, images):
    torch = pytest.importorskip("torch")
    model = Chain(WHERE, Crop("where", learn=learn), THEN).build(seed=0)
    model(np.stack(images).astype(np.float32) / 255)["digit"][:, 0].sum().backward()
    gradient = model.get_layer("task-where-output").kernel.value.grad
    assert (gradient is not None and bool(torch.any(gradient != 0))) == learn


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Chain(WHERE, Crop("were"), THEN), "crop.task: expected where; got 'were'"),
        (lambda: Chain(SORT, Crop("label"), THEN), "crop.task: expected a Localise task; got Classify"),
        (lambda: Chain(WHERE, Crop("where"), replace(THEN, input=(8, 8, 3))), "then.input: expected"),
        (lambda: Chain(WHERE, Crop("where"), replace(THEN, tasks={"where": Regress()})), "'where' is a task of find"),
        (lambda: Chain(WHERE, Crop("where", margin=-1), THEN), "crop.margin"),
        (lambda: Chain(WHERE, "where", THEN), "crop: expected a Crop"),
    ],
    ids=["misspelt", "no box", "channels", "names", "margin", "crop"],
)
def test_chains_that_do_not_hold(make, words):
    with pytest.raises(check.SettingError) as caught:
        make()
    assert words.split(";")[0].split(" where")[0] in str(caught.value)
