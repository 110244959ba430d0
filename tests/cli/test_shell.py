"""The shell: every verb as a user calls it, its document, its exit status."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calling import document, lensmith, process
from PIL import Image

from lensmith import runs, train
from lensmith.data.pipeline.memory import BUDGET

TINY = """\
data: {source: "SOURCE", batch: 6}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
  tasks: {label: {part: classify, pool: flatten}}
train: [{epochs: 4, rate: 0.01}]
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes that can be told apart: 30 dark and 30 bright pictures, and one broken file."""
    folder = tmp_path_factory.mktemp("data") / "my photos"
    random = np.random.default_rng(0)
    for name, level in (("bright", 190), ("dark", 60)):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            pixels = np.clip(random.normal(level, 20, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02}.png")
    (folder / "dark" / "broken.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path) -> dict[str, Any]:
    spec = photos.parent / "spec.yaml"
    spec.write_text(TINY.replace("SOURCE", "my photos"))
    return document(lensmith("train", spec, "--run", photos.parent / "run", "--json"))


def test_the_demo_keeps_its_promise(tmp_path: Path) -> None:
    told = document(lensmith("demo", "--json", cwd=tmp_path))
    assert told["test_accuracy"] >= 0.97
    assert told["parity_max_difference"] <= 1e-4
    assert {"seconds", "run", "report", "artifact"} <= told.keys()
    assert all((tmp_path / told[name]).exists() for name in ("run", "report", "artifact"))
    assert len(told["prediction"]["tasks"]["label"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_train_reports_and_ships(trained: dict[str, Any]) -> None:
    for name in ("run", "report", "artifact"):
        assert Path(trained[name]).exists()
    assert trained["part"] == "test"
    assert trained["accuracy"] >= 0.9
    assert trained["parity_max_difference"] <= 1e-4
    assert (Path(trained["run"]) / "model" / "weights.safetensors").is_file()
    noted = json.loads((Path(trained["run"]) / "data.json").read_text())
    assert [Path(entry["source"]).name for entry in noted["set_aside"]] == ["broken.jpg"]


@pytest.mark.parametrize("what", ["run", "artifact"])
def test_evaluate(trained: dict[str, Any], photos: Path, what: str) -> None:
    values = document(lensmith("evaluate", trained[what], photos, "--json"))
    assert values["examples"] == 60
    assert {"loss", "accuracy"} <= values.keys()
    assert [(row["name"], row["examples"]) for row in values["classes"]["label"]] == [("bright", 30), ("dark", 30)]


def test_predict_gives_the_same_from_run_and_artifact(trained: dict[str, Any], photos: Path) -> None:
    image = photos / "dark" / "03.png"
    answers = [document(lensmith("predict", trained[what], image, "--json")) for what in ("run", "artifact")]
    for answer in answers:
        assert answer[0]["source"] == str(image)
        assert answer[0]["tasks"]["label"][0]["label"] == "dark"
    scores = [answer[0]["tasks"]["label"][0]["score"] for answer in answers]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_report_and_ship_again(trained: dict[str, Any], tmp_path: Path) -> None:
    assert document(lensmith("report", trained["run"], "--json"))["report"] == trained["report"]
    shipped = document(lensmith("ship", trained["run"], "--to", "onnx", "--out", tmp_path / "again.onnx", "--json"))
    assert Path(shipped["artifact"]).is_file()
    assert shipped["proof"]["max_difference"] <= 1e-4


def test_resume_of_a_finished_run_says_the_same(trained: dict[str, Any]) -> None:
    again = document(lensmith("train", "--resume", trained["run"], "--json"))
    changes = {"seconds": 0, "evaluations": 1}  # others of these tests look at its test part
    assert {**again, **changes} == {**trained, **changes}


def test_a_dry_run_writes_nothing(photos: Path, tmp_path: Path) -> None:
    done = lensmith("train", photos, "--dry-run", "--epochs", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing was trained" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_zoo_and_doctor() -> None:
    one = document(lensmith("zoo", "resnet20-cifar-v1", "--json"))
    assert (one["trainable_parameters"], one["input"]) == (269_722, [32, 32, 3])
    well = document(lensmith("doctor", "--json"))
    assert well["backend"] in well["installed"]
    assert "keras" in well["versions"]
    assert well["troubles"] == []


def test_doctor_names_what_mends() -> None:
    done = process("doctor", "--json", KERAS_BACKEND="tensorflow")
    if "tensorflow" in json.loads(done.stdout)["installed"]:
        pytest.skip("TensorFlow is installed here, so naming it is no trouble")
    assert done.returncode == 1
    assert "KERAS_BACKEND" in json.loads(done.stdout)["troubles"][0]["message"]
    assert json.loads(done.stdout)["troubles"][0]["command"] == "unset KERAS_BACKEND"


def test_nothing_is_left_in_the_home_folder(tmp_path: Path) -> None:
    assert process("doctor", HOME=str(tmp_path)).returncode == 0
    assert list(tmp_path.iterdir()) == []


# Each row: the words, the exit status, and what the one line on standard error says.
REFUSED = [
    (["train"], 2, "expected DATA or SPEC"),
    (["train", "nowhere"], 1, "nowhere"),
    (["train", "nowhere.yaml"], 2, "cannot be read"),
    (["train", "--resume", "nowhere"], 2, "expected the folder of a run"),
    (["train", "bundled:digit"], 2, "Did you mean"),
    (["train", "bundled:digits", "--model", "resnet19-v1"], 2, "Did you mean 'resnet18-v1'?"),
    (["train", "bundled:digits", "--image", "64"], 2, "HEIGHTxWIDTHxCHANNELS"),
    (["train", "bundled:digits", "--model", "vgg16", "--dry-run"], 2, "input"),
    (["evaluate", "nowhere", "bundled:digits"], 2, "expected a run, a saved model or an artifact"),
    (["predict", "nowhere", "a.png"], 2, "expected a run, a saved model or an artifact"),
    (["report", "nowhere"], 2, "expected the folder of a run"),
    (["zoo", "vgg15"], 2, "Did you mean"),
]


@pytest.mark.parametrize(("words", "status", "says"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_refusals_are_one_line_with_a_status(words: list[str], status: int, says: str, tmp_path: Path) -> None:
    done = lensmith(*words, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("lensmith: ")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_the_data_is_refused_with_the_line_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("data: {source: 'bundled:digits'}\nmodel:\n  tasks: {label: regress}\n")
    done = lensmith("train", "spec.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("lensmith: spec.yaml, line 3: model.tasks.label: expected classify")


def test_wrong_usage_has_its_own_status() -> None:
    assert lensmith("trian").returncode == 2
    assert lensmith("train", "--epochs", "none", "x").returncode == 2
    assert lensmith("--version").stdout.strip()


def test_the_help_of_train_states_the_defaults_there_are() -> None:
    fit, split = train.Fit(), runs.SplitSpec()
    shown = " ".join(lensmith("train", "--help").stdout.replace("│", " ").split())
    assert f"[default: ({fit.epochs})]" in shown and f"[default: ({fit.rate:g})]" in shown
    assert f"({split.train:.0%}/{split.validation:.0%}/{split.test:.0%})".replace("%", "") in shown
    assert f"({BUDGET >> 20})" in shown
