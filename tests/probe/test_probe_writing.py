"""Figures in a folder: read back as written, all or nothing, and a document that lies is refused."""

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import files
from lensmith.check import DataError, LensmithError, SettingError
from lensmith.probe.figure import Figure
from lensmith.probe.writing import DOCUMENT, PAGE, read, write

PICTURE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
CAM = Figure(
    "grad-cam",
    "Grad-CAM of <cat>",
    PICTURE,
    {"heat": np.eye(3, dtype=np.float32), "names_of-1": np.array(["a", "é"])},
    {"class": "cat", "score": np.float32(0.5), "peak": (1, 2), "lost": float("nan"), "counts": np.arange(3)},
    "Red is more.",
)
MAPS = Figure("maps", "Maps", PICTURE[::-1], {"heat": np.zeros((0, 2))})


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_of_it_is_written_and_named(tmp_path):
    document = write(tmp_path / "out", [CAM, MAPS], {"model": "compact", "seconds": 1.5}, page="<p>é</p>")
    names = [
        "grad-cam.heat.npy",
        "grad-cam.names_of-1.npy",
        "grad-cam.png",
        "maps.heat.npy",
        "maps.png",
        DOCUMENT,
        PAGE,
    ]
    assert sorted(held(tmp_path / "out")) == sorted(names)
    assert sorted(document["paths"]) == sorted(str(tmp_path / "out" / name) for name in names)
    assert document["page"] == str(tmp_path / "out" / PAGE)
    assert (tmp_path / "out" / PAGE).read_text(encoding="utf-8") == "<p>é</p>"
    first = document["figures"][0]
    assert {key: first[key] for key in ("name", "title", "note", "facts")} == {
        "name": "grad-cam",
        "title": "Grad-CAM of <cat>",
        "note": "Red is more.",
        "facts": {"class": "cat", "score": 0.5, "peak": [1, 2], "lost": None, "counts": [0, 1, 2]},
    }
    assert [(one["name"], one["shape"], one["dtype"]) for one in first["arrays"]] == [
        ("heat", [3, 3], "float32"),
        ("names_of-1", [2], "<U1"),
    ]
    for figure, said in zip([CAM, MAPS], document["figures"], strict=True):
        assert (np.asarray(Image.open(said["picture"])) == figure.picture).all()
        for one in said["arrays"]:
            found = np.load(one["file"], allow_pickle=False)
            assert found.dtype == figure.arrays[one["name"]].dtype
            assert (found == figure.arrays[one["name"]]).all()
    json.dumps(document, allow_nan=False)


def test_the_document_on_disk_is_the_same_with_names_for_paths(tmp_path):
    document = write(tmp_path, [CAM], {"a": 1})
    kept = json.loads((tmp_path / DOCUMENT).read_text(encoding="utf-8"))
    assert kept["figures"][0]["picture"] == "grad-cam.png"
    assert kept["figures"][0]["arrays"][0]["file"] == "grad-cam.heat.npy"
    assert kept["facts"] == document["facts"] == {"a": 1}
    assert "paths" not in kept
    assert "page" not in kept


def test_it_is_read_back(tmp_path):
    write(tmp_path, [CAM, MAPS], {"model": "compact"})
    facts, figures = read(tmp_path)
    assert facts == {"model": "compact"}
    assert [(figure.name, figure.title, figure.note) for figure in figures] == [
        ("grad-cam", "Grad-CAM of <cat>", "Red is more."),
        ("maps", "Maps", ""),
    ]
    assert (figures[0].picture == CAM.picture).all()
    assert figures[0].facts["score"] == 0.5
    assert figures[0].arrays == {}


facts_of_any_kind = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), facts_of_any_kind, max_size=3), st.text())
def test_any_facts_and_words_come_back(tmp_path_factory, facts, title):
    folder = tmp_path_factory.mktemp("out")
    write(folder, [replace(CAM, title=title, facts=facts)], facts)
    found, figures = read(folder)
    assert (found, figures[0].facts, figures[0].title) == (facts, facts, title)


