"""Folders as people really have them: turned photos, strange names, loops, damage, exports of other programs."""

import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lensmith import check
from lensmith.cli.app import app
from lensmith.data import audit, convert, read, save_sheet, sheet
from lensmith.data.formats.yolo.reading import read_yolo
from lensmith.data.images import decode
from lensmith.data.targets import to_array
from lensmith.records import Labels, Record, Records

HEIGHT, WIDTH = 24, 32


def picture(mode="RGB", number=0):
    """A picture of coarse squares; no two numbers look alike."""
    squares = np.random.default_rng(number).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(squares, np.ones((8, 8, 1), np.uint8))).convert(mode)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def put(root, files):
    """Write text, bytes or pictures; None is a picture of its own."""
    for number, (name, content) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            (content or picture(number=number)).save(path)
    return root


def two_classes(count=4, suffix=".jpg"):
    return {f"{name}/{name}{number}{suffix}": None for name in ("cat", "dog") for number in range(count)}


def xml(image, size=(HEIGHT, WIDTH), box=(2, 3, 20, 12)):
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    stated = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
    named = image.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<annotation><filename>{named}</filename>{stated}"
        f"<object><name>cat</name><bndbox>{sides}</bndbox></object></annotation>"
    )


def coco(names):
    return json.dumps(
        {
            "categories": [{"id": 0, "name": "animals"}, {"id": 1, "name": "cat", "supercategory": "animals"}],
            "images": [{"id": place, "file_name": name} for place, name in enumerate(names)],
            "annotations": [
                {"id": place, "image_id": place, "category_id": 1, "bbox": [2, 3, 18, 9]} for place in range(len(names))
            ],
        }
    )


def said(records, root):
    """What was set aside, by the name below the root."""
    return {
        str(Path(one.source).relative_to(root)) if one.source.startswith("/") else one.source: one.reason
        for one in records.set_aside
    }


# ---- photos that lie on their side


def test_turned_photos_in_class_folders(tmp_path):
    put(tmp_path, two_classes())
    picture().save(tmp_path / "cat" / "side.jpg", exif=turned(6))
    (side,) = [record for record in read(tmp_path) if "side" in record.source]
    assert decode(side.image, 3).shape == (WIDTH, HEIGHT, 3)
    (found,) = [one for one in audit(read(tmp_path)).findings if one.kind == "orientation"]
    assert found.files == (str(tmp_path / "cat" / "side.jpg"),)


def test_turned_photos_in_voc(tmp_path):
    put(tmp_path, {"annotations/0.xml": xml("0.jpg"), "annotations/1.xml": xml("1.jpg", size=(WIDTH, HEIGHT))})
    (tmp_path / "images").mkdir()
    for number in (0, 1):  # both are turned; the first states the size of the file as it is stored
        picture(number=number).save(tmp_path / "images" / f"{number}.jpg", exif=turned(6))
    found = [one for one in audit(read(tmp_path)).findings if one.kind == "label"]
    assert [(one.severity, [Path(file).name for file in one.files]) for one in found] == [("severe", ["0.jpg"])]
    assert "height and width exchanged" in found[0].message


def test_turned_photos_in_yolo_count_upright(tmp_path):
    put(tmp_path, {"labels/a.txt": "0 0.5 0.5 1 0.5\n"})
    (tmp_path / "images").mkdir()
    picture().save(tmp_path / "images" / "a.jpg", exif=turned(8))
    (record,) = read(tmp_path)
    assert record.size == (WIDTH, HEIGHT)  # upright, it is higher than wide
    assert record.targets["objects"].xyxy.tolist() == [[0, WIDTH / 4, HEIGHT, WIDTH * 3 / 4]]


# ---- names

NAMES = [
    "my photo 1.jpg",
    "é è.jpg",
    "e\u0301.jpg",  # an accent written apart
    "😀.png",
    "a\nb.jpg",
    "quo'te\".jpg",
    "-dash.jpg",
    "con.jpg",  # which Windows keeps for itself
    "a&b<c>.jpg",
    "100%.jpg",
    "dot.in.name.jpg",
    "UPPER.JPG",
]


