"""The cache on disk: the same pixels with and without, whatever happens to the files and to the cache."""

import hashlib
import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from lensmith import check, data
from lensmith.data import Preprocessing
from lensmith.data.augmentation.record import Augment
from lensmith.data.pipeline import cache as cache_module
from lensmith.data.pipeline.cache import Cache
from lensmith.data.pipeline.reduced import load_reduced

SIZE = (20, 30)


def draw(path, seed=0, size=(90, 120)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def entries(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def photo(tmp_path):
    return draw(tmp_path / "photo.jpg")


@pytest.fixture
def decoded(monkeypatch):
    """How often a file was really decoded."""
    calls = []

    def noted(path, *options, **more):
        calls.append(path)
        return load_reduced(path, *options, **more)

    monkeypatch.setattr(cache_module, "load_reduced", noted)
    return calls


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "ä b\n.jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_gives_the_same_and_decodes_once(tmp_path, decoded, name, channels):
    path = draw(tmp_path / name)
    cache = Cache(tmp_path / "cache")
    plain = load_reduced(path, channels, SIZE)
    for _ in range(3):
        found = cache.load(path, channels, SIZE)
        assert found.size == plain.size == (90, 120)
        np.testing.assert_array_equal(found.values, plain.values)
    assert len(decoded) == 1
    Cache(tmp_path / "cache").load(path, channels, SIZE)  # another run
    assert len(decoded) == 1


def test_the_size_and_the_channels_are_part_of_what_is_kept(tmp_path, photo, decoded):
    cache = Cache(tmp_path / "cache")
    shapes = [cache.load(photo, channels, size).values.shape for channels, size in ((3, SIZE), (1, SIZE), (3, None))]
    assert shapes == [(45, 60, 3), (45, 60, 1), (90, 120, 3)]
    assert len(decoded) == 3


def test_a_changed_file_is_decoded_anew(tmp_path, photo, decoded):
    cache = Cache(tmp_path / "cache")
    before = cache.load(photo, 3, SIZE).values
    draw(photo, seed=1)
    after = cache.load(photo, 3, SIZE).values
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, load_reduced(photo, 3, SIZE).values)
    assert len(decoded) == 2


def test_a_file_of_which_only_the_time_changed_is_not(tmp_path, photo, decoded):
    cache = Cache(tmp_path / "cache")
    cache.load(photo, 3, SIZE)
    os.utime(photo, ns=(1, 1))
    cache.load(photo, 3, SIZE)
    assert len(decoded) == 1
    (entry,) = entries(cache.folder)
    written = entry.stat().st_mtime_ns
    cache.load(photo, 3, SIZE)  # the new time is noted: its bytes are not read again
    assert entry.stat().st_mtime_ns == written


# What happened to an entry; each must be noticed.
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:10],
        lambda content: b"X" + content[1:],  # another form
        lambda content: content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],  # one bit of the pixels
        lambda content: content[:58] + bytes([content[58] ^ 4]) + content[59:],  # one bit of the sizes
        lambda content: bytes(len(content)),
    ],
)
def test_a_damaged_entry_is_noticed_and_made_anew(tmp_path, photo, decoded, damage):
    cache = Cache(tmp_path / "cache")
    plain = cache.load(photo, 3, SIZE).values.copy()
    (entry,) = entries(cache.folder)
    content = entry.read_bytes()
    entry.write_bytes(damage(content))
    np.testing.assert_array_equal(cache.load(photo, 3, SIZE).values, plain)
    assert len(decoded) == 2
    assert entry.read_bytes() == content


def test_errors_are_those_of_the_loader_and_nothing_is_kept(tmp_path):
    cache = Cache(tmp_path / "cache")
    (tmp_path / "letter.jpg").write_text("Dear Sir,")
    with pytest.raises(check.DataError, match=r"letter\.jpg: not an image"):
        cache.load(tmp_path / "letter.jpg", 3, SIZE)
    with pytest.raises(check.DataError, match=r"none\.jpg: the file is missing"):
        cache.load(tmp_path / "none.jpg", 3, SIZE)
    assert entries(cache.folder) == []