def test_a_name_with_bytes_that_are_no_letters_is_written_all_the_same(tmp_path):
    write(tmp_path, [replace(CAM, title="\udce9t\udce9.png")], {"image": "\udce9"}, page="\udce9")
    assert read(tmp_path)[1][0].title == "?t?.png"


# ---- replacing


def test_what_an_earlier_probe_wrote_is_replaced_and_nothing_of_it_stays(tmp_path):
    write(tmp_path / "out", [CAM, MAPS], {}, page="old")
    (tmp_path / "out" / ".DS_Store").touch()
    write(tmp_path / "out", [MAPS], {})
    assert sorted(held(tmp_path / "out")) == ["maps.heat.npy", "maps.png", DOCUMENT]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda out: (out / "thesis.txt").write_text("mine"), "thesis.txt"),  # no probe was ever here
        (lambda out: (write(out, [CAM], {}), (out / "thesis.txt").write_text("mine")), "thesis.txt"),
        (lambda out: (write(out, [CAM], {}), (out / "maps.png").write_bytes(b"mine")), "maps.png"),
        (lambda out: (write(out, [CAM], {}), (out / "grad-cam.other.npy").touch()), "grad-cam.other.npy"),
        (lambda out: (write(out, [CAM], {}), (out / DOCUMENT).write_text("{}")), "damaged"),
        (lambda out: (out / DOCUMENT).write_text("[]"), "damaged"),  # of another program
        (lambda out: (out / "grad-cam.png").mkdir(), "grad-cam.png"),
    ],
    ids=["strange", "beside ours", "a picture", "an array", "damaged", "another program", "a folder"],
)
def test_what_somebody_else_wrote_is_never_lost(tmp_path, prepare, words):
    out = tmp_path / "out"
    out.mkdir()
    prepare(out)
    before = sorted((path.name, path.is_dir() or path.read_bytes()) for path in out.iterdir())
    with pytest.raises(SettingError, match=words) as caught:
        write(out, [CAM], {})
    assert "Choose another folder" in str(caught.value)
    assert sorted((path.name, path.is_dir() or path.read_bytes()) for path in out.iterdir()) == before


