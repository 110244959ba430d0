"""The report of a detector: every number that was measured, curves that can be told apart, pictures with words."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lensmith import compose, data, runs, train
from lensmith.boxes import Thresholds
from lensmith.compose import Conv, Group, Groups, Recipe, YoloV1, YoloV2, YoloV3
from lensmith.compose.detection import YoloMaps, YoloOutput
from lensmith.data.formats.arrays import scene_sets
from lensmith.detect.score import score
from lensmith.records import Boxes, Labels, Record, Records
from lensmith.runs.content_detection import anchors, detection
from lensmith.runs.detected import Detected
from lensmith.runs.folder import RunFolder, read_json, write_json
from lensmith.runs.found import told
from lensmith.runs.report import AnchorMap, ClassScore, Content, Detection, TaskResult, render, wording
from lensmith.runs.report.precision_recall import MOST_NAMED, precision_recall

SPACE = "\u202f"
NASTY = "<script>alert('é')</script>&\"quoted\""


class Page(HTMLParser):
    """What a reader meets: the words, the tags with their attributes, and what comes from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)

    @property
    def addresses(self) -> list[str]:
        return [found[name] for _, found in self.tags for name in ("src", "href") if name in found]


def made(folder: Path, classes: int, wrong: float, *, objects: bool = True, images: int = 12) -> Detection:
    """A detector that is wrong so often: it misses, invents, or takes for another class, each at random."""
    random, truths, found, items = np.random.default_rng(classes), [], [], []
    names = tuple(f"class {index}" for index in range(classes))
    for number in range(images):
        count = 3 if objects else 0
        low = random.uniform(0, 200, (count, 2))
        there = Boxes(
            np.concatenate([low, low + random.uniform(20, 110, (count, 2))], axis=1), np.arange(count) % classes
        )
        rows = [
            [*box, random.uniform(0.3, 1), label if random.random() >= wrong else (label + 1) % classes]
            for box, label in zip(there.xyxy.tolist(), there.classes.tolist(), strict=True)
            if random.random() >= wrong
        ]
        rows += [[250, 250, 300, 300, 0.5, 0]] * (random.random() < wrong)
        truths.append(there)
        found.append(np.array(rows, np.float32).reshape(-1, 6))
        items.append(Record(f"{number}.png", np.full((310, 320, 3), 90, np.uint8), None, {"objects": there}))
    part = Records(tuple(items), {"objects": Labels("boxes", names)}, "made")
    one = Detected(score(truths, found, names), tuple(truths), tuple(found), Thresholds())
    return detection(RunFolder(folder), json.loads(json.dumps(told(RunFolder(folder), "objects", one, part))))


def page_of(one: Detection | None, sizes: tuple[AnchorMap, ...] = ()) -> tuple[str, Page]:
    metrics = {} if one is None else {name: one.scores[name] for name in ("map50", "map", "map75")}
    names = () if one is None else tuple(row.name for row in one.classes)
    result = TaskResult("objects", "boxes", names, metrics, detection=one, anchors=sizes)
    history = tuple({"epoch": e, "loss": 9 / e, "val_loss": 9.5 / e, "val_map50": 1 - 1 / e} for e in range(1, 5))
    text = render(Content("found", results=(result,), history=history, best_epoch=4, monitor="val_map50"))
    return text, Page(text)


def percent(value: float | None, digits: int = 1) -> str:
    return wording.share(value, digits).replace(SPACE, " ")


def drawings(page: Page) -> list[str]:
    return [found.get("aria-label", "") for tag, found in page.tags if tag == "svg"]


