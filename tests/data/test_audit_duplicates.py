"""Copies: planted ones are found, look-alikes are not, and what they do to a split and to labels is said."""

import io
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance
from rich.console import Console
from sklearn.datasets import load_digits

from lensmith import data
from lensmith.data.inspection.auditing import audit
from lensmith.data.inspection.duplicates import ALIKE, CONTRAST, RADIUS, SAME, find, near
from lensmith.data.inspection.hashing import content, fingerprints, normalised, standard, thumbnail
from lensmith.data.inspection.likeness import chance, mismatch, tinted
from lensmith.data.inspection.neighbours import neighbours
from lensmith.records import Labels, Record, Records


def picture(seed, size=(120, 160), channels=3):
    """Noise with as much structure at every scale as a photo has: a PIL image."""
    rng = np.random.default_rng(seed)
    height, width = size
    waves = np.maximum(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]), 1 / width)
    values = np.stack(
        [np.fft.irfft2(np.fft.rfft2(rng.normal(size=size)) / waves**1.2, s=size) for _ in range(channels)]
    )
    values = 128 + 45 * (values - values.mean()) / values.std()
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8).transpose(1, 2, 0).squeeze())


def thumbnails(pictures):
    return np.stack([thumbnail(standard(np.atleast_3d(np.asarray(one)))) for one in pictures])


def again(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def put(root, **pictures):
    """Save pictures as files: part__class__name gives part/class/name.png."""
    for name, image in pictures.items():
        path = root / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return root


def of_kind(report, kind):
    return next((finding for finding in report.findings if finding.kind == kind), None)


COPIES = {
    "saved as JPEG of quality 60": lambda image: again(image, 60),
    "resized to 70 %": lambda image: image.resize((112, 84), Image.Resampling.BILINEAR),
    "squeezed into a square": lambda image: image.resize((100, 100)),
    "15 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "half the contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.5),
    "3 % of it cut off": lambda image: image.crop((5, 2, 160, 118)),
    "in gray": lambda image: image.convert("L"),
}
OTHERS = {
    "another picture": lambda image: picture(99),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "negative": lambda image: Image.fromarray(255 - np.asarray(image)),
    "half of it": lambda image: image.crop((0, 0, 80, 120)),
    "plain": lambda image: Image.new("RGB", (160, 120), (90, 90, 90)),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_changed_copy_is_found(change):
    first = picture(1)
    assert near(thumbnails([picture(2), first, picture(3), change(first)])) == ((1, 3),)


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_another_picture_is_not_taken_for_a_copy(change):
    assert near(thumbnails([picture(1), change(picture(1))])) == ()


def ring(radius, thickness=3):
    """A circle on black, as a written zero is: most of it is background."""
    across, down = np.meshgrid(np.arange(28) - 13.5, np.arange(28) - 13.5)
    inside = np.abs(np.hypot(across, down) - radius) < thickness / 2
    return Image.fromarray((255 * inside).astype(np.uint8))


def test_drawings_that_look_alike_are_not_copies_but_the_same_drawing_is():
    drawings = [ring(8), ring(8.6), ring(9.2), ring(10)]
    assert near(thumbnails(drawings)) == ()
    brighter = Image.fromarray((np.asarray(drawings[1]) * 0.8).astype(np.uint8))
    assert near(thumbnails([*drawings, brighter])) == ((1, 4),)


def test_tiny_and_plain_images_are_compared_by_their_pixels_only():
    tiny = [picture(1, (8, 8)), picture(1, (8, 8)).resize((9, 9))]
    assert near(thumbnails(tiny)) == ()
    noise = np.random.default_rng(0).integers(120, 124, (2, 40, 40), np.uint8)
    assert near(thumbnails([Image.fromarray(one) for one in (noise[0], noise[0] + 1, noise[1])])) == ()


def test_the_same_pixels_are_exact_copies_whatever_the_file(tmp_path):
    for name, options in {"a.png": {}, "b.bmp": {}, "c.tif": {"compression": "tiff_lzw"}}.items():
        (tmp_path / "cat").mkdir(exist_ok=True)
        picture(1).save(tmp_path / "cat" / name, **options)
    turned = Image.Exif()
    turned[274] = 6  # stands on its side, and is turned upright when it is read
    picture(1).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "cat" / "d.png", exif=turned)
    put(tmp_path, dog__e=picture(2), dog__f=picture(3))
    report = audit(data.read(tmp_path))
    assert report.exact == report.duplicates == ((0, 1, 2, 3),)
    finding = of_kind(report, "duplicate")
    assert (finding.severity, finding.message.split(":")[0]) == ("warning", "3 images are exact copies of another")
    assert [source.rsplit("/", 1)[1] for source in finding.files] == ["a.png", "b.bmp", "c.tif", "d.png"]
    assert finding.groups == (finding.files,)
    assert of_kind(report, "near-duplicate") is None


