"""CSV tables: what each column is taken for, what is set aside, and that a written table is read as the same."""

import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.tables import download
from lensmith.data.formats.tables.csv_files import CSV
from lensmith.data.formats.tables.images import ImageFolders, square, to_pixels
from lensmith.data.images import decode
from lensmith.records import Boxes, Labels, Record, Records


def draw(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)


def table(folder, text, *images, name="table.csv", encoding="utf-8"):
    for place, image in enumerate(images):
        draw(folder / image, place)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(path, **hints):
    return CSV.read(path, Hints(**hints))


def classes(records, task="label"):
    return [records.labels[task].names[record.targets[task]] for record in records]


def reasons(records):
    return {one.source.rpartition("/")[2]: one.reason for one in records.set_aside}


def test_images_and_classes(tmp_path):
    path = table(tmp_path, "file,species\nb.png,emu\na.png,cat\n", "a.png", "b.png")
    records = read(path)
    assert [record.source for record in records] == [f"{path}:2", f"{path}:3"]
    assert [record.image for record in records] == [tmp_path / "b.png", tmp_path / "a.png"]
    assert records.labels == {"species": Labels("class", ("cat", "emu"))}
    assert classes(records, "species") == ["emu", "cat"]
    assert records.layout == "table: images in the column 'file'; labels: 'species' (class)"
    assert records.name == str(path)
    assert records.set_aside == ()


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        ("image,label\na.png,x y\nb.png,z\n", {}),  # the plain case
        ("image;label\na.png;x y\nb.png;z\n", {}),  # semicolons
        ("image\tlabel\na.png\tx y\nb.png\tz\n", {}),  # tabs
        ("image|label\na.png|x y\nb.png|z\n", {}),  # bars
        ("image:label\na.png:x y\nb.png:z\n", {"separator": ":"}),  # one that nobody looks for
        ("image\tlabel\na.png\tx y\nb.png\tz\n", {"separator": "tab"}),  # by its name
        ("image,label\r\na.png,x y\r\nb.png,z\r\n", {}),  # lines that end as on Windows
        ("image,label\ra.png,x y\rb.png,z\r", {}),  # and as they did on old Macs
        ("\ufeffimage,label\na.png,x y\nb.png,z\n", {}),  # a byte order mark
        ('"image","label"\n"a.png","x y"\n"b.png","z"\n', {}),  # all in quotes
        ("image, label\na.png, x y\nb.png, z\n", {}),  # a space after each separator
        ("image,label\na.png,x y\n\n\nb.png,z", {}),  # empty lines, and none at the end
        ("label,image\nx y,a.png\nz,b.png\n", {}),  # the other order
        ("a.png,x y\nb.png,z\n", {"labels": ("column2",)}),  # no header: a first line with an image
        ("Image Path,Label\na.png,x y\nb.png,z\n", {"labels": ("Label",)}),  # names in capitals
        (",image,label\n0,a.png,x y\n1,b.png,z\n", {}),  # a column of row numbers, as pandas writes it
    ],
)
def test_ways_to_write_one_table(tmp_path, text, hints):
    records = read(table(tmp_path, text, "a.png", "b.png"), **hints)
    (labels,) = records.labels.values()
    assert labels == Labels("class", ("x y", "z"))
    assert [record.image.name for record in records] == ["a.png", "b.png"]


def test_cells_in_quotes_hold_anything(tmp_path):
    text = 'image,label\n"a, ""b""\nc.png","two\nlines"\nd.png,"x;y"\n'
    path = table(tmp_path, text, 'a, "b"\nc.png', "d.png")
    records = read(path)
    assert [record.image.name for record in records] == ['a, "b"\nc.png', "d.png"]
    assert classes(records) == ["two\nlines", "x;y"]
    assert [record.source for record in records] == [f"{path}:2", f"{path}:5"]  # the line it begins on


@pytest.mark.parametrize("name", ["with space.png", "dé jà vu ✓.png", "new\nline.png", "a.b.c.PNG", "sub/deep/x.png"])
def test_names_of_files(tmp_path, name):
    records = read(table(tmp_path, f'image,label\n"{name}",1\n', name))
    assert records[0].image == tmp_path / name


def test_places_of_images(tmp_path):
    path = table(tmp_path, "image,label\na.png,x\nb.png,x\nc.png,y\n", "a.png", "images/b.png", "table/c.png")
    assert [str(record.image.relative_to(tmp_path)) for record in read(path)] == [
        "a.png",
        "images/b.png",
        "table/c.png",
    ]
    draw(tmp_path / "elsewhere" / "b.png")
    named = read(path, images=tmp_path / "elsewhere")
    assert [record.image for record in named] == [tmp_path / "elsewhere" / "b.png"]
    assert set(reasons(named)) == {"table.csv:2", "table.csv:4"}


