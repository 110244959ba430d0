"""Videos: every frame, in order and with its time; damaged ones as far as they go; written whole."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith import check
from lensmith.detect import video
from lensmith.detect.video import is_video, reading, write


def frames(count: int, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Plain pictures, each lighter than the one before, all a little red."""
    return [np.full((*size, 3), (20 + 10 * index, 10 * index, 10 * index), np.uint8) for index in range(count)]


def noise(path: Path, count: int) -> Path:
    """A video that does not compress: each frame takes its share of the bytes."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
    for _ in range(count):
        writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "out.mp4", 12.5, iter(frames(10)))
    with reading(path) as opened:
        assert (opened.fps, opened.count) == (12.5, 10)
        found = list(opened)
        assert opened.damage is None
    assert [frame.index for frame in found] == list(range(10))
    assert [round(frame.seconds, 6) for frame in found] == [index / 12.5 for index in range(10)]
    for frame, expected in zip(found, frames(10), strict=True):
        assert frame.pixels.shape == expected.shape
        assert frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels.mean(axis=(0, 1)) - expected[0, 0]).max() < 8, "the colours, red first"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("fps", "size", "written"),
    [
        (30000 / 1001, (48, 64), (48, 64)),  # the usual odd rate
        (25, (47, 63), (48, 64)),  # odd sides grow by one
        (1e6, (48, 64), (48, 64)),  # more than the codec can count
        (0.001, (48, 64), (48, 64)),  # less
    ],
)
def test_rates_and_sizes(tmp_path: Path, fps: float, size: tuple[int, int], written: tuple[int, int]) -> None:
    with reading(write(tmp_path / "out.mp4", fps, frames(3, size))) as opened:
        assert opened.fps == pytest.approx(min(max(fps, 0.1), 240.0), rel=1e-3)
        assert [frame.pixels.shape[:2] for frame in opened] == [written] * 3


def test_frames_of_another_size_get_the_first_ones(tmp_path: Path) -> None:
    with reading(write(tmp_path / "out.mp4", 25, [*frames(2), *frames(2, (96, 128))])) as opened:
        assert [frame.pixels.shape[:2] for frame in opened] == [(48, 64)] * 4


def test_cut_short_the_frames_before_are_kept(tmp_path: Path) -> None:
    whole = noise(tmp_path / "whole.avi", 40)
    (tmp_path / "half.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with reading(tmp_path / "half.avi") as opened:
        count = len(list(opened))
        damage = opened.damage
    assert 15 <= count < 25
    assert damage == (
        f"{tmp_path / 'half.avi'}: expected 40 frames; got the first {count}: the file is damaged or cut short"
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", r"expected a video that FFmpeg can read; got an empty file \(0 bytes\)"),
        ("text.mp4", b"hello" * 100, "expected a video that FFmpeg can read; got something else"),
        ("missing.mp4", None, "the file is missing"),
    ],
)
def test_no_video(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(check.DataError, match=words), reading(tmp_path / name):
        pass


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(check.DataError, match="this is a folder, not a video"), reading(tmp_path):
        pass


def test_a_video_of_which_no_frame_can_be_read(tmp_path: Path) -> None:
    whole = bytearray(noise(tmp_path / "v.avi", 5).read_bytes())
    begin = whole.index(b"movi") + 4
    whole[begin : whole.index(b"idx1", begin)] = b"\0" * (whole.index(b"idx1", begin) - begin)
    (tmp_path / "v.avi").write_bytes(whole)
    with reading(tmp_path / "v.avi") as opened, pytest.raises(check.DataError, match="no frame can be read"):
        list(opened)


def test_the_header_may_be_a_little_wrong(tmp_path: Path) -> None:
    with reading(write(tmp_path / "v.mp4", 25, frames(10))) as opened:
        list(opened)
        opened.count = 11  # an estimate from the length in seconds
        assert opened.damage is None
        opened.count = 12
        assert opened.damage is not None
        opened.count = None  # it does not say
        assert opened.damage is None


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(check.SettingError, match=r"a name that ends in \.mp4"):
        write(tmp_path / "v.avi", 25, frames(1))
    with pytest.raises(check.DataError, match="expected at least one frame"):
        write(tmp_path / "v.mp4", 25, [])

    def failing() -> object:
        yield frames(1)[0]
        raise check.DataError("the reader ends")

    (tmp_path / "v.mp4").write_bytes(b"before")
    with pytest.raises(check.DataError, match="the reader ends"):
        write(tmp_path / "v.mp4", 25, failing())  # type: ignore[arg-type]
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("v.mp4", b"before")]


@pytest.mark.parametrize("name", [*(f"a.{suffix}" for suffix in video.EXTENSIONS), "B.MP4"])
def test_videos_by_name(name: str) -> None:
    assert is_video(Path(name))
    assert not is_video(Path("a.gif"))  # an image, whose first frame is taken
