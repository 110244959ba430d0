"""Where the one object is: the head of four numbers, from drawn scenes to the shipped box in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from lensmith import boxes, compose, data, runs, ship, train
from lensmith.backend import keras
from lensmith.check import DataError, SettingError
from lensmith.compose import Conv, Group, Groups, Localise, Recipe
from lensmith.compose.tasks import iou, takes
from lensmith.records import Boxes, Labels, Record, Records
from lensmith.runs.aims import objectives

TINY = Recipe(
    input=(24, 24, 1),
    stem=None,
    learner=Groups(Group(Conv(norm="before"), filters=(8, 16), pool=2), Group(Conv(norm="before"), 16, pool=2)),
    tasks={"where": Localise(pool="flatten", hidden=(32,))},
)


def scenes(count: int, height: int = 36, width: int = 48) -> tuple[list[np.ndarray], list[Boxes]]:
    """A digit of 12 to 24 pixels on a dark canvas that is not square, and its box in pixels."""
    rng = np.random.default_rng(5)
    digits = load_digits().images
    images, targets = [], []
    for i in range(count):
        times = int(rng.integers(2, 4))
        digit = np.kron(digits[i] * 15, np.ones((times, times))).astype(np.uint8)
        side = 8 * times
        y, x = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        canvas = np.zeros((height, width, 1), np.uint8)
        canvas[y : y + side, x : x + side, 0] = digit
        images.append(canvas)
        targets.append(Boxes([[x, y, x + side, y + side]], [0]))
    return images, targets


@pytest.fixture(scope="module")
def records() -> Records:
    images, targets = scenes(96)
    return data.from_arrays(images, targets, ["digit"], task="where")


@pytest.fixture(scope="module")
def finished(records: Records, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    parts = data.split(records, 0.7, 0.1, 0.2)
    folder = tmp_path_factory.mktemp("runs") / "where"
    return runs.start(folder, recipe=TINY, data=parts, plan=train.Fit(epochs=6, rate=0.005), batch=8)


def test_a_run_learns_where_the_digit_is(finished: runs.Run) -> None:
    assert finished.results is not None
    metrics = finished.results["metrics"]
    assert set(metrics) == {"loss", "mean_absolute_error", "iou"}
    assert metrics["mean_absolute_error"] < 0.2  # a box always in the middle is off by 0.15 or so
    assert metrics["iou"] > 0.15
    assert finished.results["proof"]["max_difference"] <= 1e-4
    assert finished.report().is_file()


def test_training_measures_what_the_evaluation_measures(finished: runs.Run, records: Records) -> None:
    saved = finished.saved()
    batches = data.batches(records, saved.preprocessing, size=32, shuffle=False)
    trained = train.evaluate(compose.logits(saved.model), batches, objectives(saved.recipe))
    scored = runs.score(saved, records)
    for name in ("mean_absolute_error", "iou"):
        assert trained[name] == pytest.approx(scored.metrics[name], abs=1e-5)
    assert trained["loss"] == pytest.approx(scored.loss, abs=1e-6)


def test_the_same_box_from_run_model_and_artifact_in_pixels_of_the_image(finished: runs.Run, tmp_path: Path) -> None:
    assert finished.artifact is not None
    image = scenes(1)[0][0]
    path = tmp_path / "scene.png"
    Image.fromarray(np.repeat(image, 2, axis=1)[..., 0]).save(path)  # twice as wide: 36 by 96
    answers = [
        ship.predict(model, [path])[0].tasks["where"]
        for model in (finished.saved(), ship.open_artifact(finished.artifact))
    ]
    assert [one.label for one in answers[0]] == ["x1", "y1", "x2", "y2"]
    shares = finished.saved().predict([path])["where"][0]
    for answer in answers:
        pixels = np.array([one.score for one in answer])
        np.testing.assert_allclose(pixels, shares * [96, 36, 96, 36], atol=1e-2)


def test_resume_finds_the_boxes_again(finished: runs.Run, records: Records, tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    class Killer(train.Silent):
        def on_epoch(self, row: object, waited: float) -> None:
            raise Stop

    parts = data.split(records, 0.7, 0.1, 0.2)
    plan = train.Fit(epochs=6, rate=0.005)
    with pytest.raises(Stop):
        runs.start(tmp_path / "killed", recipe=TINY, data=parts, plan=plan, batch=8, progress=Killer())
    again = runs.resume(tmp_path / "killed", records=records)
    assert again.folder.history.read_bytes() == finished.folder.history.read_bytes()


def test_targets_are_shares_of_the_image_as_it_is_read(tmp_path: Path) -> None:
    turned = Image.new("L", (40, 20))  # EXIF 6: upright it is 20 wide and 40 high
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    labels = {"where": Labels("boxes", ("thing",))}
    box = Boxes([[5, 10, 15, 30]], [0])
    files = [
        Record("a", image=tmp_path / "turned.jpg", targets={"where": box}),
        Record("b", image=np.zeros((100, 50, 3), np.uint8), targets={"where": box}),
    ]
    found = data.to_array(Records(tuple(files), labels), "where")
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.75, 0.75], [0.1, 0.1, 0.3, 0.3]])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Boxes([], []), ("photo:0: where", "one box", "0 boxes")),  # nothing there
        (Boxes([[0, 0, 1, 1], [1, 1, 2, 2]], [0, 0]), ("one box", "2 boxes")),  # work for a detector
        (Boxes([[3, 0, 3, 2]], [0]), ("box 0", "x1 < x2")),  # no extent
        (Boxes([[0, 0, 1, 1]], [7]), ("class index from 0 to 0", "7")),  # no such class
    ],
)
def test_an_image_without_exactly_one_good_box_is_named(target: Boxes, words: tuple[str, ...]) -> None:
    record = Record("photo:0", image=np.zeros((8, 8, 1), np.uint8), targets={"where": target})
    with pytest.raises(DataError) as caught:
        data.to_array(Records((record,), {"where": Labels("boxes", ("thing",))}), "where")
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_four_numbers_serve_as_a_box_where_asked() -> None:
    spec = runs.ModelSpec.model_validate({"learner": "conv-digits", "tasks": {"where": "localise"}})
    from lensmith.runs.resolve import resolve

    numbers = {"where": Labels("number", ("x1", "y1", "x2", "y2"))}
    assert resolve(spec, (28, 28, 1), numbers).tasks["where"] == Localise()
    assert resolve(spec, (28, 28, 1), {"where": Labels("boxes", ("a", "b"))}).tasks["where"] == Localise()
    with pytest.raises(SettingError, match="localise, as the labels are"):
        resolve(
            runs.ModelSpec.model_validate({"learner": "conv-digits", "tasks": {"where": "regress"}}),
            (28, 28, 1),
            {"where": Labels("boxes", ("a",))},
        )
    with pytest.raises(SettingError, match="regress, as the labels are; got localise"):
        resolve(spec, (28, 28, 1), {"where": Labels("number", ("x", "y"))})


def test_what_each_head_can_be_trained_on() -> None:
    assert takes(Localise(), "boxes", 80)  # the boxes' classes do not matter
    assert takes(Localise(), "number", 4)
    assert not takes(Localise(), "number", 2)
    assert takes(compose.Binary(), "class", 2)
    assert not takes(compose.Classify(3), "class", 2)


def test_written_and_read_again() -> None:
    recipe = Recipe((8, 8, 1), None, None, {"where": Localise("l2", hidden=(5,))})
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_yaml("{input: [8, 8, 1], tasks: {where: localise}}").tasks["where"] == Localise()


def test_a_distance_that_there_is_not(refused) -> None:
    refused(lambda: Localise("l3"), "localise.distance", "l2, smooth-l1", "'l3'")
    refused(
        lambda: Recipe.from_yaml("{input: [8, 8, 1], tasks: {where: {part: localise, distance: l22}}}"),
        "tasks.where.distance",
        "Did you mean 'l2'?",
    )


def test_the_overlap_of_training_is_that_of_the_boxes() -> None:
    rng = np.random.default_rng(2)
    truth, given = rng.random((2, 50, 4)).astype("float32")  # some of them inside out
    slow = [boxes.iou(a[None], b[None])[0, 0] for a, b in zip(truth, given, strict=True)]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(iou(truth, given)), slow, atol=1e-6)


def test_smooth_l1_on_paper() -> None:
    # off by 0.05: 0.05² / 2 = 0.00125; off by 0.3: 0.1 · (0.3 − 0.05) = 0.025; the mean of these and two zeros
    loss = Localise().loss(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[0.05, 0.3, 1.0, 1.0]]))
    assert float(loss) == pytest.approx((0.00125 + 0.025) / 4)
