"""Pascal VOC: what is found where, what is read from a file, what is set aside and why, what is written."""

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.voc.reading import HOLDS, VOC, read, recognise
from lensmith.records import Boxes, Labels, Record, Records

HINTS = Hints()


def draw(path, height=20, width=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path)


def thing(name="cat", box=(1, 2, 11, 12), extra=""):
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{extra}<bndbox>{sides}</bndbox></object>"


def annotate(file, *objects, filename=None, head="", size="<size><width>30</width><height>20</height></size>"):
    file.parent.mkdir(parents=True, exist_ok=True)
    name = file.with_suffix(".png").name if filename is None else filename
    named = f"<filename>{name}</filename>" if name else ""
    file.write_text(f"{head}<annotation>{named}{size}{''.join(objects)}</annotation>", "utf-8")


def example(root, *objects, stem="a", **settings):
    """One image and its annotation, side by side."""
    draw(root / f"{stem}.png")
    annotate(root / f"{stem}.xml", *objects, **settings)
    return root


def reasons(records):
    return {Path(problem.source).name: problem.reason for problem in records.set_aside}


def test_an_object_is_read(tmp_path):
    marks = "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded>0</occluded>"
    example(tmp_path, thing("dog", (1, 2.5, 11, 12.25), marks), thing("cat", extra="<difficult>1</difficult>"))
    records = read(tmp_path, HINTS)
    assert records.labels == {"objects": Labels("boxes", ("cat", "dog"))}
    assert records[0].targets["objects"] == Boxes(
        [[1, 2.5, 11, 12.25], [1, 2, 11, 12]], [1, 0], truncated=[True, False], difficult=[False, True]
    )
    assert (records[0].size, records[0].part, records[0].source) == ((20, 30), None, str(tmp_path / "a.png"))
    assert records.set_aside == ()
    assert records.layout == "Pascal VOC: 1 image, 2 boxes, 2 classes"
    assert read(tmp_path, Hints(labels=("animals",)))[0].targets.keys() == {"animals"}


@pytest.mark.parametrize(
    ("annotation", "image", "part"),
    [
        ("a.xml", "a.png", None),
        ("annotations/a.xml", "a.png", None),
        ("annotations/a.xml", "images/a.png", None),
        ("Annotations/a.xml", "JPEGImages/a.png", None),
        ("VOC2007/Annotations/a.xml", "VOC2007/JPEGImages/a.png", None),  # the devkit as it unpacks
        ("train/a.xml", "train/a.png", "train"),  # as Roboflow exports
        ("valid/annotations/a.xml", "valid/images/a.png", "validation"),
        ("annotations/test/a.xml", "images/test/a.png", "test"),
        ("annotations/xmls/a.xml", "images/a.png", None),  # the Oxford pets
        ("labels/a.xml", "img/a.png", None),
        ("photos/a.xml", "photos/a.png", None),
    ],
)
def test_folders(tmp_path, annotation, image, part):
    draw(tmp_path / image)
    annotate(tmp_path / annotation, thing())
    assert recognise(tmp_path).startswith("1 XML file in ")
    records = read(tmp_path, HINTS)
    assert [(record.image, record.part) for record in records] == [(tmp_path / image, part)]
    assert records.set_aside == ()


def test_the_folder_of_annotations_alone(tmp_path, monkeypatch):
    draw(tmp_path / "images/a.png")
    annotate(tmp_path / "annotations/a.xml", thing())
    assert read(tmp_path / "annotations", HINTS)[0].image == tmp_path / "images/a.png"
    monkeypatch.chdir(tmp_path / "annotations")
    assert read(Path(), HINTS)[0].image.resolve() == tmp_path / "images/a.png"
    monkeypatch.chdir(tmp_path)
    assert read(Path("annotations"), HINTS)[0].source == "images/a.png"


@pytest.mark.parametrize(
    ("filename", "image"),
    [
        ("a.png", "a.png"),
        ("b.png", "b.png"),  # the name in the file comes before the name of the file
        ("A.PNG", "a.png"),
        ("b", "b.jpg"),  # no suffix
        ("b.jpg", "b.png"),  # another suffix
        ("other.png", "a.png"),  # renamed since
        ("", "a.png"),
        ("photos/b.png", "photos/b.png"),
        ("photos\\b.png", "photos/b.png"),
        ("été 1.png", "e\u0301te\u0301 1.png"),  # composed and not composed
    ],
)
def test_the_image_is_found(tmp_path, filename, image):
    draw(tmp_path / image)
    annotate(tmp_path / "a.xml", thing(), filename=filename)
    assert [record.image for record in read(tmp_path, HINTS)] == [tmp_path / image]


