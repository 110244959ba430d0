"""Every kind of image file becomes the same upright pixels, or one clear line."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from lensmith import check, data
from lensmith.data.images import extent, load

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# 2 rows of 3 pixels, all different: no turn and no mirror leaves it as it is.
CORNERS = np.array([[RED, GREEN, BLUE], [WHITE, (0, 0, 0), (9, 8, 7)]], np.uint8)
# Where the pixels of CORNERS must stand in a file, so that its orientation brings them back: by its EXIF
# definition ("row 0 is the visual top", …), spelt out with numpy's own turns.
STORED = {
    1: CORNERS,
    2: np.fliplr(CORNERS),
    3: np.rot90(CORNERS, 2),
    4: np.flipud(CORNERS),
    5: CORNERS.transpose(1, 0, 2),
    6: np.rot90(CORNERS, 1),
    7: np.rot90(CORNERS, 2).transpose(1, 0, 2),
    8: np.rot90(CORNERS, -1),
}


def exif(orientation):
    block = Image.Exif()
    block[274] = orientation
    return block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, kind):
    path = tmp_path / f"turned.{kind}"
    options = {"lossless": True} if kind == "webp" else {}
    Image.fromarray(np.ascontiguousarray(STORED[orientation])).save(path, exif=exif(orientation), **options)
    np.testing.assert_array_equal(data.decode(path, 3), CORNERS)
    assert load(path)[1].orientation == orientation
    assert extent(path) == (2, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_a_jpeg(tmp_path, orientation):
    path = tmp_path / "turned.jpg"
    large = np.kron(STORED[orientation], np.ones((16, 16, 1), np.uint8))  # whole blocks survive JPEG
    Image.fromarray(large).save(path, exif=exif(orientation), quality=95, subsampling=0)
    assert np.abs(data.decode(path, 3)[8::16, 8::16].astype(int) - CORNERS).max() < 8
    assert extent(path) == (32, 48)


def test_a_broken_exif_block_counts_as_upright(tmp_path):
    path = tmp_path / "broken.png"
    Image.fromarray(CORNERS).save(path, exif=b"Exif\x00\x00nonsense")
    np.testing.assert_array_equal(data.decode(path, 3), CORNERS)


def test_colours_are_red_green_blue_and_gray_is_the_luma(tmp_path):
    path = tmp_path / "colours.png"
    Image.fromarray(CORNERS).save(path)
    np.testing.assert_array_equal(data.decode(path, 3), CORNERS)
    # 0.299, 0.587, 0.114 of 255
    np.testing.assert_array_equal(data.decode(path, 1)[0, :, 0], [76, 150, 29])


def test_the_luma_is_pillows_to_the_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(data.decode(pixels, 1)[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_gray_is_scaled_and_not_clipped(tmp_path, suffix):
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(np.array([[0, 128, 257, 25700, 65535]], np.uint16)).save(path)
    assert data.decode(path, 1)[0, :, 0].tolist() == [0, 0, 1, 100, 255]
    assert load(path)[1].bits == 16


def test_16_bit_colour_is_scaled_and_not_clipped(tmp_path):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.array([[[0, 25700, 65535]]], np.uint16))  # blue, green, red
    assert data.decode(path, 3).tolist() == [[[255, 100, 0]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),  # 0..1
        (np.array([[0.0, 127.4, 255.0]], np.float32), [0, 127, 255]),  # 0..255
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),  # 0..65535
    ],
)
def test_32_bit_pixels(tmp_path, values, expected):
    path = tmp_path / "deep.tif"
    Image.fromarray(values).save(path)
    assert data.decode(path, 1)[0, :, 0].tolist() == expected


def test_32_bit_pixels_outside_any_known_range_are_refused(tmp_path):
    path = tmp_path / "deep.tif"
    Image.fromarray(np.array([[-1.0, 2.0]], np.float32)).save(path)
    with pytest.raises(check.DataError, match=r"deep\.tif: .*from -1 to 2"):
        data.decode(path, 1)


def test_cmyk_is_read_as_rgb(tmp_path):
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)  # no cyan: red
    assert np.abs(data.decode(path, 3)[8, 8].astype(int) - RED).max() < 8


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 255])])
def test_palettes_with_and_without_transparency(tmp_path, transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *GREEN])
    picture.putpixel((1, 0), 1)
    options = {} if transparency is None else {"transparency": transparency}
    picture.save(tmp_path / "palette.png", **options)
    assert data.decode(tmp_path / "palette.png", 3).tolist() == [[list(RED), list(GREEN)]]


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (10, 20, 30, 0)), ("LA", (40, 0))])
def test_alpha_is_dropped(tmp_path, mode, colour):
    Image.new(mode, (2, 2), colour).save(tmp_path / "clear.png")
    expected = [10, 20, 30] if mode == "RGBA" else [40, 40, 40]
    assert data.decode(tmp_path / "clear.png", 3)[0, 0].tolist() == expected


def test_single_bits_become_black_and_white(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert data.decode(tmp_path / "bits.png", 1).tolist() == [[[255], [0]]]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_frame_of_an_animation_is_read(tmp_path, suffix):
    first, second = (Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE))
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(tmp_path / f"film.{suffix}", save_all=True, append_images=[second], **options)
    assert data.decode(tmp_path / f"film.{suffix}", 3)[0, 0].tolist() == list(RED)


def test_bmp(tmp_path):
    Image.fromarray(CORNERS).save(tmp_path / "old.bmp")
    np.testing.assert_array_equal(data.decode(tmp_path / "old.bmp", 3), CORNERS)


def test_pixels_in_memory_take_the_channels_that_are_wanted():
    gray = np.array([[7]], np.uint8)
    assert data.decode(gray, 3).tolist() == [[[7, 7, 7]]]
    assert data.decode(np.dstack([CORNERS, CORNERS[..., :1]]), 3).tolist() == CORNERS.tolist()
    with pytest.raises(check.DataError, match="expected uint8"):
        data.decode(np.zeros((2, 2, 3)), 3)


# What is wrong with the file, and what the line must say.


def save_photo(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_truncated_file_is_named(tmp_path, suffix, share):
    path = save_photo(tmp_path / f"short.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(check.DataError, match=rf"short\.{suffix}: "):
        data.decode(path, 3)


def test_a_missing_file(tmp_path):
    with pytest.raises(check.DataError, match=r"none\.jpg: the file is missing"):
        data.decode(tmp_path / "none.jpg", 3)


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(check.DataError, match=r"empty\.jpg: the file is empty \(0 bytes\)"):
        data.decode(tmp_path / "empty.jpg", 3)


def test_text_renamed_to_jpg(tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear Sir,")
    with pytest.raises(check.DataError, match=r"letter\.jpg: not an image that can be read"):
        data.decode(tmp_path / "letter.jpg", 3)


def test_a_folder_with_the_name_of_an_image(tmp_path):
    (tmp_path / "album.jpg").mkdir()
    with pytest.raises(check.DataError, match="this is a folder"):
        data.decode(tmp_path / "album.jpg", 3)


def test_a_decompression_bomb(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(check.DataError, match=r"bomb\.png: too large to open safely"):
        data.decode(tmp_path / "bomb.png", 1)


def test_every_refusal_is_one_line(tmp_path):
    path = tmp_path / "noise.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    with pytest.raises(check.DataError) as caught:
        data.decode(path, 3)
    assert "\n" not in str(caught.value)


def test_only_one_or_three_channels():
    with pytest.raises(check.SettingError, match="channels: expected one of 1, 3; got 2"):
        data.decode(CORNERS, 2)