def annotated(kind):
    if kind == "voc":
        files = {f"annotations/{Path(name).stem}.xml": xml(name) for name in NAMES}
    elif kind == "yolo":
        files = {f"labels/{Path(name).stem}.txt": "0 0.5 0.5 0.25 0.5\n" for name in NAMES}
    else:
        files = {"annotations.json": coco(NAMES)}
    return {**{f"images/{name}": None for name in NAMES}, **files}


@pytest.mark.parametrize("target", ["voc", "yolo", "coco", "json", "csv"])
@pytest.mark.parametrize("kind", ["voc", "yolo", "coco"])
def test_strange_names_go_through_every_format(tmp_path, kind, target):
    records = read(put(tmp_path / "data", annotated(kind)))
    assert {Path(record.image).name for record in records} == set(NAMES)
    convert(records, tmp_path / "out", target)
    again = read(tmp_path / "out")
    assert again.set_aside == ()

    def content(one):
        return sorted((record.image.read_bytes(), record.targets["objects"].xyxy.round(3).tolist()) for record in one)

    assert content(again) == content(records)


def test_a_name_that_is_no_text(tmp_path):
    put(tmp_path, two_classes())
    file = io.BytesIO()
    picture(number=99).save(file, "JPEG")
    (tmp_path / "cat" / os.fsdecode(b"bad\xff.jpg")).write_bytes(file.getvalue())
    records = read(tmp_path)
    assert len(records) == 9
    done = CliRunner().invoke(app, ["audit", str(tmp_path), "--json"])
    assert json.loads(done.stdout)["examples"] == 9
    assert sheet(records, cell=32).shape[2] == 3


def test_captions_without_accents_can_be_drawn(tmp_path):
    # The font that comes along has no accents: the class is drawn as `ca va`, not as an empty square.
    plain = put(tmp_path / "plain", {f"{name}/{n}.png": picture(number=n) for name in ("aa", "ca va") for n in (0, 1)})
    other = put(tmp_path / "other", {f"{name}/{n}.png": picture(number=n) for name in ("aa", "ça va") for n in (0, 1)})
    below = [sheet(read(folder), cell=40)[66:] for folder in (plain, other)]  # without the title
    np.testing.assert_array_equal(*below)


# ---- what is in the way


def test_loops_pipes_and_empty_classes(tmp_path):
    put(tmp_path, two_classes())
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "dog" / "pipe.jpg")
    records = read(tmp_path)
    assert len(records) == 8
    assert said(records, tmp_path) == {
        "self": "cannot be opened: too many levels of symbolic links",
        "cat/loop": "a link to a folder that is read already, or that leads here",
        "dog/pipe.jpg": "not a file, though it is named as an image",
        "empty": "a class folder without an image",
    }
    with pytest.raises(check.DataError, match="expected a folder or file"):
        read(tmp_path / "dog" / "pipe.jpg")


def test_broken_files_are_listed_and_training_goes_on(tmp_path):
    put(tmp_path, two_classes(100))
    (tmp_path / "cat" / "cat3.jpg").write_bytes(b"")
    (tmp_path / "dog" / "dog7.jpg").write_bytes((tmp_path / "dog" / "dog8.jpg").read_bytes()[:300])
    done = CliRunner().invoke(app, ["train", str(tmp_path), "--dry-run"])
    assert done.exit_code == 0
    flat = done.output.replace("\n", "")
    assert "cat3.jpg: the file is empty (0 bytes)" in flat
    assert "dog7.jpg: damaged or cut short" in flat
    assert "2 of 200 images cannot be read and were set aside" in flat


