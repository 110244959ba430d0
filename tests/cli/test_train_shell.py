"""Training from the shell: the plan that is used, trying first, training on, and what a machine is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calling import document, lensmith
from PIL import Image

from boxed_scenes import WRITERS, folder_of, scenes

NET = """\
data: {source: photos, batch: 6}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2}]}
  tasks: {label: {part: classify, pool: flatten}}
ship: null
"""


def drawn(folder: Path, first: int, last: int) -> None:
    """Dark and bright pictures that can be told apart."""
    random = np.random.default_rng(first)
    for name, level in (("bright", 190), ("dark", 60)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, last):
            pixels = np.clip(random.normal(level, 25, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    drawn(root / "photos", 0, 30)
    drawn(root / "more", 30, 42)
    (root / "spec.yaml").write_text(f"{NET}train: [{{stage: warmup, rate: 0.01}}, {{epochs: 3, rate: 0.01}}]\n")
    return root


@pytest.fixture(scope="module")
def trained(place: Path) -> dict[str, Any]:
    told: dict[str, Any] = document(lensmith("train", place / "spec.yaml", "--run", place / "run", "--json"))
    return told


def test_a_machine_is_told_of_stages_and_diagnosis(trained: dict[str, Any], place: Path) -> None:
    assert [stage["name"] for stage in trained["stages"]] == ["1-warmup", "2-fit"]
    assert (trained["evaluations"], trained["before"]) == (1, None)
    told = document(lensmith("report", place / "run", "--json"))
    assert told["diagnosis"] == trained["diagnosis"]
    assert told["finished"] is True
    assert all(one.keys() == {"kind", "epoch", "evidence", "advice"} for one in told["diagnosis"])


def test_looking_at_the_test_part_again_is_marked(trained: dict[str, Any], place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    assert lensmith("evaluate", tmp_path / "run", place / "more").returncode == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["evaluations"] == 1, "other examples"
    assert lensmith("evaluate", tmp_path / "run", place / "photos").returncode == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["evaluations"] == 2


def test_without_a_plan_the_usual_one_is_printed(place: Path) -> None:
    shown = lensmith("train", place / "photos", "--epochs", 3, "--dry-run").stdout
    assert "Plan: 1 fit           3 epochs, adam at 0.001, cosine\n" in shown
    assert "      2 evaluate      on the test part, once\n" in shown


def test_with_a_trained_backbone_the_heads_come_first(trained: dict[str, Any], place: Path) -> None:
    shown = lensmith("train", place / "photos", "--from", place / "run", "--dry-run").stdout
    assert "1 fit           30 epochs, adam at 0.001, cosine; learner frozen, run once and kept" in shown
    assert "2 fit           10 epochs, adam at 5e-05, cosine" in shown
    told = document(lensmith("train", place / "photos", "--from", place / "run", "--epochs", 2, "--dry-run", "--json"))
    assert [stage.get("epochs") for stage in told["spec"]["train"]] == [30, 2], "--epochs is for the last fit"
    shown = lensmith("train", place / "photos", "--from", place / "run", "--freeze", "learner", "--dry-run").stdout
    assert "1 fit           20 epochs, adam at 0.001, cosine; learner frozen\n" in shown, "one stage, as asked for"


def test_transfer_says_what_each_stage_gained(trained: dict[str, Any], place: Path) -> None:
    done = lensmith("train", place / "photos", "--from", place / "run", "--epochs", 1, "--run", place / "transfer")
    assert done.returncode == 0, done.stderr
    assert "heads alone: val_accuracy" in done.stdout
    assert (place / "transfer" / "features").is_dir()


def test_a_run_trains_on_with_more(trained: dict[str, Any], place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    words = ("train", "--resume", tmp_path / "run", "--data", place / "more", "--epochs", 1, "--json")
    told = document(lensmith(*words))
    assert [stage["name"] for stage in told["stages"]] == ["1-warmup", "2-fit", "3-fit"]
    assert told["before"]["examples"] == told["examples"] > trained["examples"]


def test_one_batch_is_tried_first(place: Path, tmp_path: Path) -> None:
    done = lensmith("train", place / "spec.yaml", "--try-one-batch", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "One batch: the loss went from" in done.stdout
    slow = tmp_path / "slow.yaml"
    slow.write_text(NET.replace("source: photos", f"source: {place / 'photos'}") + "train: [{rate: 1.0e-9}]\n")
    done = lensmith("train", slow, "--try-one-batch", "--run", tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr.startswith("lensmith: --try-one-batch: ")
    assert not (tmp_path / "run").exists()


def test_advice_is_measured(trained: dict[str, Any], place: Path) -> None:
    told = document(lensmith("train", place / "photos", "--from", place / "run", "--advise", "--json"))
    assert [way["name"] for way in told["ways"]] == ["head", "fine-tune", "scratch"]
    assert told["best"] in ("head", "fine-tune", "scratch")


def test_a_run_that_stopped_tells_what_it_knows(place: Path) -> None:
    """The rate makes the loss no number in the second epoch."""
    plan = "train: [{stage: warmup, rate: 0.01}, {epochs: 2, rate: 1.0e+30, optimizer: sgd}]\n"
    (place / "stops.yaml").write_text(NET + plan)
    done = lensmith("train", place / "stops.yaml", "--run", place / "stops")
    assert done.returncode == 1
    assert "Noticed   the loss is nan in epoch 2: " in done.stdout
    assert done.stderr.splitlines()[-1].startswith("lensmith: epoch 2, ")
    told = document(lensmith("report", place / "stops", "--json"))
    assert (told["finished"], told["results"]) == (False, {})
    assert (told["diagnosis"][0]["kind"], told["diagnosis"][0]["epoch"]) == ("divergence", 2)
    assert Path(told["report"]).is_file()
    shown = lensmith("report", place / "stops")
    assert shown.returncode == 0
    assert "Noticed   the loss is nan" in shown.stdout
    assert (
        "The run has not finished. Begin another as advised, or go on with this: lensmith train --resume"
        in shown.stdout
    )


# Each row: words after train, and what the refusal must say.
WRONG: list[tuple[list[str], str]] = [
    (["--resume", "RUN", "--epochs", "3"], "--resume: expected nothing else: the run knows all; got epochs beside it"),
    (["--resume", "RUN", "--data", "MORE", "--batch", "3"], "expected only --epochs, --rate and --freeze; got batch"),
    (["--data", "MORE"], "train: expected DATA or SPEC, or --resume FOLDER; got --data alone"),
    (["PHOTOS", "--advise"], "--advise: expected trained weights to begin from; got none. Say --from"),
]


@pytest.mark.parametrize(("words", "refusal"), WRONG)
def test_what_does_not_go_together_is_refused(
    trained: dict[str, Any], place: Path, words: list[str], refusal: str
) -> None:
    there = {"RUN": place / "run", "MORE": place / "more", "PHOTOS": place / "photos"}
    done = lensmith("train", *(there.get(word, word) for word in words))
    assert done.returncode == 2
    assert refusal in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_of_boxes_trains_a_detector(kind: str, tmp_path: Path) -> None:
    """Its task is found by looking, the audit and the anchors are shown first, and precision by epoch."""
    folder = folder_of(tmp_path / "data", kind, scenes(20))
    done = lensmith("train", folder, "--run", tmp_path / "run", "--epochs", 1)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "Anchors of objects: " in said
    assert "mean IoU with the boxes" in said
    row = json.loads((tmp_path / "run" / "history.jsonl").read_text())
    assert {"val_map50", "val_map"} <= row.keys()
    assert "yolo-v3-tiny" in (tmp_path / "run" / "spec.yaml").read_text()
