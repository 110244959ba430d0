"""A backbone learns from pictures without labels, and its heads are left alone."""

import itertools
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_images

from lensmith import check, compose, data, train
from lensmith.backend import keras
from lensmith.compose import Basic, Classify, ConvStem, Dense, Flatten, Group, Groups, Recipe, Regress
from lensmith.data import Augment, Preprocessing
from lensmith.records import Records
from lensmith.reuse import jigsaw
from lensmith.reuse.jigsaw import Jigsaw, assembled, cut, far_apart
from lensmith.reuse.pretext import changed, pretext, with_task
from lensmith.reuse.rotation import Rotation
from lensmith.train import Interrupted, Silent, checkpoint
from lensmith.train.history import Earlier

SMALL = Preprocessing(image=(16, 16, 3))
STAGE = train.Fit(epochs=2, rate=3e-3)


def photographed(count: int, seed: int, side: int = 32) -> Records:
    """Square pieces of two photos, each of another place and size."""
    rng, photos, pieces = np.random.default_rng(seed), load_sample_images().images, []
    for i in range(count):
        photo, size = photos[i % 2], int(rng.integers(120, 300))
        y, x = (int(rng.integers(0, whole - size + 1)) for whole in photo.shape[:2])
        pieces.append(data.resize(photo[y : y + size, x : x + size], (side, side)).round().astype(np.uint8))
    return replace(data.from_arrays(np.stack(pieces), np.zeros(count, int)), labels={}, name="photos")


def network(side: int = 16) -> Any:
    recipe = Recipe(
        (side, side, 3),
        ConvStem(16, kernel=3, stride=2),
        Groups(Group(Basic(), filters=24), Group(Basic(), filters=32)),
        {"kind": Classify(2, dropout=0.1), "size": Regress(hidden=(4,))},
    )
    return recipe.build(seed=0)


def weights(model: Any, heads: bool) -> dict[str, np.ndarray]:
    """The weights of a model's heads, or those before them."""
    chosen = [one for one in model.weights if one.path.startswith("task-") == heads]
    return {one.path: keras.ops.convert_to_numpy(one).copy() for one in chosen}


# The task itself, on paper.


def test_a_jigsaw_on_paper() -> None:
    #  0  1 |  2  3        12 13 |  0  1     tile 2 stands first, then tiles 0, 3 and 1
    #  4  5 |  6  7        ...
    # ------+------
    #  8  9 | 10 11
    picture = np.arange(16).reshape(4, 4, 1)
    tiles = cut(picture, 2)
    assert tiles[..., 0].tolist() == [[[0, 1], [4, 5]], [[2, 3], [6, 7]], [[8, 9], [12, 13]], [[10, 11], [14, 15]]]
    shuffled = assembled(tiles, (2, 0, 3, 1), (4, 4))
    assert shuffled[..., 0].tolist() == [[8, 9, 0, 1], [12, 13, 4, 5], [10, 11, 2, 3], [14, 15, 6, 7]]


