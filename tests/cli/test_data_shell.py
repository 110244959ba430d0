"""The verbs that look at data: audit, data show, data convert, data split."""

import json
from pathlib import Path

import numpy as np
import pytest
from calling import document, lensmith
from PIL import Image

FIELDS = {"kind", "severity", "files", "message", "remedy"}


def picture(seed: int, size: tuple[int, int] = (60, 80)) -> Image.Image:
    """Something like a photo: coarse shapes with fine noise; every seed another one."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size[::-1], Image.BICUBIC)
    noise = random.normal(0, 6, (*size, 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve photos in two class folders."""
    for seed in range(12):
        folder = tmp_path / "my photos" / ("cat", "dog")[seed % 2]
        folder.mkdir(parents=True, exist_ok=True)
        picture(seed).save(folder / f"{seed:02}.jpg", quality=92)
    return tmp_path / "my photos"


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Train and test folders; one test picture is a training picture saved again, smaller."""
    for part, seeds in (("train", range(12)), ("test", range(12, 18))):
        for seed in seeds:
            folder = tmp_path / "leaky" / part / ("cat", "dog")[seed % 2]
            folder.mkdir(parents=True, exist_ok=True)
            picture(seed).save(folder / f"{seed:02}.jpg", quality=92)
    picture(4).resize((60, 45)).save(tmp_path / "leaky" / "test" / "cat" / "seen.jpg", quality=70)
    return tmp_path / "leaky"


def test_a_clean_folder_is_audited_with_status_0(photos: Path) -> None:
    found = document(lensmith("audit", photos, "--json"))
    assert found["examples"] == 12
    assert not [finding for finding in found["findings"] if finding["severity"] == "severe"]


def test_planted_faults_are_found_and_told(photos: Path) -> None:
    (photos / "cat" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
    (photos / "dog" / "broken.jpg").write_bytes(b"not a picture")
    found = document(lensmith("audit", photos, "--json"))
    assert all(finding.keys() >= FIELDS for finding in found["findings"])
    by_kind = {finding["kind"]: finding for finding in found["findings"]}
    assert {Path(name).name for name in by_kind["duplicate"]["files"]} == {"00.jpg", "copy.jpg"}
    assert [Path(name).name for name in by_kind["unreadable"]["files"]] == ["broken.jpg"]
    assert "lensmith data convert" in by_kind["duplicate"]["remedy"]


def test_a_leak_is_severe_and_stops_training(leaky: Path) -> None:
    done = lensmith("audit", leaky, "--json")
    assert done.returncode == 3
    [leak] = [finding for finding in json.loads(done.stdout)["findings"] if finding["kind"] == "leakage"]
    assert leak["severity"] == "severe"
    assert {"seen.jpg", "04.jpg"} == {Path(name).name for name in leak["files"]}
    stopped = lensmith("train", leaky, "--dry-run")
    assert stopped.returncode == 1 and "--allow-leakage" in stopped.stderr and stopped.stderr.count("\n") == 1
    assert lensmith("train", leaky, "--dry-run", "--allow-leakage").returncode == 3  # done, with severe findings


def test_the_command_that_mends_a_leak_mends_it(leaky: Path, tmp_path: Path) -> None:
    made = document(lensmith("data", "convert", leaky, tmp_path / "clean", "--mend", "leakage", "--json"))
    assert [Path(one["source"]).name for one in made["left_out"]] == ["04.jpg"]  # the test part stays as it was
    found = document(lensmith("audit", tmp_path / "clean", "--json"))
    assert found["examples"] == 18
    assert not [finding for finding in found["findings"] if finding["kind"] == "leakage"]


def test_the_audit_as_text_and_as_a_page(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
    done = lensmith("audit", photos, "--report", tmp_path / "audit.html")
    assert done.returncode == 0
    assert "copy.jpg" in done.stdout and "12" not in done.stderr
    assert "data:image/png" in (tmp_path / "audit.html").read_text()


@pytest.mark.parametrize("to", ["folders", "csv", "json", "names"])
def test_conversion_keeps_every_example(photos: Path, tmp_path: Path, to: str) -> None:
    made = document(lensmith("data", "convert", photos, tmp_path / to, "--to", to, "--json"))
    assert made["examples"] == 12 and made["left_out"] == []
    found = document(lensmith("audit", tmp_path / to, "--json"))
    assert next(iter(found["counts"].values()))["all"] == {"cat": 6, "dog": 6}


def test_conversion_overwrites_nothing(photos: Path) -> None:
    done = lensmith("data", "convert", photos, photos / "cat", "--to", "csv")
    assert done.returncode == 2 and "a new folder" in done.stderr
    inside = lensmith("data", "convert", photos, photos / "new", "--to", "csv")
    assert inside.returncode == 2 and "outside" in inside.stderr and inside.stderr.count("\n") == 1
    assert not (photos / "new").exists()
    assert lensmith("data", "convert", photos, photos.parent / "out", "--to", "vco").returncode == 2


def test_conversion_checks_nothing_unless_it_mends(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "broken.jpg").write_bytes(b"not a picture")
    assert document(lensmith("data", "convert", photos, tmp_path / "plain", "--json"))["examples"] == 13
    mended = document(lensmith("data", "convert", photos, tmp_path / "mended", "--mend", "unreadable", "--json"))
    assert mended["examples"] == 12
    assert "nothing is checked" in " ".join(lensmith("data", "convert", "--help").stdout.split())


def test_a_sheet_is_written_plain_and_augmented(photos: Path, tmp_path: Path) -> None:
    told = document(lensmith("data", "show", photos, "--to", tmp_path / "sheet.png", "--json"))
    assert told["examples"] == 12
    assert np.asarray(Image.open(tmp_path / "sheet.png")).std() > 10
    ranges = "{rotate: 30, zoom: [0.8, 1.2]}"
    assert lensmith("data", "show", photos, "--to", tmp_path / "more.png", "--augment", ranges).returncode == 0
    assert (tmp_path / "more.png").read_bytes() != (tmp_path / "sheet.png").read_bytes()
    wrong = lensmith("data", "show", photos, "--to", tmp_path / "no.png", "--augment", "{rotte: 3}")
    assert wrong.returncode == 2 and "Did you mean 'rotate'" in wrong.stderr
    assert not (tmp_path / "no.png").exists()


def test_a_split_is_written_and_added_to(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    told = document(
        lensmith("data", "split", photos, "--to", path, "--train", 0.5, "--validation", 0.25, "--test", 0.25, "--json")
    )
    assert sum(told["parts"].values()) == 12 and told["parts"]["train"] == 6
    for seed in range(12, 18):
        picture(seed).save(photos / "cat" / f"{seed:02}.jpg")
    again = document(lensmith("data", "split", photos, "--to", path, "--json"))  # the shares are those of the file
    assert sum(again["parts"].values()) == 18 and again["parts"]["train"] in (9, 10)
    assert all(again["parts"][name] >= told["parts"][name] for name in told["parts"])
    assert (again["kept"], again["added"], again["gone"], again["own"]) == (12, 6, 0, [])
    assert lensmith("train", photos, "--split", path, "--dry-run").returncode == 0


def test_splitting_again_says_what_changed(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    first = lensmith("data", "split", photos, "--to", path, "--seed", 3)
    assert first.returncode == 0 and "kept" not in first.stdout.lower()
    (photos / "cat" / "00.jpg").unlink()
    for seed in range(12, 14):
        picture(seed).save(photos / "cat" / f"{seed:02}.jpg")
    again = lensmith("data", "split", photos, "--to", path)
    assert "Kept 11, added 2, gone 1" in again.stdout and "Known examples" not in again.stdout
    assert json.loads(path.read_text())["seed"] == 3  # nothing else was said
    for stated in (("--seed", 4), ("--train", 0.8, "--validation", 0.1, "--test", 0.1)):
        other = lensmith("data", "split", photos, "--to", path, *stated)
        assert "Kept 13, added 0, gone 0" in other.stdout
        assert other.stdout.count("Known examples keep their part: only new ones are dealt by") == 1


def test_a_split_of_other_data_is_not_overwritten(photos: Path, tmp_path: Path) -> None:
    path, other = tmp_path / "split.json", tmp_path / "other"
    for seed in range(20, 32):
        (other / ("pear", "plum")[seed % 2]).mkdir(parents=True, exist_ok=True)
        picture(seed).save(other / ("pear", "plum")[seed % 2] / f"{seed}.jpg")
    assert lensmith("data", "split", other, "--to", path).returncode == 0
    content = path.read_bytes()
    done = lensmith("data", "split", photos, "--to", path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{path} is a split of other data; choose another file" in done.stderr
    assert path.read_bytes() == content
    used = lensmith("train", photos, "--split", path, "--dry-run")
    assert used.returncode == 1 and "a split of other data" in used.stderr and used.stderr.count("\n") == 1


def test_a_test_part_of_the_source_is_kept_and_said(leaky: Path, tmp_path: Path) -> None:
    (leaky / "test" / "cat" / "seen.jpg").unlink()
    done = lensmith("data", "split", leaky, "--to", tmp_path / "split.json", "--test", 0.5, "--train", 0.3)
    assert done.returncode == 0 and "The source's own test part is kept" in done.stdout
    assert "test 6" in done.stdout


def test_a_table_is_read_as_told(photos: Path, tmp_path: Path) -> None:
    rows = [
        f"{path.relative_to(tmp_path)};{path.parent.name};{len(path.stem)}" for path in sorted(photos.rglob("*.jpg"))
    ]
    (tmp_path / "table.csv").write_text("\n".join(["picture;animal;length", *rows]), encoding="utf-8")
    found = document(lensmith("audit", tmp_path / "table.csv", "--read", "labels=animal", "--json"))
    assert found["counts"]["animal"]["all"] == {"cat": 6, "dog": 6}
    wrong = lensmith("audit", tmp_path / "table.csv", "--read", "labels=animl")
    assert wrong.returncode in (1, 2) and "animal" in wrong.stderr
    assert lensmith("audit", tmp_path / "table.csv", "--read", "lables=animal").returncode == 2


def test_folds_are_written_as_splits_that_training_takes(photos: Path, tmp_path: Path) -> None:
    told = document(lensmith("data", "split", photos, "--folds", 3, "--to", tmp_path / "fold.json", "--json"))
    assert [Path(name).name for name in told["splits"]] == ["fold-1.json", "fold-2.json", "fold-3.json"]
    judged = [json.loads(Path(name).read_text())["parts"]["validation"] for name in told["splits"]]
    assert sorted(key for keys in judged for key in keys) == sorted(
        str(path.relative_to(photos)) for path in photos.rglob("*.jpg")
    )
    done = lensmith("train", photos, "--split", told["splits"][1], "--dry-run")
    assert done.returncode == 0 and "Split: 8 / 4 / 0" in done.stdout
    again = lensmith("data", "split", photos, "--folds", 3, "--to", tmp_path / "fold.json")
    assert again.returncode == 2 and "fold-1.json, which exists" in again.stderr


def test_the_formats_and_their_settings_are_listed() -> None:
    told = document(lensmith("data", "formats", "--json"))
    assert {"voc", "coco", "yolo", "csv"} <= {one["name"] for one in told["formats"]}
    assert {name for one in told["formats"] for name in one["settings"]} == set(told["settings"])
    assert "separator" in lensmith("data", "formats").stdout
