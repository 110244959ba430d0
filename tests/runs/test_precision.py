"""Mixed precision in runs: trained with computations in bfloat16; saved, judged and shipped in float32."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ending import Killer, Stop
from lensmith import compose, runs, train
from lensmith.backend import keras
from lensmith.check import SettingError
from lensmith.cli.train import with_options
from lensmith.compose.views import heads
from lensmith.runs import precision
from lensmith.runs.folder import RunFolder

NET = """\
data: {source: "bundled:digits", batch: 32}
model:
  precision: mixed_bfloat16
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
  tasks: {label: {part: classify, pool: flatten}}
"""
PLAN = "train: [{epochs: 3, rate: 0.01, average: 0.9, checkpoint_every: 5}]\n"

# Every kind of stage that touches the model, and steps that gather gradients.
STAGES = """\
data: {source: "bundled:digits", batch: 16, split: {train: 0.2, validation: 0.1, test: 0.7}}
model:
  precision: mixed_bfloat16
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
  tasks: {label: {part: classify, pool: average, dropout: 0.2}}
ship: null
train:
  - {stage: draw, draws: 2, steps: 2}
  - {stage: pretext, task: rotation, epochs: 1}
  - {stage: warmup, rate: 0.02}
  - {stage: fit, epochs: 1, rate: 0.02, freeze: learner, features: true}
  - {stage: fit, epochs: 1, rate: 0.01, image: [16, 16, 1], accumulate: 2, checkpoint_every: 3}