def test_exact_and_near_copies_make_one_group(tmp_path):
    smaller = picture(1).resize((112, 84))
    put(tmp_path, cat__a=picture(1), cat__b=picture(1), cat__c=smaller, dog__d=picture(2), dog__e=picture(3))
    report = audit(data.read(tmp_path))
    assert (report.duplicates, report.exact) == (((0, 1, 2),), ((0, 1),))
    assert len(of_kind(report, "near-duplicate").files) == 3
    assert report.to_dict()["duplicates"] == [[str(tmp_path / "cat" / f"{name}.png") for name in "abc"]]
    screen = io.StringIO()
    report.show(Console(file=screen, width=400))
    assert "a.png = " in screen.getvalue()


def test_places_are_those_among_the_records_that_can_be_read(tmp_path):
    put(tmp_path, cat__b=picture(1), cat__c=picture(2), dog__d=picture(3), dog__e=picture(1))
    (tmp_path / "cat" / "a.png").write_bytes(b"broken")
    report = audit(data.read(tmp_path))
    assert [report.records[place].source.rsplit("/", 1)[1] for place in report.exact[0]] == ["b.png", "e.png"]


# -- small, drawn, noisy and plain pictures ------------------------------------------------------------------------


def noise(seed, side):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def drawing(seed, side):
    """A few plain shapes on a plain ground."""
    rng = np.random.default_rng(seed)
    canvas = Image.new("RGB", (4 * side, 4 * side), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(canvas)
    for number in range(6):
        x, y, width, height = (rng.integers(0, (4, 4, 2, 2)) + rng.random(4)) * side
        shape = draw.rectangle if number % 2 else draw.ellipse
        shape((x, y, x + width + side, y + height + side), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return canvas.resize((side, side), Image.Resampling.LANCZOS)


def digit(number, side):
    values = load_digits().images[number] * 15
    return Image.fromarray(values.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)


def slope(seed, side):
    """A gradient in some direction."""
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    values = across * np.cos(seed / 6) + down * np.sin(seed / 6)
    return Image.fromarray((255 * (values - values.min()) / np.ptp(values)).astype(np.uint8))


def word(seed, side):
    canvas = Image.new("L", (side, side), 255)
    letters = np.random.default_rng(seed).integers(97, 123, (4, 6))
    for line, row in enumerate(letters):
        ImageDraw.Draw(canvas).text((2, 2 + line * side // 4), "".join(map(chr, row)), fill=0)
    return canvas


@pytest.mark.parametrize("make", [noise, drawing, digit, slope, word], ids=lambda one: one.__name__)
@pytest.mark.parametrize("side", [32, 64])
def test_different_small_pictures_are_no_copies(make, side):
    count = 150 if make is digit else 36  # of few digits two may chance to be alike
    assert near(thumbnails([make(seed, side) for seed in range(count)])) == ()


SMALL_COPIES = {
    "saved as JPEG": lambda image: again(image, 60),
    "twice as large": lambda image: image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "one pixel cut off all around": lambda image: image.crop((1, 1, image.width - 1, image.height - 1)),
    "in gray": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("change", SMALL_COPIES.values(), ids=SMALL_COPIES)
@pytest.mark.parametrize("make", [noise, drawing], ids=lambda one: one.__name__)
@pytest.mark.parametrize(("side", "count"), [(32, 12), (64, 6), (64, 40)])
def test_a_changed_copy_among_small_pictures_is_found(make, side, count, change):
    pictures = [make(seed, side) for seed in range(count)]
    assert near(thumbnails([*pictures, change(pictures[3])])) == ((3, count),)


def test_noise_that_is_large_is_compared_though_little_of_it_is_left_in_a_thumbnail():
    pictures = [noise(seed, 256) for seed in range(12)]
    assert near(thumbnails([*pictures, again(pictures[5], 80)])) == ((5, 12),)


def test_the_same_shape_in_another_colour_is_no_copy_but_one_in_gray_is(tmp_path):
    for number, colour in enumerate(["red", "lime", "blue", "purple", "orange"]):
        canvas = Image.new("RGB", (48, 48), "white")
        ImageDraw.Draw(canvas).ellipse((12, 12, 34, 34), fill=colour)
        put(tmp_path, **{f"{'warm' if number in (0, 4) else 'cold'}__{colour}": canvas})
        if colour == "blue":
            put(tmp_path, cold__gray=canvas.convert("L"))
    report = audit(data.read(tmp_path))
    (group,) = report.duplicates  # the gray one is a copy of one that has its shades, but no two colours are
    names = {report.records[place].source.rsplit("/", 1)[1] for place in group}
    assert len(names) == 2
    assert "gray.png" in names


def test_the_copies_do_not_depend_on_the_order_of_the_images():
    """Else what a split keeps together is not what the audit of its parts looks for."""
    records = data.bundled("digit-windows")
    order = np.random.default_rng(3).permutation(len(records))
    found, again = (
        {frozenset(one.records[place].source for place in group) for group in one.duplicates}
        for one in (audit(records), audit(records.select(order.tolist())))
    )
    assert len(found) > 100
    assert again == found


def test_what_chance_brings_about_depends_on_how_many_there_are():
    pictures = thumbnails([picture(seed) for seed in range(30)])
    few, many = chance(pictures[:10]), chance(pictures)
    assert 0 < many < few < 1
    assert chance(np.repeat(pictures[:1], 9, axis=0)) == 0.0


def test_colours_differ_only_where_both_have_some():
    cells = np.zeros((4, 4, 4, 3), np.uint8)
    cells[0, ..., 0] = 200  # red
    cells[1, ..., 0] = 150  # darker red
    cells[2, ..., 1] = 200  # green
    cells[3] = 90  # gray
    pairs = np.array([[0, 1], [0, 2], [0, 3], [3, 3]])
    assert tinted(cells, pairs).tolist() == [False, True, False, False]


def test_many_copies_of_one_picture_are_one_group():
    copies = [again(picture(1), quality) for quality in range(50, 96)]
    assert near(thumbnails([picture(2), *copies])) == (tuple(range(1, 47)),)


def test_a_film_does_not_become_one_group():
    """Each frame is like the next, but the last is not like the first."""
    wide = picture(1, (96, 400))
    frames = thumbnails([wide.crop((place, 0, place + 96, 96)) for place in range(0, 300, 2)])
    groups = near(frames)
    assert len(groups) > 10
    assert sum(map(len, groups)) == len({place for group in groups for place in group})
    for group in groups:
        first, rest = normalised(frames[[group[0]]]), normalised(frames[list(group[1:])])
        assert (mismatch(np.repeat(first, len(rest), axis=0), rest) < ALIKE).all()


def test_in_a_crowd_of_look_alikes_only_the_same_counts():
    """Faces in one pose, say: alike in the large, different in the small."""
    shape = cv2.resize(
        np.float32(np.random.default_rng(5).normal(size=(4, 4))), (160, 120), interpolation=cv2.INTER_CUBIC
    )
    details = [np.asarray(picture(seed, channels=1), np.float32) - 128 for seed in range(12)]
    details = [detail - cv2.GaussianBlur(detail, (0, 0), 12) for detail in details]
    crowd = [Image.fromarray(np.clip(128 + 60 * shape + 1.2 * one, 0, 255).astype(np.uint8)) for one in details]
    cut = crowd[0].crop((5, 2, 160, 118))
    assert near(thumbnails([crowd[0], cut])) == ((0, 1),)
    assert near(thumbnails(crowd)) == ()
    assert near(thumbnails([*crowd, cut])) == ()
    assert near(thumbnails([*crowd, again(crowd[0], 80)])) == ((0, 12),)


def slow_near(shown):
    """The same by comparing all pairs, one at a time, in plain words."""
    flat = shown.reshape(len(shown), -1).astype(float)
    plain = [any(((row >= v) & (row < v + 5)).sum() >= 288 for v in range(256)) for row in flat]
    telling = [i for i in range(len(shown)) if flat[i].std() >= CONTRAST]
    spans = {(i, j): 1 - np.corrcoef(flat[i], flat[j])[0, 1] for i in telling for j in telling if i > j}
    by_chance = SAME
    if len(telling) >= 4:
        quarter, half = np.quantile(list(spans.values()), (0.25, 0.5))
        if 1e-3 < quarter < 0.999 * half:
            power = np.log(2) / np.log(half / quarter)
            by_chance = max(quarter * (0.05 / (len(spans) / 4)) ** (1 / power), SAME)
    alike = np.zeros((len(shown), len(shown)), bool)
    for (i, j), span in spans.items():
        if np.linalg.norm(fingerprints(shown[[i]]) - fingerprints(shown[[j]])) < RADIUS:
            alike[i, j] = alike[j, i] = span < by_chance or (
                span < 0.3 and not plain[i] and not plain[j] and rest(shown[i], shown[j]) < ALIKE
            )
    groups, taken = [], set()
    for first in range(len(shown)):
        group = [] if first in taken else [place for place in np.flatnonzero(alike[first]) if place not in taken]
        if group:
            taken |= {first, *group}
            groups.append((first, *group))
    return tuple(groups)


def rest(first, second):
    a, b = ((one.astype(float) - one.mean()) / one.std() for one in (first, second))
    return max(one_way(a, b), one_way(b, a))


def one_way(a, b):
    down, across = np.gradient((a + b) / 2, 1 / 24)
    place = (np.arange(24) + 0.5) / 24 - 0.5
    terms = [a, np.ones((24, 24)), across, across * place, down, down * place[:, None]]
    columns = np.stack([term[1:-1, 1:-1].ravel() for term in terms], axis=1)
    wanted = b[1:-1, 1:-1].ravel()
    found = np.linalg.lstsq(columns, wanted, rcond=None)[0]
    if (np.abs(found[[2, 4]]) > 0.08).any() or (np.abs(found[[3, 5]]) > 0.2).any() or found[0] < 0.5:
        return np.inf
    return ((wanted - columns @ found) ** 2).mean() / wanted.var()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(sorted(COPIES | OTHERS))), max_size=12))
def test_all_pairs_give_the_same(chosen):
    changes = COPIES | OTHERS
    shown = thumbnails([picture(seed) for seed in range(6)] + [changes[name](picture(seed)) for seed, name in chosen])
    assert near(shown) == slow_near(shown)


def test_mismatch_takes_a_shift_and_a_stretch_out_and_nothing_more():
    wide = picture(1, (200, 200), channels=1)
    first, aside, stretched, far = thumbnails(
        [wide.crop(box) for box in ((20, 20, 180, 180), (24, 20, 184, 180), (16, 20, 184, 180), (60, 20, 220, 180))]
    )
    ones, others = normalised(np.stack([first] * 3)), normalised(np.stack([aside, stretched, far]))
    found = mismatch(ones, others)
    as_they_lie = 1 - (ones * others).mean(axis=(1, 2)) ** 2
    assert (found[:2] < 0.5 * as_they_lie[:2]).all()
    assert (found[:2] < 0.06).all()
    assert found[2] > ALIKE


def test_neighbours_that_were_planted_are_found_and_no_pair_is_far():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.3, (3000, 15)).astype(np.float32)
    points[1500:] = points[:1500] + rng.normal(0, 0.02, (1500, 15))
    pairs = neighbours(points, 0.25, 8)
    assert (np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1) < 0.25).all()
    assert len({(low, high) for low, high in pairs.tolist() if high == low + 1500}) > 0.99 * 1500


