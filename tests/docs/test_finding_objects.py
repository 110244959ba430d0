"""The page about finding objects shows what the commands print, and pictures that its commands and snippets write."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from lensmith.cli.app import app

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "finding_objects.md").read_text(encoding="utf-8")
ROW = r"^  (\w+) +(\d\.\d{3}) +(\d+) +(\d+) +(\d+) +(\d+)$"  # name, score, x1, y1, x2, y2


def test_the_published_network_finds_what_the_page_says(shared_data):
    (shown,) = re.findall(r"\$ lensmith detect yolo-fastest-1.1-xl.cfg dog.jpg .*\n((?:.*\n)*?)Pictures", PAGE)
    network = shared_data / "yolo_fastest" / "ModelZoo" / "yolo-fastest-1.1_coco" / "yolo-fastest-1.1-xl"
    files = [f"{network}.cfg", str(shared_data / "darknet" / "data" / "dog.jpg"), "--weights", f"{network}.weights"]
    names = str(shared_data / "yolo_fastest" / "data" / "coco.names")
    ran = CliRunner().invoke(app, ["detect", *files, "--names", names, "--no-pictures"])
    assert ran.exit_code == 0, ran.output
    expected, found = (re.findall(ROW, text, re.MULTILINE) for text in (shown, ran.output))
    assert len(expected) == 4
    assert [row[0] for row in found] == [row[0] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert abs(float(one[1]) - float(other[1])) < 0.002
        assert all(abs(int(a) - int(b)) <= 1 for a, b in zip(one[2:], other[2:], strict=True))


def test_its_pictures_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", PAGE)
    assert len(pictures) == 5
    for picture in pictures:
        assert (DOCS / picture).stat().st_size < 150_000, picture
        with Image.open(DOCS / picture) as image:
            image.verify()


def test_its_links_lead_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }
    for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (DOCS / target).exists(), target
