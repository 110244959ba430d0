"""How long the search for copies takes, how it grows, and what it finds.

Three measurements: the search alone over thumbnails of made-up pictures (as much structure at every scale, as photos
have it) of which one in ten has a near copy, at sizes that double; the whole audit of a folder of JPEG files, decoding
included; and, where a folder of real photos is given, how many planted copies of them are found and how many
different photos are taken for copies.

    .venv/bin/python benchmarks/duplicates.py [--largest 100000] [--files 4000] [--photos FOLDER] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from lensmith import data
from lensmith.data.inspection.duplicates import find
from lensmith.data.inspection.hashing import SIDE, thumbnail
from lensmith.records import Record, Records

GOALS = {"minutes_for_100000": 5.0, "growth_per_doubling": 2.5}
DOUBLINGS = 3
ROUNDS = 3  # of each search, of which the fastest counts
SHARE = 10  # one picture in so many has a copy
FINE = 4  # pixels of a made-up picture to one of its thumbnail
MARGIN = 2  # pixels around it, so that a copy can be cut out beside it


def pictures(count: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose waves are the weaker the shorter they are: uint8 of shape ``(count, side, side)``."""
    across, down = np.fft.rfftfreq(side), np.fft.fftfreq(side)
    weights = 1 / np.maximum(np.hypot(down[:, None], across[None, :]), 1 / side)
    waves = rng.normal(size=(count, *weights.shape)) + 1j * rng.normal(size=(count, *weights.shape))
    values = np.fft.irfft2(waves * weights, s=(side, side))
    values /= values.std(axis=(1, 2), keepdims=True)
    return np.clip(128 + 48 * values, 0, 255).astype(np.uint8)