def bomb():
    """A PNG of 30,000 x 30,000 pixels in a few kilobytes."""
    row, deflate = b"\0" * (1 + 30000 // 8), zlib.compressobj(9)
    packed = b"".join(deflate.compress(row) for _ in range(30000)) + deflate.flush()

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_set_aside_unopened(tmp_path):
    put(tmp_path, {**two_classes(), "cat/bomb.png": bomb()})
    found = audit(read(tmp_path))
    (problem,) = found.records.set_aside
    assert problem.source.endswith("bomb.png")
    assert problem.reason.startswith("too large to open safely")
    assert len(found.records) == 8


def test_every_kind_of_picture_is_read(tmp_path):
    put(
        tmp_path,
        {
            **two_classes(suffix=".JPG"),
            "cat/deep.tif": Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 80),
            "cat/cmyk.jpeg": picture("CMYK"),
            "cat/gray.Png": picture("LA"),
            "cat/bits.png": picture("1"),
            "cat/alpha.WebP": picture("RGBA"),
            "dog/float.TIFF": picture("F"),
            "dog/lab.tif": picture("LAB"),
            "dog/page.html.jpg": "<html>404</html>",
        },
    )
    picture().save(tmp_path / "dog" / "pages.tif", save_all=True, append_images=[picture(number=5)])
    picture().save(tmp_path / "dog" / "moving.gif", save_all=True, append_images=[picture(number=5)])
    picture().quantize(8).save(tmp_path / "dog" / "clear.png", transparency=3)
    file = io.BytesIO()
    picture(number=50).save(file, "PNG")
    (tmp_path / "dog" / "png.jpg").write_bytes(file.getvalue())
    found = audit(read(tmp_path))
    assert len(found.records) == 8 + 7 + 4
    assert [Path(one.source).name for one in found.records.set_aside] == ["page.html.jpg"]
    for record in found.records:
        assert decode(record.image, 3).shape == (HEIGHT, WIDTH, 3), record.source
    np.testing.assert_array_equal(decode(tmp_path / "dog" / "moving.gif", 3), np.asarray(picture()))  # the first one
    save_sheet(tmp_path / "sheet.png", found.records, cell=32)


# ---- layouts of other people