def test_points_all_in_one_place_do_not_make_all_pairs():
    pairs = neighbours(np.zeros((4000, 15), np.float32), 0.25, 8)
    assert len(pairs) <= 4000 * 16
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert neighbours(np.zeros((0, 15), np.float32), 0.25, 8).shape == (0, 2)


def test_the_same_whatever_the_threads_and_from_run_to_run(tmp_path):
    put(tmp_path, **{f"cat__{i}": picture(i % 5) for i in range(9)}, dog__a=picture(7), dog__b=picture(2))
    records = data.read(tmp_path)
    assert audit(records, threads=1).to_dict() == audit(records, threads=5).to_dict() == audit(records).to_dict()


# -- what copies do -------------------------------------------------------------------------------------------------


def test_a_copy_in_another_part_is_severe(tmp_path):
    put(
        tmp_path, train__cat__a=picture(1), train__cat__b=picture(2), train__dog__c=picture(3), train__dog__d=picture(4)
    )
    put(
        tmp_path, test__cat__e=picture(5), test__cat__f=again(picture(1), 60).resize((112, 84)), test__dog__g=picture(3)
    )
    report = audit(data.read(tmp_path))
    assert report.severe
    finding = report.findings[0]
    assert (finding.kind, finding.severity) == ("leakage", "severe")
    pairs = [("train/cat/a", "test/cat/f"), ("train/dog/c", "test/dog/g")]
    assert set(finding.groups) == {(f"{tmp_path}/{one}.png", f"{tmp_path}/{other}.png") for one, other in pairs}
    assert set(finding.files) == {f"{tmp_path}/{one}.png" for pair in pairs for one in pair}
    assert set(finding.groups) == {(f"{tmp_path}/{one}.png", f"{tmp_path}/{other}.png") for one, other in pairs}
    assert "--mend leakage" in finding.remedy
    assert "--allow-leakage" in finding.remedy