def test_what_was_measured_stands_on_the_page(tmp_path: Path) -> None:
    one = made(tmp_path, 3, 0.3)
    _, page = page_of(one)
    text = page.text.replace(SPACE, " ")
    assert f"test mAP@0.5 {percent(one.scores['map50'], 2)}" in text
    assert f"mAP@[.5:.95] {percent(one.scores['map'], 2)}" in text
    assert "the best by validation mAP@0.5" in text
    assert wording.counted(one.counts, 0.25) in text
    assert f"of {12 * 3} objects" in wording.counted(one.counts, 0.25)
    for name, precision, recall in one.by_size:
        assert f"{name} {percent(precision)} {percent(recall)}" in text
    for row in one.classes:
        values = (row.map50, row.map, row.best_precision, row.best_recall, row.best_f1)
        assert f"{row.name} 12 {' '.join(percent(value) for value in values)} {row.best_score:.2f}" in text
    says = drawings(page)
    assert "mAP@0.5 to epoch 4: validation 75.0\u202f%" in says
    mean = wording.share(one.scores["map50"])
    assert f"precision against recall at an overlap of 0.5, 3 classes, mean {mean}" in says


def test_each_mistake_is_a_picture_with_words(tmp_path: Path) -> None:
    one = made(tmp_path, 3, 0.4)
    _, page = page_of(one)
    pictures = [found for tag, found in page.tags if tag == "img"]
    assert len(pictures) == sum(len(some) for some in one.pictures.values()) > 6
    assert all(found["src"].startswith("data:image/jpeg;base64,") for found in pictures)
    first = one.pictures["missed"][0]
    assert pictures[0]["alt"] == f"{first.source}: {', '.join(first.says)}"
    assert "White frames are the objects that are there." in page.text
    for kind in ("missed", "invented", "confused"):
        assert f"{one.counts[kind]} in all" in page.text
    truth, given, times = one.pairs[0]
    assert f"{truth} {given} {times}" in page.text


def test_a_picture_that_is_lost_leaves_its_words(tmp_path: Path) -> None:
    one = made(tmp_path, 2, 0.4)
    lost = {kind: tuple(replace(each, image=None) for each in some) for kind, some in one.pictures.items()}
    _, page = page_of(replace(one, pictures=lost))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert f"no picture {one.pictures['missed'][0].says[0]}" in page.text


def test_without_any_object_the_page_says_why_nothing_is_known(tmp_path: Path) -> None:
    one = made(tmp_path, 2, 1.0, objects=False, images=4)
    _, page = page_of(one)
    assert "There is no object that counts in the 4 pictures of this part" in page.text
    assert "At a score of 0.25 it found 4 objects that are not there." in page.text
    assert "test mAP@0.5 –" in page.text
    assert "By size" not in page.text
    assert "Class by class" not in page.text
    assert not any(says.startswith("precision") for says in drawings(page))


def test_nothing_there_and_nothing_found(tmp_path: Path) -> None:
    _, page = page_of(made(tmp_path, 2, 0.0, objects=False, images=1))
    assert "in the 1 picture of this part" in page.text
    assert "it found nothing." in page.text
    assert "There is no mistake to show." in page.text


def test_a_perfect_detector(tmp_path: Path) -> None:
    _, page = page_of(made(tmp_path, 2, 0.0))
    assert "it found 36 of 36 objects, missed 0, and invented 0." in page.text
    assert "test mAP@0.5 100 %" in page.text.replace(SPACE, " ")
    assert "There is no mistake to show." in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]


def test_what_was_not_measured_and_what_has_no_anchors() -> None:
    _, page = page_of(None)
    assert "What it finds was not measured." in page.text
    assert "Anchors" not in page.text


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (1, 1),  # the class alone, which is the mean too
        (2, 3),
        (8, 4),  # three of them have objects here, and the mean
        (80, 4),
    ],
)
def test_classes_with_objects_have_lines(tmp_path: Path, classes: int, named: int) -> None:
    found = precision_recall(made(tmp_path, classes, 0.2))
    assert found is not None
    assert len(found.keys) == named
    assert len({str(key.sample) for key in found.keys}) == named, "each kind of line differs from the others"


def curves_of(count: int) -> Detection:
    rows = made_rows(count)
    return Detection({}, rows, np.linspace(1, 0, 101)[None] ** np.arange(1, count + 1)[:, None])


