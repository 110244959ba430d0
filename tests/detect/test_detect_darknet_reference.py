"""Networks of Darknet against an interpreter of its files that shares nothing with ours: loops, channels first.

It reads the text and the numbers as Darknet's C sources do, layer after layer, and is as slow as it is plain.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from lensmith import backend
from lensmith.detect.darknet.cfg import parse
from lensmith.detect.darknet.opening import open_darknet
from lensmith.detect.darknet.recipe import recipe
from lensmith.detect.darknet.weights import Header, save_weights
from lensmith.detect.darknet.writing import as_darknet


def sections_of(text: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    for raw in text.splitlines():
        line = raw.split("#")[0].replace(" ", "")
        if line.startswith("["):
            found.append((line[1:-1], {}))
        elif line:
            key, value = line.split("=")
            found[-1][1][key] = value
    return found


class Numbers:
    """The floats of a file, taken from the front."""

    def __init__(self, content: bytes) -> None:
        major, minor, _ = struct.unpack("<iii", content[:12])
        self.transposed = major > 1000 or minor > 1000
        wide = major * 10 + minor >= 2 and major < 1000 and minor < 1000
        self.rest = np.frombuffer(content[20 if wide else 16 :], "<f4").astype(np.float64)

    def take(self, *shape: int) -> np.ndarray:
        count = math.prod(shape)
        taken, self.rest = self.rest[:count], self.rest[count:]
        assert len(taken) == count
        return taken.reshape(shape)


def activate(x: np.ndarray, kind: str) -> np.ndarray:
    sigmoid = 1 / (1 + np.exp(-x))
    return {
        "linear": x,
        "leaky": np.where(x > 0, x, 0.1 * x),
        "relu": np.maximum(x, 0),
        "logistic": sigmoid,
        "ramp": x * (x > 0) + 0.1 * x,
        "mish": x * np.tanh(np.log1p(np.exp(x))),
        "swish": x * sigmoid,
        "tanh": np.tanh(x),
        "elu": np.where(x >= 0, x, np.expm1(x)),
    }[kind]


def windows(x: np.ndarray, size: int, stride: int, before: int, after: int, fill: float):
    """The place and the content of each window of ``(channels, height, width)``."""
    x = np.pad(x, ((0, 0), (before, after), (before, after)), constant_values=fill)
    for row in range((x.shape[1] - size) // stride + 1):
        for column in range((x.shape[2] - size) // stride + 1):
            top, left = row * stride, column * stride
            yield row, column, x[:, top : top + size, left : left + size]


def convolved(x: np.ndarray, kernels: np.ndarray, stride: int, padding: int, groups: int) -> np.ndarray:
    size, out = kernels.shape[-1], len(kernels)
    rows, columns = ((side + 2 * padding - size) // stride + 1 for side in x.shape[1:])
    y = np.zeros((out, rows, columns))
    for row, column, seen in windows(x, size, stride, padding, padding, 0):
        for filter_ in range(out):
            share = x.shape[0] // groups
            first = filter_ // (out // groups) * share
            y[filter_, row, column] = (seen[first : first + share] * kernels[filter_]).sum()
    return y


def normed(x: np.ndarray, numbers: Numbers) -> np.ndarray:
    shape = (-1, *[1] * (x.ndim - 1))
    scales, means, variances = (numbers.take(len(x)).reshape(shape) for _ in range(3))
    return (x - means) / np.sqrt(variances + 1e-6) * scales


def reorganised(x: np.ndarray, stride: int) -> np.ndarray:
    """``reorg_cpu`` of blas.c, forward, as its loops stand there."""
    channels, height, width = x.shape
    flat, out = x.reshape(-1), np.zeros(x.size)
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                inner = i + width * (j + height * k)
                c2, offset = k % (channels // stride**2), k // (channels // stride**2)
                w2, h2 = i * stride + offset % stride, j * stride + offset // stride
                out[inner] = flat[w2 + width * stride * (h2 + height * stride * c2)]
    return out.reshape(channels * stride**2, height // stride, width // stride)


def run(text: str, weights: bytes, image: np.ndarray) -> tuple[list[np.ndarray], int]:
    """What every layer gives for one image ``(channels, height, width)``, and how many floats are left."""
    numbers = Numbers(weights)
    x, outputs = image.astype(np.float64), []
    for kind, options in sections_of(text)[1:]:
        number = lambda key, default, options=options: int(options.get(key, default))  # noqa: E731
        if kind == "convolutional":
            size, out, groups = number("size", 1), number("filters", 1), number("groups", 1)
            padding = size // 2 if number("pad", 0) else number("padding", 0)
            biases = numbers.take(out)
            norm = number("batch_normalize", 0)
            held = [numbers.take(out) for _ in range(3)] if norm else []
            x = convolved(x, numbers.take(out, len(x) // groups, size, size), number("stride", 1), padding, groups)
            if norm:
                scales, means, variances = (one[:, None, None] for one in held)
                x = (x - means) / np.sqrt(variances + 1e-6) * scales
            x = activate(x + biases[:, None, None], options.get("activation", "logistic"))
        elif kind == "connected":
            out, flat = number("output", 1), x.reshape(-1)
            biases = numbers.take(out)
            turned = numbers.transposed
            weights_ = numbers.take(flat.size, out).T if turned else numbers.take(out, flat.size)
            x = weights_ @ flat
            x = normed(x, numbers) if number("batch_normalize", 0) else x
            x = activate(x + biases, options.get("activation", "logistic"))
        elif kind == "local":
            size, out, stride, padding = number("size", 1), number("filters", 1), number("stride", 1), number("pad", 0)
            rows, columns = ((side + 2 * padding - size) // stride + 1 for side in x.shape[1:])
            y = numbers.take(out, rows, columns).copy()
            kernels = numbers.take(rows, columns, out, len(x), size, size)
            for row, column, seen in windows(x, size, stride, padding, padding, 0):
                y[:, row, column] += (kernels[row, column] * seen).sum(axis=(1, 2, 3))
            x = activate(y, options.get("activation", "logistic"))
        elif kind == "maxpool":
            stride = number("stride", 1)
            size = number("size", stride)
            padding = number("padding", size - 1)
            rows, columns = ((side + padding - size) // stride + 1 for side in x.shape[1:])
            y = np.zeros((len(x), rows, columns))
            for row, column, seen in windows(x, size, stride, padding // 2, padding, -np.inf):
                if row < rows and column < columns:
                    y[:, row, column] = seen.max(axis=(1, 2))
            x = y
        elif kind == "avgpool":
            x = x.mean(axis=(1, 2), keepdims=True)
        elif kind == "upsample":
            x = x.repeat(number("stride", 2), axis=1).repeat(number("stride", 2), axis=2)
        elif kind == "route":
            taken = [outputs[place if (place := int(one)) >= 0 else len(outputs) + place]
                     for one in options["layers"].split(",")]  # fmt: skip
            groups, group = number("groups", 1), number("group_id", 0)
            x = np.concatenate([one[len(one) // groups * group : len(one) // groups * (group + 1)] for one in taken])
        elif kind == "shortcut":
            place = number("from", 0)
            other = outputs[place if place >= 0 else len(outputs) + place]
            x = x.copy()
            step, most = max(other.shape[1] // x.shape[1], 1), min(len(x), len(other))
            x[:most] += other[:most, ::step, ::step]
            x = activate(x, options.get("activation", "linear"))
        elif kind == "reorg":
            x = reorganised(x, number("stride", 1))
        elif kind == "softmax":
            powers = np.exp(x.reshape(-1) / float(options.get("temperature", 1)))
            x = powers / powers.sum()
        elif kind == "dropout":
            pass
        else:
            assert kind in ("yolo", "region", "detection", "cost")
        outputs.append(x)
    return outputs, len(numbers.rest)


def boxes_of(text: str, outputs: list[np.ndarray], sides: tuple[int, int]) -> np.ndarray:
    """cx, cy, w, h, objectness and class scores of [yolo] and [region], cell by cell as their C sources have it."""
    rows = []
    for x, (kind, options) in zip(outputs, sections_of(text)[1:], strict=True):
        if kind not in ("yolo", "region"):
            continue
        anchors = np.array([float(one) for one in options["anchors"].split(",")]).reshape(-1, 2)
        anchors = anchors[[int(one) for one in options["mask"].split(",")]] if "mask" in options else anchors
        _, height, width = x.shape
        maps = x.reshape(len(anchors), -1, height, width)
        scale = float(options.get("scale_x_y", 1))
        whole = (sides[1], sides[0]) if kind == "yolo" else (width, height)
        for row in range(height):
            for column in range(width):
                for anchor, (wide, high) in enumerate(anchors):
                    t = maps[anchor, :, row, column]
                    centre = activate(t[:2], "logistic") * scale - (scale - 1) / 2
                    box = [(column + centre[0]) / width, (row + centre[1]) / height]
                    box += [np.exp(t[2]) * wide / whole[0], np.exp(t[3]) * high / whole[1]]
                    objectness = activate(t[4], "logistic")
                    if kind == "region" and int(options.get("softmax", 0)):
                        classes = np.exp(t[5:]) / np.exp(t[5:]).sum()
                    else:
                        classes = activate(t[5:], "logistic")
                    rows.append([*box, objectness, *(objectness * classes)])
    return np.array(rows)


def cornered(rows: np.ndarray) -> np.ndarray:
    half = rows[:, 2:4] / 2
    return np.concatenate([rows[:, :2] - half, rows[:, :2] + half, rows[:, 4:]], axis=1)


CONV = "[convolutional]\nfilters={}\nsize={}\nstride={}\npad={}\nbatch_normalize={}\nactivation={}\n"


def conv(filters: int, size: int = 1, stride: int = 1, pad: int = 1, norm: int = 1, kind: str = "leaky") -> str:
    return CONV.format(filters, size, stride, pad, norm, kind)


def random_weights(text: str, count: int, version: tuple[int, int, int] = (0, 2, 5)) -> bytes:
    """The file of a network with random numbers; it has to hold as many as were counted on paper."""
    made = recipe(parse(text))
    model, draw = made.build(seed=0), np.random.default_rng(0)
    for variable in model.weights:
        positive = "variance" in variable.path or "gamma" in variable.path
        spread = (2 / max(math.prod(variable.shape[:-1]), 8)) ** 0.5
        values = draw.uniform(0.5, 2, variable.shape) if positive else draw.normal(0, spread, variable.shape)
        variable.assign(values)
    with TemporaryDirectory() as folder:
        save_weights(Path(folder) / "net.weights", model, made, header=Header(version, 7))
        content = (Path(folder) / "net.weights").read_bytes()
    assert len(content) == (20 if version in ((0, 2, 5),) else 16) + 4 * count
    return content


NET = "[net]\nheight={}\nwidth={}\nchannels={}\n"
YOLO = "[yolo]\nmask={}\nanchors=4,6, 10,8, 12,20, 30,20\nnum=4\nclasses={}\n"
# What each network has that the others do not: its text, and how many floats its layers need, added up on paper.
DETECTORS = {
    # a window of 2 with pad=1 goes one pixel beyond on both sides: 12 x 10 become 13 x 11
    "yolo: strides, groups, a route back, upsampling, scale_x_y": (
        NET.format(12, 16, 3)
        + conv(4, 3, 2)  # 3*4*9 + 16 = 124, 6 x 8; then 36 + 16
        + "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\ngroups=4\nbatch_normalize=1\nactivation=relu\n"
        + "[convolutional]\nfilters=6\nsize=1\ngroups=2\npad=0\nactivation=mish\n"  # 6*2 + 6 = 18, 3 x 4
        + conv(14, 1, 1, 1, 0, "linear")  # 84 + 14 = 98
        + YOLO.format("2,3", 2)
        + "[route]\nlayers=-3\n[upsample]\nstride=2\n[route]\nlayers=-1,0\n"  # 6 + 4 channels
        + "[dropout]\nprobability=.5\n"
        + conv(14, 1, 1, 1, 0, "linear")  # 140 + 14 = 154
        + YOLO.format("0,1", 2).replace("classes", "scale_x_y=1.05\nclasses"),
        124 + 52 + 18 + 98 + 154,
    ),
    "region: reorg, shortcuts, pools of odd sizes, even windows": (
        NET.format(12, 8, 3)
        + conv(8, 3)  # 216 + 32 = 248
        + "[maxpool]\nsize=2\nstride=2\n"  # 6 x 4
        + conv(8, 1, 1, 0, 0, "swish")  # 64 + 8 = 72
        + "[shortcut]\nfrom=-2\nactivation=relu\n"
        + "[maxpool]\nsize=2\nstride=1\n[maxpool]\nsize=5\nstride=1\n"
        + "[route]\nlayers=-1,-3\ngroups=2\ngroup_id=1\n"  # 8 channels
        + "[reorg]\nstride=2\n"  # 3 x 2 x 32
        + "[route]\nlayers=3\n[maxpool]\nsize=3\nstride=2\n"  # 3 x 2 x 8
        + "[route]\nlayers=-1,-3\n"
        + conv(16, 1, 1, 1, 0, "linear")  # 640 + 16
        + "[region]\nanchors=1.5,2, 0.7,0.4\nnum=2\nclasses=3\nsoftmax=1\ncoords=4\n",
        248 + 72 + 656,
    ),
    "yolo: a window of 2, padding by number, a wider shortcut": (
        NET.format(12, 12, 1)
        + "[convolutional]\nfilters=3\nsize=2\nstride=1\npadding=1\nactivation=tanh\n"  # 12 + 3, 13 x 13
        + conv(5, 3, 2, 0, 0, "elu")  # 135 + 5, 6 x 6
        + "[shortcut]\nfrom=0\nactivation=linear\n".replace("from=0", "from=-1")
        + conv(7, 1, 1, 0, 1, "logistic")  # 35 + 28
        + YOLO.format("1", 2),
        15 + 140 + 63,
    ),
}


def opened(tmp_path: Path, text: str, weights: bytes):
    (tmp_path / "net.cfg").write_text(text)
    (tmp_path / "net.weights").write_bytes(weights)
    return open_darknet(tmp_path / "net.cfg", tmp_path / "net.weights")


def image_of(network, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, network.recipe.input).astype(np.float32)


@pytest.mark.backends
@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_gives_what_the_slow_interpreter_gives(name: str, tmp_path: Path) -> None:
    text, count = DETECTORS[name]
    weights = random_weights(text, count)
    network = opened(tmp_path, text, weights)
    image = image_of(network)
    outputs, left = run(text, weights, image.transpose(2, 0, 1))
    assert left == 0
    expected = cornered(boxes_of(text, outputs, network.recipe.input[:2]))
    got = np.asarray(network.model.predict(image[None], verbose=0))[0]
    assert got.shape == expected.shape
    assert np.abs(expected[:, 5:]).std() > 1e-4  # there is something to compare
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


CLASSIFIER = (
    NET.format(9, 7, 3)
    + conv(4, 3, 2, 1, 1, "ramp")  # 108 + 16, 5 x 4
    + "[local]\nfilters=2\nsize=3\nstride=1\npad=1\nactivation=leaky\n"  # 40 biases, 20 * 2 * 36 = 1440
    + "[connected]\noutput=6\nbatch_normalize=1\nactivation=relu\n"  # 6 + 240 + 18
    + "[connected]\noutput=3\nactivation=linear\n"  # 3 + 18
    + "[softmax]\ngroups=1\ntemperature=2\n"
)
COUNT = 124 + 1480 + 264 + 21


@pytest.mark.parametrize("version", [(0, 2, 5), (0, 1, 0), (0, 1001, 0)])
def test_a_classifier_with_local_and_connected_layers(version: tuple[int, int, int], tmp_path: Path) -> None:
    weights = random_weights(CLASSIFIER, COUNT, version)
    network = opened(tmp_path, CLASSIFIER, weights)
    image = image_of(network)
    outputs, left = run(CLASSIFIER, weights, image.transpose(2, 0, 1))
    assert left == 0
    assert network.header.version == version
    assert network.header.seen == 7
    got = np.asarray(network.model.predict(image[None], verbose=0))[0]
    np.testing.assert_allclose(got, outputs[-1], rtol=2e-5, atol=1e-7)
    plain = random_weights(CLASSIFIER, COUNT)  # the same model, whose connected layers are laid down in another order
    assert (plain[-4 * COUNT :] == weights[-4 * COUNT :]) == (version[1] != 1001)


def test_yolo_v1_gives_its_rows_in_darknets_order(tmp_path: Path) -> None:
    text = (
        NET.format(6, 6, 3)
        + conv(4, 3, 3)  # 108 + 16, 2 x 2
        + "[connected]\noutput=52\nactivation=linear\n"  # 52 + 832; 4 cells * (3 classes + 2 boxes * 5)
        + "[detection]\nclasses=3\ncoords=4\nside=2\nnum=2\nsqrt=1\nsoftmax=0\n"
    )
    weights = random_weights(text, 124 + 884)
    network = opened(tmp_path, text, weights)
    image = image_of(network)
    numbers = run(text, weights, image.transpose(2, 0, 1))[0][-1]
    got = np.asarray(network.model.predict(image[None], verbose=0))[0]
    # get_detection_boxes of detection_layer.c, and the last box of the last cell: column 1, row 1
    for cell in range(4):
        for box in range(2):
            x, y, w, h = numbers[12 + 8 + (cell * 2 + box) * 4 :][:4]
            confidence = numbers[12 + cell * 2 + box]
            centre = ((x + cell % 2) / 2, (y + cell // 2) / 2)
            expected = [centre[0] - w * w / 2, centre[1] - h * h / 2, centre[0] + w * w / 2, centre[1] + h * h / 2]
            expected += [confidence, *(confidence * numbers[cell * 3 : cell * 3 + 3])]
            np.testing.assert_allclose(got[cell * 2 + box], expected, rtol=2e-5, atol=1e-6)


# A network of Darknet is a model like any other, and may be written as one: normalisations are folded then.
WRITTEN = {
    **{name: text for name, (text, _) in DETECTORS.items()},
    "local and connected layers": CLASSIFIER.replace("temperature=2\n", ""),
    "pools over one edge and rarer activations": (
        NET.format(8, 8, 3)
        + "[conv]\nfilters=4\nactivation=hardtan\n[maxpool]\nsize=2\nstride=1\n[maxpool]\nsize=4\nstride=2\n"
        + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n[conv]\nfilters=8\nactivation=loggy\n"
        + "[connected]\noutput=3\nactivation=linear\n[softmax]\n"
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_network_of_darknet_can_be_written_as_a_model(name: str, tmp_path: Path) -> None:
    made = recipe(parse(WRITTEN[name]))
    model, draw = made.build(seed=0), np.random.default_rng(0)
    for variable in model.weights:
        if "variance" in variable.path or "gamma" in variable.path:
            variable.assign(draw.uniform(0.5, 2, variable.shape))
        elif "mean" in variable.path or "bias" in variable.path or "beta" in variable.path:
            variable.assign(draw.normal(0, 0.2, variable.shape))
    [task] = made.tasks.values()
    written = as_darknet(model, [str(number) for number in range(task.classes)])  # type: ignore[union-attr]
    network = opened(tmp_path, written.cfg, written.weights)
    image = image_of(network)[None]
    expected = np.asarray(backend.predict(model, image))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(np.asarray(backend.predict(network.model, image)), expected, rtol=1e-5, atol=1e-5)