def test_names_without_a_suffix(tmp_path):
    path = table(tmp_path, "id,breed\n001,husky\n002,pug\n", "train/001.jpg", "train/002.png", name="train.csv")
    records = read(path)
    assert [record.image.name for record in records] == ["001.jpg", "002.png"]
    assert {record.part for record in records} == {"train"}
    assert classes(records, "breed") == ["husky", "pug"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../a.png", "climbs out of its folder"),  # to the folder above
        ("images/../../a.png", "climbs out of its folder"),  # the same in a roundabout way
        ("..\\a.png", "climbs out of its folder"),  # as Windows writes it
        ("/etc/a.png", "is absolute"),  # from the root
        ("C:\\a.png", "is absolute"),  # of a drive
        ("\\\\server\\a.png", "is absolute"),  # of another machine
        ("gone.png", "the image is missing: 'gone.png' is not in"),  # nowhere
        (f"{'x' * 300}.png", "the image is missing"),  # a name longer than a system allows
        ("a\0.png", "the image is missing"),  # a name that no system has
        ("", "no image in the column 'image'"),  # nothing at all
    ],
)
def test_paths_that_are_set_aside(tmp_path, path, reason):
    draw(tmp_path / "a.png")
    text = f"image,label\nok.png,x\n{path},y\nok.png,y\n"
    records = read(table(tmp_path / "inner", text, "ok.png"))
    assert len(records) == 2
    assert reason in reasons(records)["table.csv:3"]


def test_a_file_here_is_better_than_one_elsewhere(tmp_path):
    path = table(tmp_path, "url,file,label\nhttps://a.example/a.png,a.png,x\n", "a.png")
    assert read(path)[0].image == tmp_path / "a.png"
    with pytest.raises(check.DataError, match="the image is at a URL"):
        read(path, image="url")


def test_a_header_of_many_columns(tmp_path):
    """64 times 64 pixels of three channels: the names alone are longer than what is looked at for the separator."""
    count = 64 * 64 * 3
    header = ",".join(["label", *(f"pixel{place}" for place in range(count))])
    records = read(table(tmp_path, f"{header}\n7{',9' * count}\n7{',8' * count}\n"))
    assert [record.image.shape for record in records] == [(64, 64, 3)] * 2
    assert CSV.recognise(tmp_path) == (
        "table.csv with the columns label, pixel0, pixel1, pixel2, pixel3, pixel4, pixel5, pixel6, …"
    )


def test_a_step_up_that_stays_inside_is_fine(tmp_path):
    (tmp_path / "images").mkdir()
    assert ImageFolders([tmp_path] if draw(tmp_path / "a.png") is None else []).find("images/../a.png").is_file()
    draw(tmp_path / "images" / "b.png")
    assert ImageFolders([tmp_path]).find("images\\b.png").is_file()  # as Windows writes it


def test_rows_that_are_set_aside(tmp_path):
    text = "image,label,age\na.png,x,1.5\na.png,x\na.png,,2\na.png,y,old\na.png,y,nan\na.png,y,1e39\na.png,y,3\n"
    records = read(table(tmp_path, text, "a.png"), labels=("label", "age"))
    assert records.labels["age"].kind == "class"  # most are no numbers
    numbers = "".join(f"a.png,x,{place / 4}\n" for place in range(1, 99))
    records = read(table(tmp_path, text + numbers), labels=("label", "age"))
    assert records.labels["age"] == Labels("number", ("age",))
    assert len(records) == 100
    assert records[0].targets == {"label": 0, "age": (1.5,)}
    assert reasons(records) == {
        "table.csv:3": "expected 3 columns; got 2",
        "table.csv:4": "nothing in the column 'label'",
        "table.csv:5": "column 'age': expected a finite number; got 'old'",
        "table.csv:6": "column 'age': expected a finite number; got 'nan'",
        "table.csv:7": "column 'age': expected a finite number; got '1e39'",
    }


def test_two_rows_with_one_image_are_two_records(tmp_path):
    records = read(table(tmp_path, "image,label\na.png,x\na.png,y\n", "a.png"))
    assert len({record.source for record in records}) == len(records) == 2


def test_several_tasks_groups_parts_and_facts(tmp_path):
    text = "image,species,weight,patient,split,camera\na.png,cat,4.5,p1,train,old\nb.png,dog,20,p2,Val,\n"
    path = table(tmp_path, text, "a.png", "b.png")
    records = read(path, labels=("species", "weight"), group="patient")
    assert [record.targets for record in records] == [{"species": 0, "weight": (4.5,)}, {"species": 1, "weight": (20,)}]
    assert [(record.group, record.part, dict(record.facts)) for record in records] == [
        ("p1", "train", {"camera": "old"}),
        ("p2", "validation", {}),
    ]
    assert len(read(path)) == 2  # `species` alone is found, the others are facts
    assert dict(read(path)[0].facts) == {"weight": "4.5", "patient": "p1", "camera": "old"}


