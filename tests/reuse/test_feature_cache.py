"""Rows on disk: found again by name, whole or not at all, within a bound, and never in the place of something else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.reuse import feature_rows
from lensmith.reuse.feature_cache import held, opened
from lensmith.reuse.feature_rows import DiskRows, MemoryRows

ROW = np.dtype([("maps", "<f4", (2, 3)), ("vector", "<f4", (4,))])  # 40 bytes, and 40 more in the index
MIB = 2**20


def names(*numbers: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in numbers]


def rows(*numbers: int) -> np.ndarray:
    """Rows that are full of their own number."""
    made = np.empty(len(numbers), ROW)
    for i, number in enumerate(numbers):
        made[i]["maps"], made[i]["vector"] = number, -number
    return made


def cache(folder: Path, *numbers: int, key: str = "a" * 32, limit: int | None = None) -> DiskRows:
    return opened(folder, key, {"preprocessing": {"image": [1, 2, 3]}}, ROW, names(*numbers), limit)


def filled(folder: Path, *numbers: int, key: str = "a" * 32, limit: int | None = None) -> DiskRows:
    made = cache(folder, *numbers, key=key, limit=limit)
    made.write(names(*numbers), rows(*numbers))
    return made


def numbers_in(kept: DiskRows | MemoryRows, *wanted: int) -> list[int]:
    """The numbers of those of the rows that are there and whole."""
    found = kept.found(names(*wanted))
    array = kept.array()
    return [int(array[found[name]]["maps"][0, 0]) for name in names(*wanted) if name in found]


def test_what_was_written_is_found_by_another_process(tmp_path):
    filled(tmp_path / "c", 1, 2, 3)
    kept = cache(tmp_path / "c", 1, 2, 3)
    assert numbers_in(kept, 3, 1, 4, 2) == [3, 1, 2]
    np.testing.assert_array_equal(kept.array(), rows(1, 2, 3))


def test_rows_are_added(tmp_path):
    filled(tmp_path / "c", 1, 2)
    filled(tmp_path / "c", 3)
    assert numbers_in(cache(tmp_path / "c", 1), 1, 2, 3) == [1, 2, 3]


@pytest.mark.parametrize(
    ("file", "place", "left"),
    [
        ("rows.bin", 0, [2, 3]),  # the first byte of the first row
        ("rows.bin", 119, [1, 2]),  # the last byte of the last row
        ("index.bin", 40, [1, 3]),  # the name in the second entry
        ("index.bin", 75, [1, 3]),  # its checksum of the row
        ("index.bin", 79, [1, 3]),  # its checksum of itself
    ],
)
def test_a_flipped_byte_is_found_and_the_row_written_again_in_its_place(tmp_path, file, place, left):
    folder = filled(tmp_path / "c", 1, 2, 3).folder
    content = bytearray((folder / file).read_bytes())
    content[place] ^= 0x10
    (folder / file).write_bytes(content)
    kept = cache(tmp_path / "c", 1, 2, 3)
    assert numbers_in(kept, 1, 2, 3) == left
    [lost] = {1, 2, 3} - set(left)
    kept.write(names(lost), rows(lost))
    assert numbers_in(cache(tmp_path / "c", 1, 2, 3), 1, 2, 3) == [1, 2, 3]
    assert (folder / "rows.bin").stat().st_size == 3 * ROW.itemsize  # no row was added


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 4 * 40), entries=st.integers(0, 4 * 40))
def test_however_much_of_the_end_is_lost_the_rest_is_whole(tmp_path_factory, cut, entries):
    """As a kill between any two writes, or a power cut after them, would leave the two files."""
    folder = tmp_path_factory.mktemp("cut")
    own = filled(folder / "c", 1, 2, 3, 4).folder
    for name, size in (("rows.bin", cut), ("index.bin", entries)):
        os.truncate(own / name, size)
    kept = cache(folder / "c", 1, 2, 3, 4)
    left = min(cut // ROW.itemsize, entries // 40)
    assert numbers_in(kept, 1, 2, 3, 4) == [1, 2, 3, 4][:left]
    missing = [1, 2, 3, 4][left:]
    if missing:
        kept.write(names(*missing), rows(*missing))
    assert numbers_in(cache(folder / "c", 1, 2, 3, 4), 1, 2, 3, 4) == [1, 2, 3, 4]


def test_a_row_without_its_entry_does_not_count(tmp_path):
    folder = filled(tmp_path / "c", 1).folder
    with (folder / "rows.bin").open("ab") as file:
        file.write(rows(2).tobytes())  # killed here
    kept = cache(tmp_path / "c", 1, 2)
    assert numbers_in(kept, 1, 2) == [1]
    kept.write(names(2), rows(2))
    assert numbers_in(kept, 1, 2) == [1, 2]


@pytest.mark.parametrize("content", ["photo.jpg", "index.bin", "half-written"])
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, content):
    (tmp_path / content).write_text("mine")
    with pytest.raises(check.SettingError, match=f"expected a new folder.*; got one that holds {content}") as caught:
        cache(tmp_path, 1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [content]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "c").write_text("mine")
    with pytest.raises(check.SettingError, match="got a file"):
        cache(tmp_path / "c", 1)


def test_a_cache_of_another_form_is_refused(tmp_path):
    filled(tmp_path / "c", 1)
    (tmp_path / "c" / "lensmith-features.json").write_text('{"format": "lensmith features", "version": 9}\n')
    with pytest.raises(check.SettingError, match="says something else"):
        cache(tmp_path / "c", 1)


def test_a_key_whose_folder_holds_other_features_is_refused(tmp_path):
    own = filled(tmp_path / "c", 1).folder
    filled(tmp_path / "c", 2, key="b" * 32).folder.joinpath("features.json").replace(own / "features.json")
    before = (own / "rows.bin").read_bytes()
    with pytest.raises(check.SettingError, match=f"expected the features a+; got {'b' * 32}"):
        cache(tmp_path / "c", 1)
    assert (own / "rows.bin").read_bytes() == before


def test_a_desktops_own_files_do_not_count(tmp_path):
    (tmp_path / ".DS_Store").write_text("")
    assert numbers_in(filled(tmp_path, 1), 1) == [1]


def keys(folder: Path) -> list[str]:
    """The first letter of every folder of rows in a cache."""
    return sorted(path.name[0] for path in folder.iterdir() if path.is_dir())


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_bound_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(check.SettingError) as caught:
        cache(tmp_path / "c", *range(30_000), limit=1 * MIB)
    # 30,000 rows of 40 bytes and their entries of 40: 2.29 MiB, and 0.06 for the small files
    assert str(caught.value) == (
        "limit: expected at least 2.351 MiB, for 30000 rows of 0.03906 KiB; got 1 MiB. "
        "Pool the feature maps, take fewer views, or allow more"
    )
    assert not (tmp_path / "c").exists()


def test_other_keys_make_room_the_longest_unused_first(tmp_path):
    many = range(5_000)  # 0.38 MiB, and 0.06 for the small files
    first, second = (filled(tmp_path / "c", *many, key=key * 32) for key in "ab")
    os.utime(first.folder / "features.json", ns=(1, 1))
    os.utime(second.folder / "features.json", ns=(2, 2))
    old = second.array()
    filled(tmp_path / "c", *many, key="c" * 32, limit=1 * MIB)  # two of them fit
    assert not first.folder.exists()
    assert second.folder.exists()
    assert size(tmp_path / "c") <= 1 * MIB
    filled(tmp_path / "c", *many, key="d" * 32, limit=MIB // 2)
    assert keys(tmp_path / "c") == ["d"]
    assert old[7]["maps"][0, 0] == 7  # who reads what went, reads on


def test_a_key_that_is_used_again_counts_as_new(tmp_path):
    many = range(5_000)
    for stamp, key in enumerate("ab"):
        os.utime(filled(tmp_path / "c", *many, key=key * 32).folder / "features.json", ns=(stamp, stamp))
    cache(tmp_path / "c", 1, key="a" * 32)
    filled(tmp_path / "c", *many, key="c" * 32, limit=1 * MIB)
    assert keys(tmp_path / "c") == ["a", "c"]


def test_rows_that_are_not_wanted_any_more_go_when_there_is_no_room(tmp_path):
    filled(tmp_path / "c", *range(5_000))
    kept = filled(tmp_path / "c", *range(5_000, 10_000), limit=MIB // 2)
    assert size(tmp_path / "c") <= MIB // 2
    assert numbers_in(kept, 1, 6_000) == [6_000]


def test_what_was_half_removed_when_its_process_was_killed_goes(tmp_path):
    folder = filled(tmp_path / "c", 1).folder
    folder.rename(folder.with_name(f".writing-{folder.name}"))
    filled(tmp_path / "c", 2, key="b" * 32)
    assert keys(tmp_path / "c") == ["b"]


@pytest.mark.skipif(os.name == "nt", reason="folders are not locked there")
def test_only_one_at_a_time_may_write_the_rows_of_a_key(tmp_path):
    with held(tmp_path / "c", "a" * 32) as first, held(tmp_path / "c", "a" * 32) as second:
        assert (first, second) == (True, False)
        with held(tmp_path / "c", "b" * 32) as other:
            assert other
    with held(tmp_path / "c", "a" * 32) as first:
        assert first


@pytest.mark.skipif(os.name == "nt", reason="folders are not locked there")
def test_what_another_process_is_filling_makes_no_room(tmp_path):
    folder = filled(tmp_path / "c", *range(5_000)).folder
    with held(tmp_path / "c", "a" * 32), pytest.raises(check.LensmithError, match="Wait for it"):
        cache(tmp_path / "c", *range(5_000), key="b" * 32, limit=MIB // 2)
    assert folder.exists()


def test_who_may_only_read_removes_nothing(tmp_path):
    """Its process is filling the folder: were it made anew now, rows would come to lie where others are looked for."""
    filled(tmp_path / "c", *range(5_000))
    limit, about = MIB // 2, {"preprocessing": {"image": [1, 2, 3]}}
    kept = opened(tmp_path / "c", "a" * 32, about, ROW, names(*range(5_000, 10_000)), limit, mine=False)
    assert numbers_in(kept, 1, 6_000) == [1]


def test_a_full_disk_is_said_in_one_line_and_keeps_what_is_there(tmp_path, monkeypatch):
    kept = filled(tmp_path / "c", 1, 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(feature_rows, "_put", full)
    with pytest.raises(check.LensmithError, match="no space left on device"):
        kept.write(names(3), rows(3))
    assert numbers_in(cache(tmp_path / "c", 1, 2, 3), 1, 2, 3) == [1, 2]


def test_rows_in_memory():
    kept = MemoryRows(ROW, 3)
    assert kept.write(names(5, 6), rows(5, 6)) == dict(zip(names(5, 6), (0, 1), strict=True))
    assert numbers_in(kept, 6, 7, 5) == [6, 5]
    assert kept.checksums(names(6)) != kept.checksums(names(5))
