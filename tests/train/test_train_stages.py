"""Several stages in one folder, epochs of any length, norms that are held, and dropout that follows the gap."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_digits import CLASSES, Arrays, Killer, dense, digits, forgetful, train_with

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Constant, Fit, GapDropout, checkpoint
from lensmith.train.epochs import Resized
from lensmith.train.gap_dropout import Dropouts, dropouts
from lensmith.train.history import Earlier
from lensmith.train.loop import fit
from lensmith.train.state import arrays_of, put

UNSEEN = digits(300, 400, seed=None)
FIRST = Fit(epochs=2, rate=3e-3, checkpoint_every=4)
SECOND = Fit(epochs=2, rate=1e-3, schedule=Constant(), checkpoint_every=3)


class StopError(BaseException):
    """Ends a run as a kill would."""


def stop() -> None:
    raise StopError


def staged(model: Any, stage: Fit, earlier: Earlier, folder: Path, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"objectives": {"digit": CLASSES}, "validation": UNSEEN, "seed": 3, "resume": True}
    return fit(model, digits(0, 300), stage=stage, earlier=earlier, folder=folder, **arguments, **changes)


def two_stages(folder: Path) -> tuple[Any, Any, Earlier]:
    """A run of two stages: its model, the history of the second, and what came before that."""
    model = forgetful()
    history = staged(model, FIRST, Earlier(stage=1), folder)
    earlier = Earlier(2, history.epochs, history.steps, history.rows)
    (folder / "first.npz").write_bytes(b"")
    np.savez(folder / "first.npz", *model.get_weights())
    return model, staged(model, SECOND, earlier, folder), earlier


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any, Earlier]:
    folder = tmp_path_factory.mktemp("whole")
    return (folder, *two_stages(folder))


def names(folder: Path) -> list[str]:
    return [path.name for path in checkpoint.listed(folder / "checkpoints")]


def test_epochs_and_steps_are_counted_over_the_stages(whole: Any) -> None:
    folder, _, history, earlier = whole
    assert (earlier.epochs, earlier.steps) == (2, 20)
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["stage"]) for row in rows] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert rows == [*earlier.rows, *history.rows]
    assert (history.epochs, history.steps) == (2, 20)
    assert history.best.epoch in (3, 4) and history.best.step in (30, 40)
    assert history.restored == history.best.epoch
    assert "step-000040" in names(folder) and all(checkpoint.step_of(Path(name)) >= 30 for name in names(folder))
    for name in ("watch.jsonl", "timing.jsonl"):
        found = [json.loads(line)["epoch"] for line in (folder / name).read_text().splitlines()]
        assert found == [1, 2, 3, 4], name


@pytest.mark.parametrize("step", [1, 5, 10, 16])
def test_killed_in_the_second_stage_by_a_process_that_knows_only_the_weights_of_the_first(
    step: int, whole: Any, tmp_path: Path
) -> None:
    folder, model, history, earlier = whole
    staged(forgetful(), FIRST, Earlier(stage=1), tmp_path)

    def begun() -> Any:
        """The weights that the first stage left; the state of random layers is not among what is kept of it."""
        fresh = forgetful()
        kept = dict(zip(range(99), np.load(folder / "first.npz").values(), strict=False))
        fresh.set_weights([kept[place] for place in range(len(kept))])
        return fresh

    with pytest.raises(StopError):
        staged(begun(), SECOND, earlier, tmp_path, progress=Killer(step, stop))
    resumed = begun()
    assert staged(resumed, SECOND, earlier, tmp_path).rows == history.rows
    for a, b in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("history.jsonl", "watch.jsonl"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_checkpoints_of_an_earlier_stage_go_once_the_first_of_this_one_is_written(tmp_path: Path) -> None:
    staged(forgetful(), FIRST, Earlier(stage=1), tmp_path)
    before = names(tmp_path)
    assert "step-000020" in before
    with pytest.raises(StopError):
        staged(forgetful(), SECOND, Earlier(2, 2, 20), tmp_path, progress=Killer(1, stop))
    assert names(tmp_path) == ["step-000020"]
    assert checkpoint.read(tmp_path / "checkpoints" / "step-000020").state["stage"] == 2


def test_a_checkpoint_of_a_later_stage_is_refused(tmp_path: Path) -> None:
    staged(forgetful(), SECOND, Earlier(2, 2, 20), tmp_path)
    with pytest.raises(
        check.SettingError, match="expected a checkpoint of stage 1 or of an earlier one; got one of stage 2"
    ):
        staged(forgetful(), FIRST, Earlier(stage=1), tmp_path)


def test_where_the_only_checkpoint_of_a_stage_is_damaged_it_begins_anew(whole: Any, tmp_path: Path) -> None:
    staged(forgetful(), FIRST, Earlier(stage=1), tmp_path)
    older = tmp_path / "checkpoints" / "step-000016"
    with pytest.raises(StopError):
        staged(forgetful(), SECOND, Earlier(2, 2, 20), tmp_path, progress=Killer(5, stop))
    assert names(tmp_path) == ["step-000020", "step-000023"]
    (tmp_path / "checkpoints" / "step-000023" / "state.json").unlink()
    assert not older.exists()
    history = staged(forgetful(), SECOND, Earlier(2, 2, 20), tmp_path)  # from step 20, which is whole
    assert history.steps == 20


class Letters:
    """Three batches an epoch, which say which order they are of."""

    fingerprint = "letters"

    def __len__(self) -> int:
        return 3

    def epoch(self, number: int) -> Any:
        arrays = Arrays(np.array([f"{letter}{number}" for letter in "abc"]), np.zeros(3), size=1, seed=None)
        return arrays.epoch(0)


def shown(resized: Resized, number: int) -> list[str]:
    return [str(x[0]) for x, _ in resized.epoch(number)]


EPOCHS = [
    (1, 2, ["a2"]),  # the first of each order
    (3, 1, ["a1", "b1", "c1"]),  # as it is
    (4, 0, ["a0", "b0", "c0", "a1"]),  # goes on with the next, and leaves its rest
    (4, 1, ["a2", "b2", "c2", "a3"]),  # so that no order comes twice
    (6, 1, ["a2", "b2", "c2", "a3", "b3", "c3"]),
]


@pytest.mark.parametrize(("steps", "number", "expected"), EPOCHS)
def test_epochs_of_another_length(steps: int, number: int, expected: list[str]) -> None:
    assert shown(Resized(Letters(), steps), number) == expected
    assert len(Resized(Letters(), steps)) == steps


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 3))
def test_their_position_can_be_saved_and_set_anywhere(steps: int, made: int, number: int) -> None:
    resized = Resized(Letters(), steps)
    first = resized.epoch(number)
    before = [next(first)[0][0] for _ in range(min(made, steps))]
    state = json.loads(json.dumps(first.get_state()))
    again = resized.epoch(number)
    again.set_state(state)
    assert [*before, *(x[0] for x, _ in again)] == shown(resized, number)


@pytest.mark.parametrize("step", [6, 13, 20])
def test_a_run_with_steps_stopped_anywhere(step: int, tmp_path: Path) -> None:
    whole, history = train_with(None, "steps", resume=False)
    assert history.steps == 39
    with pytest.raises(StopError):
        train_with(tmp_path, "steps,often", progress=Killer(step, stop))
    model, same = train_with(tmp_path, "steps,often")
    assert same.rows == history.rows
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_held_norms_do_not_move_and_the_rest_trains() -> None:
    def moved(stage: Fit) -> set[str]:
        model = forgetful()
        before = {name: array.copy() for name, array in arrays_of(model.variables).items()}
        fit(model, digits(0, 96), stage=stage, objectives={"digit": CLASSES})
        assert all(layer.trainable for layer in model.layers)
        after = arrays_of(model.variables)
        return {name.split("/")[0] for name, array in before.items() if not np.array_equal(after[name], array)}

    stage = Fit(epochs=1)
    assert {"norm", "conv", "logits"} <= moved(stage)
    assert "norm" not in moved(replace(stage, hold_norms=True))
    assert {"conv", "logits"} <= moved(replace(stage, hold_norms=True))


def test_norms_inside_a_model_are_held_too() -> None:
    start = keras.Input((64,))
    inner = keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization()], name="inner")
    model = keras.Model(start, keras.layers.Dense(10)(inner(start)))
    norm = inner.layers[1]
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in norm.variables]
    fit(model, digits(0, 96), stage=Fit(epochs=1, hold_norms=True), objectives={"digit": CLASSES})
    for a, b in zip(before, norm.variables, strict=True):
        np.testing.assert_array_equal(a, keras.ops.convert_to_numpy(b))
    assert norm.trainable


def dropping(rate: float = 0.1, spatial: bool = False) -> Any:
    """A network whose output in training is its input with zeros in it, times 1 + a weight that is 0."""
    start = keras.Input((10, 100))
    kind = keras.layers.SpatialDropout1D if spatial else keras.layers.Dropout
    inner = keras.Sequential([kind(rate, seed=4, name="drop")])
    kernel = {"use_bias": False, "kernel_initializer": keras.initializers.Identity(), "name": "same"}
    return keras.Model(start, keras.layers.Dense(100, **kernel)(inner(start)))


def zeros(y_true: Any, y_pred: Any) -> Any:
    """The share of zeros in an output; the gradient of all else is 0."""
    return keras.ops.mean(keras.ops.cast(keras.ops.equal(y_pred, 0.0), "float32") + 0.0 * y_pred, axis=(1, 2))


@pytest.mark.backends
@pytest.mark.parametrize("spatial", [False, True])
def test_the_dropout_in_force_is_what_the_layer_says(spatial: bool) -> None:
    from lensmith.train import Objective
    from lensmith.train.compiled import compiled
    from lensmith.train.optimizers import build

    model = dropping(spatial=spatial)
    steps = compiled(model, {"value": Objective(zeros)}, build(Fit(rate=0.0)))
    found = dropouts(model, GapDropout(), validated=True)
    assert found is not None and found.own == (0.1,)
    x = np.ones((64, 10, 100), "float32")
    steps.build(x, x)
    for rates in ((0.1,), (0.5,), (0.3,)):
        found.put(rates)
        model.reset_metrics()
        assert steps.floats(steps.train(x, x))["loss"] == pytest.approx(rates[0], abs=0.03)


RATES = [
    # loss, val_loss, the rate of a layer with its own of 0.3 and a gain of 0.2
    (1.0, 1.0, 0.3),  # no gap
    (1.0, 2.0, 0.5),  # 0.3 + 0.2 * 1
    (0.5, 0.25, 0.2),  # 0.3 - 0.2 * 0.5: validation is easier
    (0.1, 1.0, 0.7),  # 0.3 + 0.2 * 9, but no more than the highest
    (1.0, -9.0, 0.0),  # no less than the lowest
    (None, 1.0, 0.3),  # as they are
    (0.0, 1.0, 0.3),
]


@pytest.mark.parametrize(("loss", "unseen", "expected"), RATES)
def test_how_it_follows_the_gap(loss: float | None, unseen: float, expected: float) -> None:
    layer = keras.layers.Dropout(0.3)
    found = Dropouts(None, (layer,), (0.3,), GapDropout(gain=0.2))
    assert found.after({"loss": loss, "val_loss": unseen}) == (expected,)


def test_it_changes_what_is_learnt_and_is_given_back_after() -> None:
    model = forgetful()
    arguments = {"objectives": {"digit": CLASSES}, "validation": UNSEEN}
    stage = Fit(epochs=3, rate=3e-3)
    plain = fit(forgetful(), digits(0, 300), stage=stage, **arguments)
    history = fit(model, digits(0, 300), stage=replace(stage, dropout=GapDropout(gain=1.0)), **arguments)
    assert [row["loss"] for row in history.rows[:1]] == [row["loss"] for row in plain.rows[:1]]
    assert history["loss"][1] != plain["loss"][1]
    assert history["dropout"][0] == 0.25 and history["dropout"][1] != 0.25
    assert "dropout" not in plain.rows[0]
    assert [layer.rate for layer in model.layers if layer.name.startswith("drop")] == [0.2, 0.3]


@pytest.mark.backends
def test_the_rates_are_in_the_checkpoint(tmp_path: Path) -> None:
    whole, history = train_with(None, "dropout", resume=False)
    with pytest.raises(StopError):
        train_with(tmp_path, "dropout,often", progress=Killer(15, stop))
    model, same = train_with(tmp_path, "dropout,often")
    assert same.rows == history.rows
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("model", "validation", "words"),
    [(dense, UNSEEN, "a model with dropout layers"), (forgetful, None, "dropout: expected validation")],
)
def test_where_it_cannot_be(model: Any, validation: Any, words: str) -> None:
    stage = Fit(epochs=1, dropout=GapDropout())
    with pytest.raises(check.SettingError, match=words):
        fit(model(), digits(0, 64), stage=stage, objectives={"digit": CLASSES}, validation=validation)


def test_a_plateau_cuts_the_rate_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    whole, history = train_with(None, "plateau", resume=False)
    assert history["rate"] == [3e-3, 3e-3, 1.5e-3]
    with pytest.raises(StopError):
        train_with(tmp_path, "plateau,often", progress=Killer(25, stop))
    model, same = train_with(tmp_path, "plateau,often")
    assert same.rows == history.rows
    put(model.trainable_variables, arrays_of(whole.trainable_variables), "the same names")