def test_several_labels_in_a_cell(tmp_path):
    records = read(table(tmp_path, "image,tags\na.png,sun|sea\nb.png,sea\nc.png,|\n", "a.png", "b.png", "c.png"))
    assert records.labels["tags"] == Labels("classes", ("sea", "sun"))
    assert [record.targets["tags"] for record in records] == [(0, 1), (0,), ()]


@pytest.mark.parametrize(
    ("column", "cells", "kind", "names"),
    [
        ("label", ["0", "1", "10", "2"], "class", ("0", "1", "2", "10")),  # called a label, sorted as numbers
        ("digit", ["7", "7"], "class", ("7",)),
        ("age", ["7", "8", "9"], "number", ("age",)),  # as many values as a tenth of the rows are too many
        ("age", ["7", "8"] * 10, "class", ("7", "8")),  # few whole numbers in many rows
        ("age", ["7.5", "8"] * 10, "number", ("age",)),  # not whole
        ("label", ["0.5", "1"], "number", ("label",)),
        ("age", ["old", "new"], "class", ("new", "old")),  # text
        ("label", [str(place) for place in range(60)], "class", None),  # called a label: any number of them
        ("age", [str(place % 60) for place in range(700)], "number", ("age",)),  # more than 50
    ],
)
def test_kinds_of_labels(tmp_path, column, cells, kind, names):
    text = f"image,{column}\n" + "".join(f"a.png,{cell}\n" for cell in cells)
    labels = read(table(tmp_path, text, "a.png"), labels=(column,)).labels[column]
    assert labels.kind == kind
    assert names is None or labels.names == names


@pytest.mark.parametrize(
    ("header", "first", "expected"),
    [
        ("pixel0,pixel1,pixel2,pixel3,label", "0,64,128,255,7", [[0, 64], [128, 255]]),  # by number
        ("label,1x1,1x2,2x1,2x2", "7,0,64,128,255", [[0, 64], [128, 255]]),  # by row and column
        ("label,2x2,2x1,1x2,1x1", "7,255,128,64,0", [[0, 64], [128, 255]]),  # in another order
        ("label,1x1,1x2,1x3,2x1,2x2,2x3", "7,1,2,3,4,5,6", [[1, 2, 3], [4, 5, 6]]),  # not square
        ("label,pixels", "7,0 64 128 255", [[0, 64], [128, 255]]),  # all in one cell
        ("emotion,pixels,Usage", '7,"[0, 64, 128, 255]",Training', [[0, 64], [128, 255]]),  # with a part
    ],
)
def test_pixels_in_the_row(tmp_path, header, first, expected):
    records = read(table(tmp_path, f"{header}\n{first}\n{first}\n"))
    assert records[0].image[..., 0].tolist() == expected
    assert records[0].image.dtype == np.uint8
    assert records.set_aside == ()
    (task,) = records.labels
    assert task in ("label", "emotion")


def test_pixels_of_three_channels():
    assert to_pixels([str(value) for value in range(12)]).tolist() == np.arange(12).reshape(2, 2, 3).tolist()


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        ("1,2,3,256", "expected whole numbers from 0 to 255; got 256"),
        ("1,2,3,-1", "expected whole numbers from 0 to 255; got -1"),
        ("1,2,3,0.5", "expected whole numbers from 0 to 255; got 0.5"),
        ("1,2,3,", "nothing in the column 'pixel3'"),
        ("1,2,3,nan", "expected whole numbers from 0 to 255; got nan"),
        ("1,2,3,x", "a pixel is no number: 'x'"),
    ],
)
def test_pixels_that_are_set_aside(tmp_path, pixels, reason):
    text = f"pixel0,pixel1,pixel2,pixel3,label\n1,2,3,4,5\n{pixels},5\n"
    records = read(table(tmp_path, text))
    assert len(records) == 1
    assert reason in reasons(records)["table.csv:3"]


def test_the_mnist_table_without_a_header(tmp_path):
    """A label, then 784 pixels: the last of them, a corner, is always 0."""
    rng = np.random.default_rng(0)
    lines = np.column_stack([np.arange(30) % 10, rng.integers(0, 256, (30, 783)), np.zeros(30, int)])
    path = table(tmp_path, "\n".join(",".join(map(str, line)) for line in lines))
    records = read(path)
    assert len(records) == 30
    assert records[0].source == f"{path}:1"
    assert records[3].image.shape == (28, 28, 1)
    assert records[3].image.reshape(-1).tolist() == lines[3, 1:].tolist()


def test_rows_of_numbers(tmp_path):
    records = read(table(tmp_path, "rooms,area,street,price\n3,80.5,Elm,250\n5,120,Oak,480\n"), labels=("price",))
    assert records[0].row.tolist() == [3, 80.5]
    assert records[0].row.dtype == np.float32
    assert records[0].targets == {"price": (250,)}
    assert dict(records[0].facts) == {"street": "Elm"}