def test_a_file_in_the_place_of_the_folder_stays(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(SettingError, match="got a file"):
        write(tmp_path / "out", [CAM], {})
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_a_full_disk_leaves_the_earlier_ones_whole(tmp_path, monkeypatch, fails_at):
    write(tmp_path / "out", [CAM], {"first": True}, page="old")
    before, written, real = held(tmp_path / "out"), [], files._write

    def full(path, content):
        written.append(path)
        if len(written) == fails_at:
            path.write_bytes(content[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(LensmithError, match="no space left on device; nothing there was changed") as caught:
        write(tmp_path / "out", [CAM, MAPS], {"first": False})
    assert "\n" not in str(caught.value)
    assert held(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_one_file_is_in_memory_at_a_time(tmp_path, monkeypatch):
    order, save, real = [], np.save, files._write
    monkeypatch.setattr(np, "save", lambda *some, **more: (order.append("made"), save(*some, **more)))
    monkeypatch.setattr(files, "_write", lambda *some: (order.append("written"), real(*some)))
    write(tmp_path, [replace(CAM, arrays={name: np.zeros(9) for name in "abc"})], {})
    made = [at for at, what in enumerate(order) if what == "made"]
    assert [order[at + 1] for at in made] == ["written"] * 3


# ---- what is refused before anything is written


@pytest.mark.parametrize(
    ("figures", "facts", "words"),
    [
        ([CAM, MAPS, CAM], {}, "'grad-cam' twice"),
        ([CAM, replace(CAM, name="Grad-Cam")], {}, "'Grad-Cam' twice"),  # one file on some disks
        ([replace(CAM, name="a" * 201)], {}, "at most 200"),
        ([replace(CAM, arrays={"../heat": np.zeros(1)})], {}, "'../heat'"),
        ([replace(CAM, arrays={"a.b": np.zeros(1)})], {}, "'a.b'"),
        ([replace(CAM, arrays={"": np.zeros(1)})], {}, "''"),
        ([replace(CAM, arrays={"heat": np.array([{}])})], {}, "array heat: expected numbers or text; got object"),
        ([replace(CAM, facts={"a": {"b": object()}})], {}, "grad-cam: facts: a: b: expected text, numbers"),
        ([], {"a": {1, 2}}, "facts: a: expected text, numbers, lists and mappings; got set"),
    ],
)
def test_what_cannot_be_written_is_refused_first(tmp_path, figures, facts, words):
    with pytest.raises((SettingError, DataError)) as caught:
        write(tmp_path / "out", figures, facts)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


# ---- reading what was damaged, or made to do harm


def changed(folder, change):
    document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    change(document, document["figures"][0])
    (folder / DOCUMENT).write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda document, first: document.update(format=2),
        lambda document, first: document.pop("facts"),
        lambda document, first: document.update(figures={"a": 1}),
        lambda document, first: document.update(figures=["grad-cam"]),
        lambda document, first: document["figures"].append(dict(first)),
        lambda document, first: first.update(name="../grad-cam"),
        lambda document, first: first.update(name="../grad-cam", picture="../grad-cam.png"),
        lambda document, first: first.update(name="/etc/x", picture="/etc/x.png"),
        lambda document, first: first.update(name="a\\b", picture="a\\b.png"),
        lambda document, first: first.update(name="a\n", picture="a\n.png"),
        lambda document, first: first.update(name="-", picture="-.png"),
        lambda document, first: first.update(name=["a"]),
        lambda document, first: first.update(picture="../secret.png"),
        lambda document, first: first.update(title=3),
        lambda document, first: first.update(note=None),
        lambda document, first: first.update(facts=[]),
        lambda document, first: first.update(arrays={}),
        lambda document, first: first["arrays"][0].update(file="../../a.npy"),
        lambda document, first: first["arrays"][0].update(name="a/b", file="grad-cam.a/b.npy"),
        lambda document, first: first.update(arrays=[3]),
    ],
)
def test_a_document_that_lies_is_refused_in_one_line(tmp_path, change):
    write(tmp_path / "out", [CAM], {})
    Image.fromarray(PICTURE).save(tmp_path / "grad-cam.png")
    Image.fromarray(PICTURE).save(tmp_path / "secret.png")
    changed(tmp_path / "out", change)
    with pytest.raises(DataError, match=DOCUMENT) as caught:
        read(tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'"text"'])
def test_a_document_that_is_none_is_refused_in_one_line(tmp_path, content):
    (tmp_path / DOCUMENT).write_bytes(content)
    with pytest.raises(DataError, match=DOCUMENT) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_document_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nowhere")


def test_a_picture_that_is_gone_is_left_out_and_a_link_is_not_followed(tmp_path):
    write(tmp_path / "out", [CAM, MAPS], {})
    (tmp_path / "out" / "maps.png").rename(tmp_path / "elsewhere.png")
    assert [figure.name for figure in read(tmp_path / "out")[1]] == ["grad-cam"]
    (tmp_path / "out" / "maps.png").symlink_to(tmp_path / "elsewhere.png")
    assert [figure.name for figure in read(tmp_path / "out")[1]] == ["grad-cam"]


def claims(width, height):
    """A PNG of a few bytes whose header says that it is so large."""
    import struct
    import zlib

    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n",
        claims(10_000, 10_000),
        claims(100_000, 100_000),
        claims(4, 4),
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    ],
    ids=["empty", "text", "signature", "large", "enormous", "cut off", "gif"],
)
def test_a_damaged_picture_is_named_in_one_line(tmp_path, content):
    write(tmp_path, [CAM], {})
    (tmp_path / "grad-cam.png").write_bytes(content)
    with pytest.raises(DataError, match=r"grad-cam\.png: expected a PNG") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