"""


def begun(folder: Path, text: str, progress: train.Progress | None = None) -> runs.Run:
    return runs.begin(folder, runs.prepare(runs.parse_spec(text)), progress=progress)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    return begun(tmp_path_factory.mktemp("precision") / "run", NET + PLAN)


def same_end(run: RunFolder, other: RunFolder) -> bool:
    weights, others = (load_file(folder.model / "weights.safetensors") for folder in (run, other))
    same = all(np.array_equal(weights[name], others[name]) for name in weights)
    return same and weights.keys() == others.keys() and run.history.read_bytes() == other.history.read_bytes()


def test_what_comes_of_a_run_is_plain_float32(finished: runs.Run) -> None:
    results = finished.results or {}
    assert results["metrics"]["accuracy"] > 0.85
    if finished.artifact is not None:  # a backend may not export
        assert results["proof"]["max_difference"] <= 1e-4, "the artifact gives what the saved model gives"
    assert {array.dtype for array in load_file(finished.folder.model / "weights.safetensors").values()} == {
        np.dtype("float32")
    }
    model = finished.saved().model
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    spec = runs.read_spec(finished.folder.spec)
    assert spec.model.precision == "mixed_bfloat16", "the run's own spec says how it was trained"


def test_what_is_saved_has_the_weights_that_were_trained(finished: runs.Run) -> None:
    [stage] = finished.folder.stages.glob("*/weights.safetensors")
    kept, saved = load_file(stage), load_file(finished.folder.model / "weights.safetensors")
    shared = [name for name in saved if name in kept]
    assert len(shared) >= 6
    assert all(np.array_equal(saved[name], kept[name]) for name in shared)


def test_it_is_not_trained_in_float32(finished: runs.Run, tmp_path: Path) -> None:
    plain = begun(tmp_path / "plain", NET.replace("mixed_bfloat16", "float32") + PLAN.replace("3", "1", 1))
    first, other = (json.loads(run.folder.history.read_text().splitlines()[0])["loss"] for run in (finished, plain))
    assert first != other
    assert first == pytest.approx(other, rel=0.1), "and it is near it"


@pytest.mark.parametrize("at", [3, 38, 80])  # before the first checkpoint, in the second epoch, in the third
def test_a_stopped_run_ends_with_the_same_bits(finished: runs.Run, tmp_path: Path, at: int) -> None:
    with pytest.raises(Stop):
        begun(tmp_path / "cut", NET + PLAN, Killer(at))
    assert keras.config.dtype_policy().name == "float32", "nothing of it is left over in the process"
    assert same_end(runs.resume(tmp_path / "cut").folder, finished.folder)


def test_every_kind_of_stage_fits_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = begun(tmp_path / "whole", STAGES)
    steps = sum(stage["steps"] for stage in (whole.results or {})["stages"])
    assert steps > 80
    for at in (30, 60, steps - 4):  # in the warm-up, on features, on larger images
        with pytest.raises(Stop):
            begun(tmp_path / f"cut-{at}", STAGES, Killer(at))
        assert same_end(runs.resume(tmp_path / f"cut-{at}").folder, whole.folder)


RECIPE = compose.Recipe(
    input=(8, 8, 1),
    stem=compose.Flatten(),
    learner=compose.Dense((16,)),
    tasks={"label": compose.Classify(10)},
)
IMAGES = np.random.default_rng(0).uniform(0, 1, (8, 8, 8, 1)).astype(np.float32)


def test_logits_are_float32_and_layers_before_them_compute_in_half() -> None:
    model = precision.build(RECIPE, "mixed_bfloat16", seed=0)
    kinds = {layer.name: layer.compute_dtype for layer in model.layers if layer.weights}
    [head] = heads(model).values()
    assert kinds.pop(head) == "float32"
    assert set(kinds.values()) == {"bfloat16"}
    logits = compose.logits(model)(IMAGES)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    # bfloat16 has 8 bits, a relative error of 2**-9 a number: near, and not the same.
    plain = keras.ops.convert_to_numpy(compose.logits(RECIPE.build(seed=0))(IMAGES))
    found = keras.ops.convert_to_numpy(logits)
    assert 0 < np.abs(found - plain).max() < 0.05


def test_the_model_begins_with_the_weights_of_the_plain_one() -> None:
    both = precision.build(RECIPE, "mixed_bfloat16", seed=3), RECIPE.build(seed=3, auxiliaries=True)
    assert all(np.array_equal(*pair) for pair in zip(*(model.get_weights() for model in both), strict=True))
    assert [weight.path for weight in both[0].weights] == [weight.path for weight in both[1].weights]


def test_settling_brings_the_used_model_up_to_the_trained_one() -> None:
    trained = precision.build(RECIPE, "mixed_bfloat16", seed=3)
    used = precision.used(trained, RECIPE, "mixed_bfloat16")
    trained.set_weights([weight + 1 for weight in trained.get_weights()])
    precision.settle(used, trained)
    assert all(map(np.array_equal, used.get_weights(), trained.get_weights()))
    plain = RECIPE.build(seed=3)
    assert precision.used(plain, RECIPE, "float32") is plain, "in float32 there is one model only"


def test_the_policy_comes_back_after_an_error() -> None:
    before = keras.config.dtype_policy().name
    with pytest.raises(ZeroDivisionError), precision.computing("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        1 / 0  # noqa: B018
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize(
    "asked, said",
    [
        ("mixed_bfloat", "'float32' or 'mixed_bfloat16'; got 'mixed_bfloat'"),
        # Its gradients vanish without a scale of the loss.
        ("mixed_float16", "'float32' or 'mixed_bfloat16', which needs no scaling of the loss; got 'mixed_float16'"),
    ],
)
def test_another_precision_is_refused_with_its_line(asked: str, said: str) -> None:
    with pytest.raises(SettingError) as error:
        runs.parse_spec(NET.replace("mixed_bfloat16", asked))
    assert str(error.value).startswith("spec, line 3: model.precision: expected ")
    assert said in str(error.value)


def test_a_batch_is_learnt_by_heart_in_the_same_precision() -> None:
    prepared = runs.prepare(runs.parse_spec(NET + PLAN))
    assert prepared.spec.model.precision == "mixed_bfloat16"
    assert runs.try_one_batch(prepared).learnt


def test_a_run_of_a_time_without_precision_is_continued(tmp_path: Path) -> None:
    text = NET.replace("  precision: mixed_bfloat16\n", "") + PLAN
    with pytest.raises(Stop):
        begun(tmp_path / "old", text, Killer(38))
    folder = RunFolder(tmp_path / "old")
    noted = json.loads(folder.data.read_text())
    assert noted["spec"]["model"].pop("precision") == "float32"
    folder.data.write_text(json.dumps(noted))
    lines = folder.spec.read_text()
    folder.spec.write_text(lines.replace("  precision: float32\n", ""))
    assert "precision" not in folder.spec.read_text()
    assert same_end(runs.resume(folder.path).folder, begun(tmp_path / "new", text).folder)


def test_the_command_line_sets_it_and_keeps_the_rest() -> None:
    spec = runs.parse_spec(NET.replace("  precision: mixed_bfloat16\n", ""))
    changed = with_options(spec, {"precision": "mixed_bfloat16"})
    assert changed.model == spec.model.model_copy(update={"precision": "mixed_bfloat16"})
    with pytest.raises(SettingError, match="precision: expected 'float32' or 'mixed_bfloat16'; got 'half'"):
        with_options(spec, {"precision": "half"})