def test_rows_where_nothing_is_said(tmp_path):
    iris = read(table(tmp_path, "length,width,species\n1.5,2,setosa\n3,4,virginica\n"))
    assert (iris[0].row.tolist(), iris.labels["species"].kind) == ([1.5, 2], "class")
    last = read(table(tmp_path, "1,2,3.5\n4,5,6.5\n"))  # no header, no text: the last column
    assert (last[0].row.tolist(), last[0].targets, last[0].source) == ([1, 2], {"column3": (3.5,)}, f"{last.name}:1")
    chosen = read(table(tmp_path, "a,b,c,label\n1,2,3,x\n1,2,3,y\n"), rows=("c", "a"))
    assert chosen[0].row.tolist() == [3, 1]


def test_numbers_that_are_set_aside(tmp_path):
    good = "1,2,x\n" * 30
    records = read(table(tmp_path, f"a,b,label\n{good}1,,x\n1,inf,x\n1,1e39,x\n1,much,x\n1_0,2,x\n"))
    assert len(records) == 30
    assert list(reasons(records)) == [f"table.csv:{line}" for line in (32, 33, 34, 35, 36)]


BOXES = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def test_boxes(tmp_path):
    text = BOXES + "a.png,5,4,dog,0,0,2,2\nb.png,5,4,cat,1,1,5,4\na.png,5,4,cat,1,0.5,3,4\nc.png,5,4,,,,,\n"
    records = read(table(tmp_path, text, "a.png", "b.png", "c.png"))
    assert records.labels == {"objects": Labels("boxes", ("cat", "dog"))}
    assert [record.image.name for record in records] == ["a.png", "b.png", "c.png"]
    assert records[0].targets["objects"] == Boxes([[0, 0, 2, 2], [1, 0.5, 3, 4]], [1, 0])
    assert len(records[2].targets["objects"]) == 0
    assert [record.source.rpartition(":")[2] for record in records] == ["2", "3", "5"]
    assert {record.size for record in records} == {(4, 5)}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,5,4,dog,2,0,2,2", "the box: box 0: expected finite numbers, x1 < x2 and y1 < y2; got 2, 0, 2, 2"),
        ("a.png,5,4,dog,x,0,2,2", "column 'xmin': expected a finite number; got 'x'"),
        ("a.png,5,4,dog,,0,2,2", "nothing in the column 'xmin'"),
        ("a.png,5,4,,0,0,2,2", "nothing in the column 'class'"),
        ("z.png,5,4,dog,0,0,2,2", "the image is missing"),
        ("a.png,5,4,dog,0,0,2", "expected 8 columns; got 7"),
    ],
)
def test_boxes_that_are_set_aside(tmp_path, row, reason):
    records = read(table(tmp_path, f"{BOXES}a.png,5,4,dog,0,0,2,2\n{row}\n", "a.png"))
    assert len(records) == len(records[0].targets["objects"]) == 1
    assert reason in reasons(records)["table.csv:3"]


def test_raccoons(shared_data):
    folder = shared_data / "raccoon_voc"
    records = read(folder / "data" / "raccoon_labels.csv", images=folder / "images")
    assert (len(records), records.set_aside) == (200, ())
    assert sum(len(record.targets["objects"]) for record in records) == 217


@pytest.mark.parametrize(
    ("text", "hints", "message"),
    [
        ("", {}, "expected a table with a line of column names; got an empty file"),
        ("image,label\n", {}, "expected at least one row that can be used; got none"),
        ("image,label\nx.png,1\n", {}, "expected at least one row that can be used; got none; the first, "),
        ("image,a,b\na.png,x,y\n", {}, "expected one column that is the label; got several that may be ('a', 'b')"),
        ("image,label,class\na.png,x,y\n", {}, "got several that may be ('label', 'class')"),
        (
            "image,shape,colour\na.png,x,y\n",
            {},
            "Say which: --read labels=shape,colour (in Python labels=('shape', 'colour'))",
        ),
        # for the shell in quotes; of many the first
        ("image,my a,b,c,d\na.png,v,x,y,z\n", {}, "--read 'labels=my a,b,c' (in Python labels=('my a', 'b', 'c'))"),
        ("name,street\nx,y\n", {}, "expected one column that is the label; got several"),
        ("image,image\na.png,x\n", {}, "table.csv:1: the column 'image' stands twice; rename one of the two"),
        ("image,label\na.png,x\n", {"labels": ("lable",)}, "got 'lable'. Did you mean 'label'?"),
        ("image,label\na.png,x\n", {"image": "imgae"}, "got 'imgae'. Did you mean 'image'?"),
        ("image,label\na.png,x\n", {"group": "patient"}, "group: expected one of 'image', 'label'; got 'patient'"),
        ("a,b\n1,2\n", {"rows": ("c",)}, "rows: expected one of 'a', 'b'; got 'c'"),
        ("image,label\na.png,x\n", {"separator": ""}, "separator: expected one character, or tab; got ''"),
        (BOXES + "a.png,5,4,d,0,0,2,2\n", {"labels": ("class", "width")}, "expected one column, the class of each box"),
    ],
)
def test_refusals(tmp_path, text, hints, message):
    with pytest.raises(check.LensmithError) as error:
        read(table(tmp_path, text, "a.png"), **hints)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("line", [1, 2, 20_000])
