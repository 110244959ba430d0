"""What is looked at: the images and videos that a person names, one by one or by their folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from lensmith import check
from lensmith.data.formats.arrays.samples import image_path
from lensmith.data.images import EXTENSIONS as IMAGES
from lensmith.detect.video import EXTENSIONS as VIDEOS
from lensmith.detect.video import SUFFIX, is_video

_LIKE_IT = (".jpg", ".jpeg", ".png")  # pictures of these kinds are written as they are; others as PNG


@dataclass(frozen=True, slots=True)
class Source:
    """An image or a video.

    Args:
        path: the file.
        target: what its picture is called, below the folder for pictures; no two sources have the same.
        video: whether it is a video.
    """

    path: Path
    target: PurePath
    video: bool


def sources(named: Iterable[Path | str]) -> tuple[list[Source], list[str]]:
    """The files that are named: a file, ``bundled:china``, or all images and videos in a folder and below it.

    Hidden files are left out of folders, and links to folders are not followed.

    Returns:
        The sources, in the order in which they were named, those of a folder by name; and for each name with nothing
        to look at one line that says why.

    Raises:
        SettingError: ``bundled:`` something that is not there.
    """
    found: list[Source] = []
    refused: list[str] = []
    taken: set[str] = set()
    for path in map(image_path, named):
        files = list(_below(path)) if path.is_dir() else [path]
        if not files:
            expected = f"images or videos ({', '.join((*IMAGES, *VIDEOS))})"
            refused.append(check.sentence(str(path), expected, "a folder with none, nor below it"))
        for file in files:
            kept = file.relative_to(path) if file != path else PurePath(file.name)
            found.append(Source(file, _free(_target(kept), taken), is_video(file)))
    return found, refused


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower().removeprefix(".") in (*IMAGES, *VIDEOS):
                yield Path(place) / name


def _target(path: PurePath) -> PurePath:
    if is_video(Path(path)):
        return path.with_suffix(SUFFIX)
    return path if path.suffix.lower() in _LIKE_IT else path.with_suffix(".png")


def _free(target: PurePath, taken: set[str]) -> PurePath:
    """The name, or one with a number where it is taken; some disks do not tell capitals apart."""
    candidate, number = target, 2
    while str(candidate).lower() in taken:
        candidate, number = target.with_stem(f"{target.stem}-{number}"), number + 1
    taken.add(str(candidate).lower())
    return candidate