@given(
    st.sampled_from([2, 3]), st.integers(6, 31), st.integers(6, 31), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1)
)
@settings(max_examples=40, deadline=None)
def test_tiles_put_back_in_order_give_the_picture(cells: int, high: int, wide: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (high, wide, channels), np.uint8)
    order = rng.permutation(cells**2)
    shuffled = assembled(cut(picture, cells), order, (high, wide))
    assert shuffled.shape == picture.shape and shuffled.dtype == picture.dtype
    back = assembled(cut(shuffled, cells), np.argsort(order), (high, wide))
    inner = tuple(slice(size % cells // 2, size % cells // 2 + size // cells * cells) for size in (high, wide))
    np.testing.assert_array_equal(back[inner], picture[inner])  # all of it, where the size divides
    if high % cells == wide % cells == 0:
        np.testing.assert_array_equal(back, picture)


@given(st.sampled_from([4, 9]), st.integers(6, 40), st.integers(6, 40), st.integers(0, 23), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_pixel_of_a_tile_comes_from_its_own_cell(
    tiles: int, high: int, wide: int, answer: int, seed: int
) -> None:
    """The slow reference: each pixel says which it was, and so which tile stands where."""
    task = Jigsaw(tiles)
    picture = np.arange(high * wide).reshape(1, high, wide, 1)
    made = task.change(picture, np.array([answer]), [np.random.default_rng(seed)])[0, ..., 0]
    assert made.shape == (high, wide)
    cells, order = task.cells, far_apart(tiles, task.answers)[answer]
    sizes = [size // cells - jigsaw.gap(size // cells) for size in (high, wide)]
    tops = [(size - cells * one) // 2 for size, one in zip((high, wide), sizes, strict=True)]
    for place, tile in enumerate(order):
        y, x = (top + at * one for top, at, one in zip(tops, divmod(place, cells), sizes, strict=True))
        there = made[y : y + sizes[0], x : x + sizes[1]]
        rows, columns = there // wide, there % wide
        assert (np.diff(rows, axis=0) == 1).all() and (np.diff(columns, axis=1) == 1).all()  # one piece
        for found, size, cell in ((rows, high, tile // cells), (columns, wide, tile % cells)):
            first = size % cells // 2 + cell * (size // cells)
            assert first <= found.min() and found.max() < first + size // cells
    edges = np.pad(made[tops[0] : tops[0] + cells * sizes[0], tops[1] : tops[1] + cells * sizes[1]], 1, mode="edge")
    assert set(made.ravel()) == set(edges.ravel())  # the border repeats what is there, and shows nothing else


def test_tiles_do_not_fit_by_their_edges() -> None:
    """Neighbours in the picture are cut with a gap whose size is left to chance."""
    picture = np.arange(64).reshape(1, 1, 64, 1).repeat(64, axis=1)
    rng = np.random.default_rng(0)
    made = [Jigsaw(4).change(picture, np.array([0]), [rng])[0, 32] for _ in range(50)]
    steps = Counter(int(np.diff(one[:, 0]).max()) for one in made)
    assert jigsaw.gap(32) == 5
    assert set(steps) <= set(range(1, 12)) and len(steps) > 5


@pytest.mark.parametrize(
    ("tiles", "count", "least"),
    [
        (4, 4, 4),  # no tile stays in its place
        (4, 12, 3),
        (4, 24, 2),  # all there are
        (9, 9, 9),
        (9, 64, 8),
        (9, 72, 8),
    ],
)
def test_arrangements_are_far_apart(tiles: int, count: int, least: int) -> None:
    found = np.array(far_apart(tiles, count))
    assert found.shape == (count, tiles) and found[0].tolist() == list(range(tiles))
    assert (np.sort(found, axis=1) == np.arange(tiles)).all()
    assert min((a != b).sum() for a, b in itertools.combinations(found, 2)) == least


def test_turned_on_paper() -> None:
    # 1 2 3 4    the square in the middle is 2 3 / 6 7; turned once it is 3 7 / 2 6
    # 5 6 7 8
    picture = np.arange(1, 9).reshape(1, 2, 4, 1)
    made = [Rotation().change(picture, np.array([turns]), ())[0, ..., 0].tolist() for turns in range(4)]
    assert made == [
        [[2, 2, 3, 3], [6, 6, 7, 7]],
        [[3, 3, 7, 7], [2, 2, 6, 6]],
        [[7, 7, 6, 6], [3, 3, 2, 2]],
        [[6, 6, 2, 2], [7, 7, 3, 3]],
    ]


@given(st.integers(2, 20), st.integers(2, 20), st.sampled_from([1, 3]))
@settings(max_examples=25, deadline=None)
def test_four_turns_lead_back(high: int, wide: int, channels: int) -> None:
    x = np.random.default_rng(0).random((2, high, wide, channels), np.float32)
    task, once = Rotation(), np.array([1, 1])
    straight = task.change(x, np.array([0, 0]), ())
    assert straight.shape == x.shape and straight.dtype == x.dtype
    turned = straight
    for _ in range(4):
        turned = task.change(turned, once, ())
    np.testing.assert_array_equal(turned, straight)
    if high == wide:
        np.testing.assert_array_equal(straight, x)


# Batches.


@pytest.mark.parametrize("task", [Jigsaw(4), Jigsaw(9), Rotation()], ids=repr)
@pytest.mark.parametrize("size", [(17, 20), (16, 16)])
def test_batches_of_any_size(task: Any, size: tuple[int, int]) -> None:
    digits = data.bundled("digits")[:100]
    made = changed(digits, Preprocessing(image=(*size, 1)), task, size=40, seed=3)
    assert len(made) == 3
    counts = np.bincount(made.answers(0), minlength=task.answers)
    assert counts.max() - counts.min() <= 1  # no answer is worth guessing
    assert not np.array_equal(made.answers(0), made.answers(1))
    seen = [answer for x, y in made.epoch(0) for answer in y.tolist() if x.shape[1:] == (*size, 1)]
    assert sorted(seen) == sorted(made.answers(0).tolist())


@pytest.mark.parametrize("task", [Jigsaw(4), Rotation()], ids=repr)
def test_the_answer_is_what_was_done(task: Any) -> None:
    pictures = photographed(10, seed=0, side=16)
    made = changed(pictures, SMALL, task, size=4, seed=1, shuffle=False)
    x, y = next(made.epoch(5))
    plain = np.stack([SMALL(record) for record in pictures[:4]])
    np.testing.assert_array_equal(y, made.answers(5)[:4])
    chances = [np.random.default_rng([1, 2, 5, place]) for place in range(4)]
    np.testing.assert_array_equal(x, task.change(plain, y, chances))


def test_a_position_goes_on_with_the_same_bits() -> None:
    made = changed(photographed(30, seed=0, side=16), SMALL, Jigsaw(9), size=8, augment=Augment(flip="horizontal"))
    whole = list(made.epoch(2))
    first = made.epoch(2)
    next(first), next(first)
    later = made.epoch(2)
    later.set_state(first.get_state())
    for (x, y), (again, same) in zip(whole[2:], later, strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, same)


def test_the_fingerprint_covers_the_task() -> None:
    pictures = photographed(4, seed=0, side=16)
    tasks = [Jigsaw(4), Jigsaw(9), Jigsaw(4, 6), Rotation()]
    prints = [changed(pictures, SMALL, task).fingerprint for task in tasks]
    prints += [
        changed(pictures, SMALL, Rotation(), seed=1).fingerprint,
        changed(pictures[:3], SMALL, Rotation()).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert changed(pictures, SMALL, Jigsaw(4, 24)).fingerprint == prints[0]  # 24 is what None means


REFUSED = [
    (lambda: Jigsaw(5), r"jigsaw\.tiles: expected one of 4, 9; got 5"),
    (lambda: Jigsaw(4, 1), r"jigsaw\.arrangements: expected a number from 2 to 24; got 1"),
    (lambda: Jigsaw(9, 100), r"jigsaw\.arrangements: expected a number from 2 to 72; got 100"),
    (
        lambda: changed(data.bundled("digits"), Preprocessing(image=(8, 5, 1)), Jigsaw(9)),
        r"jigsaw: expected pictures of at least 6 pixels a side for 9 tiles; got 8×5",
    ),
    (
        lambda: changed(data.bundled("digits"), Preprocessing(image=(8, 1, 1)), Rotation()),
        r"rotation: expected pictures of at least 2 pixels a side; got 8×1",
    ),
    (
        lambda: changed(data.bundled("wine"), Preprocessing(columns=13, scaling="none"), Rotation()),
        r"pretext: expected pictures; got rows of numbers",
    ),
    (
        lambda: changed(data.bundled("digits"), Preprocessing(image=(8, 8, 1)), Rotation(), augment=Augment(mixup=0.2)),
        r"pretext\.augment: expected changes of one picture; got a mixture",
    ),
    (
        lambda: pretext(None, data.bundled("digits")[:0], SMALL, task=Rotation(), stage=STAGE),
        r"there are no pictures for the pretext task",
    ),
    (
        lambda: pretext(None, data.bundled("digits"), SMALL, task=Rotation(), stage=replace(STAGE, tasks=("kind",))),
        r"pretext\.tasks: expected none; got kind",
    ),
]


@pytest.mark.parametrize(("act", "line"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_in_one_line(act: Any, line: str) -> None:
    with pytest.raises(check.LensmithError, match=line) as raised:
        act()
    assert "\n" not in str(raised.value)


# Training.


@pytest.mark.backends
@pytest.mark.parametrize("task", [Jigsaw(4), Jigsaw(9), Rotation()], ids=repr)
def test_a_view_shares_the_backbone_and_no_head(task: Any) -> None:
    model = network()
    view = with_task(model, task)
    assert view.output.shape == (None, task.answers)
    mine = {id(one) for one in view.weights}
    assert {one.path for one in model.weights if id(one) in mine} == set(weights(model, heads=False))
    own = [one.path for one in view.weights if id(one) not in {id(other) for other in model.weights}]
    assert own and all(path.startswith("task-pretext-") for path in own)


def test_models_without_feature_maps_and_of_ones_own() -> None:
    rows = Recipe((8, 8, 1), Flatten(), Dense((16, 8)), {"digit": Classify(10)}).build(seed=0)
    assert with_task(rows, Jigsaw(4)).count_params() == 64 * 16 + 16 + 16 * 8 + 8 + 8 * 24 + 24
    start = keras.Input((8, 8, 1))
    own = keras.Model(start, keras.layers.Dense(3, name="last")(keras.layers.Flatten()(start)))
    assert with_task(own, Rotation()).output.shape == (None, 4)
    maps = keras.layers.Conv2D(4, 3, name="conv")(start)
    pooled = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    view = with_task(keras.Model(start, pooled), Jigsaw(4))
    assert view.get_layer("task-pretext-dense1").kernel.shape == (6 * 6 * 4, 128)  # where things are stays known


@pytest.mark.parametrize("task", [Jigsaw(4, 6), Rotation()], ids=repr)
def test_learnt_above_chance_on_photos(task: Any) -> None:
    model = network(32)
    before, heads = weights(model, heads=False), weights(model, heads=True)
    history = pretext(
        model,
        photographed(400, seed=0),
        Preprocessing(image=(32, 32, 3)),
        task=task,
        stage=train.Fit(epochs=5, rate=3e-3),
        validation=photographed(100, seed=1),
    )
    assert history["val_accuracy"][-1] > 2 / task.answers, history.rows
    for path, array in weights(model, heads=True).items():
        np.testing.assert_array_equal(array, heads[path], err_msg=path)
    assert all(not np.array_equal(array, before[path]) for path, array in weights(model, heads=False).items())


class At(Silent):
    """Does something at a step."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_step(self, step: int, values: Any, waited: float) -> None:
        if step == self.step:
            self.act()


def run(folder: Path, progress: Any = None, task: Any = None) -> Any:
    """Two epochs of three steps; gives the model."""
    model = network()
    pretext(
        model,
        photographed(40, seed=0, side=16),
        SMALL,
        task=task or Jigsaw(9),
        stage=STAGE,
        validation=photographed(10, seed=1, side=16),
        size=16,
        augment=Augment(flip="horizontal"),
        folder=folder,
        resume=True,
        seed=4,
        progress=progress,
    )
    return model


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a stage that was left alone, and its model."""
    folder = tmp_path_factory.mktemp("untouched")
    return folder, run(folder)


@pytest.mark.parametrize("step", [2, 3, 5])
def test_interrupted_and_resumed_it_ends_with_the_same_bits(
    step: int, tmp_path: Path, untouched: tuple[Path, Any]
) -> None:
    folder, whole = untouched
    with pytest.raises(Interrupted, match=f"after step {step}"):
        run(tmp_path, At(step, lambda: signal.raise_signal(signal.SIGINT)))
    parted = run(tmp_path)
    assert (tmp_path / "history.jsonl").read_bytes() == (folder / "history.jsonl").read_bytes()
    mine, theirs = (checkpoint.latest(one / "checkpoints")[0] for one in (tmp_path, folder))
    for group in ("variables", "optimizer"):
        for (name, a), b in zip(mine.arrays(group).items(), theirs.arrays(group).values(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    for path, array in weights(whole, heads=False).items():
        np.testing.assert_array_equal(array, weights(parted, heads=False)[path], err_msg=path)


def test_a_finished_stage_is_not_trained_again(untouched: tuple[Path, Any]) -> None:
    folder, first = untouched

    def never() -> None:
        raise AssertionError("a step was made")

    again = run(folder, At(1, never))
    for path, array in weights(first, heads=False).items():
        np.testing.assert_array_equal(array, weights(again, heads=False)[path], err_msg=path)
    with pytest.raises(check.SettingError, match="resume: batches"):
        run(folder, task=Jigsaw(9, 32))


def test_as_the_second_stage_of_a_run() -> None:
    first = {"epoch": 1, "stage": 1, "loss": 1.0}
    history = pretext(
        network(),
        photographed(20, seed=0, side=16),
        SMALL,
        task=Rotation(),
        stage=train.Fit(epochs=1),
        earlier=Earlier(stage=2, epochs=1, steps=7, rows=(first,)),
    )
    assert [(row["epoch"], row["stage"]) for row in history.rows] == [(2, 2)]


def test_after_it_the_model_is_trained_on_its_labels() -> None:
    recipe = Recipe(
        (8, 8, 1), ConvStem(8, kernel=3, stride=1), Groups(Group(Basic(), filters=16)), {"label": Classify(10)}
    )
    model, input_ = recipe.build(seed=0), Preprocessing(image=(8, 8, 1))
    digits = data.bundled("digits")
    pretext(model, digits[:400], input_, task=Rotation(), stage=train.Fit(epochs=1))
    batches = data.batches(digits[:400], input_, seed=0)
    objective = train.Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax")
    history = train.fit(
        compose.logits(model), batches, stage=train.Fit(epochs=3, rate=1e-2), objectives={"label": objective}
    )
    assert history["accuracy"][-1] > 0.6, history.rows
    assert model.predict_on_batch(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 10)