def made_rows(count: int) -> tuple[ClassScore, ...]:
    return tuple(ClassScore(f"class {index}", 4, 9, map50=0.5) for index in range(count))


def test_more_classes_than_kinds_of_lines_are_not_named() -> None:
    few, many = precision_recall(curves_of(MOST_NAMED)), precision_recall(curves_of(MOST_NAMED + 1))
    assert few is not None
    assert many is not None
    assert len(few.keys) == MOST_NAMED + 1
    assert [key.name for key in many.keys] == ["mean"]
    assert many.drawing.count("<path") == MOST_NAMED + 2


def test_the_curve_goes_through_the_measured_points() -> None:
    steps = np.where(np.arange(101) <= 50, 1.0, 0.5)
    found = precision_recall(Detection({}, made_rows(1), steps[None]))
    assert found is not None
    # 448 pixels across and 306 up: recall 0.5 lies at 282, precision 0.5 at 177; the flat stretches have no points.
    assert 'd="M58.0 24.0L282.0 24.0L286.5 177.0L506.0 177.0"' in found.drawing


def test_eighty_classes_are_listed_the_worst_first_and_whole_behind(tmp_path: Path) -> None:
    one = replace(made(tmp_path, 80, 0.3), classes=made_rows(79) + made_rows(1), curves=curves_of(80).curves)
    text, page = page_of(one)
    assert "The 20 classes with the lowest AP@0.5" in page.text
    assert "All 80 classes" in page.text
    assert len(text) < 2_000_000


def test_names_are_escaped_and_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    one = made(tmp_path, 2, 0.4)
    rows = tuple(replace(row, name=NASTY) for row in one.classes)
    pictures = {
        kind: tuple(replace(each, source=NASTY, says=(NASTY,)) for each in some) for kind, some in one.pictures.items()
    }
    text, page = page_of(replace(one, classes=rows, pictures=pictures, pairs=((NASTY, NASTY, 2),)))
    assert "<script" not in text
    assert NASTY in page.text
    assert all(address.startswith(("#", "data:")) for address in page.addresses)


# --- anchors -------------------------------------------------------------------------------------------------------

SIX = tuple((float(side), float(side) + 1) for side in range(10, 70, 10))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (YoloV1(2), ()),
        (YoloV2(2, SIX[:5]), (AnchorMap("P5", SIX[:5]),)),
        # the coarsest map, which comes first, has the largest anchors, which come last
        (
            YoloV3(2, SIX, taps=("P5", "P4", "P3")),
            tuple(map(AnchorMap, ("P5", "P4", "P3"), (SIX[4:], SIX[2:4], SIX[:2]))),
        ),
        (
            YoloMaps(2, (YoloOutput("P5", SIX[3:]), YoloOutput("learner-layer9", SIX[:3]))),
            (AnchorMap("P5", SIX[3:]), AnchorMap("learner-layer9", SIX[:3])),
        ),
        (YoloV2(2), (AnchorMap("P5", ()),)),  # not fitted yet
    ],
)
def test_anchors_by_map(head: compose.Detector, expected: tuple[AnchorMap, ...]) -> None:  # type: ignore[name-defined]
    assert anchors(head) == expected


def test_anchors_are_drawn_at_one_scale(tmp_path: Path) -> None:
    sizes = (AnchorMap("P4", ((40.0, 80.0),)), AnchorMap("P3", ((10.0, 20.0),)))
    text, page = page_of(made(tmp_path, 2, 0.0), sizes)
    assert "map P4 40 × 80; map P3 10 × 20." in page.text
    assert 'width="101.2" height="202.4" class="anchor"' in text
    assert 'width="25.3" height="50.6" class="anchor"' in text


# --- the report of a run -------------------------------------------------------------------------------------------


