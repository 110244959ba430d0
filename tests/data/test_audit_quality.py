"""Odd images, odd sizes, and what is counted of tasks other than classes."""

import io

import cv2
import numpy as np
import pytest
from rich.console import Console

from lensmith import data
from lensmith.data.inspection.auditing import audit
from lensmith.data.inspection.display import print_audit, summary
from lensmith.data.inspection.looking import readable
from lensmith.data.inspection.quality import measure
from lensmith.records import Boxes, Labels, Problem, Record, Records


def tiles(seed, size=(96, 128)):
    """A sharp picture: rectangles of any gray."""
    rng = np.random.default_rng(seed)
    pixels = np.full(size, 128, np.uint8)
    for _ in range(60):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        pixels[top : top + rng.integers(5, 40), left : left + rng.integers(5, 40)] = rng.integers(0, 256)
    return pixels[..., None]


def blur(pixels, sigma):
    return cv2.GaussianBlur(pixels, (0, 0), sigma)[..., None]


def of_arrays(*images, labels=None, targets=None):
    targets = targets or [{}] * len(images)
    items = tuple(
        Record(str(i), image=one, targets=aim) for i, (one, aim) in enumerate(zip(images, targets, strict=True))
    )
    return Records(items, labels or {}, name="pictures")


def found(*images):
    """Kind and files of what is found about the images, but not of copies and channels."""
    report = audit(of_arrays(*images))
    return {finding.kind: finding.files for finding in report.findings if "duplicate" not in finding.kind}


SHARP = [tiles(seed) for seed in range(24)]


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        (np.full((96, 128, 1), 77, np.uint8), "empty"),
        (np.full((96, 128, 3), (200, 10, 10), np.uint8), "empty"),  # coloured, and still nothing to see
        ((77 + (tiles(50) > 128)).astype(np.uint8), "empty"),  # one gray level of contrast
        (tiles(50) // 8, "dark"),  # 0..31
        (tiles(50) // 64, "dark"),  # 0..3, and still the same shapes
        (np.zeros((96, 128, 1), np.uint8), "empty"),
        ((tiles(50) > 250).astype(np.uint8), "empty"),  # a few pixels of one level: noise
        (225 + tiles(50) // 12, "bright"),  # 225..246
        (blur(tiles(50), 4), "blurred"),
        (tiles(50)[:12, :12], "size"),  # a side under 16 pixels
        (tiles(50)[:20, :30], "size"),  # a twentieth of the area
        (tiles(50, (32, 600)), "size"),  # 19 times as wide as high
        (tiles(50, (600, 32)), "size"),
        (tiles(50), None),
        (blur(tiles(50), 0.7), None),  # a little soft
        (tiles(50) // 4, None),  # 0..63: dim
        (tiles(50, (200, 250)), None),  # larger than the rest
        (tiles(50)[:40, :60], None),  # a fifth of the area
    ],
)
def test_one_odd_image_among_many(odd, kind):
    if odd.shape[2] == 3:
        kinds = {name: files for name, files in found(*SHARP, odd).items() if name != "mode"}
    else:
        kinds = found(*SHARP, odd)
    assert kinds == ({kind: ("24",)} if kind else {})


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 image is far longer, for its width, "), (2, "2 images are far longer, for their width, ")],
)
def test_long_images_are_counted_in_words(count, said):
    report = audit(of_arrays(*SHARP, *[tiles(50 + place, (32, 600)) for place in range(count)]))
    assert next(one.message for one in report.findings if one.kind == "size").startswith(said)


def test_severities_and_remedies():
    report = audit(of_arrays(*SHARP, np.zeros((96, 128, 1), np.uint8), blur(tiles(50), 4)))
    assert {finding.kind: finding.severity for finding in report.findings} == {"empty": "warning", "blurred": "info"}
    assert report.findings[0].remedy == "Leave them out: lensmith data convert pictures OUT --mend empty"


def test_what_a_few_images_or_most_of_them_share_is_not_odd():
    assert found(*SHARP[:6], blur(tiles(50), 4)) == {}, "too few to say what is usual"
    assert found(*SHARP[:8], blur(tiles(50), 4)) == {"blurred": ("8",)}
    soft = [blur(tiles(100 + seed), 4) for seed in range(8)]
    assert found(*SHARP, *soft) == {}, "a quarter is another sort of picture"
    assert found(*soft, *[blur(tiles(200 + seed), 4) for seed in range(20)]) == {}


def test_small_images_have_no_sharpness():
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (30, 28, 28, 1), np.uint8)
    assert found(*digits, blur(digits[0], 3)) == {}
    assert measure(digits[0, ..., 0]).sharpness is None