def pairs(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Thumbnails of pictures, and of copies of some: cut out 2 % aside, brighter, and noisy."""
    side, inner = FINE * SIDE, slice(MARGIN, -MARGIN)
    firsts, copies = [], []
    for _ in range(0, count, 1000):
        large = pictures(1000, side + 2 * MARGIN, rng)
        firsts += [thumbnail(one[inner, inner]) for one in large]
        aside = 1.1 * large[: 1000 // SHARE, inner, 2 * MARGIN :]
        noisy = np.clip(aside + rng.normal(0, 3, aside.shape), 0, 255).astype(np.uint8)
        copies += [thumbnail(one) for one in noisy]
    return np.stack(firsts), np.stack(copies)


def search(count: int, rng: np.random.Generator) -> dict[str, float]:
    """Processor seconds to search about ``count`` thumbnails, and the share of the planted copies that is found."""
    firsts, copies = pairs(count * SHARE // (SHARE + 1), rng)
    thumbnails = np.concatenate([firsts, copies])
    contents = [place.to_bytes(16, "little") for place in range(len(thumbnails))]
    times = []
    for _ in range(ROUNDS):
        before = time.process_time()  # which the neighbours on a shared machine do not add to
        found = find(contents, thumbnails)
        times.append(time.process_time() - before)
    some = 1000 // SHARE
    true = {(place // some * 1000 + place % some, len(firsts) + place) for place in range(len(copies))}
    hits = len(true & set(found.groups))
    return {
        "images": len(thumbnails),
        "seconds": round(min(times), 3),
        "found": round(hits / len(copies), 4),
        "wrong": len(found.groups) - hits,
    }


def whole(files: int, rng: np.random.Generator) -> dict[str, float]:
    """Images a second of an audit of JPEG files of 500 × 375 pixels, 500 of them different."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rough = pictures(min(files, 500), 64, rng)
        paths = []
        for place, picture in enumerate(rough):
            paths.append(folder / f"{place}.jpg")
            Image.fromarray(picture).resize((500, 375)).convert("RGB").save(paths[-1], quality=90)
        for place in range(len(rough), files):
            paths.append(folder / f"{place}.jpg")
            shutil.copyfile(paths[place % len(rough)], paths[-1])
        records = Records(tuple(Record(str(path), image=path) for path in paths), {}, name="photos")
        before = time.perf_counter()
        report = data.audit(records)
        seconds = time.perf_counter() - before
    return {
        "images": files,
        "seconds": round(seconds, 2),
        "images_per_second": round(files / seconds, 1),
        "groups": len(report.duplicates),
    }


def encoded(picture: Image.Image, quality: int = 90) -> np.ndarray:
    """The pixels after a JPEG of this quality."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def cropped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """97 % of the width and of the height, cut out somewhere."""
    width, height = round(0.97 * picture.width), round(0.97 * picture.height)
    left, top = rng.integers(picture.width - width + 1), rng.integers(picture.height - height + 1)
    return picture.crop((left, top, left + width, top + height))


def smaller(picture: Image.Image) -> Image.Image:
    """70 % of the width and of the height."""
    return picture.resize((max(round(0.7 * picture.width), 1), max(round(0.7 * picture.height), 1)))


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], np.ndarray]] = {
    "JPEG of quality 60": lambda picture, rng: encoded(picture, 60),
    "resized to 70 %": lambda picture, rng: encoded(smaller(picture)),
    "15 % brighter": lambda picture, rng: encoded(ImageEnhance.Brightness(picture).enhance(1.15)),
    "cropped by 3 %": lambda picture, rng: encoded(cropped(picture, rng)),
    "all four": lambda picture, rng: encoded(ImageEnhance.Brightness(smaller(cropped(picture, rng))).enhance(1.15), 60),
}


def recall(folder: Path, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """By change: the share of the photos whose changed copy is found, and the groups that hold different photos."""
    photos = data.audit(data.read(folder)).records
    found = {}
    for name, change in CHANGES.items():
        copies = [change(Image.fromarray(data.decode(record.image, 3)), rng) for record in photos]
        changed = [Record(f"copy of {one.source}", image=copy) for one, copy in zip(photos, copies, strict=True)]
        groups = data.audit(
            Records((*(Record(one.source, image=one.image) for one in photos), *changed), {})
        ).duplicates
        together = {place % len(photos) for group in groups for place in group if place + len(photos) in group}
        apart = sum(len({place % len(photos) for place in group}) > 1 for group in groups)
        found[name] = {"found": round(len(together) / len(photos), 4), "groups_of_different_photos": apart}
    return found


def summary(sizes: list[dict[str, float]], files: dict[str, float]) -> dict[str, object]:
    """What the benchmark is for: the growth, the time for 100,000 images, and whether the goals are met."""
    growth = (sizes[-1]["seconds"] / sizes[0]["seconds"]) ** (1 / max(len(sizes) - 1, 1))
    seconds = sizes[-1]["seconds"] * 100_000 / sizes[-1]["images"]
    minutes = (100_000 / files["images_per_second"] + seconds) / 60
    return {
        "search": sizes,
        "growth_per_doubling": round(growth, 3),
        "audit": files,
        "minutes_for_100000": round(minutes, 2),
        "cores": os.cpu_count(),
        "goal": GOALS,
        "met": growth <= GOALS["growth_per_doubling"] and minutes <= GOALS["minutes_for_100000"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--largest", type=int, default=100_000, help="thumbnails of the last search (default 100,000)")
    parser.add_argument("--files", type=int, default=4000, help="JPEG files of the whole audit (default 4,000)")
    parser.add_argument("--photos", type=Path, help="a folder of photos to plant copies of")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if options.largest < 1000 or options.files < 1:
        parser.error("--largest: expected at least 1000; --files: at least 1")
    rng = np.random.default_rng(0)
    search(1000, rng)  # loads what the search needs
    sizes = [search(options.largest >> halvings, rng) for halvings in range(DOUBLINGS, -1, -1)]
    result = summary(sizes, whole(options.files, rng))
    if options.photos is not None:
        result["planted"] = recall(options.photos, rng)
    if options.json:
        print(json.dumps(result))
        return
    for one in sizes:
        print(
            f"search of {one['images']:7,}   {one['seconds']:6.2f} s   {one['found']:.1%} found, {one['wrong']} wrong"
        )
    print(
        f"growth           {result['growth_per_doubling']:6.2f}     per doubling; goal: {GOALS['growth_per_doubling']}"
    )
    print(f"whole audit      {result['audit']['images_per_second']:6.0f}     JPEG files of 500 x 375 a second")
    print(f"100,000 files    {result['minutes_for_100000']:6.2f} min on {result['cores']} cores; goal: 5")
    for name, one in result.get("planted", {}).items():
        print(f"{name:20} {one['found']:.1%} found, {one['groups_of_different_photos']} groups of different photos")


if __name__ == "__main__":
    main()
