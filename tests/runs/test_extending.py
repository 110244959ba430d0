"""Continuous learning: more examples for a finished run, whose old split is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from lensmith import check, runs, train

SPEC = """\
data: {{source: {}, batch: 16}}
model:
  learner: {{part: groups, groups: [{{block: {{part: conv, norm: before}}, filters: 8, pool: 2}}]}}
  tasks: {{label: {{part: classify, pool: flatten}}}}
ship: null
train:
  - {{stage: fit, epochs: 3, rate: 0.02}}
  - {{stage: evaluate}}
"""


def folder_of(root: Path, first: int, last: int) -> Path:
    """A folder per class of some of scikit-learn's digits, threes to fives."""
    digits = load_digits()
    for number in range(first, last):
        name = {3: "three", 4: "four", 5: "five"}.get(int(digits.target[number]))
        if name is not None:
            path = root / name / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((digits.images[number] * 15).astype(np.uint8)).save(path)
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("extending")
    folder_of(root / "first", 0, 400)
    folder_of(root / "more", 300, 700)  # a hundred of them, of all classes, are known
    (root / "spec.yaml").write_text(SPEC.format("first"))
    return root


@pytest.fixture(scope="module")
def finished(place: Path) -> runs.Run:
    return runs.begin(place / "run", runs.prepare(runs.read_spec(place / "spec.yaml")))


@pytest.fixture
def copied(finished: runs.Run, tmp_path: Path) -> Path:
    shutil.copytree(finished.folder.path, tmp_path / "run")
    return tmp_path / "run"


def parts(run: Path) -> dict[str, set[str]]:
    noted = json.loads((run / "data.json").read_text())["parts"]
    return {name: {entry["sha256"] for entry in part} for name, part in noted.items()}


def test_a_run_trains_on_with_more_examples(copied: Path, place: Path, finished: runs.Run) -> None:
    before, rows = parts(copied), finished.folder.history.read_text().splitlines()
    spec = runs.extend(copied, place / "more", last={"epochs": 2})
    assert [stage.stage for stage in spec.train] == ["fit", "fit"]
    assert spec.train[1].rate == pytest.approx(0.3 * 0.02), "gentler than the stage before"
    run = runs.resume(copied)
    after = parts(copied)
    for name, known in before.items():
        assert known < after[name], "what stood in a part stands there still, and new ones have joined it"
    counts = {name: len(part) for name, part in after.items()}
    total = sum(counts.values())
    assert total == len({*before["train"], *before["validation"], *before["test"]} | set.union(*after.values()))
    assert counts["train"] / total == pytest.approx(0.6, abs=0.03)
    results = run.results or {}
    assert [stage["name"] for stage in results["stages"]] == ["1-fit", "2-fit"]
    assert results["before"]["examples"] == results["examples"] == counts["test"]
    assert results["evaluations"] == 3, "twice by the two trainings, and once before the second"
    again = [json.loads(line) for line in run.folder.history.read_text().splitlines()]
    assert [row["epoch"] for row in again] == [1, 2, 3, 4, 5]
    assert again[:3] == [json.loads(row) for row in rows], "the old history stands"
    assert [row["stage"] for row in again] == [1, 1, 1, 2, 2]


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    def on_epoch(self, row: object, waited: float) -> None:
        raise Stop


def test_a_stop_while_training_on_changes_nothing(copied: Path, place: Path, tmp_path: Path) -> None:
    shutil.copytree(copied, tmp_path / "other")
    weights = []
    for folder, stopped in ((copied, False), (tmp_path / "other", True)):
        runs.extend(folder, place / "more", last={"epochs": 2})
        if stopped:
            with pytest.raises(Stop):
                runs.resume(folder, progress=Killer())
        weights.append(load_file(runs.resume(folder).folder.model / "weights.safetensors"))
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name], err_msg=name)