def test_the_remedy_for_copies_that_leak_names_both(tmp_path):
    put(tmp_path, train__cat__a=picture(1), train__dog__c=picture(3), test__cat__e=picture(1), test__dog__g=picture(4))
    assert of_kind(audit(data.read(tmp_path)), "duplicate").remedy.endswith("--mend duplicate --mend leakage")
    put(tmp_path, train__cat__b=picture(1))
    (tmp_path / "test" / "cat" / "e.png").unlink()
    put(tmp_path, test__cat__f=picture(5))
    assert of_kind(audit(data.read(tmp_path)), "duplicate").remedy.endswith("--mend duplicate")


def test_without_parts_nothing_leaks(tmp_path):
    report = audit(data.read(put(tmp_path, cat__a=picture(1), cat__b=picture(1), dog__c=picture(2), dog__d=picture(3))))
    assert of_kind(report, "leakage") is None
    assert not any(finding.kind == "leakage" for finding in report.findings)


def test_a_group_in_two_parts_is_leakage():
    parts = ["train", "train", "validation", "test", None]
    groups = ["ann", "bob", "ann", "cid", "bob"]
    items = tuple(
        Record(f"{i}.png", image=np.asarray(picture(i)), group=group, part=part)
        for i, (part, group) in enumerate(zip(parts, groups, strict=True))
    )
    finding = of_kind(audit(Records(items, {}, name="patients")), "leakage")
    assert finding.severity == "severe"
    assert "'ann'" in finding.message
    assert finding.files == ("0.png", "2.png")