def test_other_encodings_are_refused_with_their_line(tmp_path, line):
    lines = ["image,label"] + ["a.png,x"] * 30_000
    lines[line - 1] = "a.png,é"
    with pytest.raises(check.DataError, match=rf"table.csv:{line}: expected text in UTF-8; got other bytes. Save it"):
        read(table(tmp_path, "\n".join(lines), "a.png", encoding="latin-1"))


def test_a_quote_that_does_not_close_costs_some_lines_only(tmp_path):
    text = 'image,label\na.png,x\na.png,"y\n' + "a.png,x\n" * 20_000
    records = read(table(tmp_path, text, "a.png"))
    assert len(records) > 1
    assert "not a line of a table: field larger than field limit" in reasons(records)["table.csv:3"]


def test_no_labels(tmp_path):
    records = read(table(tmp_path, "image,part\na.png,train\nb.png,test\n", "a.png", "b.png"))
    assert (records.labels, [record.part for record in records]) == ({}, ["train", "test"])
    several = table(tmp_path, "image,camera,place\na.png,x,y\n")
    assert dict(read(several, labels=())[0].facts) == {"camera": "x", "place": "y"}


def test_images_at_urls(tmp_path, monkeypatch):
    text = "url,label\nhttps://a.example/1.png,x\nhttps://a.example/2.png,y\nhttps://a.example/1.png,y\n"
    path = table(tmp_path, text, "kept/1.png")
    with pytest.raises(
        check.DataError, match=r"name a folder to fetch into: download=FOLDER \(--read download=FOLDER\)"
    ):
        read(path)
    asked = []

    def fetch(urls, folder, hosts):
        asked.append((urls, folder, hosts))
        return [tmp_path / "kept/1.png", download.Problem(urls[1], "the server answers 404 Not Found")]

    monkeypatch.setattr(download, "fetch", fetch)
    records = read(path, download=tmp_path / "kept", hosts=("here",))
    urls = ["https://a.example/1.png", "https://a.example/2.png"]
    assert asked == [(urls, tmp_path / "kept", ("here",))]
    assert [record.image for record in records] == [tmp_path / "kept/1.png"] * 2
    assert reasons(records) == {"table.csv:3": f"{urls[1]}: the server answers 404 Not Found"}


@pytest.mark.parametrize(
    ("tables", "others", "seen"),
    [
        (["labels.csv"], ["a.png"], True),  # beside its images
        (["labels.csv"], ["images/a.png"], True),  # with a folder of images
        (["train.csv"], ["train/a.png"], True),  # as Kaggle has it
        (["train.csv", "test.csv"], ["images/a.png"], True),
        (["labels.csv"], [], True),  # numbers, perhaps
        (["labels.csv"], ["cat/a.png", "dog/b.png"], False),  # class folders with a table beside
        (["one.csv", "two.csv"], ["a.png"], False),  # which one?
        ([], ["a.png"], False),
    ],
)
def test_folders_that_are_recognised(tmp_path, tables, others, seen):
    for name in tables:
        table(tmp_path, "image,label\na.png,x\n", *others, name=name)
    for name in others:
        draw(tmp_path / name)
    assert (CSV.recognise(tmp_path) is not None) is seen


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x.csv", "x.csv with the columns image, label"),
        ("x.TSV", "x.TSV with the columns image, label"),
        ("x.json", None),
        ("x.png", None),
    ],
)
def test_files_that_are_recognised(tmp_path, name, says):
    separator = "\t" if name.endswith("TSV") else ","
    assert CSV.recognise(table(tmp_path, f"image{separator}label\na.png{separator}x\n", name=name)) == says


def test_a_folder_of_parts(tmp_path):
    table(tmp_path, "image,label\na.png,x\n", "train/a.png", name="train.csv")
    table(tmp_path, "label,image\ny,b.png\n", "test/b.png", name="test.csv")
    table(tmp_path, "image\nc.png\n", name="validation.csv")
    table(tmp_path, "image,label\na.png,x\n", name="sample_submission.csv")
    records = read(tmp_path)
    assert [(record.part, record.image.name) for record in records] == [("train", "a.png"), ("test", "b.png")]
    assert records.labels["label"].names == ("x", "y")
    assert set(reasons(records)) == {"validation.csv", "sample_submission.csv"}
    with pytest.raises(check.DataError, match=r"expected one CSV file, or train.csv and others; got none"):
        read(tmp_path / "train")


