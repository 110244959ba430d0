"""Loading photos: 500 JPEGs to batches of 32 at 150×150, ours against Keras, PyTorch and tf.data, on the same cores.

Each does the same work, as its guide writes it: read the same files, decode them to RGB, resize them to float32, and
make batches, whole epochs of them, shuffled; none is given more cores than another. They take turns, so that a machine
that grows slower in between is slow for all of them alike. A ratio is the median over the rounds; above 1, ours is
faster. Besides the clock, what each takes of the processors is counted, in user and system, worker processes included:
on a machine that others use too, that says more. Ours decodes JPEGs at reduced size where that suffices;
``ours_exact`` does not, and ``ours_cached`` has the decoded pixels on disk. tf.data runs in a process of its own, with
the interpreter of ``.venv-tensorflow`` where TensorFlow is not installed beside us.

    .venv/bin/python benchmarks/load.py [FOLDER] [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COUNT, SIZE, BATCH = 500, (150, 150), 32
GOALS = {"keras": 2.0, "torch": 1.5, "tf_data": 1.5}
HERE = Path(__file__).resolve().parent
PHOTOS = HERE.parent.parent / "shared" / "data" / "cats_vs_dogs"

Epoch = Callable[[], int]  # goes through the photos once; gives how many there were
Cost = tuple[float, float]  # seconds of an epoch: by the clock, and on the processors

# The peer as its guide writes it; it answers each line of its input with the seconds of an epoch, by the clock and on
# the processors.
TF_DATA = """
import sys, time
from pathlib import Path
import tensorflow as tf
files = sorted(str(path) for path in Path(sys.argv[1]).rglob("*.jpg"))
labels = [int("b" in Path(file).parent.name) for file in files]
def read(file, label):
    pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
    return tf.image.resize(pixels, (150, 150)) / 255.0, label
dataset = tf.data.Dataset.from_tensor_slices((files, labels)).shuffle(len(files))
dataset = dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE)
print("ready", flush=True)
for _ in sys.stdin:
    before, used = time.perf_counter(), time.process_time()
    count = sum(len(labels) for _, labels in dataset)
    print(count, time.perf_counter() - before, time.process_time() - used, flush=True)
"""


def gather(source: Path, target: Path) -> str:
    """Put links to 500 photos into two folders; without photos, draw some. Says which."""
    for name in "ab":
        (target / name).mkdir()
    found = sorted(path for path in source.rglob("*.jpg")) if source.is_dir() else []
    if not found:
        draw(target)
        return f"{COUNT} photos drawn here, 500×375"
    chosen = [found[place] for place in np.linspace(0, len(found) - 1, COUNT).astype(int)]
    for place, path in enumerate(chosen):
        (target / "ab"[2 * place // COUNT] / f"{place:04}.jpg").symlink_to(path.resolve())
    return f"{COUNT} photos of {source}"


def draw(target: Path) -> None:
    """Soft noise, which compresses about as photos do."""
    random = np.random.default_rng(0)
    for place in range(COUNT):
        coarse = Image.fromarray(random.integers(0, 256, (94, 125, 3), np.uint8)).resize((500, 375))
        coarse.save(target / "ab"[2 * place // COUNT] / f"{place:04}.jpg", quality=85)


def ours(folder: Path, *, exact: bool = False, cache: Path | None = None, threads: int) -> Epoch:
    from lensmith import data

    preprocessing = data.Preprocessing(image=(*SIZE, 3))
    batches = data.batches(data.read(folder), preprocessing, size=BATCH, exact=exact, cache=cache, threads=threads)
    epochs = iter(range(1_000_000))
    return lambda: sum(len(x) for x, _ in batches.epoch(next(epochs)))


def decoder(folder: Path) -> Epoch:
    """OpenCV's JPEG decoder alone, at the same reduced sizes, in one thread: below that ours cannot come."""
    import cv2

    from lensmith.data.pipeline.reduced import scale_for

    jobs = []
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as picture:
            scale = scale_for((picture.height, picture.width), SIZE)
        flag = cv2.IMREAD_COLOR_RGB if scale == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{scale}")
        jobs.append((np.frombuffer(path.read_bytes(), np.uint8), flag))
    return lambda: sum(cv2.imdecode(*job) is not None for job in jobs)


def keras_dataset(folder: Path) -> Epoch:
    from lensmith.backend import keras

    dataset = keras.utils.image_dataset_from_directory(
        str(folder), image_size=SIZE, batch_size=BATCH, format="grain", verbose=False
    )
    return lambda: sum(len(y) for _, y in dataset)


