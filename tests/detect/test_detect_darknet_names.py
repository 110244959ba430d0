"""The names of a Darknet network's classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith import check
from lensmith.detect.darknet.names import plain_names, read_names


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\ndog", ("cat", "dog")),  # no line feed at the end
        (b"cat\r\nfire hydrant \r\n\r\n\n", ("cat", "fire hydrant")),  # of Windows, with empty lines at the end
        (b"\xef\xbb\xbfcat\n", ("cat",)),  # a mark of the byte order
        (b"crane\ncat\ncrane\n", ("crane", "cat", "crane (2)")),  # a bird and a machine
        (b"a\na (1)\na\na\n", ("a", "a (1)", "a (2)", "a (3)")),  # no two alike, whatever they are called
        (b"a\na\na (1)\n", ("a", "a (1) (1)", "a (1)")),
    ],
)
def test_names_are_lines(content: bytes, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a.names").write_bytes(content)
    assert read_names(tmp_path / "a.names", len(names)) == names


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"cat\ndog\nhen\n", r"a\.names: expected 2 names, as the network has classes; got 3$"),
        (b"cat\n", r"expected 2 names, as the network has classes; got 1$"),
        (b"", r"expected 2 names, as the network has classes; got 0$"),
        (b"cat\n\ndog\n", r"a\.names:2: expected the name of a class; got an empty line"),  # names would shift
        (b"\xff\xfe\n", r"a\.names:1: expected text in UTF-8"),
    ],
)
def test_other_files_are_refused_in_one_line(content: bytes, line: str, tmp_path: Path) -> None:
    (tmp_path / "a.names").write_bytes(content)
    with pytest.raises(check.DataError, match=line) as caught:
        read_names(tmp_path / "a.names", 2)
    assert "\n" not in str(caught.value)


def test_one_name_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.names").write_text("cat\ndog\n")
    with pytest.raises(check.DataError, match=r"expected 1 name, as the network has classes; got 2$"):
        read_names(tmp_path / "a.names", 1)


def test_a_data_file_says_where_the_names_are(tmp_path: Path) -> None:
    (tmp_path / "a.names").write_text("cat\n")
    (tmp_path / "a.data").write_text("classes= 1\ntrain = /home/me/train.txt\nnames = ./a.names\n")
    assert read_names(tmp_path / "a.data", 1) == ("cat",)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("../a.names", r"a\.data:2: the path '../a.names' climbs out of its folder"),
        ("/etc/passwd", r"a\.data:2: the path '/etc/passwd' is absolute"),
        ("data/other.names", r"a\.data:2: expected names = a file beside it; got 'data/other.names'"),
        ("", r"a\.data:2: expected names = a file beside it; got ''"),
    ],
)
def test_a_data_file_stays_in_its_folder(value: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.names").write_text("cat\n")
    (tmp_path / "in" / "a.data").write_text(f"classes=1\nnames = {value}\n")
    with pytest.raises(check.DataError, match=line):
        read_names(tmp_path / "in" / "a.data")


def test_a_data_file_without_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text("classes = 1\n")
    with pytest.raises(check.DataError, match="expected a line names = FILE; got none"):
        read_names(tmp_path / "a.data")


def test_classes_without_names_are_their_numbers() -> None:
    assert plain_names(2) == ("0", "1")


def test_the_published_names_are_read(shared_data: Path) -> None:
    coco = read_names(shared_data / "yolo_fastest" / "ModelZoo" / "yolo-fastest-1.1_coco" / "coco.data", 80)
    assert coco[16] == "dog"
    assert len(read_names(shared_data / "darknet" / "data" / "openimages.names", 601)) == 601