def test_one_picture_with_two_labels(tmp_path):
    put(tmp_path, cat__a=picture(1), cat__b=picture(2), dog__c=picture(1), dog__d=picture(3))
    finding = of_kind(audit(data.read(tmp_path)), "label")
    assert finding.severity == "warning"
    assert finding.message.endswith(f"such as {tmp_path}/cat/a.png: cat but {tmp_path}/dog/c.png: dog")
    assert len(finding.files) == 2
    assert "--mend label" in finding.remedy


@pytest.mark.parametrize(
    ("labels", "targets", "count"),
    [
        (Labels("classes", ("red", "big")), [(0,), (0, 1)], 1),
        (Labels("classes", ("red", "big")), [(0, 1), (1, 0)], 0),  # the same ones in another order
        (Labels("number", ("age",)), [(3.0,), (4.0,)], 1),
        (Labels("number", ("age",)), [(3.0,), (3.0,)], 0),
    ],
)
def test_what_counts_as_two_labels(labels, targets, count):
    pixels = np.asarray(picture(1))
    items = tuple(Record(f"{i}", image=pixels, targets={"task": target}) for i, target in enumerate(targets))
    found = [one for one in audit(Records(items, {"task": labels})).findings if "two labels" in one.message]
    assert len(found) == count


def test_the_command_is_ready_for_the_shell(tmp_path):
    root = put(tmp_path / "my photos", cat__a=picture(1), cat__b=picture(1), dog__c=picture(2), dog__d=picture(3))
    assert f"lensmith data convert '{root}' OUT --mend duplicate" in of_kind(audit(data.read(root)), "duplicate").remedy


