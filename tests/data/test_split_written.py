"""A split that is written down: readable, checked, and the same when files come and go."""

import json
import os
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.data.splits import Split, read_split, split, write_split
from lensmith.data.splits.written import keys
from lensmith.records import PARTS, Labels, Record, Records

FRACTIONS = (0.6, 0.2, 0.2)


def album(names, *, root="photos", groups=None, kind="class"):
    """Photos by name; the class is the letter the name begins with."""
    letters = "abcdefgh"
    items = tuple(
        Record(
            f"{root}/{name}.png",
            image=Path(root) / f"{name}.png",
            targets={"it": letters.index(name[0]) if kind == "class" else (letters.index(name[0]),)},
            group=(groups or {}).get(name),
        )
        for name in names
    )
    return Records(items, {"it": Labels(kind, tuple(letters))}, root)


def where(parts):
    return {record.source: part for part, records in zip(PARTS, parts, strict=True) for record in records}


def written(parts, seed=0):
    return Split(FRACTIONS, seed, {key: part for part, some in zip(PARTS, parts, strict=True) for key in keys(some)})


def test_a_split_is_written_for_people_and_read_back(tmp_path):
    records = album([f"{letter}/é{place}" for letter in "ab" for place in range(5)])
    parts = split(records, *FRACTIONS, seed=3)
    made = write_split(tmp_path / "split.json", parts, FRACTIONS, seed=3)
    text = (tmp_path / "split.json").read_text("utf-8")
    assert '\n  "validation": [\n   "a/é' in text
    document = json.loads(text)
    assert document["parts"]["train"] == sorted(document["parts"]["train"])
    assert sorted(chain.from_iterable(document["parts"].values())) == sorted(keys(records))
    assert read_split(tmp_path / "split.json") == made == Split(FRACTIONS, 3, made.parts)
    assert where(split(records, *FRACTIONS, seed=9, previous=made)) == where(parts)
    assert list(tmp_path.iterdir()) == [tmp_path / "split.json"]