LAYOUTS = {
    "archive in folders": ({f"data/photos_v2/{name}": None for name in two_classes()}, "class folders", 8, 2),
    "with what a Mac adds": (
        {**{f"photos/{name}": None for name in two_classes()}, "__MACOSX/x": "", ".DS_Store": ""},
        "class folders",
        8,
        2,
    ),
    "a class called train": (
        {f"{name}/{number}.jpg": None for name in ("train", "car", "bus") for number in range(3)},
        "class folders",
        9,
        3,
    ),
    "parts in capitals": (
        {f"{part}/{name}": None for part in ("Train", "VAL", "Test") for name in two_classes(2)},
        "class folders",
        12,
        2,
    ),
    "Kaggle's table": (
        {
            **{f"train/{number:04x}.jpg": None for number in range(6)},
            **{f"test/{number:04x}.jpg": None for number in range(50, 53)},
            "train.csv": "id,breed\n"
            + "".join(f"{number:04x},{'pug' * (number % 2) or 'husky'}\n" for number in range(6)),
            "sample_submission.csv": "id,breed\n0032,pug\n",
        },
        "table",
        6,
        2,
    ),
    "Kaggle's names": (
        {
            **{f"train/{name}.{number}.jpg": None for name in ("cat", "dog") for number in range(5)},
            **{f"test/{number}.jpg": None for number in range(6)},
            "sampleSubmission.csv": "id,label\n1,0\n2,0\n",
        },
        "labels in file names",
        10,
        2,
    ),
    "Roboflow's VOC": (
        {
            f"{part}/{part}_jpg.rf.0a1b.{end}": xml(f"{part}_jpg.rf.0a1b.jpg") if end == "xml" else None
            for part in ("train", "valid", "test")
            for end in ("jpg", "xml")
        },
        "Pascal VOC",
        3,
        1,
    ),
    "Roboflow's YOLO": (
        {
            **{f"{part}/images/{part}.jpg": None for part in ("train", "valid", "test")},
            **{f"{part}/labels/{part}.txt": "1 0.5 0.5 0.2 0.2\n" for part in ("train", "valid", "test")},
            "data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\n"
            "names: ['cat', 'dog']\nroboflow:\n  workspace: x\n",
            "README.roboflow.txt": "x",
        },
        "YOLO",
        3,
        2,
    ),
    "Roboflow's COCO": (
        {
            **{f"{part}/{part}.jpg": None for part in ("train", "valid", "test")},
            **{f"{part}/_annotations.coco.json": coco([f"{part}.jpg"]) for part in ("train", "valid", "test")},
        },
        "COCO",
        3,
        2,
    ),
    "Ultralytics of another machine": (
        {
            **{f"images/{part}/1.jpg": None for part in ("train", "val")},
            **{f"labels/{part}/1.txt": "1 0.5 0.5 0.2 0.2\n" for part in ("train", "val")},
            "data.yaml": "path: /home/ann/pets\ntrain: images/train\nval: images/val\nnames:\n  0: no\n  1: 007\n",
        },
        "YOLO",
        2,
        2,
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_other_people(tmp_path, name):
    files, layout, examples, classes = LAYOUTS[name]
    records = read(put(tmp_path, files))
    assert records.layout.startswith(f"{layout}: ")
    assert len(records) == examples
    ((_, labels),) = records.labels.items()
    assert len(labels.names) == classes
    audit(records)


@pytest.mark.parametrize(
    ("files", "source", "layout"),
    [
        ({"images/a.jpg": None, "labels/a.txt": "0 .5 .5 .1 .1", "data.yaml": "names: [cat]"}, "data.yaml", "YOLO"),
        ({"a.jpg": None, "all.json": coco(["a.jpg"])}, "all.json", "COCO"),
        ({"a.jpg": None}, "a.jpg", "unlabelled images"),
    ],
)
def test_a_file_can_be_named_itself(tmp_path, files, source, layout):
    records = read(put(tmp_path, files) / source)
    assert records.layout.startswith(f"{layout}: ")
    assert len(records) == 1


@pytest.mark.parametrize(
    ("files", "source", "says"),
    [
        ({"photos.zip": b"PK\3\4"}, "photos.zip", r"ends in \.zip\. Unpack it, and name the folder$"),
        ({"README.md": "# Cats"}, "README.md", r"ends in \.md$"),
        ({"a.jpg": None, "a.xml": xml("a.jpg")}, "a.xml", r"Name the folder of all such files: /"),
        ({"data.yaml": "names: [a"}, "data.yaml", r"data\.yaml:\d: expected YAML"),  # says what is wrong with it
        ({"data.yaml": "stage: 1"}, "data.yaml", r"expected a config with the names of the classes"),
        ({}, "nowhere", r"there is no such folder or file$"),
        ({"notes.txt": "x"}, ".", r"no image at all, but 1 \.txt"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(tmp_path, files, source, says):
    with pytest.raises(check.DataError, match=says) as caught:
        read(put(tmp_path, files) / source)
    assert "\n" not in str(caught.value)


# ---- damage in annotations: one bad line takes its image with it, and nothing else


def test_yolo_of_which_the_first_file_is_wrong(tmp_path):
    put(
        tmp_path,
        {
            **{f"{number}.jpg": None for number in range(6)},
            "0.txt": "0 0.5 0.5 0.2 0.2 0.9",  # a prediction
            "1.txt": "0 nan 0.5 0.2 0.2",
            "2.txt": "0 0.5 0.5 0.2 0.2",
            "3.txt": "",
            "4.txt": "0 0.5 0.5",
            "5.txt": "cat 0.5 0.5 .1 .1",
        },
    )
    records = read(tmp_path)
    assert [Path(record.source).name for record in records] == ["2.jpg", "3.jpg"]
    assert {name: reason[:32] for name, reason in said(records, tmp_path).items()} == {
        "0.txt:1": "expected a class and 4 numbers, ",
        "1.txt:1": "expected finite numbers; got 'na",
        "4.txt:1": "expected a class and 4 numbers, ",
        "5.txt:1": "expected numbers; got 'cat'",
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 0.5 0.5 0.2 0.2 0.9", "these are predictions, not labels"),
        ("0 100 50 20 20", "divide them by the image's width and height"),
    ],
)
def test_yolo_that_is_wrong_throughout_is_told_why(tmp_path, line, says):
    put(tmp_path, {"images/a.jpg": None, "labels/a.txt": line})
    with pytest.raises(check.DataError, match=says):
        read(tmp_path)


def test_texts_beside_photos_are_no_labels(tmp_path):
    put(tmp_path, {"a.jpg": None, "a.txt": "a cat on a mat", "b.jpg": None, "b.txt": "2 cats"})
    assert read(tmp_path).layout == "unlabelled images: 2"


def test_voc_and_coco_with_gaps(tmp_path):
    put(
        tmp_path / "voc",
        {
            **{f"{number}.jpg": None for number in range(4)},
            "0.xml": xml("0.jpg", size=None),  # the size is that of the image
            "1.xml": xml("1.jpg", box=(1, "abc", 5, 5)),
            "2.xml": xml("../../etc/passwd"),
            "3.xml": "<annotation",
        },
    )
    records = read(tmp_path / "voc")
    assert [record.size for record in records] == [(HEIGHT, WIDTH)]
    assert sorted(said(records, tmp_path / "voc")) == ["1.xml", "2.xml", "3.xml"]
    content = json.loads(coco(["0.jpg", "1.jpg", "../x.jpg"]))
    del content["images"][1]["id"]
    content["annotations"][0]["bbox"] = [1, 1, float("nan"), 5]
    put(tmp_path / "coco", {"0.jpg": None, "1.jpg": None, "a.json": json.dumps(content)})
    records = read(tmp_path / "coco")
    assert [(Path(record.source).name, len(record.targets["objects"])) for record in records] == [("0.jpg", 0)]
    assert len(records.set_aside) >= 4  # the image without id, its box, the box of NaN, the path that climbs


def test_a_table_with_semicolons_a_mark_and_climbing_paths(tmp_path):
    rows = "".join(f'"im {number}.jpg";"{"a;b" if number % 2 else "c"}"\n' for number in range(4))
    text = f'\ufeff"file";"label"\n{rows}"../../etc/x.jpg";"c"\n"/etc/x.png";"c"\n'
    records = read(put(tmp_path, {**{f"im {number}.jpg": None for number in range(4)}, "t.csv": text}))
    assert records.counts("label") == {"a;b": 2, "c": 2}
    assert sorted(said(records, tmp_path)) == ["t.csv:6", "t.csv:7"]


# ---- paths


def test_steps_up_behind_a_link_lead_where_the_system_says(tmp_path, monkeypatch):
    put(
        tmp_path / "real" / "set",
        {
            "images/a.jpg": None,
            "find/data.yaml": "names: [cat]\ntrain: ../images",
            "find/labels/a.txt": "0 .5 .5 .1 .1",
        },
    )
    (tmp_path / "link").symlink_to(tmp_path / "real" / "set" / "find")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for way in (
        "../link",
        "../link/../find",
        f"{tmp_path}/here/../link",
        "../real/set/find/",
        f"{tmp_path}/here/../link/..",
    ):
        records = read(way)
        assert [Path(record.image).name for record in records] == ["a.jpg"], way
        assert len(records[0].targets["objects" if len(records.labels) == 1 else "find"]) == 1, way
    assert len(read_yolo("../link")) == 1


def test_a_record_may_lack_a_task(tmp_path):
    config = "path: .\ntrain: images\nnames: [cat]\n"
    put(
        tmp_path,
        {
            "images/a.jpg": None,
            "images/b.jpg": None,
            "find/data.yaml": config,
            "find/labels/a.txt": "0 .5 .5 .5 .5",
            "find/labels/b.txt": "0 .5 .5 .5 .5 .9",  # damaged: b keeps its outline
            "outline/data.yaml": config,
            "outline/labels/b.txt": "0 0 0 1 0 1 1",
        },
    )
    records = read(tmp_path)
    assert [(Path(record.source).stem, sorted(record.targets)) for record in records] == [
        ("a", ["find", "outline"]),  # without a file an image shows none of the objects
        ("b", ["outline"]),
    ]
    places = [one.source for one in records.set_aside]  # what is damaged, and what is not there
    assert places == [
        str(tmp_path / "find" / "labels" / "b.txt") + ":1",
        str(tmp_path / "outline" / "labels" / "a.txt"),
    ]
    assert audit(records).records.items == records.items
    sheet(records, cell=32)
    with pytest.raises(check.DataError, match=r"Choose one when reading: --read labels=outline$"):
        convert(records, tmp_path / "out", "voc")


def test_records_that_lack_a_task_are_not_counted_nor_trained_on():
    items = (
        Record("a.png", Path("a.png"), targets={"kind": 1}),
        Record("b.png", Path("b.png"), targets={"age": (3.0,)}),
    )
    labels = {"kind": Labels("class", ("cat", "dog")), "age": Labels("number", ("age",))}
    records = Records(items, labels)
    assert records.counts("kind") == {"cat": 0, "dog": 1}
    with pytest.raises(check.DataError, match=r"b\.png: has no target for the task 'kind'\. It has age; read one task"):
        to_array(records, "kind")