def test_measures_on_paper():
    quality = measure(np.repeat(np.uint8([[10, 10, 10, 250]]), 100, axis=0).repeat(25, axis=1))
    assert (quality.low, quality.high) == (10, 250)
    assert quality.deviation == pytest.approx(240 * np.sqrt(1 / 4 * 3 / 4))
    assert quality.sharpness == 1  # the one edge is as high as the contrast


def test_a_finding_is_printed_with_its_kind():
    console = Console(file=io.StringIO(), width=300)
    print_audit(audit(of_arrays(*SHARP, np.zeros((96, 128, 1), np.uint8))), console)
    text = console.file.getvalue()
    assert text.startswith("pictures: 25 images, 96 x 128 pixels")
    assert "warning empty: 1 image is of almost one value" in text
    assert summary(audit(of_arrays(SHARP[0]))).startswith("pictures: 1 image, ")


def test_sizes_are_counted():
    report = audit(of_arrays(tiles(0), tiles(1), tiles(2, (50, 60))))
    assert report.sizes == ((96, 128, 2), (50, 60, 1))
    assert report.to_dict()["sizes"][0] == {"height": 96, "width": 128, "images": 2}


def test_photos_are_what_they_seem(shared_data):
    report = audit(data.read(shared_data / "raccoon_voc"))
    assert not {"empty", "dark", "bright", "blurred", "size"} & {finding.kind for finding in report.findings}


# -- counts ---------------------------------------------------------------------------------------------------------


def boxes(*classes):
    corners = [[4 * i, 2, 4 * i + 3, 9] for i in range(len(classes))]
    return {"objects": Boxes(np.float32(corners).reshape(-1, 4), classes)}


def test_boxes_are_counted_by_class():
    labels = {"objects": Labels("boxes", ("cat", "dog", "emu"))}
    report = audit(of_arrays(*SHARP[:3], labels=labels, targets=[boxes(0, 0, 1), boxes(), boxes(0)]))
    assert report.counts == {"objects": {"all": {"cat": 3, "dog": 1, "emu": 0}}}
    (few,) = [finding for finding in report.findings if finding.kind == "few"]
    assert (few.severity, few.message) == (
        "warning",
        "objects: fewer than 3 boxes of dog (1), too few for three parts",
    )


def test_a_class_of_boxes_that_some_part_lacks():
    labels = {"objects": Labels("boxes", ("cat", "dog", "emu"))}
    parts = {"train": boxes(0, 0), "test": boxes(0, 1)}
    items = tuple(
        Record(part, image=image, targets=aim, part=part)
        for image, (part, aim) in zip(SHARP, parts.items(), strict=False)
    )
    found = [(one.severity, one.message) for one in audit(Records(items, labels)).findings if one.kind == "label"]
    assert found == [
        ("warning", "objects: the train part has no example of dog: the model cannot learn them"),
        ("info", "objects: no box of emu anywhere: the model cannot learn them"),
    ]


def test_far_more_boxes_of_one_class():
    labels = {"objects": Labels("boxes", ("cat", "dog"))}
    report = audit(of_arrays(*SHARP[:3], labels=labels, targets=[boxes(*[0] * 25), boxes(*[0] * 10, 1), boxes(1, 1)]))
    assert [finding.message for finding in report.findings if finding.kind == "imbalance"] == [
        "objects: 35 boxes of cat but 3 of dog"
    ]


def test_a_number_that_never_changes():
    labels = {"measures": Labels("number", ("age", "height"))}
    targets = [{"measures": (float(i), 7.0)} for i in range(3)]
    (finding,) = audit(of_arrays(*SHARP[:3], labels=labels, targets=targets)).findings
    assert (finding.kind, finding.severity) == ("label", "warning")
    assert finding.message.startswith("measures: height has the same value throughout")


def test_images_without_labels():
    report = audit(of_arrays(*SHARP[:4]))
    assert (report.counts, report.findings, report.kind) == ({}, (), "images")


def test_readable_only_sets_aside(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    items = (Record("broken.png", image=tmp_path / "broken.png"), Record("fine", image=SHARP[0]))
    steps = []
    kept = readable(Records(items, {}), on_file=lambda *step: steps.append(step))
    assert [record.source for record in kept] == ["fine"]
    assert kept.set_aside == (Problem("broken.png", "the file is empty (0 bytes)"),)
    assert steps == [(1, 2), (2, 2)]