class Photos:
    """What a person writes for PyTorch's DataLoader."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.rglob("*.jpg"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        import torch

        with Image.open(self.files[place]) as picture:
            pixels = np.array(picture.convert("RGB").resize(SIZE, Image.Resampling.BILINEAR))
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255, int(self.files[place].parent.name == "b")


def torch_loader(folder: Path) -> Epoch:
    from torch.utils.data import DataLoader

    # Workers that stay: those of a fresh epoch would have to be started within it.
    loader = DataLoader(Photos(folder), batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    return lambda: sum(len(y) for _, y in loader)


class TfData:
    """tf.data in a process of its own."""

    def __init__(self, python: str, folder: Path) -> None:
        command = [python, "-c", TF_DATA, str(folder)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if self._line() != "ready":
            raise SystemExit("the process of tf.data did not start")

    def cost(self) -> Cost:
        if self.process.stdin is None:
            raise SystemExit("the process of tf.data has no input")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        count, seconds, used = self._line().split()
        check_count(int(count))
        return float(seconds), float(used)

    def close(self) -> None:
        self.process.terminate()  # PyTorch's forked workers hold its input open: the end of it is not seen
        self.process.wait(timeout=60)

    def _line(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""


def tensorflow_python() -> str | None:
    """An interpreter that has TensorFlow."""
    if importlib.util.find_spec("tensorflow"):
        return sys.executable
    beside = HERE.parent / ".venv-tensorflow" / "bin" / "python"
    return str(beside) if beside.exists() else None


def check_count(count: int) -> None:
    if count != COUNT:
        raise SystemExit(f"{count} of {COUNT} photos came")


def cost(epoch: Epoch) -> Cost:
    """What an epoch takes in this process and its workers."""
    before, used = time.perf_counter(), used_here()
    check_count(epoch())
    return time.perf_counter() - before, used_here() - used


def used_here() -> float:
    """Seconds on the processors of this process and of PyTorch's workers; of those, to the hundredth."""
    workers = [worker.pid for worker in multiprocessing.active_children()]
    fields = [Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split() for worker in workers]
    return time.process_time() + sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, cache: Path, rounds: int, threads: int) -> dict[str, Any]:
    """The medians, after a round that fills the disk caches."""
    epochs = {
        "ours": ours(folder, threads=threads),
        "ours_exact": ours(folder, exact=True, threads=threads),
        "ours_cached": ours(folder, cache=cache, threads=threads),
        "decoder": decoder(folder),
        "keras": keras_dataset(folder),
        "torch": torch_loader(folder),
    }
    costs: dict[str, Callable[[], Cost]] = {name: partial(cost, epoch) for name, epoch in epochs.items()}
    python = tensorflow_python()
    peer = TfData(python, folder) if python else None
    if peer is not None:
        costs["tf_data"] = peer.cost
    try:
        rows = [{name: one() for name, one in costs.items()} for _ in range(rounds + 1)][1:]
    finally:
        if peer is not None:
            peer.close()
    results: dict[str, float] = {}
    for place, kind in enumerate(("", "cpu_")):
        results |= {f"{name}_{kind}seconds": statistics.median(row[name][place] for row in rows) for name in costs}
        results |= {
            f"{kind}ratio_to_{name}": statistics.median(row[name][place] / row["ours"][place] for row in rows)
            for name in GOALS
            if name in costs
        }
    missing = {} if peer else {"tf_data": "not measured: TensorFlow is installed neither here nor in .venv-tensorflow"}
    return {name: round(value, 3) for name, value in results.items()} | missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=PHOTOS, help="JPEGs; drawn here when missing")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=7, help="how often each takes its turn")
    parser.add_argument("--threads", type=int, default=2, help="of ours; PyTorch has two workers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as cache:
        source = gather(options.folder, Path(name))
        results = measure(Path(name), Path(cache), options.rounds, options.threads)
    results = {"photos": source, "cores": len(os.sched_getaffinity(0)), "threads": options.threads, **results}
    if options.json:
        print(json.dumps(results))
        return
    print(f"{source} to {SIZE[0]}×{SIZE[1]}, batches of {BATCH}; {results['cores']} cores; above 1: ours is faster")
    for peer, goal in GOALS.items():
        if f"ratio_to_{peer}" not in results:
            print(f"  {peer:8} {results[peer]}")
            continue
        print(
            f"  {peer:8} {results[f'ratio_to_{peer}']:.2f} (goal {goal})   by the processors"
            f" {results[f'cpu_ratio_to_{peer}']:.2f}   {results[f'{peer}_seconds']:.2f} s and"
            f" {results[f'{peer}_cpu_seconds']:.2f} s on the processors"
        )
    print(f"  ours     {results['ours_seconds']:.2f} s and {results['ours_cpu_seconds']:.2f} s on the processors")
    exact, cached = results["ours_exact_seconds"], results["ours_cached_seconds"]
    print(f"  the JPEG decoder alone takes {results['decoder_cpu_seconds']:.2f} s on the processors of ours")
    print(f"  ours takes {exact:.2f} s without the reduced decode, and {cached:.2f} s with a cache on disk")


if __name__ == "__main__":
    main()