def test_the_hash_knows_shape_and_pixels():
    flat = np.zeros((2, 6, 1), np.uint8)
    assert content(flat) == content(np.zeros((2, 6, 1), np.uint8))
    assert len({content(flat), content(flat.reshape(3, 4, 1)), content(flat.reshape(2, 2, 3)), content(flat + 1)}) == 4
    assert find([], np.zeros((0, 24, 24), np.uint8)).groups == ()


def test_unlabelled_images_are_compared_too():
    items = tuple(Record(f"{i}", image=np.asarray(picture(i % 2))) for i in range(3))
    report = audit(Records(items, {}))
    assert (report.exact, report.counts) == (((0, 2),), {})


def test_real_photos_and_their_copies(tmp_path, shared_data):
    photos = data.read(shared_data / "cats_vs_dogs")
    some = photos.select(range(0, len(photos), 20))  # 70
    changes = [COPIES[name] for name in ("saved as JPEG of quality 60", "15 % brighter")]
    changes.append(lambda image: image.resize((round(0.7 * image.width), round(0.7 * image.height))))
    changes.append(lambda image: image.crop((0, 0, round(0.97 * image.width), round(0.97 * image.height))))
    copies = []
    for place, record in enumerate(some):
        image = Image.fromarray(data.decode(record.image, 3))
        copies.append(Record(f"copy of {record.source}", image=np.asarray(changes[place % 4](image))))
    originals = tuple(Record(record.source, image=record.image) for record in some)
    groups = audit(Records((*originals, *copies), {})).duplicates
    planted = {(place, place + len(some)) for place in range(len(some))}
    assert set(groups) <= planted, "different photos were taken for copies"
    assert len(groups) >= 0.97 * len(planted)


def test_written_digits_are_not_copies_of_one_another(shared_data):
    report = audit(data.read(shared_data / "mnist" / "png_subset"))
    assert report.duplicates == ()


def test_a_copied_file_among_real_photos(tmp_path, shared_data):
    cats = sorted((shared_data / "cats_vs_dogs" / "train" / "cats").glob("*.jpg"))[:4]
    for part, files in (("train", cats), ("test", cats[:1])):
        for kind in ("cats", "others"):
            (tmp_path / part / kind).mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, tmp_path / part / "cats" / file.name)
        picture(len(files)).save(tmp_path / part / "others" / "x.png")
    finding = of_kind(audit(data.read(tmp_path)), "leakage")
    name = cats[0].name
    assert finding.files == (f"{tmp_path}/train/cats/{name}", f"{tmp_path}/test/cats/{name}")