def album(folder, records_of, labels):
    draw(folder / "in" / "a.png", 1)
    draw(folder / "in" / "b.jpg", 2)
    images = [folder / "in" / "a.png", folder / "in" / "b.jpg", np.full((2, 3, 1), 7, np.uint8)]
    items = tuple(
        Record(f"s:{place}", image=images[place], targets=targets, group=group, part=part, facts=facts)
        for place, (targets, group, part, facts) in enumerate(records_of)
    )
    return Records(items, labels, "album")


def same(first, second):
    """The same content: class names may stand in another order, and names that nobody has are not written."""
    assert len(first) == len(second)
    assert second.set_aside == ()
    assert set(first.labels) == set(second.labels)
    for mine, theirs in zip(first, second, strict=True):
        assert (mine.group or None, mine.part) == (theirs.group, theirs.part)
        assert {key: text for key, text in mine.facts.items() if text.strip()} == dict(theirs.facts)
        if mine.row is None:
            assert np.array_equal(decode(mine.image, 3), decode(theirs.image, 3))
        else:
            assert np.array_equal(mine.row, theirs.row)
        for task, labels in first.labels.items():
            assert meant(mine, task, labels) == meant(theirs, task, second.labels[task])


def meant(record, task, labels):
    target = record.targets[task]
    if labels.kind == "class":
        return labels.names[target]
    if labels.kind == "classes":
        return {labels.names[index] for index in target}
    if labels.kind == "boxes":
        return target.xyxy.tolist(), [labels.names[index] for index in target.classes], target.difficult.tolist()
    return labels.names, target


def back(records):
    with tempfile.TemporaryDirectory() as folder:
        CSV.write(records, Path(folder))
        assert CSV.recognise(Path(folder)) is not None
        found = CSV.read(Path(folder), Hints())
        same(records, found)
        return (Path(folder) / "records.csv").read_text(encoding="utf-8").splitlines()


def test_one_class_is_written_plainly(tmp_path):
    labels = {"label": Labels("class", ("dog", "cat"))}
    records = album(tmp_path, [({"label": 1}, None, None, {}), ({"label": 0}, None, None, {})], labels)
    assert back(records) == ["image,label", "images/a.png,cat", "images/b.jpg,dog"]


def test_all_a_table_holds(tmp_path):
    labels = {
        "species": Labels("class", ("3", "cat", "a|b", 'x,"y"\r\nz')),
        "tags": Labels("classes", ("sun", "sea")),
        "price": Labels("number", ("price",)),
        "body": Labels("number", ("weight", "height")),
    }
    facts = [{"camera": "ö"}, {"part": "p", "group": "g", "label": "l", "image": "i", "a:class": "c"}, {"7": " "}]
    targets = [
        {"species": 0, "tags": (0, 1), "price": (1.1,), "body": (1e-9, -3)},
        {"species": 2, "tags": (), "price": (2,), "body": (1, 2)},
        {"species": 3, "tags": (1,), "price": (-0.0,), "body": (3.5, 2)},
    ]
    rest = [("g 1", "train"), ("g 2", "test"), (None, None)]
    rows = [(one, *other, fact) for one, other, fact in zip(targets, rest, facts, strict=True)]
    header = back(album(tmp_path, rows, labels))[0]
    assert header.startswith("image,species:class,tags:classes,price:number,body:number:weight,body:number:height,part")


def test_unlabelled_images_keep_their_facts(tmp_path):
    assert back(album(tmp_path, [({}, None, None, {"camera": "x"})], {}))[0] == "image,camera:fact"


def test_boxes_are_written_as_tensorflow_has_them(tmp_path):
    labels = {"objects": Labels("boxes", ("cat", "dog"))}
    pair = Boxes([[0, 0, 2, 2], [0.1, 1, 3.3333333, 4]], [1, 0], difficult=[False, True])
    rows = [({"objects": pair}, None, "train", {}), ({"objects": Boxes([], [])}, "g", None, {"label": "x"})]
    lines = back(album(tmp_path, rows, labels))
    assert lines[0] == "filename,width,height,class,xmin,ymin,xmax,ymax,difficult,part,group,label:fact"
    assert lines[1] == "images/a.png,5,4,dog,0,0,2,2,0,train,,"
    assert lines[3].startswith("images/b.jpg,5,4,,,,,,,")


