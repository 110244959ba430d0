"""Memory: a folder of many gigabytes is gone through within the budget that was stated.

A folder of links to a few photos that are drawn here: as many as make ``--gigabytes`` of decoded pixels (height ×
width × 3 bytes). A process of its own reads it, makes the batches with ``memory=BUDGET``, goes through one epoch, with
rests in which a model would train, and notes its largest resident memory before the batches are made and after. What
lies between the two is compared with the budget. The records themselves are counted apart: they are what reading
takes, with or without batches.

    .venv/bin/python benchmarks/memory.py [--gigabytes 20] [--budget 512] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDES = (1536, 2048)  # of a photo, 3 megapixels
DRAWN = 8
SIZE, BATCH = (224, 224), 32


def draw(folder: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = []
    for place in range(DRAWN):
        coarse = Image.fromarray(random.integers(0, 256, (SIDES[0] // 8, SIDES[1] // 8, 3), np.uint8))
        paths.append(folder / f"{place}.jpg")
        coarse.resize(SIDES[::-1]).save(paths[-1], quality=85)
    return paths


def fill(folder: Path, photos: list[Path], count: int) -> None:
    """So many hard links, in two classes, a thousand in a folder's worth of names."""
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for place in range(count):
        os.link(photos[place % len(photos)], folder / "ab"[place % 2] / f"{place:07}.jpg")


def resident() -> tuple[int, int]:
    """Bytes of resident memory: now, and at most so far."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, most = (int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def forget_the_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def go_through(folder: Path, budget: int, rest: float) -> dict[str, Any]:
    """What the process of its own does."""
    from lensmith import data

    bare, _ = resident()
    records = data.read(folder)
    forget_the_peak()
    before, _ = resident()
    began = time.perf_counter()
    batches = data.batches(records, data.Preprocessing(image=(*SIZE, 3)), size=BATCH, memory=budget)
    seen = 0
    for x, _ in batches.epoch(0):
        seen += len(x)
        time.sleep(rest)
    return {
        "examples": seen,
        "seconds": round(time.perf_counter() - began, 1),
        "budget_mib": budget // 2**20,
        "peak_mib": round((resident()[1] - before) / 2**20, 1),
        "records_mib": round((before - bare) / 2**20, 1),
        "records_bytes_each": round((before - bare) / len(records)),
        "threads": batches.threads,
        "ahead": batches.plan.ahead,
    }


def measure(gigabytes: float, budget: int, rest: float) -> dict[str, Any]:
    count = max(round(gigabytes * 1e9 / (SIDES[0] * SIDES[1] * 3)), DRAWN)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "photos", draw(folder), count)
        on_disk = sum(path.stat().st_size for path in (folder / "photos").rglob("*.jpg"))
        command = [sys.executable, __file__, "--folder", str(folder / "photos")]
        options = ["--budget", str(budget), "--rest", str(rest)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
    sizes = {"decoded_gb": round(count * SIDES[0] * SIDES[1] * 3 / 1e9, 2), "files_gb": round(on_disk / 1e9, 2)}
    if found["examples"] != count:
        raise SystemExit(f"{found['examples']} of {count} photos came")
    return {"photos": count, **sizes, **found, "kept": found["peak_mib"] <= found["budget_mib"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2, help="of decoded pixels; the claim is about 20")
    parser.add_argument("--budget", type=int, default=512, help="MiB")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds between two batches, as if a model trained")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # the process of its own
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(go_through(options.folder, options.budget * 2**20, options.rest)))
        return
    results = measure(options.gigabytes, options.budget, options.rest)
    if options.json:
        print(json.dumps(results))
        return
    print(
        f"{results['photos']} photos, {results['decoded_gb']} GB decoded ({results['files_gb']} GB of JPEG), in"
        f" {results['seconds']} s: {results['peak_mib']} MiB at most, of a budget of {results['budget_mib']} MiB:"
        f" {'kept' if results['kept'] else 'NOT KEPT'}; the records took {results['records_bytes_each']} bytes each"
    )


if __name__ == "__main__":
    main()