def test_images_elsewhere(tmp_path):
    draw(tmp_path / "far/a.png")
    annotate(tmp_path / "here/a.xml", thing())
    assert read(tmp_path / "here", Hints(images=tmp_path / "far"))[0].image == tmp_path / "far/a.png"
    with pytest.raises(check.SettingError, match=r"images: expected a folder; got .*nowhere"):
        read(tmp_path / "here", Hints(images=tmp_path / "nowhere"))


def test_folder_and_path_are_not_looked_at(tmp_path):
    example(tmp_path, thing(), "<folder>../..</folder><path>/etc/passwd</path>")
    assert read(tmp_path, HINTS)[0].image == tmp_path / "a.png"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("<annotation><object></annotation>", "not XML that can be read: mismatched tag: line 1"),
        ("", "not XML that can be read: no element found"),
        ("<svg/>", "XML: expected an <annotation>; got <svg>"),
        ("<annotation>" + thing(name=" ") + "</annotation>", "object 1: expected a class in <name>; got none"),
        (
            "<annotation>" + thing() + thing(box=(1, 2, "", 4)) + "</annotation>",
            "object 2: expected a finite number in",
        ),
        ("<annotation>" + thing(box=(1, "nan", 3, 4)) + "</annotation>", "in <ymin>; got 'nan'"),
        ("<annotation>" + thing(box=("-inf", 1, 3, 4)) + "</annotation>", "in <xmin>; got '-inf'"),
        ("<annotation>" + thing(box=(1, 2, 3, "1e39")) + "</annotation>", "in <ymax>; got '1e39'"),  # float32 ends
        ("<annotation>" + thing(box=(1, 2, 3, "four")) + "</annotation>", "in <ymax>; got 'four'"),
        ("<annotation><object><name>cat</name></object></annotation>", "object 1: expected one <bndbox>; got none"),
        ("<annotation>" + thing(extra="<difficult>maybe</difficult>") + "</annotation>", "0 or 1 in <difficult>"),
        ("<annotation><filename>../a.png</filename></annotation>", "the path '../a.png' climbs out of its folder"),
        ("<annotation><filename>/a.png</filename></annotation>", "the path '/a.png' is absolute"),
        ("<annotation><filename>C:\\a.png</filename></annotation>", "is absolute"),
        ("<annotation><filename>no.png</filename></annotation>", "its image is missing: there is neither 'no.png' nor"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "no document type and no entities"),
        ('<?xml version="1.0" encoding="cp037"?><annotation/>', "an encoding such as UTF-8; got 'cp037'"),
        ("<annotation>" + "x" * 2**24 + "</annotation>", "expected at most 16,777,216 bytes"),
    ],
)
def test_a_bad_file_is_set_aside_by_itself(tmp_path, file, reason):
    example(tmp_path, thing(), stem="good")
    (tmp_path / "bad.xml").write_text(file)
    records = read(tmp_path, HINTS)
    assert [record.image.name for record in records] == ["good.png"]
    assert reason in reasons(records)["bad.xml"]
    assert "\n" not in reasons(records)["bad.xml"]
    (tmp_path / "good.xml").unlink()
    with pytest.raises(check.DataError, match=r"got none; the first of \d set aside: .*bad.xml"):
        read(tmp_path, HINTS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1", "windows-1252"])
def test_encodings(tmp_path, encoding):
    example(tmp_path, stem="a")
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    (tmp_path / "a.xml").write_bytes(f"{declared}<annotation>{thing('épée')}</annotation>".encode(encoding))
    assert read(tmp_path, HINTS).labels["objects"].names == ("épée",)
    hidden = f'{declared}<!DOCTYPE a [<!ENTITY b "c">]><annotation/>'.encode(encoding)
    (tmp_path / "b.xml").write_bytes(hidden)
    assert "no document type" in reasons(read(tmp_path, HINTS))["b.xml"]


def test_a_deep_file_does_not_crash(tmp_path):
    example(tmp_path, thing())
    (tmp_path / "b.xml").write_text("<annotation>" + "<a>" * 500_000 + "</a>" * 500_000 + "</annotation>")
    assert len(read(tmp_path, HINTS)) == 1


def test_boxes_outside_and_without_area_are_for_the_audit(tmp_path):
    example(tmp_path, thing(box=(-5, 0, 99, 20)), thing(box=(9, 9, 9, 4)))
    assert read(tmp_path, HINTS)[0].targets["objects"].xyxy.tolist() == [[-5, 0, 99, 20], [9, 9, 9, 4]]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("", (20, 30)),  # the header of the image says it
        ("<size><width>0</width><height>0</height></size>", (20, 30)),
        ("<size><width>7</width><height>5</height></size>", (5, 7)),  # that it is wrong is for the audit
        ("<size><width>wide</width></size>", (20, 30)),
    ],
)
def test_size(tmp_path, size, expected):
    assert read(example(tmp_path, thing(), size=size), HINTS)[0].size == expected


