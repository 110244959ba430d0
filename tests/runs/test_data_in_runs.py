"""What the data room offers, carried through a whole run: layouts, augmentation, leaks, written-down splits."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from lensmith import compose, data, runs, train
from lensmith.check import DataError, SettingError

MODEL = """\
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
train: [{epochs: EPOCHS, rate: 0.01, checkpoint_every: 2}]
ship: null
"""
CHANGES = "{flip: horizontal, rotate: 20, shift: 0.1, zoom: [0.9, 1.1], brightness: 0.2, share: 0.7}"


def spec(section: str, epochs: int = 2) -> runs.Spec:
    return runs.parse_spec(f"data: {{{section}}}\n{MODEL}".replace("EPOCHS", str(epochs)))


def picture(kind: int, seed: int, size: tuple[int, int] = (20, 24)) -> np.ndarray:
    """A bright or a dark picture; no two are alike."""
    random = np.random.default_rng([kind, seed])
    coarse = Image.fromarray(random.integers(0, 90, (5, 6, 3), dtype=np.uint8)).resize(size[::-1])
    return np.asarray(coarse) + np.uint8(20 + 120 * kind)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """24 dark and 24 bright photos in class folders."""
    for kind, name in enumerate(("dark", "bright")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for seed in range(24):
            Image.fromarray(picture(kind, seed)).save(tmp_path / "photos" / name / f"{seed:02}.png")
    return tmp_path / "photos"


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    """Ends training in the middle of the second epoch."""

    def on_step(self, step: int, values: object, waited: float) -> None:
        if step == 7:
            raise Stop


def weights(run: runs.Run) -> dict[str, np.ndarray]:
    return load_file(run.folder.model / "weights.safetensors")


def test_an_augmented_run_that_was_killed_ends_with_the_same_bits(photos: Path, tmp_path: Path) -> None:
    prepared = runs.prepare(spec(f"source: {photos}, image: [16, 16, 3], batch: 8, augment: {CHANGES}", epochs=3))
    whole = runs.begin(tmp_path / "whole", prepared)
    with pytest.raises(Stop):
        runs.begin(tmp_path / "killed", prepared, progress=Killer())
    resumed = runs.resume(tmp_path / "killed")
    assert resumed.folder.history.read_bytes() == whole.folder.history.read_bytes()
    assert all(np.array_equal(weights(resumed)[name], found) for name, found in weights(whole).items())


def test_a_cache_changes_nothing_but_the_time(photos: Path, tmp_path: Path) -> None:
    section = f"source: {photos}, image: [16, 16, 3], batch: 8, augment: {CHANGES}"
    without = runs.begin(tmp_path / "without", runs.prepare(spec(section)))
    cached = runs.begin(tmp_path / "with", runs.prepare(spec(f"{section}, cache: {tmp_path / 'cache'}")))
    assert any((tmp_path / "cache").rglob("*"))
    assert cached.folder.history.read_bytes() == without.folder.history.read_bytes()


def test_augmentation_changes_what_is_trained_on_and_nothing_else(photos: Path, tmp_path: Path) -> None:
    section = f"source: {photos}, image: [16, 16, 3], batch: 8"
    plain = runs.begin(tmp_path / "plain", runs.prepare(spec(section)))
    changed = runs.begin(tmp_path / "changed", runs.prepare(spec(f"{section}, augment: {CHANGES}")))
    first, second = (json.loads(run.folder.history.read_text().splitlines()[0]) for run in (plain, changed))
    assert first["loss"] != second["loss"]
    entries = [json.loads(run.folder.data.read_text())["parts"] for run in (plain, changed)]
    assert entries[0] == entries[1]


def test_mixed_images_are_learnt_from(photos: Path, tmp_path: Path) -> None:
    section = f"source: {photos}, image: [16, 16, 3], batch: 8, augment: {{mixup: 0.2, cutmix: 1.0}}"
    run = runs.begin(tmp_path / "run", runs.prepare(spec(section, epochs=6)))
    rows = [json.loads(line) for line in run.folder.history.read_text().splitlines()]
    assert rows[-1]["val_accuracy"] > 0.8
    assert run.results is not None and run.results["metrics"]["accuracy"] > 0.8


WRONG = [
    ("augment: {rotat: 15}", r"data.augment.*Did you mean 'rotate'"),  # a misspelt range
    ("augment: {zoom: [2, 1]}", r"data.augment.*zoom"),  # the low end above the high one
    ("augment: ligth", r"data.augment: expected one of .*Did you mean 'light'"),  # a misspelt name
    ("read: {format: vco}", r"expected one of .*Did you mean 'voc'"),  # a misspelt format
    ("split: {group: patient}", "patient"),  # a fact that the examples do not have
]


@pytest.mark.parametrize(("setting", "message"), WRONG)
def test_a_wrong_setting_is_refused_before_anything_begins(photos: Path, setting: str, message: str) -> None:
    with pytest.raises((SettingError, DataError), match=message):
        runs.prepare(spec(f"source: {photos}, image: [16, 16, 3], {setting}"))


def test_rows_cannot_be_augmented() -> None:
    with pytest.raises(SettingError, match="images"):
        runs.prepare(runs.parse_spec('data: {source: "bundled:wine", augment: light}'))


def test_a_leak_stops_training_unless_it_is_allowed(photos: Path) -> None:
    for part, first in (("train", 0), ("test", 16)):
        for kind, name in enumerate(("dark", "bright")):
            folder = photos.parent / "parts" / part / name
            folder.mkdir(parents=True)
            for seed in range(first, first + 8):
                Image.fromarray(picture(kind, seed, (40, 48))).save(folder / f"{seed}.png")
    copied = photos.parent / "parts" / "train" / "dark" / "0.png"
    (photos.parent / "parts" / "test" / "dark" / "seen.png").write_bytes(copied.read_bytes())
    section = f"source: {photos.parent / 'parts'}, image: [16, 16, 3]"
    with pytest.raises(DataError, match="--allow-leakage"):
        runs.prepare(spec(section))
    prepared = runs.prepare(spec(f"{section}, allow_leakage: true"))
    assert any(finding.kind == "leakage" and finding.severity == "severe" for finding in prepared.audit.findings)


def test_copies_of_a_picture_stay_in_one_part(photos: Path) -> None:
    for seed in range(12):
        original = photos / "dark" / f"{seed:02}.png"
        (photos / "dark" / f"copy-{seed:02}.png").write_bytes(original.read_bytes())
    prepared = runs.prepare(spec(f"source: {photos}, image: [16, 16, 3]"))
    where = {record.image.name: number for number, part in enumerate(prepared.parts) for record in part}
    assert len(set(where.values())) == 3
    dark = {r.image.name: n for n, part in enumerate(prepared.parts) for r in part if r.image.parent.name == "dark"}
    assert all(dark[f"copy-{seed:02}.png"] == dark[f"{seed:02}.png"] for seed in range(12))


def test_a_written_split_stays_when_files_are_added(photos: Path, tmp_path: Path) -> None:
    path, section = tmp_path / "split.json", runs.DataSpec(source=str(photos))
    before = runs.write_split(section, runs.SplitSpec(), path)
    for seed in range(24, 40):
        Image.fromarray(picture(0, seed)).save(photos / "dark" / f"{seed:02}.png")
    prepared = runs.prepare(spec(f"source: {photos}, image: [16, 16, 3], split: {{file: {path}}}"))
    for old, new in zip(before, prepared.parts, strict=True):
        assert {record.source for record in old} <= {record.source for record in new}
    assert sum(map(len, prepared.parts)) == 64


def test_a_table_with_two_label_columns_trains_two_heads(photos: Path, tmp_path: Path) -> None:
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "light", "place"])
        for path in sorted(photos.rglob("*.png")):
            place = "left" if int(path.stem) % 2 else "right"
            table.writerow([path.relative_to(tmp_path), path.parent.name, place])
    section = f"source: {tmp_path / 'labels.csv'}, image: [16, 16, 3], read: {{labels: [light, place]}}"
    run = runs.begin(tmp_path / "run", runs.prepare(spec(section)))
    assert run.results is not None
    assert {"light_accuracy", "place_accuracy"} <= run.results["metrics"].keys()
    assert runs.resume(tmp_path / "run").results == run.results
    scores = runs.evaluate(tmp_path / "run", tmp_path / "labels.csv", read=runs.ReadSpec(labels=("light", "place")))
    assert scores.examples == 48


def test_a_run_from_objects_takes_the_same_settings(photos: Path, tmp_path: Path) -> None:
    recipe = compose.Recipe(
        input=(16, 16, 3),
        stem=None,
        learner=compose.Groups(compose.Group(compose.Conv(norm="before"), filters=8, pool=2)),
        tasks={"label": compose.Classify(2, pool="flatten")},
    )
    changes = data.Augment(rotate=10, brightness=0.1, share=0.5)
    parts = data.split(data.read(photos), 0.6, 0.2, 0.2)
    plan = train.Fit(epochs=1, rate=0.01)
    run = runs.start(tmp_path / "run", recipe=recipe, data=parts, plan=plan, augment=changes, memory=64)
    noted = runs.read_spec(run.folder.spec).data
    assert noted.augmentation() == changes
    assert noted.memory == 64


def test_the_findings_are_in_the_report_as_pictures(photos: Path, tmp_path: Path) -> None:
    original = photos / "dark" / "03.png"
    (photos / "dark" / "copied.png").write_bytes(original.read_bytes())
    run = runs.begin(tmp_path / "run", runs.prepare(spec(f"source: {photos}, image: [16, 16, 3]", epochs=1)))
    findings = json.loads(run.folder.data.read_text())["audit"]["findings"]
    number = next(place for place, finding in enumerate(findings) if finding["kind"] == "duplicate")
    assert np.asarray(Image.open(run.folder.finding(number))).shape[2] == 3
    assert 'class="sheet"' in run.folder.report.read_text()


def test_a_remedy_reads_the_data_as_the_audit_did(photos: Path, tmp_path: Path) -> None:
    lines = [f"{path},{path.parent.name},{place % 2}" for place, path in enumerate(sorted(photos.rglob("*.png")))]
    parts = ["train", "test"]
    rows = [f"{line},{parts[place // 2 % 2]}" for place, line in enumerate(lines)]
    table = photos / "table of photos.csv"
    table.write_text("\n".join(["file,tone,who,part", *(row.replace(f"{photos}/", "") for row in rows)]))
    read = runs.ReadSpec(format="csv", labels=("tone",), group="who")
    [found] = [
        one for one in runs.inspect(runs.DataSpec(source=str(table), read=read)).findings if "group" in one.message
    ]
    assert found.kind == "leakage"
    options = "--format csv --read labels=tone --read group=who"
    assert f"lensmith data convert '{table}' OUT {options} --mend leakage" in found.remedy


def test_an_audit_page_shows_what_was_found(photos: Path, tmp_path: Path) -> None:
    (photos / "bright" / "again.png").write_bytes((photos / "bright" / "05.png").read_bytes())
    audit = runs.inspect(runs.DataSpec(source=str(photos)))
    runs.write_audit_page(audit, tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert "Audit of a data set" in page and "data:image/png" in page and "again.png" in page


def test_a_model_names_labels_that_it_does_not_believe(photos: Path, tmp_path: Path) -> None:
    runs.begin(tmp_path / "run", runs.prepare(spec(f"source: {photos}, image: [16, 16, 3]", epochs=6)))
    (photos / "bright" / "wrong.png").write_bytes((photos / "dark" / "07.png").read_bytes())
    audit = runs.inspect(runs.DataSpec(source=str(photos)), model=tmp_path / "run")
    [found] = [finding for finding in audit.findings if finding.kind == "suspect"]
    assert Path(found.files[0]).name == "wrong.png"


def test_images_without_labels_are_refused_in_one_line(photos: Path) -> None:
    (photos / "bright").rename(photos.parent / "bright")
    with pytest.raises(DataError, match="expected labels to learn; got unlabelled images"):
        runs.prepare(spec(f"source: {photos / 'dark'}"))


def test_what_no_head_can_learn_is_refused_before_training(photos: Path) -> None:
    boxes = (
        "<object><name>spot</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    )
    for path in (photos / "dark").iterdir():
        count = 2 if path.stem == "11" else 1
        path.with_suffix(".xml").write_text(f"<annotation><filename>{path.name}</filename>{boxes * count}</annotation>")
    with pytest.raises(DataError, match=r"11\.png: objects: expected an image with one box; got 2 boxes"):
        asked = runs.ModelSpec.model_validate({"tasks": {"objects": "localise"}})
        runs.prepare(spec(f"source: {photos / 'dark'}, image: [16, 16, 3]").model_copy(update={"model": asked}))


def test_drawings_that_look_alike_are_no_leak_and_can_be_split(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for kind, name in enumerate(("square", "stripe")):
            (tmp_path / part / name).mkdir(parents=True)
            for seed in range(8):
                pixels = np.full((32, 32), 30.0) + random.normal(0, 3, (32, 32))
                pixels[8:24, (8 if kind else 2) : (24 if kind else 6)] += 150
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / part / name / f"{seed}.png")
    section = f"source: {tmp_path}, image: [16, 16, 1]"
    found = runs.prepare(spec(section)).audit.findings
    assert {(one.kind, one.severity) for one in found} >= {("leakage", "warning"), ("near-duplicate", "warning")}
    assert len(runs.prepare(spec(f"source: {tmp_path / 'train'}, image: [16, 16, 1]")).parts[2]) >= 2
    copied = tmp_path / "train" / "square" / "3.png"
    (tmp_path / "test" / "square" / "seen.png").write_bytes(copied.read_bytes())
    with pytest.raises(DataError, match="1 image of one part stands in another too"):
        runs.prepare(spec(section))