def test_a_kill_between_the_two_files_is_put_right(copied: Path, place: Path) -> None:
    """The data are noted first; the spec follows, and if it could not, at the next resume."""
    old = (copied / "spec.yaml").read_text()
    runs.extend(copied, place / "more", last={"epochs": 1})
    new = (copied / "spec.yaml").read_text()
    (copied / "spec.yaml").write_text(old)
    run = runs.resume(copied)
    assert run.folder.spec.read_text() == new
    assert len((run.results or {})["stages"]) == 2


def test_a_kill_between_the_two_files_does_not_hinder_the_same_words(copied: Path, place: Path) -> None:
    old = (copied / "spec.yaml").read_text()
    runs.extend(copied, place / "more", last={"epochs": 1})
    (copied / "spec.yaml").write_text(old)
    with pytest.raises(check.SettingError, match="Finish it first: lensmith train --resume"):
        runs.extend(copied, place / "more", last={"epochs": 1})
    assert len((runs.resume(copied).results or {})["stages"]) == 2


def test_a_run_trains_on_twice(copied: Path, tmp_path: Path) -> None:
    folder_of(tmp_path / "one", 400, 500)
    folder_of(tmp_path / "two", 500, 600)
    sizes = []
    for name in ("one", "two"):
        runs.extend(copied, tmp_path / name, last={"epochs": 1})
        results = runs.resume(copied).results or {}
        sizes.append(sum(len(part) for part in parts(copied).values()))
    assert [stage["name"] for stage in results["stages"]] == ["1-fit", "2-fit", "3-fit"]
    assert sizes[0] < sizes[1]
    assert results["evaluations"] == 5


def test_a_test_image_in_disguise_does_not_train(copied: Path, tmp_path: Path) -> None:
    """The same pixels in another file, of another name and format, stay in the test part."""
    noted = json.loads((copied / "data.json").read_text())["parts"]
    folder_of(tmp_path / "more", 400, 500)
    hidden = []
    for number, entry in enumerate(noted["test"][:10]):
        source = Path(entry["source"])
        path = tmp_path / "more" / source.parent.name / f"disguised-{number}.bmp"
        Image.open(source).save(path)
        hidden.append(str(path))
    runs.extend(copied, tmp_path / "more", last={"epochs": 1})
    after = json.loads((copied / "data.json").read_text())["parts"]
    assert not set(hidden) & {entry["source"] for name in ("train", "validation") for entry in after[name]}
    assert set(hidden) <= {entry["source"] for entry in after["test"]}


def test_parts_of_the_new_source_are_kept(copied: Path, tmp_path: Path) -> None:
    folder_of(tmp_path / "more" / "train", 400, 550)
    folder_of(tmp_path / "more" / "test", 550, 600)
    runs.extend(copied, tmp_path / "more", last={"epochs": 1})
    after = json.loads((copied / "data.json").read_text())["parts"]
    for name in ("train", "validation"):
        assert not [entry for entry in after[name] if "/more/test/" in entry["source"]]
    assert [entry for entry in after["test"] if "/more/test/" in entry["source"]]
    assert len((runs.resume(copied).results or {})["stages"]) == 2


def test_nothing_new_is_said(copied: Path, place: Path) -> None:
    with pytest.raises(check.DataError, match="expected examples that the run does not know; got none"):
        runs.extend(copied, place / "first")


def test_an_unknown_class_is_refused(copied: Path, tmp_path: Path) -> None:
    Image.fromarray(np.eye(8, dtype=np.uint8) * 200).save(_made(tmp_path / "strange" / "nine") / "1.png")
    Image.fromarray(np.eye(8, dtype=np.uint8)[::-1] * 200).save(_made(tmp_path / "strange" / "three") / "1.png")
    with pytest.raises(check.DataError, match=r"classes the model knows \(.*\); got nine"):
        runs.extend(copied, tmp_path / "strange")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_an_unfinished_run_is_not_extended(copied: Path, place: Path) -> None:
    (copied / "results.json").unlink()
    with pytest.raises(check.SettingError, match="a run that has finished"):
        runs.extend(copied, place / "more")
