"""How long it takes to start: ``import lensmith`` and ``lensmith --help``, beside ``import keras``.

Each measurement is a new process, and the four take turns, so that a machine that grows slower in
between is slow for all of them alike. What Python itself needs to start is taken off both imports
and left in ``lensmith --help``, since that is what a person waits for.

    .venv/bin/python benchmarks/start.py [--rounds 7] [--json]
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
from statistics import median

from lensmith import backend

GOALS = {"import_seconds": 0.2, "help_seconds": 0.5}


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """The time from the start of a process to its end."""
    before = time.perf_counter()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - before
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')}")
    return took


def measure(rounds: int) -> dict[str, float]:
    """The median seconds of each command over these rounds, after one that fills the disk caches."""
    python = sys.executable
    commands = {
        "python": [python, "-c", "pass"],
        "lensmith": [python, "-c", "import lensmith"],
        "keras": [python, "-c", "import keras"],
        "help": [str(Path(python).with_name("lensmith")), "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:  # Keras writes its configuration here, and not in the user's home
        environment = {**os.environ, "KERAS_BACKEND": backend.choose().name, "KERAS_HOME": folder}
        for _ in range(rounds + 1):
            for name, command in commands.items():
                times[name].append(seconds(command, environment))
    return {name: median(values[1:]) for name, values in times.items()}


def summary(times: dict[str, float]) -> dict[str, object]:
    """What the benchmark is for: seconds, ratios to the peer, and whether the goals are met."""
    ours, peer = max(times["lensmith"] - times["python"], 0.0), times["keras"] - times["python"]
    found = {"import_seconds": ours, "help_seconds": times["help"]}
    return {
        **{name: round(value, 4) for name, value in found.items()},
        "python_seconds": round(times["python"], 4),
        "keras_import_seconds": round(peer, 4),
        "import_ratio_to_keras": round(ours / peer, 4),
        "goal": GOALS,
        "met": all(found[name] < goal for name, goal in GOALS.items()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each is started (default 7)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: expected a whole number of at least 1")
    result = summary(measure(options.rounds))
    if options.json:
        print(json.dumps(result))
        return
    ours, shown, peer = result["import_seconds"], result["help_seconds"], result["keras_import_seconds"]
    print(f"import lensmith   {ours:.3f} s   goal: under {GOALS['import_seconds']} s")
    print(f"lensmith --help   {shown:.3f} s   goal: under {GOALS['help_seconds']} s")
    print(f"import keras      {peer:.3f} s   ours / theirs: {result['import_ratio_to_keras']:.3f}")
    print(f"Python itself     {result['python_seconds']:.3f} s   taken off the two imports, not off --help")


if __name__ == "__main__":
    main()