def test_the_same_split_is_the_same_bytes(tmp_path):
    parts = split(album([f"a/{place}" for place in range(9)]), *FRACTIONS)
    shuffled = [part.select(range(len(part) - 1, -1, -1)) for part in parts]
    for name, these in (("one", parts), ("two", shuffled)):
        write_split(tmp_path / name, these, FRACTIONS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_folder_may_move():
    names = [f"a/{place}" for place in range(20)]
    first = split(album(names, root="here/photos"), *FRACTIONS)
    moved = split(album(names, root="/elsewhere/images"), *FRACTIONS, seed=5, previous=written(first))
    assert [[r.image.name for r in part] for part in moved] == [[r.image.name for r in part] for part in first]


# A record and the name of its records; and its key.
KEYS = [
    # a file below the folder
    (Record("x", image=Path("photos/cat/1.png")), "photos", "cat/1.png"),
    # a file elsewhere is called by its source
    (Record("table.csv:3", image=Path("other/1.png")), "photos", "other/1.png"),
    # a table names files below its folder
    (Record("data/table.csv:3", image=Path("data/img/1.png")), "data/table.csv", "img/1.png"),
    # a row of that table
    (Record("data/table.csv:3", row=np.zeros(1)), "data/table.csv", "table.csv:3"),
    # a folder whose name begins like this one is another
    (Record("x", image=Path("photos2/1.png")), "photos", "photos2/1.png"),
    # pixels in memory
    (Record("arrays:7", image=np.zeros((1, 1, 1), np.uint8)), "arrays", "arrays:7"),
]


@pytest.mark.parametrize(("record", "name", "key"), KEYS)
def test_keys(record, name, key):
    assert keys(Records((record,), {}, name)) == (key,)


def test_names_that_are_no_utf8_come_through(tmp_path):
    odd = os.fsdecode(b"a\xff")
    made = write_split(tmp_path / "s.json", split(album([odd, "a1", "a2"]), *FRACTIONS), FRACTIONS)
    assert read_split(tmp_path / "s.json") == made
    assert f"{odd}.png" in made.parts


def test_one_key_in_two_parts_is_refused(tmp_path):
    twins = Records(tuple(Record("same", row=np.zeros(1)) for _ in range(6)), {})
    with pytest.raises(check.DataError, match="same: expected each example in one part; got train and validation"):
        write_split(tmp_path / "s.json", split(twins, *FRACTIONS), FRACTIONS)


GOOD = {
    "format": "lensmith split 1",
    "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2},
    "seed": 0,
    "parts": {"train": ["a"], "validation": [], "test": ["b"]},
}

# What is put in place of the good document's field; and what the line must say.
FAULTS = [
    ({"format": "lensmith split 2"}, "format: expected 'lensmith split 1'"),
    ({"more": 1}, "expected the fields format, fractions, seed, parts; got the fields .*more"),
    ({"fractions": {"train": 1}}, "fractions: expected the fields train, validation, test"),
    ({"fractions": {"train": 2, "validation": 0, "test": 0}}, "fractions: train: expected a number from 0 to 1; got 2"),
    ({"fractions": {"train": "1", "validation": 0, "test": 0}}, "fractions: train: expected a number"),
    ({"seed": 1.5}, "seed: expected a whole number; got 1.5"),
    ({"seed": True}, "seed: expected a whole number"),
    ({"parts": []}, "parts: expected the fields train, validation, test; got list"),
    ({"parts": {"train": "a", "validation": [], "test": []}}, "train: expected a list of names"),
    ({"parts": {"train": [1], "validation": [], "test": []}}, "train: expected a list of names; got 1"),
    ({"parts": {"train": ["a"], "validation": ["a"], "test": []}}, "'a' in train and again in validation"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_faulty_file_is_refused_by_name(tmp_path, change, message):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(GOOD))
    assert read_split(path).parts == {"a": "train", "b": "test"}
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(check.DataError, match=rf"split\.json.*{message}") as caught:
        read_split(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_split_is_refused(tmp_path, content):
    path = tmp_path / "split.json"
    path.write_bytes(content)
    with pytest.raises(check.DataError, match=r"split\.json: expected"):
        read_split(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(check.DataError, match=r"none\.json: expected a split .* no such file"):
        read_split(tmp_path / "none.json")


@settings(max_examples=40, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["class", "classes"]))
def test_no_example_ever_moves(data, kind):
    """Two rounds of additions and losses, with groups: the known keep their part, groups stay whole."""
    names = [f"{'ab'[place % 2]}/{place:02}" for place in range(60)]
    order = data.draw(st.permutations(names))
    groups = {
        name: f"g{place}"
        for name, place in data.draw(st.dictionaries(st.sampled_from(names), st.integers(0, 12))).items()
    }
    seed = data.draw(st.integers(0, 3))
    start, middle = sorted((data.draw(st.integers(24, 60)), data.draw(st.integers(24, 60))))
    present = sorted(order[:start])
    try:
        parts = split(album(present, groups=groups, kind=kind), *FRACTIONS, seed=seed)
    except check.DataError:  # too few groups of a class
        return
    for stop in (middle, 60):
        before, here = where(parts), written(parts, seed)
        present = sorted(set(order[:stop]) - set(data.draw(st.sets(st.sampled_from(names), max_size=3))))
        records = album(present, groups=groups, kind=kind)
        parts, again = (split(records, *FRACTIONS, seed=seed, previous=here) for _ in range(2))
        after = where(parts)
        assert where(again) == after
        assert sorted(after) == sorted(record.source for record in records)
        assert all(after[source] == part for source, part in before.items() if source in after)
        for group in set(groups.values()):
            members = {f"photos/{name}.png" for name in present if groups.get(name) == group}
            old = {before[source] for source in members & before.keys()}
            assert len({after[source] for source in members}) <= max(1, len(old))


def test_proportions_come_back_as_files_are_added():
    first = split(album([f"a/{place}" for place in range(10)]), *FRACTIONS)
    skewed = Split(FRACTIONS, 0, dict.fromkeys(written(first).parts, "train"))  # ten of ten in training
    names = [f"a/{place}" for place in range(50)] + [f"b/{place}" for place in range(20)]
    parts = split(album(names), *FRACTIONS, previous=skewed)
    counts = [part.counts("it") for part in parts]
    assert [count["a"] for count in counts] == [30, 10, 10]
    assert [count["b"] for count in counts] == [12, 4, 4]


def test_new_members_join_their_group_and_their_duplicates():
    names = [f"a/{place:02}" for place in range(10)]
    first = split(album(names, groups={"a/00": "x"}), *FRACTIONS)
    more = [*names, *(f"a/{place:02}" for place in range(10, 20))]
    groups = {"a/00": "x", "a/10": "x", "a/11": "x"}
    parts = split(album(more, groups=groups), *FRACTIONS, previous=written(first), together=[(1, 12), (13, 12)])
    found = where(parts)
    assert len({found[f"photos/{name}.png"] for name in groups}) == 1
    assert len({found[f"photos/a/{place}.png"] for place in ("01", "12", "13")}) == 1


def test_a_new_link_between_old_parts_moves_neither():
    names = [f"a/{place:02}" for place in range(10)]
    first = split(album(names), *FRACTIONS)
    before = where(first)
    one = names.index(next(r.source for r in first[0]).removeprefix("photos/").removesuffix(".png"))
    two = names.index(next(r.source for r in first[2]).removeprefix("photos/").removesuffix(".png"))
    parts = split(album([*names, "a/99"]), *FRACTIONS, previous=written(first), together=[(one, two, 10)])
    after = where(parts)
    assert {source: after[source] for source in before} == before
    assert after["photos/a/99.png"] == "train", "of two equals, the first"


def test_what_is_gone_and_what_is_new_can_be_asked():
    known = written(split(album([f"a/{place}" for place in range(6)]), *FRACTIONS))
    now = album([f"a/{place}" for place in range(2, 8)])
    assert known.gone(now) == ("a/0.png", "a/1.png")
    assert known.added(now) == ("a/6.png", "a/7.png")
    assert known.kept(now) == ("a/2.png", "a/3.png", "a/4.png", "a/5.png")


def test_a_split_of_other_data_is_refused():
    other = Split(FRACTIONS, 0, {"x/1.png": "train"})
    with pytest.raises(check.DataError, match=r"photos: .* got a split of other data, such as 'x/1.png'"):
        split(album([f"a/{place}" for place in range(9)]), *FRACTIONS, previous=other)
    nothing = Split(FRACTIONS, 0, {})  # it knows no data, and so no other
    assert sum(map(len, split(album([f"a/{place}" for place in range(9)]), *FRACTIONS, previous=nothing))) == 9


def test_a_class_that_dwindled_is_no_error_but_a_new_one_too_small_is():
    known = written(split(album(["a/1", "a/2", "a/3"]), *FRACTIONS))
    assert [len(part) for part in split(album(["a/1"]), *FRACTIONS, previous=known)].count(1) == 1
    with pytest.raises(check.DataError, match="got 1 of 'b'"):
        split(album(["a/1", "a/2", "a/3", "b/1"]), *FRACTIONS, previous=known)


def test_the_source_overrules_what_was_written():
    names = [f"a/{place}" for place in range(10)]
    records = album(names)
    known = Split(FRACTIONS, 0, dict.fromkeys(keys(records), "train"))
    stated = Records(
        tuple(
            Record(r.source, image=r.image, targets=r.targets, part="test" if place < 2 else "train")
            for place, r in enumerate(records)
        ),
        records.labels,
        records.name,
    )
    parts = split(stated, *FRACTIONS, previous=known)
    assert [len(part) for part in parts] == [8, 0, 2]