@pytest.mark.parametrize(
    ("target", "labels", "message"),
    [
        (np.zeros((1, 2)), Labels("points", ("nose",)), "'label' (points). JSON can hold it"),
        (np.zeros((4, 5), np.uint8), Labels("mask", ("sky",)), "'label' (mask). JSON can hold it"),
        (0, Labels("class", ("",)), "expected class names that are not empty; got ''. JSON can hold it"),
        ((0,), Labels("classes", ("a|b",)), "are not empty and have no '|'; got 'a|b'. JSON can hold it"),
        (None, Labels("class", ("a",)), "s:0: has no target for the task 'label'. JSON can hold it"),
    ],
)
def test_what_a_table_cannot_hold(tmp_path, target, labels, message):
    targets = {} if target is None else {"label": target}
    with pytest.raises(check.DataError) as error:
        CSV.write(album(tmp_path, [(targets, None, None, {})], {"label": labels}), tmp_path)
    assert message in str(error.value)


def test_records_that_do_not_fit_together(tmp_path):
    row = Record("r:0", row=np.zeros(2, np.float32))
    with pytest.raises(check.DataError, match="s:0: expected a row of 2 numbers, as the first has; got an image"):
        CSV.write(Records((row, album(tmp_path, [({}, None, None, {})], {})[0]), {}), tmp_path)
    with pytest.raises(check.DataError, match="no record to write"):
        CSV.write(Records((), {}), tmp_path)


@pytest.mark.parametrize(
    ("label", "labels", "facts"),
    [
        (0, Labels("class", ("a",)), {" ": "x"}),  # no name at all
        (Boxes([[0, 0, 1, 1]], [0]), Labels("boxes", ("a",)), {"width": "4"}),  # the column of the image's width
    ],
)
def test_names_that_no_column_can_have(tmp_path, label, labels, facts):
    with pytest.raises(check.DataError, match=r"cannot be the name of one column. JSON can hold it"):
        CSV.write(album(tmp_path, [({"label": label}, None, None, facts)], {"label": labels}), tmp_path / "new")


def test_column_names_that_no_file_takes(tmp_path):
    with pytest.raises(check.DataError, match="the names of the columns: a text that is not UTF-8"):
        CSV.write(numbers({"\ud800": 0}, {"\ud800": Labels("class", ("a",))}), tmp_path)


def numbers(targets, labels, row=(1, 2), **others):
    return Records((Record("r:0", row=np.array(row, np.float32), targets=targets, **others),), labels)


@pytest.mark.parametrize(
    ("targets", "labels", "facts"),
    [
        ({"a": (1.0,)}, Labels("number", ("class",)), {}),  # a:number:class is a number, and no class
        ({"a": (1.0,)}, Labels("number", ("number",)), {}),
        ({"a": (1.0, 2.0)}, Labels("number", ("x:y", "classes")), {}),
        ({"a\u2028b": 0}, Labels("class", ("x",)), {}),  # what ends a line elsewhere, but not in a table
        ({"a": 0}, Labels("class", ("x",)), {"column3": "7", "photo of": "a.png", "xmin": "2"}),  # facts all the same
    ],
)
def test_names_that_are_hard_to_read(tmp_path, targets, labels, facts):
    (task,) = targets
    CSV.write(numbers(targets, {task: labels}, facts=facts), tmp_path)
    records = read(tmp_path)
    assert records.labels == {task: labels}
    assert (records[0].row.tolist(), records[0].targets, records[0].facts) == ([1, 2], targets, facts)


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("a:number", Labels("class", ("x",))),  # a:number:class would be a number of the task a
        ("a", Labels("number", ("b:fact",))),  # a:number:b:fact would be a fact
    ],
)
def test_names_that_would_be_misread(tmp_path, task, labels):
    with pytest.raises(check.DataError, match=r"would be misread. JSON can hold it"):
        CSV.write(numbers({task: 0 if labels.kind == "class" else (1.0,)}, {task: labels}), tmp_path)


@pytest.mark.parametrize(
    ("target", "row", "got"),
    [((np.inf,), (1, 2), "inf"), ((1e39,), (1, 2), "1e+39"), ((1.0,), (1, np.nan), "nan")],  # float32 ends at 3.4e38
)
def test_numbers_that_would_be_set_aside(tmp_path, target, row, got):
    with pytest.raises(check.DataError) as error:
        CSV.write(numbers({"n": target}, {"n": Labels("number", ("n",))}, row), tmp_path)
    assert str(error.value) == f"r:0: expected finite numbers; got {got}"


def test_hints_come_before_what_is_seen(tmp_path):
    path = table(tmp_path, "label,pixel0,pixel1,pixel2,pixel3,image\nx,1,2,3,4,a.png\n", "a.png")
    assert read(path, rows=("pixel1", "pixel0"))[0].row.tolist() == [2, 1]  # though they would make an image
    with pytest.raises(check.SettingError, match=r"rows: expected nothing beside image: .* got 'pixel0'"):
        read(path, rows=("pixel0",), image="image")


