"""JPEGs decoded at reduced size: what is chosen, how far it is from the exact picture, and what it must not hide."""

import numpy as np
import pytest
from PIL import Image

from lensmith import check
from lensmith.data.images import decode, extent
from lensmith.data.pipeline import reduced
from lensmith.data.pipeline.reduced import load_reduced, scale_for
from lensmith.data.resampling import resize


def scene(height, width, seed=0):
    """Soft shapes with some fine noise, about as much detail as a photo has."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return np.clip(soft + random.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)


def save(path, pixels, orientation=None, **options):
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=90, **options)
    return path


@pytest.mark.parametrize(
    ("before", "size", "scale"),
    [
        ((199, 400), (100, 100), 1),  # one side would be smaller than the target
        ((200, 400), (100, 100), 2),  # both fit exactly
        ((400, 200), (200, 100), 2),
        ((799, 999), (100, 100), 2),  # 1/4 would leave less than twice the target
        ((800, 999), (100, 100), 4),
        ((1600, 1600), (100, 100), 8),
        ((9999, 9999), (100, 100), 8),  # there is no 1/16
        ((9999, 9999), None, 1),
    ],
)
def test_the_largest_reduction_that_leaves_enough(before, size, scale):
    assert scale_for(before, size) == scale


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_upright_and_close_to_the_exact_picture(tmp_path, orientation, channels):
    path = save(tmp_path / "turned.jpg", scene(150, 231), orientation)
    exact = decode(path, channels)
    size = (exact.shape[0] // 3, exact.shape[1] // 3)
    found = load_reduced(path, channels, size)
    assert found.values.shape == (-(-exact.shape[0] // 2), -(-exact.shape[1] // 2), channels)
    assert found.size == exact.shape[:2] == extent(path)
    assert np.abs(found.resized(size) - resize(exact, size)).mean() < 3  # a wrong turn would be tens


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_all_usual_kinds_of_jpeg_are_reduced(tmp_path, options):
    path = save(tmp_path / "kind.jpg", scene(160, 160), **options)
    found = load_reduced(path, 3, (60, 60))
    assert found.values.shape == (80, 80, 3)
    assert np.abs(found.resized((60, 60)) - resize(decode(path, 3), (60, 60))).mean() < 3


def test_the_first_picture_of_several_in_a_file(tmp_path):
    path = tmp_path / "phone.jpg"
    first, second = (Image.fromarray(scene(160, 160, seed)) for seed in (0, 1))
    first.save(path, format="MPO", save_all=True, append_images=[second], quality=90)
    found = load_reduced(path, 3, (60, 60))
    assert np.abs(found.resized((60, 60)) - resize(decode(path, 3), (60, 60))).mean() < 3


def test_a_gray_jpeg(tmp_path):
    path = save(tmp_path / "gray.jpg", scene(160, 160)[..., 0])
    gray, colour = (load_reduced(path, channels, (60, 60)).values for channels in (1, 3))
    assert gray.shape == (80, 80, 1)
    np.testing.assert_array_equal(colour, np.repeat(gray, 3, axis=2))


def test_what_is_not_reduced_is_the_exact_picture_to_the_bit(tmp_path):
    pixels = scene(90, 120)
    for name in ("a.jpg", "a.png", "a.webp", "a.bmp"):
        path = save(tmp_path / name, pixels)
        for channels in (1, 3):
            np.testing.assert_array_equal(load_reduced(path, channels, (60, 60)).values, decode(path, channels))
    large = save(tmp_path / "large.png", scene(400, 400))
    np.testing.assert_array_equal(load_reduced(large, 3, (20, 20)).values, decode(large, 3))


def test_without_a_target_nothing_is_reduced(tmp_path):
    path = save(tmp_path / "a.jpg", scene(200, 200))
    np.testing.assert_array_equal(load_reduced(path, 3, None).values, decode(path, 3))


def test_cmyk_goes_through_the_exact_loader(tmp_path):
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (200, 200), (0, 255, 255, 0)).save(path, quality=95)  # no cyan: red
    np.testing.assert_array_equal(load_reduced(path, 3, (20, 20)).values, decode(path, 3))


def test_pixels_in_memory_are_never_reduced():
    pixels = scene(100, 100)
    np.testing.assert_array_equal(load_reduced(pixels, 3, (10, 10)).values, pixels)
    with pytest.raises(check.DataError, match="photo 3: expected uint8"):
        load_reduced(pixels.astype(float), 3, (10, 10), place="photo 3")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_jpeg_that_is_cut_short_is_named_and_never_filled_with_gray(tmp_path, share):
    path = save(tmp_path / "short.jpg", scene(200, 200))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(check.DataError) as exact:
        decode(path, 3)
    with pytest.raises(check.DataError) as quick:
        load_reduced(path, 3, (50, 50))
    assert str(quick.value) == str(exact.value)
    assert "short.jpg: damaged or cut short" in str(quick.value)


# The content of a file, which both ways of reading must refuse in the same words.
@pytest.mark.parametrize("content", [b"", b"Dear Sir,", b"\xff\xd8\xff\xd9", b"\xff\xd8" + bytes(500) + b"\xff\xd9"])
def test_what_is_no_image_is_refused_in_the_words_of_the_exact_loader(tmp_path, content):
    path = tmp_path / "no.jpg"
    path.write_bytes(content)
    with pytest.raises(check.DataError) as exact:
        decode(path, 3)
    with pytest.raises(check.DataError) as quick:
        load_reduced(path, 3, (50, 50))
    assert str(quick.value) == str(exact.value)


def test_a_missing_file():
    with pytest.raises(check.DataError, match=r"none\.jpg: the file is missing"):
        load_reduced(reduced.Path("none.jpg"), 3, (5, 5))


def test_zeros_behind_the_end_do_not_matter(tmp_path):
    path = save(tmp_path / "padded.jpg", scene(200, 200))
    path.write_bytes(path.read_bytes() + bytes(512))
    assert load_reduced(path, 3, (50, 50)).values.shape == (100, 100, 3)


def test_bytes_that_are_wrong_in_the_middle_never_raise_anything_else(tmp_path):
    """Whatever the damage: pixels of the right shape, or a DataError, as the exact loader."""
    whole = save(tmp_path / "a.jpg", scene(120, 120)).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.jpg"
    for _ in range(60):
        content = bytearray(whole)
        for place in random.integers(0, len(whole), 6):
            content[place] = random.integers(256)
        path.write_bytes(content)
        try:
            found = load_reduced(path, 3, (50, 50))
        except check.DataError as error:
            assert str(path) in str(error)
        else:
            assert found.values.ndim == 3
            assert found.values.shape[2] == 3


def test_real_photos_are_1_to_2_levels_away_on_average(shared_data):
    files = sorted((shared_data / "cats_vs_dogs").rglob("*.jpg"))[::20]
    away = []
    for path in files:
        exact, found = decode(path, 3), load_reduced(path, 3, (96, 96))
        if found.values.shape != exact.shape:
            away.append(np.abs(found.resized((96, 96)) - resize(exact, (96, 96))).mean())
    assert len(away) > 20
    assert np.mean(away) < 2.2  # measured: 1.7
    assert np.max(away) < 8  # long grass; measured: 6.3


def test_a_jpeg_that_is_not_reduced_is_resized_quickly_and_close(tmp_path):
    path = save(tmp_path / "a.jpg", scene(150, 270))
    for size in ((100, 100), (100, 200), (149, 135)):  # a side of twice the target's or more, none, and just one
        found = load_reduced(path, 3, size)
        assert found.values.shape == (150, 270, 3)
        result = found.resized(size)
        assert (result.dtype, result.shape) == (np.uint8, (*size, 3))
        assert np.abs(result - resize(decode(path, 3), size)).mean() < 2


@pytest.mark.parametrize(
    ("name", "wanted", "size"),
    [
        ("a.png", (100, 100), (100, 100)),  # no JPEG
        ("a.jpg", None, (100, 100)),  # exact
        ("a.jpg", (100, 300), (100, 300)),  # a side grows
        ("a.jpg", (150, 270), (150, 270)),  # as it is
    ],
)
def test_other_images_are_resized_exactly(tmp_path, name, wanted, size):
    path = save(tmp_path / name, scene(150, 270))
    np.testing.assert_array_equal(load_reduced(path, 3, wanted).resized(size), resize(decode(path, 3), size))


def test_real_photos_that_are_resized_quickly_are_1_to_2_levels_away_on_average(shared_data):
    away = []
    for path in sorted((shared_data / "cats_vs_dogs").rglob("*.jpg"))[::10]:
        exact, found = decode(path, 3), load_reduced(path, 3, (150, 150))
        if found.values.shape == exact.shape and min(exact.shape[:2]) >= 150:
            away.append(np.abs(found.resized((150, 150)) - resize(exact, (150, 150))).mean())
    assert len(away) > 20
    assert np.mean(away) < 2  # measured: 1.3