def test_what_is_not_read_is_said_once(tmp_path):
    polygon = "<polygon><x1>1</x1></polygon><part><name>head</name></part>"
    example(tmp_path, thing(extra=polygon), thing(extra=polygon), stem="a")
    example(tmp_path, thing(extra="<polygon/>"), stem="b")
    assert [problem.reason for problem in read(tmp_path, HINTS).set_aside] == [
        "<part> in objects is not read, only their boxes; it stands in 1 file",
        "<polygon> in objects is not read, only their boxes; it stands in 2 files",
    ]


def test_an_image_without_annotation(tmp_path):
    draw(tmp_path / "b.png")
    (tmp_path / "c.xml").write_text("<broken")
    draw(tmp_path / "c.png")  # its annotation is named already
    records = read(example(tmp_path, thing()), HINTS)
    assert len(records) == 1
    assert reasons(records)["b.png"].startswith("an image without an annotation file: no b.xml in ")
    assert reasons(records).keys() == {"b.png", "c.xml"}


def test_two_annotations_of_one_image(tmp_path):
    example(tmp_path, thing(), stem="b")
    annotate(tmp_path / "a.xml", thing("dog"), filename="b.png")
    records = read(tmp_path, HINTS)
    assert (len(records), records.labels["objects"].names) == (1, ("cat",))
    assert "its image, b.png, is that of" in reasons(records)["a.xml"]


def test_lists_of_parts(tmp_path):
    for stem in ("a 1", "b", "c", "d"):
        draw(tmp_path / f"JPEGImages/{stem}.png")
        annotate(tmp_path / f"Annotations/{stem}.xml", thing())
    draw(tmp_path / "JPEGImages/empty.png")
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a 1\nempty\n")
    (lists / "val.txt").write_text("b  1\r\na 1\nmissing\n")
    (lists / "trainval.txt").write_text("a 1\nb\nc\n")
    (lists / "cat_train.txt").write_text("d 1\n")  # one class, which is not needed
    records = read(tmp_path, HINTS)
    parts = {record.image.stem: (record.part, len(record.targets["objects"])) for record in records}
    assert parts == {
        "a 1": ("train", 1),
        "b": ("validation", 1),
        "c": ("train", 1),
        "d": (None, 1),
        "empty": ("train", 0),
    }
    assert [problem.reason for problem in records.set_aside] == [
        f"'a 1' stands in {lists / 'train.txt'}:1 too, and stays in train",
        "'missing' has neither an image nor an annotation file",
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.txt", "dog\n\ncat\r\nbird\n"),
        ("label_map.pbtxt", "item {\n id: 1\n name: 'dog'\n}\nitem { name: \"cat\" id: 2 }\nitem {id: 3 name:'bird'}"),
    ],
)
def test_a_file_of_class_names(tmp_path, file, text):
    example(tmp_path, thing("cat"))
    (tmp_path / file).write_text(text)
    example(tmp_path, thing("brid"), stem="b")
    records = read(tmp_path, HINTS)
    assert records.labels["objects"].names == ("dog", "cat", "bird")
    assert records[0].targets["objects"].classes.tolist() == [1]
    assert reasons(records)["b.xml"].endswith("got 'brid'. Did you mean 'bird'?")


def test_names_by_hint(tmp_path):
    example(tmp_path / "data", thing("cat"))
    (tmp_path / "names").write_text("\ufeffdog\ncat", "utf-8")
    assert read(tmp_path / "data", Hints(names=tmp_path / "names")).labels["objects"].names == ("dog", "cat")
    with pytest.raises(check.SettingError, match="a file with class names"):
        read(tmp_path / "data", Hints(names=tmp_path / "nothing"))
    (tmp_path / "names").write_text("dog\ndog")
    with pytest.raises(check.DataError, match="the name 'dog' stands twice"):
        read(tmp_path / "data", Hints(names=tmp_path / "names"))