def test_a_full_disk_is_told_once_and_ends_nothing(tmp_path, photo, monkeypatch, caplog):
    cache = Cache(tmp_path / "cache")

    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.os, "replace", full)
    with caplog.at_level(logging.WARNING):
        for channels in (1, 3):
            np.testing.assert_array_equal(
                cache.load(photo, channels, SIZE).values, load_reduced(photo, channels, SIZE).values
            )
    assert caplog.text.count("no space left on device") == 1
    assert entries(cache.folder) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, photo):
    with pytest.raises(check.SettingError, match="cache: expected a folder to write to"):
        Cache(photo)


def test_many_at_once(tmp_path):
    photos = [draw(tmp_path / f"{place}.jpg", place) for place in range(4)]
    caches = [Cache(tmp_path / "cache") for _ in range(2)]  # as two processes have them

    def digest(job):
        return hashlib.sha256(caches[job % 2].load(photos[job % 4], 3, SIZE).values.tobytes()).hexdigest()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(digest, range(48)))
    assert len(set(found)) == 4
    assert found[:4] * 12 == found
    assert len(entries(tmp_path / "cache")) == 4


def test_what_a_killed_process_left_is_cleared(tmp_path):
    left = Cache(tmp_path / "cache").folder / "half-written"
    (left / "1-1").write_bytes(b"old")
    os.utime(left / "1-1", (0, 0))
    (left / "2-2").write_bytes(b"of a process at work")
    Cache(tmp_path / "cache")
    assert [path.name for path in left.iterdir()] == ["2-2"]


@pytest.mark.parametrize("threads", [0, 2])
def test_batches_are_equal_with_and_without(tmp_path, threads, decoded):
    for place in range(6):
        (tmp_path / "photos" / "ab"[place % 2]).mkdir(parents=True, exist_ok=True)
        draw(tmp_path / "photos" / "ab"[place % 2] / f"{place}.jpg", place)
    records = data.read(tmp_path / "photos")
    augment = Augment(rotate=20, flip="horizontal", share=0.5)
    for options in ({}, {"augment": augment}, {"exact": True}):
        plain, first, second = (
            data.batches(records, Preprocessing(image=(*SIZE, 3)), size=4, threads=threads, **options, **cached)
            for cached in ({}, {"cache": tmp_path / "cache"}, {"cache": str(tmp_path / "cache")})
        )
        assert plain.fingerprint == first.fingerprint
        epochs = [list(one.epoch(0)) for one in (plain, first, second)]  # in turn: at once, both would decode
        for (x, y), (x1, y1), (x2, y2) in zip(*epochs, strict=True):
            np.testing.assert_array_equal(x, x1)
            np.testing.assert_array_equal(x, x2)
            np.testing.assert_array_equal(y, y1)
            np.testing.assert_array_equal(y, y2)
    assert len(decoded) == 12  # of each the reduced and the exact pixels


@pytest.mark.parametrize("size", [(60, 80), None])
def test_how_an_image_is_resized_is_kept_too(tmp_path, photo, size):
    cache = Cache(tmp_path / "cache")
    plain = load_reduced(photo, 3, size)
    for _ in range(2):
        found = cache.load(photo, 3, size)
        assert found.quick == plain.quick == (size is not None)
        np.testing.assert_array_equal(found.resized((60, 80)), plain.resized((60, 80)))


def test_a_change_that_the_clock_of_the_file_system_does_not_show_is_noticed(tmp_path):
    cache, now = Cache(tmp_path / "cache"), time.time_ns()
    path = tmp_path / "a.bmp"  # of the same length whatever it shows
    for seed in (0, 1):
        draw(path, seed)
        os.utime(path, ns=(now, now))
        np.testing.assert_array_equal(cache.load(path, 3, SIZE).values, load_reduced(path, 3, SIZE).values)


def test_a_file_from_the_future_is_not_written_again_and_again(tmp_path, photo, decoded):
    cache, later = Cache(tmp_path / "cache"), time.time_ns() + 10**12
    os.utime(photo, ns=(later, later))
    cache.load(photo, 3, SIZE)
    (entry,) = entries(cache.folder)
    written = entry.stat().st_ino
    cache.load(photo, 3, SIZE)
    assert len(decoded) == 1
    assert entry.stat().st_ino == written


def test_a_folder_that_is_deleted_meanwhile_is_made_anew(tmp_path, photo, decoded):
    cache = Cache(tmp_path / "cache")
    for _ in range(2):
        cache.load(photo, 3, SIZE)
        shutil.rmtree(cache.folder)
    cache.load(photo, 3, SIZE)
    assert len(decoded) == 3
    assert len(entries(cache.folder)) == 1
