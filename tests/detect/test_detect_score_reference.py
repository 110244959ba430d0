"""Scores of detections beside the definitions in plain loops: one class, one size, one overlap, one image at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.detect.score import flat, score
from lensmith.records import Boxes

CLASSES = 2
SIZES = [(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)]
LEVELS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
patient = settings(max_examples=25, deadline=None)

Image = tuple[Boxes, np.ndarray]


@st.composite
def corners(draw: st.DrawFn) -> list[int]:
    """Boxes on a coarse grid: many overlap, many by the same share; their areas lie on both sides of 32² and 96²."""
    x, y = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    width, height = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    return [24 * x, 24 * y, 24 * (x + width), 24 * (y + height)]


@st.composite
def images(draw: st.DrawFn) -> Image:
    there = draw(st.lists(st.tuples(corners(), st.integers(0, CLASSES - 1), st.booleans(), st.booleans()), max_size=5))
    # Half of the detections are copies of an object's box, so that something is found.
    boxes = st.one_of(corners(), st.sampled_from([box for box, *_ in there])) if there else corners()
    value = st.sampled_from([0.25, 0.5, 0.75, 1.0])
    here = draw(st.lists(st.tuples(boxes, value, st.integers(0, CLASSES - 1)), max_size=6))
    objects, labels, crowd, difficult = ([one[at] for one in there] for at in range(4))
    rows = np.array([[*box, worth, label] for box, worth, label in here], np.float32).reshape(-1, 6)
    return Boxes(objects, labels, crowd=crowd, difficult=difficult), rows


def overlap(found: list[float], object_: list[float], crowd: bool) -> float:
    wide = min(found[2], object_[2]) - max(found[0], object_[0])
    high = min(found[3], object_[3]) - max(found[1], object_[1])
    shared = wide * high if wide > 0 and high > 0 else 0.0
    own = area(found)
    return shared / own if crowd else shared / (own + area(object_) - shared)


def area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def slow_coco_image(image: Image, label: int, size: tuple[float, float], level: float) -> tuple[list, int]:
    """One image: ``(score, rank, right, ignored)`` of each detection from the surest on, and how many objects count."""
    there, rows = image
    objects = [at for at in range(len(there)) if there.classes[at] == label]
    ignored = {
        at: bool(there.crowd[at] or there.difficult[at]) or not size[0] <= area(there.xyxy[at].tolist()) <= size[1]
        for at in objects
    }
    taken: set[int] = set()
    lines = []
    mine = sorted((row for row in rows.tolist() if row[5] == label), key=lambda row: -row[4])
    for rank, row in enumerate(mine[:100]):
        chosen = None
        for wanted in (False, True):  # objects that count, and only then the others
            reached = level
            for at in objects:
                if ignored[at] is not wanted or (at in taken and not there.crowd[at]):
                    continue
                share = overlap(row[:4], there.xyxy[at].tolist(), bool(there.crowd[at]))
                if share >= reached:
                    reached, chosen = share, at
            if chosen is not None:
                break
        if chosen is None:
            lines.append((row[4], rank, False, not size[0] <= area(row[:4]) <= size[1]))
        else:
            taken.add(chosen)
            lines.append((row[4], rank, not ignored[chosen], ignored[chosen]))
    return lines, sum(not one for one in ignored.values())


def slow_voc_image(image: Image, label: int, level: float) -> tuple[list, int]:
    there, rows = image
    objects = [at for at in range(len(there)) if there.classes[at] == label]
    plain, crowds = ([at for at in objects if bool(there.crowd[at]) is mark] for mark in (False, True))
    done: set[int] = set()
    lines = []
    mine = sorted((row for row in rows.tolist() if row[5] == label), key=lambda row: -row[4])
    for rank, row in enumerate(mine):
        nearest, share = None, -1.0
        for at in plain:
            one = overlap(row[:4], there.xyxy[at].tolist(), False)
            if one > share:
                nearest, share = at, one
        if nearest is not None and share >= level:
            right = not there.difficult[nearest] and nearest not in done
            done.add(nearest)
            lines.append((row[4], rank, right, bool(there.difficult[nearest])))
        else:
            within = any(overlap(row[:4], there.xyxy[at].tolist(), True) >= level for at in crowds)
            lines.append((row[4], rank, False, within))
    return lines, sum(not there.difficult[at] for at in plain)


def slow_curve(lines: list, objects: int) -> list[tuple[float, float]]:
    """Recall and precision after each detection that is not ignored, over all images, the surest first."""
    points, right, every = [], 0, 0
    for _, _, fits, ignored in sorted(lines, key=lambda line: -line[0]):
        if not ignored:
            right, every = right + fits, every + 1
            points.append((right / objects, right / every))
    return points


def beyond(points: list[tuple[float, float]], recall: float) -> float:
    """The largest precision at or beyond a recall."""
    return max((precision for reached, precision in points if reached >= recall), default=0.0)


def slow_area(style: str, lines: list, objects: int) -> float:
    points = slow_curve(lines, objects)
    if style == "coco":
        return math.fsum(beyond(points, step * 0.01) for step in range(101)) / 101  # 70 * 0.01 > 0.7, as in COCO's
    if style == "voc07":
        return math.fsum(beyond(points, step / 10 - 1e-9) for step in range(11)) / 11
    reached = sorted({0.0, *(recall for recall, _ in points)})
    steps = pairwise(reached)
    return math.fsum((end - begin) * beyond(points, end) for begin, end in steps)


def slow(style: str, data: list[Image], size: int = 0) -> dict[tuple[int, float], tuple[float, float, float] | None]:
    """By class and overlap: average precision, and recall with one and with a hundred detections an image."""
    answer: dict[tuple[int, float], tuple[float, float, float] | None] = {}
    for label in range(CLASSES):
        for level in LEVELS:
            if style == "coco":
                parts = [slow_coco_image(image, label, SIZES[size], level) for image in data]
            else:
                parts = [slow_voc_image(image, label, level) for image in data]
            lines, objects = [line for some, _ in parts for line in some], sum(count for _, count in parts)
            answer[label, level] = None
            if objects:
                first = sum(fits for _, rank, fits, _ in lines if rank < 1) / objects
                every = sum(fits for _, _, fits, _ in lines) / objects
                answer[label, level] = slow_area(style, lines, objects), first, every
    return answer


def mean(
    answer: dict[tuple[int, float], tuple[float, float, float] | None], which: int, level: float = 0
) -> float | None:
    values = [one[which] for (_, at), one in answer.items() if one is not None and level in (0, at)]
    return math.fsum(values) / len(values) if values else None


def same(got: float | None, expected: float | None) -> bool:
    return got is expected is None or got == pytest.approx(expected, abs=1e-9)


def scene(generator: np.random.Generator) -> Image:
    """A fuller image than hypothesis draws: up to 9 objects on the same grid, up to 15 detections, most near one."""
    low = generator.integers(0, 4, (generator.integers(10), 2))
    there = 24 * np.concatenate([low, low + generator.integers(1, 6, low.shape)], axis=1)
    marks = generator.random((2, len(there))) < 0.2
    labels = generator.integers(0, CLASSES, len(there))
    near = generator.integers(0, max(len(there), 1), generator.integers(16) if len(there) else 0)
    askew = there[near] + generator.choice([-6, 0, 0, 0, 6], (len(near), 4))
    guessed = np.where(generator.random(len(near)) < 0.8, labels[near], 1 - labels[near])
    rows = np.column_stack([askew, generator.integers(1, 5, len(near)) / 4, guessed]).astype(np.float32)
    return Boxes(there, labels, crowd=marks[0], difficult=marks[1]), rows


@patient
@given(st.lists(images(), max_size=3), st.sampled_from(["coco", "voc", "voc07"]))
def test_equals_the_definition(data: list[Image], style: str) -> None:
    compare(data, style)


@pytest.mark.parametrize("style", ["coco", "voc", "voc07"])
def test_fuller_images_equal_the_definition(style: str) -> None:
    generator = np.random.default_rng(0)
    for _ in range(40):
        compare([scene(generator) for _ in range(3)], style)


def compare(data: list[Image], style: str) -> None:
    answer = slow(style, data)
    scores = score([there for there, _ in data], [rows for _, rows in data], ["cat", "dog"], style=style)
    assert same(scores.map, mean(answer, 0))
    assert same(scores.map50, mean(answer, 0, 0.5))
    assert same(scores.map75, mean(answer, 0, 0.75))
    assert same(scores.recalls[1], mean(answer, 1))
    assert same(scores.recalls[100], mean(answer, 2))
    for label, row in enumerate(scores.classes):
        mine = {key: one for key, one in answer.items() if key[0] == label}
        assert same(row.map, mean(mine, 0))
        assert same(row.map50, mean(mine, 0, 0.5))
        assert same(row.recall, mean(mine, 2))


@patient
@given(st.lists(images(), max_size=3))
def test_sizes_equal_the_definition(data: list[Image]) -> None:
    compare_sizes(data)


def test_sizes_of_fuller_images_equal_the_definition() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        compare_sizes([scene(generator) for _ in range(3)])


def compare_sizes(data: list[Image]) -> None:
    scores = score([there for there, _ in data], [rows for _, rows in data], ["cat", "dog"])
    for place, name in enumerate(("small", "medium", "large"), 1):
        answer = slow("coco", data, place)
        assert same(scores.sizes[name], mean(answer, 0))
        assert same(scores.size_recalls[name], mean(answer, 2))


def test_the_best_threshold_is_the_best() -> None:
    generator = np.random.default_rng(2)
    for _ in range(40):
        compare_best([scene(generator) for _ in range(3)])


def compare_best(data: list[Image]) -> None:
    scores = score([there for there, _ in data], [rows for _, rows in data], ["cat", "dog"])
    for label, row in enumerate(scores.classes):
        parts = [slow_coco_image(image, label, SIZES[0], 0.5) for image in data]
        lines = [line for some, _ in parts for line in some if not line[3]]
        if not row.objects:
            assert row.best_f1 is None
            continue
        tried = {}
        for threshold in {line[0] for line in lines}:
            kept = [line[2] for line in lines if line[0] >= threshold]
            tried[threshold] = 2 * sum(kept) / (len(kept) + row.objects)
        assert row.best_f1 == pytest.approx(max(tried.values(), default=0.0))
        if row.best_score is not None:
            assert tried[row.best_score] == pytest.approx(row.best_f1)
            assert all(value < row.best_f1 - 1e-12 for at, value in tried.items() if at > row.best_score)


def test_crowded_images_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """More detections than a round has, and pairs measured a few at a time: the same as by the definition."""
    generator = np.random.default_rng(0)
    data = []
    for _ in range(3):
        low = generator.integers(0, 5, (30, 2)) * 20
        there = Boxes(np.concatenate([low, low + 40], axis=1), generator.integers(0, 2, 30))
        askew = np.repeat(there.xyxy, 4, axis=0) + generator.integers(-8, 9, (120, 4))
        labels = np.repeat(there.classes, 4)
        data.append((there, np.column_stack([askew, generator.integers(1, 9, 120) / 8, labels]).astype(np.float32)))
    truths, found = [there for there, _ in data], [rows for _, rows in data]
    whole = score(truths, found, ["cat", "dog"])
    assert same(whole.map, mean(slow("coco", data), 0))
    assert 0.05 < whole.map < 0.95
    monkeypatch.setattr(flat, "_AT_ONCE", 100)
    assert score(truths, found, ["cat", "dog"]).to_dict() == whole.to_dict()