@pytest.mark.parametrize("name", ["nothing", "file", "empty", "other"])
def test_no_such_data(tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    draw(tmp_path / "other/cat/a.png")
    assert recognise(tmp_path / name) is None
    with pytest.raises(check.DataError, match="expected Pascal VOC"):
        read(tmp_path / name, HINTS)


def test_links_do_not_go_round(tmp_path):
    example(tmp_path / "annotations", thing())
    (tmp_path / "annotations/again").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "annotations/pipe.xml")  # would be waited for
    assert len(read(tmp_path, HINTS)) == 1


def test_what_is_written(tmp_path):
    boxes = Boxes([[1, 2, 3.5, 0.1]], [1], truncated=[True])
    records = Records(
        (
            Record("x:1", np.zeros((4, 6, 3), np.uint8), targets={"animals": boxes}, part="validation"),
            Record("x:2", np.zeros((4, 6), np.uint8), targets={"animals": Boxes([], [])}),
        ),
        {"animals": Labels("boxes", ("a cat", "épée & co"))},
    )
    VOC.write(records, tmp_path)
    tree = ElementTree.parse(tmp_path / "Annotations/x-000001.xml")
    assert [tree.findtext(f"object/bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")] == [
        "1", "2", "3.5", "0.1",
    ]  # fmt: skip
    assert tree.findtext("object/name") == "épée & co"
    assert (tree.findtext("object/truncated"), tree.findtext("object/difficult")) == ("1", "0")
    assert (tree.findtext("size/width"), tree.findtext("size/height")) == ("6", "4")
    assert ElementTree.parse(tmp_path / "Annotations/x-000002.xml").findall("object") == []
    assert (tmp_path / "classes.txt").read_text("utf-8") == "a cat\népée & co\n"
    assert (tmp_path / "ImageSets/Main/val.txt").read_text() == "x-000001\n"
    assert (tmp_path / "ImageSets/Main/train.txt").read_text() == "x-000002\n"
    assert {"difficult", "truncated"} == HOLDS


@pytest.mark.parametrize(
    ("target", "labels", "message"),
    [
        (Boxes([[0, 0, np.nan, 1]], [0]), Labels("boxes", ("a",)), "x:0: t: expected finite numbers"),
        (Boxes([[0, 0, 1, 1]], [1]), Labels("boxes", ("a",)), "expected a class from 0 to 0; got 1"),
        (Boxes([[0, 0, 1, 1]], [0]), Labels("boxes", ("a\nb",)), "expected a name without control characters"),
        (Boxes([[0, 0, 1, 1]], [0]), Labels("boxes", (" a",)), "no space before or after it; got ' a'"),
        (0, Labels("class", ("a",)), r"expected one task of kind boxes to write as Pascal VOC; got t \(class\)"),
        (None, Labels("boxes", ("a",)), "x:0: has no target for the task 't'"),
    ],
)
def test_what_cannot_be_written(tmp_path, target, labels, message):
    targets = {} if target is None else {"t": target}
    records = Records((Record("x:0", np.zeros((4, 6), np.uint8), targets=targets),), {"t": labels})
    with pytest.raises(check.DataError, match=message):
        VOC.write(records, tmp_path)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    example(root, thing(), stem="good")
    draw(root / "a.png")
    return root


VALID = (
    f"<annotation><filename>a.png</filename><size><width>3</width></size>{thing()}{thing('ü')}</annotation>".encode()
)
CHUNKS = st.sampled_from(
    [b"<", b">", b"</", b"&", b"nan", b"1e999", b"-", b"<object>", b"</object>", b"\x00", b"\xff\xfe", b"<!DOCTYPE",
     b"<![CDATA[", b"../", b"9" * 400, b"<bndbox>", b"\n", b"<?xml version='1.0' encoding='utf-16'?>", b"_", b"0x1"]
)  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), CHUNKS | st.binary(max_size=4)), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_crash_the_reader(fuzzed, changes):
    content = VALID
    for share, gone, chunk in changes:
        place = int(share * len(content))
        content = content[:place] + chunk + content[place + gone :]
    (fuzzed / "a.xml").write_bytes(content)
    records = read(fuzzed, HINTS)
    assert np.isfinite(np.concatenate([record.targets["objects"].xyxy for record in records])).all()
    assert all("\n" not in problem.reason for problem in records.set_aside)


def test_raccoons(shared_data):
    folder = shared_data / "raccoon_voc"
    assert recognise(folder) == "200 XML files in annotations/"
    records = read(folder, HINTS)
    assert (records.layout, records.set_aside) == ("Pascal VOC: 200 images, 217 boxes, 1 class", ())
