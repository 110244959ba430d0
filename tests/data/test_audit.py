"""The audit opens everything, sets aside what cannot be used, and says what deserves attention."""

import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from lensmith import check, data
from lensmith.records import Records


def draw(path, size=(4, 6), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,)}[mode]
    noise = np.random.default_rng(zlib.crc32(str(path).encode())).integers(0, 256, (*size, *channels), np.uint8)
    Image.fromarray(noise).save(path, **options)


def album(root, **counts):
    for name, count in counts.items():
        for index in range(count):
            draw(root / name / f"{index}.png")
    return root


def kinds(report):
    return {finding.kind: finding.severity for finding in report.findings}


def test_a_clean_folder(tmp_path):
    draw(tmp_path / "cat" / "large.png", size=(20, 30))
    report = data.audit(data.read(album(tmp_path, cat=3, dog=3)))
    assert report.counts == {"label": {"all": {"cat": 4, "dog": 3}}}
    assert (report.channels, report.median_size) == (1, (4, 6))
    assert (report.heights, report.widths) == ((4, 4, 20), (6, 6, 30))
    assert report.findings == ()
    assert not report.severe


def test_unreadable_files_are_set_aside_by_name(tmp_path):
    album(tmp_path, cat=30, dog=3)
    (tmp_path / "cat" / "0.png").write_bytes(b"")
    (tmp_path / "dog" / "note.jpg").write_text("a dog")
    records = data.read(tmp_path)
    report = data.audit(records)
    aside = {problem.source: problem.reason for problem in report.records.set_aside}
    assert aside == {
        f"{tmp_path}/cat/0.png": "the file is empty (0 bytes)",
        f"{tmp_path}/dog/note.jpg": "not an image that can be read, whatever its name says",
    }
    assert len(report.records) == len(records) - 2
    assert kinds(report)["unreadable"] == "warning"
    assert set(next(one for one in report.findings if one.kind == "unreadable").files) == set(aside)


def test_many_unreadable_files_are_severe(tmp_path):
    album(tmp_path, cat=20, dog=20)
    for number in range(20):
        (tmp_path / "cat" / f"{number}.png").write_bytes(b"")
    (tmp_path / "cat" / "more.png").write_bytes((tmp_path / "dog" / "0.png").read_bytes())
    assert kinds(data.audit(data.read(tmp_path)))["unreadable"] == "warning", "20 of 41"
    (tmp_path / "dog" / "0.png").write_bytes(b"")
    assert kinds(data.audit(data.read(tmp_path)))["unreadable"] == "severe", "21 of 41"


def test_nothing_usable_is_an_error(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    with pytest.raises(
        check.DataError, match=r"none of 2 examples can be used; the first: .*1\.png: the file is empty"
    ):
        data.audit(data.read(tmp_path))
    with pytest.raises(check.DataError, match="none of 0 examples"):
        data.audit(Records((), {}))


def test_few_examples_of_a_class(tmp_path):
    report = data.audit(data.read(album(tmp_path, cat=5, dog=2)))
    (finding,) = report.findings
    assert (finding.kind, finding.severity) == ("few", "severe")
    assert "dog (2)" in finding.message


def test_one_training_example_of_a_class(tmp_path):
    report = data.audit(data.read(album(tmp_path, **{"train/cat": 5, "train/dog": 1, "test/cat": 1, "test/dog": 1})))
    assert kinds(report) == {"few": "warning"}


def test_imbalance(tmp_path):
    assert data.audit(data.read(album(tmp_path / "even", cat=30, dog=3))).findings == ()
    (finding,) = data.audit(data.read(album(tmp_path / "odd", cat=31, dog=3))).findings
    assert finding.kind == "imbalance"
    assert finding.message == "label: 31 examples of cat but 3 of dog"


def test_a_class_that_one_part_lacks(tmp_path):
    album(tmp_path, **{"train/cat": 3, "train/dog": 3, "test/cat": 2, "test/emu": 2})
    report = data.audit(data.read(tmp_path))
    severities = {finding.message.split(" part")[0].split()[-1]: finding.severity for finding in report.findings}
    assert severities == {"train": "severe", "test": "warning"}
    assert report.findings[0].severity == "severe"  # the worst first
    assert report.parts == {"train": 6, "test": 4}


def test_turned_and_mixed_images_are_noted(tmp_path):
    album(tmp_path, cat=3, dog=3)
    turned = Image.Exif()
    turned[274] = 6
    draw(tmp_path / "cat" / "turned.jpg", mode="RGB", exif=turned)
    Image.fromarray(np.arange(0, 48000, 2000, np.uint16).reshape(4, 6)).save(tmp_path / "dog" / "deep.png")
    report = data.audit(data.read(tmp_path))
    assert kinds(report) == {"orientation": "info", "mode": "info"}
    assert [finding.files for finding in report.findings if finding.kind == "orientation"] == [
        (f"{tmp_path}/cat/turned.jpg",)
    ]
    assert report.channels == 3
    assert report.channel_counts == {1: 7, 3: 1}


def test_rows_and_arrays():
    rows = data.audit(data.bundled("linnerud"))
    assert (rows.kind, rows.channels, rows.median_size, rows.counts) == ("rows", None, None, {})
    colour = data.audit(data.from_arrays(np.zeros((6, 3, 5, 3), np.uint8), [0, 1] * 3))
    assert (colour.kind, colour.channels, colour.median_size) == ("images", 3, (3, 5))


def test_progress_is_reported_for_every_file(tmp_path):
    steps = []
    data.audit(data.read(album(tmp_path, cat=3, dog=2)), on_file=lambda done, total: steps.append((done, total)))
    assert steps == [(index, 5) for index in range(1, 6)]


def test_the_number_of_threads_changes_nothing(tmp_path):
    records = data.read(album(tmp_path, cat=9, dog=2))
    (tmp_path / "cat" / "3.png").write_bytes(b"")
    one, many = (data.audit(records, threads=threads) for threads in (1, 5))
    assert one.to_dict() == many.to_dict()


def test_the_audit_is_json_and_is_shown(tmp_path):
    album(tmp_path, **{"train/cat[red]": 3, "train/dog": 3, "test/cat[red]": 1, "test/dog": 1})
    (tmp_path / "test" / "dog" / "0.png").write_bytes(b"")
    report = data.audit(data.read(tmp_path))
    assert json.loads(json.dumps(report.to_dict()))["examples"] == 7
    screen = io.StringIO()
    report.show(Console(file=screen, width=200))
    text = screen.getvalue()
    assert "7 images (train 6, test 1), 4 x 6 pixels, gray" in text
    assert "0.png: the file is empty (0 bytes)" in text
    assert "cat[red]" in text


def test_real_photos(shared_data):
    records = data.read(shared_data / "cats_vs_dogs")
    few = records.select(range(0, len(records), 100))
    report = data.audit(few)
    assert report.channels == 3
    assert len(report.records) == len(few)


def test_a_long_table_of_classes_is_cut():
    noise = np.random.default_rng(0).integers(0, 256, (120, 5, 5), np.uint8)
    report = data.audit(data.from_arrays(noise, np.arange(120) % 40))
    screen = io.StringIO()
    report.show(Console(file=screen, width=80))
    assert "and 10 more" in screen.getvalue()
    assert "Nothing wrong was found." in screen.getvalue()