def scenes() -> Records:
    return scene_sets.digit_scenes(count=40, size=(32, 32), sides=(10, 16), most=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    """A detector on a small backbone, hardly trained."""
    records = scenes()
    eye = Groups(*(Group(Conv(norm="after"), filters=(8,), pool=2) for _ in range(3)))
    recipe = Recipe((32, 32, 1), None, eye, {"objects": YoloV2(10, tap="P3", passthrough=None, width=8)})
    parts = tuple(records.part(name) for name in ("train", "validation", "test"))
    folder = tmp_path_factory.mktemp("detector") / "run"
    return runs.start(folder, recipe=recipe, data=parts, plan=train.Fit(epochs=2), batch=8)  # type: ignore[arg-type]


def test_the_report_of_a_run(run: runs.Run) -> None:
    assert run.results is not None
    page = Page(run.report().read_text(encoding="utf-8"))
    objects = sum(len(record.targets["objects"]) for record in scenes().part("test"))  # type: ignore[arg-type]
    assert f" of {objects} objects" in page.text
    assert "map P3 " in page.text
    assert f"lensmith detect {run.folder.path} IMAGE" in page.text
    assert f"lensmith detect {run.folder.artifact} IMAGE" in page.text
    assert f"lensmith evaluate {run.folder.path} DATA" in page.text
    assert "lensmith predict" not in page.text
    assert "lensmith probe" not in page.text
    assert any(says.startswith("mAP@0.5 to epoch 2: validation") for says in drawings(page))


def test_a_run_that_nobody_measured_has_a_report_too(run: runs.Run) -> None:
    results = read_json(run.folder.results)
    try:
        write_json(run.folder.results, {name: value for name, value in results.items() if name != "detections"})
        page = Page(runs.open_run(run.folder.path).report().read_text(encoding="utf-8"))
    finally:
        write_json(run.folder.results, results)
    assert "What it finds was not measured." in page.text
    assert "map P3 " in page.text


def test_pictures_that_were_deleted_are_missed_by_nobody_else(run: runs.Run) -> None:
    results = read_json(run.folder.results)
    entries = [one for kind in results["detections"]["objects"]["pictures"].values() for one in kind]
    assert entries, "hardly trained: there are mistakes"
    kept = run.folder.path / entries[0]["picture"]
    with Image.open(kept) as picture:
        assert max(picture.size) == 320
    content = kept.read_bytes()
    kept.unlink()
    try:
        assert "no picture" in Page(run.report().read_text(encoding="utf-8")).text
    finally:
        kept.write_bytes(content)


def test_a_localiser_has_numbers_and_not_boxes(tmp_path: Path) -> None:
    """One box an image, and key points: each coordinate against the true one."""
    random = np.random.default_rng(0)
    images = list(random.integers(0, 256, (20, 16, 16, 1), np.uint8))
    corners = [np.array([[2.0, 3, 9, 12]]) for _ in images]
    boxed = data.from_arrays(images, [Boxes(row, [0]) for row in corners], ["square"], task="where")
    items = tuple(replace(one, targets={"where": corners[0].reshape(2, 2)}) for one in boxed)
    pointed = Records(items, {"where": Labels("points", ("nose", "tail"))}, "made")
    eye = Groups(Group(Conv(norm="before"), filters=(4,), pool=2))
    for records, points, names in ((boxed, 0, ("x1", "y2")), (pointed, 2, ("nose x", "tail y"))):
        recipe = Recipe((16, 16, 1), None, eye, {"where": compose.Localise("l2", points=points)})
        parts = data.split(records, 0.6, 0.2, 0.2)
        run = runs.start(
            tmp_path / f"run{points}", recipe=recipe, data=parts, plan=train.Fit(epochs=1), batch=4, allow_leakage=True
        )
        page = Page(run.report().read_text(encoding="utf-8"))
        for name in names:
            assert f"predicted against true {name}, 4 examples" in drawings(page)
        assert "lensmith predict" in page.text
        assert "lensmith detect" not in page.text
