"""Videos frame by frame: read as far as they can be read, written whole or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lensmith import check
from lensmith.files import put_file

EXTENSIONS = ("avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "webm", "wmv")
# MPEG-4 part 2: of what OpenCV's own wheel can write into an .mp4 it is the one that needs no other library. H.264
# is not among them.
_CODEC, SUFFIX = "mp4v", ".mp4"
_FPS = 25.0  # of a video that does not say
_LEAST_FPS, _MOST_FPS = 0.1, 240.0  # what is written: the codec counts time in no more than 65,535 parts
_MISSING = 0.01  # of the frames: the number in a file's header is an estimate in some formats


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video.

    Args:
        index: from 0.
        seconds: from the beginning of the video.
        pixels: uint8 ``(h, w, 3)``, upright, red, green, blue.
    """

    index: int
    seconds: float
    pixels: np.ndarray


class Video:
    """An open video: ``for frame in video``. :func:`reading` makes it.

    Args:
        path: the file.
        capture: OpenCV's reader of it.
    """

    def __init__(self, path: Path, capture: Any) -> None:
        self.path = path
        self._capture = capture
        self._read = 0
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if math.isfinite(fps) and fps > 0 else _FPS
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        #: how many frames the file says it has; None where it does not say
        self.count: int | None = int(count) if math.isfinite(count) and 0 < count < 2**31 else None

    def __iter__(self) -> Iterator[Frame]:
        """The frames that can be read, in order.

        Raises:
            DataError: there is none.
        """
        last = -1.0
        while True:
            there, pixels = self._capture.read()
            if not there:
                break
            seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            if not seconds > last:  # no time, or one that stands still
                seconds = self._read / self.fps
            last = seconds
            self._read += 1
            yield Frame(self._read - 1, seconds, np.ascontiguousarray(pixels[..., ::-1]))
        if not self._read:
            raise check.DataError(check.sentence(str(self.path), "a video", "one of which no frame can be read"))

    @property
    def damage(self) -> str | None:
        """Once all were read: one line that says how many frames were missing, or None."""
        if self.count is None or self._read >= self.count - max(1, _MISSING * self.count):
            return None
        got = f"the first {self._read}: the file is damaged or cut short"
        return check.sentence(str(self.path), f"{self.count} frames", got)


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name.

    Example:
        >>> is_video(Path("clip.MP4")), is_video(Path("mp4"))
        (True, False)
    """
    return path.suffix.lower().removeprefix(".") in EXTENSIONS


@contextmanager
def reading(path: Path) -> Iterator[Video]:
    """A video, open as long as this lasts.

    Raises:
        DataError: the file is missing, empty, or no video that can be read.
    """
    if not path.is_file():
        raise check.DataError(f"{path}: {'this is a folder, not a video' if path.is_dir() else 'the file is missing'}")
    # Read by OpenCV when it opens its first video: FFmpeg's own complaints would stand between our lines.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            empty = path.stat().st_size == 0
            got = "an empty file (0 bytes)" if empty else "something else, or one that is cut short"
            raise check.DataError(check.sentence(str(path), "a video that FFmpeg can read", got))
        yield Video(path, capture)
    finally:
        capture.release()


def write(path: Path, fps: float, frames: Iterable[np.ndarray]) -> Path:
    """Write a video; it appears once it is complete.

    Args:
        path: ends in ``.mp4``; a file there is replaced.
        fps: frames a second; put between 0.1 and 240.
        frames: uint8 ``(h, w, 3)``, at least one; all get the size of the first. An odd height or width grows by one
            row or column, a copy of the last: the codec halves the colours' resolution.

    Returns:
        The path.

    Raises:
        SettingError: the name ends in something else.
        DataError: there is no frame.
        LensmithError: OpenCV cannot write it, or the disk refuses; what was there is still there.
    """
    if path.suffix != SUFFIX:
        raise check.SettingError(check.sentence(str(path), f"a name that ends in {SUFFIX}", repr(path.suffix)))
    put_file(path, lambda beside: _write(beside, min(max(fps, _LEAST_FPS), _MOST_FPS), frames))
    return path


def _write(path: Path, fps: float, frames: Iterable[np.ndarray]) -> None:
    writer, size = None, (0, 0)
    try:
        for pixels in frames:
            even = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
            if writer is None:
                size = (even.shape[1], even.shape[0])
                writer = _opened(path, fps, size)
            if (even.shape[1], even.shape[0]) != size:  # a stream may change it; OpenCV would leave the frame out
                even = cv2.resize(even, size)
            writer.write(np.ascontiguousarray(even[..., ::-1]))
    finally:
        if writer is not None:
            writer.release()
    if writer is None:
        raise check.DataError(check.sentence(str(path), "at least one frame", "none"))


def _opened(path: Path, fps: float, size: tuple[int, int]) -> Any:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*_CODEC), fps, size)
    if not writer.isOpened():
        got = f"{size[0]} by {size[1]} pixels at {fps:g} frames a second"
        raise check.LensmithError(check.sentence("the video", "one that OpenCV can write", got))
    return writer