def test_a_task_of_several_columns_is_named_as_one(tmp_path):
    text = "image,body:number:weight,body:number:height,age:number\na.png,1,2,3\n"
    records = read(table(tmp_path, text, "a.png"), labels=("body",))
    assert records.labels == {"body": Labels("number", ("weight", "height"))}
    assert records[0].targets == {"body": (1.0, 2.0)}


finite = some.floats(width=32, allow_nan=False, allow_infinity=False)
texts = some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(str.strip)


@given(
    rows=some.lists(some.tuples(some.lists(finite, min_size=3, max_size=3), some.integers(0, 2), finite), min_size=1),
    names=some.lists(texts, min_size=3, max_size=3, unique=True),
    group=some.none() | texts,
)
@settings(max_examples=40, deadline=None)
def test_rows_come_back(rows, names, group):
    items = tuple(
        Record(
            f"r:{place}",
            row=np.array(row, np.float32),
            targets={"name": index, "number": (number,)},
            group=group,
            part=["train", "test", None][place % 3],
            facts={"said": names[index]} if place % 2 else {},
        )
        for place, (row, index, number) in enumerate(rows)
    )
    back(Records(items, {"name": Labels("class", tuple(names)), "number": Labels("number", ("number",))}))


GOOD = (
    b"image,label\na.png,cat\nb.png,dog\n",
    BOXES.encode() + b"a.png,5,4,dog,0,0,2,2\nb.png,5,4,cat,1,1,5,4\n",
    b"a;b;label\n1;2;x\n3;4;y\n",
    b"label,1x1,1x2,2x1,2x2\n1,0,64,128,255\n",
    b'image,x:class,y:number\n"a.png",1,2\n',
)
BITS = (",", "\n", '"', "|", ";", "\t", "\0", "\r", "..", "/", "nan", "1e999", "-", ":fact", "http://x/", "part", "[")
NOISE = some.sampled_from([*(bit.encode() for bit in BITS), b"\xff", b"\xef\xbb\xbf", b"1 2 3 4", b"9" * 400, b" "])


@given(data=some.data())
@settings(max_examples=40, deadline=None)
def test_whatever_stands_there_the_answer_is_one_of_ours(data):
    """Records, or a refusal in one line: never another error."""
    if data.draw(some.booleans()):
        content = data.draw(some.binary(max_size=80) | some.text(max_size=60).map(lambda text: text.encode("utf-8")))
    else:
        content = data.draw(some.sampled_from(GOOD))
        for _ in range(data.draw(some.integers(1, 4))):
            place, length = data.draw(some.integers(0, len(content))), data.draw(some.integers(0, 3))
            content = content[:place] + data.draw(NOISE) + content[place + length :]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.png", "b.png"):
            draw(Path(folder) / name)
        path = Path(folder) / "table.csv"
        path.write_bytes(content)
        CSV.recognise(path)
        try:
            records = CSV.read(path, Hints())
        except check.LensmithError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert len(records)
            assert all(record.row is None or np.isfinite(record.row).all() for record in records)


def test_more_lines_than_are_looked_at_together(tmp_path):
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "label"])
        writer.writerows([place, place / 7, "xy"[place % 2]] for place in range(5000))
    records = read(path)
    assert len(records) == 5000
    assert records[4999].row.tolist() == [4999, np.float32(4999 / 7)]


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1, 1)), (3, (1, 1, 3)), (784, (28, 28, 1)), (3072, (32, 32, 3))])
def test_square(count, shape):
    assert square(count) == shape


# The text of a table, what its only image must be called, and what is said of the other lines.
ROWS = [
    ("image , label\na.png , cat\n", []),  # spaces on both sides
    (f"image,label\nb.png,{'x' * 200_000}\na.png,cat\n", ["not a line of a table: field larger"]),  # in the first row
    ("image,label\na.png,cat\nb.png,dog,x\n", ["expected 2 columns; got 3"]),
]


@pytest.mark.parametrize(("text", "said"), ROWS)
def test_a_bad_row_ends_no_table(tmp_path, text, said):
    records = read(table(tmp_path, text, "a.png", "b.png"))
    assert [record.image.name for record in records] == ["a.png"]
    assert all(reason.startswith(start) for reason, start in zip(reasons(records).values(), said, strict=True))


# What is left of a table when nothing of it can be used, and what is said.
NOTHING = [
    ("image,label\n", "expected at least one row that can be used; got none$"),
    (
        'image,label\n"a.png,cat\nb.png,dog\n',
        r"csv:2: expected 2 columns; got 1, in several lines: a quote that does not",
    ),
    ("image,label\ngone.png,cat\n", "Say where the images are: --read images=FOLDER$"),
]


@pytest.mark.parametrize(("text", "message"), NOTHING)
def test_a_table_of_which_nothing_is_left(tmp_path, text, message):
    with pytest.raises(check.DataError, match=message):
        read(table(tmp_path, text, "a.png"))
