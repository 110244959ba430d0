"""Masks: there at all, of their image's size, and with values that are classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.inspection.findings import Finding, counted
from lensmith.data.inspection.labels.reporting import Reporter
from lensmith.data.masks import VOID, load_mask
from lensmith.records import Labels, Records

_THREADS = 4  # that read masks; most of the time goes into decoding, which lets others run


def mask_problems(
    report: Reporter, records: Records, labels: Labels, sizes: Sequence[tuple[int, int] | None]
) -> Iterator[Finding]:
    """Masks that are missing, cannot be read, have another size than their image or values without a class."""
    places = [place for place, record in enumerate(records) if record.targets.get(report.task) is not None]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(
            lambda place: mask_fault(records[place].targets[report.task], len(labels.names), sizes[place]), places
        )
        faults = dict(zip(places, found, strict=True))
    by_name: dict[str, list[int]] = {}
    unknown: Counter[int] = Counter()
    for place, (name, values) in faults.items():
        if name:
            by_name.setdefault(name, []).append(place)
        unknown.update(values)
    listed = ", ".join(str(value) for value in sorted(unknown)[:8])
    sorts = {
        "missing": ("missing", "Fetch the masks, or leave the images out"),
        "unreadable": ("that cannot be read as class indices", "Write the masks as PNG, one class index a pixel"),
        "size": ("of another size than the image", "Scale the masks to their images, without mixing neighbours"),
        "values": (f"with values that no class has ({listed})", "Name these classes, or make the pixels void (255)"),
    }
    for name, (what, remedy) in sorts.items():
        if name in by_name:
            message = f"{counted(len(by_name[name]), 'mask')} {what}"
            yield report.finding("severe", message, remedy, by_name[name], mended=True)


def mask_fault(target: object, classes: int, size: tuple[int, int] | None) -> tuple[str, tuple[int, ...]]:
    """What is wrong with a mask, or an empty string; and the values that no class has."""
    if isinstance(target, Path) and not target.is_file():
        return "missing", ()
    try:
        mask = load_mask(target, "mask", classes=classes)  # type: ignore[arg-type]
    except check.DataError:
        return "unreadable", ()
    if size is not None and mask.shape != tuple(size):
        return "size", ()
    values = np.flatnonzero(np.bincount(mask.reshape(-1), minlength=VOID + 1)[:VOID])
    unknown = values[values >= classes] if classes else values[:0]
    return ("values" if len(unknown) else ""), tuple(unknown.tolist())
