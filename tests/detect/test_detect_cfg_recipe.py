"""Darknet networks as recipes: the published files, their heads and counts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith import backend, check, compose
from lensmith.compose import Classify, Recipe
from lensmith.compose.detection.tasks import YoloMaps, YoloV1
from lensmith.detect.darknet.cfg import parse, read
from lensmith.detect.darknet.cfg_layers import steps
from lensmith.detect.darknet.recipe import graph, preprocessing, recipe

NET = "[net]\nwidth=8\nheight=8\nchannels=3\n"


def published(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"darknet/cfg/{name}.cfg")) + sorted(folder.glob(f"yolo_fastest/ModelZoo/*/{name}.cfg"))
    if not found:
        pytest.skip(f"{name}.cfg is not among the real data")
    return found[0]


# Those of ../shared/parameter_counts.md; YOLO-Fastest by the lengths of the .weights files.
@pytest.mark.parametrize(
    ("name", "total", "trainable"),
    [
        ("darknet19", 20_856_776, 20_842_376),
        ("darknet53", 41_645_640, 41_609_928),
        ("vgg-16", 138_357_544, 138_357_544),
        ("alexnet", 62_378_344, 62_378_344),
        ("yolov2-voc", 50_676_061, 50_655_389),
        ("yolov2", 50_983_561, 50_962_889),
        ("yolov3", 62_001_757, 61_949_149),
        ("yolov3-voc", 61_678_657, 61_626_049),
        ("yolov3-tiny", 8_858_734, 8_852_366),
        ("yolo-fastest", 356_406, 342_950),
        ("yolo-fastest-xl", 912_686, 887_886),
        ("yolo-fastest-1.1", 346_062, 332_798),
        ("yolo-fastest-1.1-xl", 923_486, 898_686),
        ("yolo-fastest-1.1_body", 294_396, 281_132),
    ],
)
def test_counts(shared_data: Path, name: str, total: int, trainable: int) -> None:
    cfg = read(published(shared_data, name))
    cost = compose.cost(recipe(cfg))
    assert (cost.parameters, cost.trainable) == (total, trainable)
    assert sum(step.floats for step in steps(cfg)) == total


def test_weights_are_as_long_as_their_files(shared_data: Path) -> None:
    files = sorted(shared_data.glob("yolo_fastest/ModelZoo/*/*.weights"))
    if not files:
        pytest.skip("no .weights among the real data")
    for file in files:
        cfg = read(file.with_suffix(".cfg"))
        assert 20 + 4 * sum(step.floats for step in steps(cfg)) == file.stat().st_size


REFUSED = {
    "darknet9000": "a tree of classes",
    "yolo9000": "a tree of classes",
    "rnn": "which is for sequences",
    "rnn.train": "which is for sequences",
    "gru": "which is for sequences",
    "go": "[reorg] extra",
    "go.test": "[reorg] extra",
    "writing": "got none of them",  # paints
    "jnet-conv": "got none of them",  # features alone
    "vgg-conv": "got none of them",
}


def test_every_published_file(shared_data: Path) -> None:
    files = sorted(shared_data.glob("darknet/cfg/*.cfg"))
    if not files:
        pytest.skip("no .cfg among the real data")
    built = 0
    for file in files:
        cfg = read(file) if file.stem not in ("rnn", "rnn.train", "gru") else None
        if file.stem in REFUSED:
            with pytest.raises(check.DataError) as caught:
                recipe(cfg or read(file))
            assert REFUSED[file.stem] in str(caught.value), file
            continue
        assert cfg is not None
        made = recipe(cfg)
        assert Recipe.from_dict(made.to_dict()) == made, file
        assert compose.cost(made).parameters == sum(step.floats for step in steps(cfg)), file
        assert preprocessing(cfg).shape == made.input
        built += 1
    assert built == len(files) - len(REFUSED)


def test_features_alone_are_a_graph(shared_data: Path) -> None:
    made = graph(read(published(shared_data, "vgg-conv")))
    model = Recipe((64, 64, 3), None, made, {"label": Classify(10)}).build(seed=0)
    assert model.get_layer("task-label-pool").input.shape == (None, 2, 2, 512)


def test_heads_of_yolo_v3_tiny(shared_data: Path) -> None:
    made = recipe(read(published(shared_data, "yolov3-tiny")))
    task = made.tasks["objects"]
    assert isinstance(task, YoloMaps)
    assert (task.classes, task.softmax) == (80, False)
    assert [output.tap for output in task.outputs] == ["learner-layer16", "learner-layer23"]
    assert task.outputs[0].anchors == ((81, 82), (135, 169), (344, 319))
    assert task.outputs[1].anchors == ((10, 14), (23, 27), (37, 58))
    assert made.input == (416, 416, 3)
    assert Recipe.from_yaml(made.to_yaml()) == made
    assert made.conventions.epsilon == 1e-6


def test_heads_of_yolo_v2_have_anchors_in_pixels(shared_data: Path) -> None:
    task = recipe(read(published(shared_data, "yolov2-voc"))).tasks["objects"]
    assert isinstance(task, YoloMaps)
    assert task.softmax
    assert task.outputs[0].anchors[0] == pytest.approx((1.3221 * 32, 1.73145 * 32))


def test_heads_of_yolo_v1(shared_data: Path) -> None:
    task = recipe(read(published(shared_data, "yolov1"))).tasks["objects"]
    assert task == YoloV1(20, 7, 3, sqrt=True, given=True)


def test_head_of_a_classifier(shared_data: Path) -> None:
    made = recipe(read(published(shared_data, "cifar.test")))
    assert made.tasks == {"label": Classify(10, pool="given")}
    model = made.build(seed=0)
    assert model.output_shape == (None, 10)
    assert model.get_layer("learner-layer16-scale").scale == pytest.approx(1 / 3)  # its softmax has temperature 3


# --- a network of our own ------------------------------------------------------------------------------------------

TWO = (
    "[net]\nwidth=32\nheight=16\nchannels=3\n"
    "[conv]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"  # 0: 8×16
    "[maxpool]\nsize=2\nstride=2\n"  # 1: 4×8
    "[conv]\nfilters=14\nactivation=linear\n"  # 2
    "[yolo]\nmask=2,3\nanchors=1,2, 3,4, 5,6, 7,8\nclasses=2\nnum=4\nscale_x_y=1.05\n"  # 3
    "[route]\nlayers=-3\n"  # 4, from 1
    "[upsample]\nstride=2\n"  # 5: 8×16
    "[route]\nlayers=-1, 0\n"  # 6
    "[conv]\nfilters=14\nactivation=linear\n"  # 7
    "[yolo]\nmask=0,1\nanchors=1,2, 3,4, 5,6, 7,8\nclasses=2\nnum=4\n"  # 8
)


def test_two_scales() -> None:
    made = recipe(parse(TWO), ["cat", "dog"])
    task = made.tasks["objects"]
    assert isinstance(task, YoloMaps)
    found = [(output.tap, output.anchors, output.scale_xy) for output in task.outputs]
    assert found == [("learner-layer3", ((5, 6), (7, 8)), 1.05), ("learner-layer8", ((1, 2), (3, 4)), 1.0)]
    model = made.build(seed=0)
    rows = np.asarray(backend.predict(model, np.zeros((1, 16, 32, 3), np.float32)))
    assert rows.shape == (1, 2 * (4 * 8 + 8 * 16), 7)


def test_the_first_yolo_is_the_first_scale() -> None:
    """What comes out first is the map of the layer before the first [yolo]: its bias moves the first candidates."""
    model = recipe(parse(TWO)).build(seed=0)
    model.get_layer("learner-layer2-conv").bias.assign(np.full(14, 9.0, np.float32))
    raw = model.get_layer("task-objects-logits").output
    rows = np.asarray(backend.predict(type(model)(model.input, raw), np.zeros((1, 16, 32, 3), np.float32)))[0]
    assert np.all(rows[: 2 * 4 * 8] == 9) and np.all(rows[2 * 4 * 8 :] == 0)


# What the networks after YOLO v3 are made of (Bochkovskiy et al. 2020, YOLOv4): yolov4-tiny's halves of channels, the
# squeeze and excitation of enet-coco, the attention of yolov4-sam-mish, the pyramid of pools, centres that may leave
# their cells.
FOUR = (
    "[net]\nwidth=32\nheight=32\nchannels=3\nletter_box=1\nmosaic=1\nsgdr_cycle=1000\n"
    "[conv]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=mish\nstopbackward=800\n"  # 0
    "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"  # 1: 4 channels
    "[conv]\nfilters=8\nactivation=leaky\n"  # 2
    "[empty]\n"  # 3
    "[conv]\ngroups=8\nfilters=8\nsize=3\npad=1\nactivation=swish\n"  # 4
    "[avgpool]\n"  # 5
    "[conv]\nfilters=2\nactivation=relu6\n"  # 6
    "[conv]\nfilters=8\nactivation=logistic\n"  # 7
    "[scale_channels]\nfrom=-4\n"  # 8: 16×16×8
    "[shortcut]\nfrom=3\nactivation=linear\n"  # 9
    "[conv]\nfilters=8\nactivation=logistic\n"  # 10
    "[sam]\nfrom=-2\n"  # 11
    "[maxpool]\nsize=5\nstride=1\n[route]\nlayers=-2\n[maxpool]\nsize=9\nstride=1\n"  # 12 to 14
    "[route]\nlayers=-1,-3,-4\n"  # 15: 24 channels
    "[conv]\nfilters=21\nactivation=linear\n"  # 16
    "[yolo]\nmask=0,1,2\nanchors=12,16, 19,36, 40,28\nclasses=2\nnum=3\nscale_x_y=1.2\niou_thresh=0.213\n"
    "cls_normalizer=1.0\niou_normalizer=0.07\niou_loss=ciou\nnms_kind=greedynms\nbeta_nms=0.6\nmax_delta=5\n"
)


def test_what_came_after_the_third_version() -> None:
    cfg = parse(FOUR)
    assert cfg.notes == ()
    made = recipe(cfg)
    shapes = [step.shape for step in steps(cfg)]
    assert (shapes[1], shapes[8], shapes[11], shapes[15]) == ((16, 16, 4), (16, 16, 8), (16, 16, 8), (16, 16, 24))
    # 3·9·8 + 4·8, 4·8 + 8, 9·8 + 8, 8·2 + 2, 2·8 + 8, 8·8 + 8, 24·21 + 21
    assert made.count()[0] == sum(step.floats for step in steps(cfg)) == 248 + 40 + 80 + 18 + 24 + 72 + 525
    assert made.tasks["objects"].outputs[0].scale_xy == 1.2  # type: ignore[union-attr]
    rows = np.asarray(backend.predict(made.build(seed=0), np.ones((1, 32, 32, 3), np.float32)))
    assert rows.shape == (1, 3 * 16 * 16, 7) and np.isfinite(rows).all()


def layered(*sections: str) -> str:
    return NET + "\n".join(sections) + "\n"


END = "[avgpool]\n[softmax]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[net]\nwidth=8\nheight=8\n[conv]\n",
            "cfg:1: [net]: expected the height, width and channels of images; got no",
        ),
        ("[net]\ninputs=256\n[conn]\n", "got none of height and width and channels"),
        ("[net]\nwidth=0\nheight=8\nchannels=3\n[conv]\n", "cfg:2: [net] width: expected a whole number from 1 to"),
        ("[net]\nwidth=16384\nheight=16384\nchannels=3\n[conv]\n", "feature maps of at most 268,435,456 numbers"),
        (layered("[conv]\nactivation=leeky", END), "cfg:6: [convolutional] activation: expected one of linear"),
        (layered("[conv]\nactivation=leeky", END), "Did you mean 'leaky'?"),
        (layered("[conv]\nfilters=4\ngroups=2", END), "groups that divide 3 channels and 4 filters; got 2"),
        (layered("[conv]\nsize=9", END), "cfg:6: [convolutional] size: expected feature maps of at least 9×9"),
        (layered("[conv]\nxnor=1", END), "cfg:6: [convolutional] xnor: expected 0, or no such setting; got 1"),
        (layered("[conv]\nstride=2\nstride_x=1", END), "stride_x: expected the same as stride, 2; got 1"),
        (
            layered(*["[conv]\nfilters=100000\nsize=9\npad=1"] * 2, END),
            "cfg:9: [convolutional]: expected at most 1,073",
        ),
        (layered("[conn]\noutput=10000000\n[conn]\noutput=10000000", "[softmax]"), "at most 1,073,741,824 weights"),
        (layered("[upsample]\nstride=64", "[upsample]\nstride=64"), "got 32768×32768×3"),
        (layered("[conn]\noutput=4", "[conv]", END), "cfg:7: [convolutional]: expected feature maps from the layer"),
        (layered("[maxpool]\nsize=2\nstride=2\npadding=4", END), "padding: expected a whole number from 0 to 3; got 4"),
        (layered("[route]\nlayers=-1", END), "cfg:6: [route] layers: expected a layer before this one; got -1"),
        (layered("[conv]", "[route]\nlayers=1", END), "layers: expected layers before this one, 0 to 0; got 1"),
        (layered("[conv]", "[route]\nlayers=5", END), "got 5, which is layer 5"),
        (layered("[conv]", "[route]\nlayers=-2", END), "got -2, which is layer -1"),
        (layered("[conv]", "[route]\nlayers=a", END), "expected a whole number; got 'a'"),
        (layered("[conv]", "[route]\nlayers=" + "0," * 5000, END), "layers: expected at most 1,024 layers; got 5,000"),
        (layered("[conv]", "[route]", END), "cfg:6: [route] layers: expected the number of a layer before this one"),
        (layered("[conv]", "[max]\nsize=2\nstride=2", "[route]\nlayers=0,1", END), "of one size; got 8×8, 4×4"),
        (layered("[conv]\nfilters=3", "[route]\nlayers=0\ngroups=2", END), "channels that 2 divides; got 3"),
        (layered("[conv]", "[route]\nlayers=0\ngroup_id=1", END), "0 to 0, as there are 1 groups; got 1"),
        (layered("[conv]", "[shortcut]\nfrom=3", END), "cfg:7: [shortcut] from: expected layers before this one"),
        (layered("[conv]", "[shortcut]\nfrom=-1,-1", END), "from: expected one layer; got 2"),
        (layered("[conv]", "[shortcut]\nfrom=-1\nweights_type=relu", END), "weights_type: expected none"),
        (layered("[conv]", "[upsample]", "[shortcut]\nfrom=0", END), "feature maps of 16×16, or so many times larger"),
        (
            layered("[conv]\nfilters=4", "[scale_channels]\nfrom=-1", END),
            "cfg:8: [scale_channels] from: expected feature maps of 1×1×4 from the layer before; got 8×8×4",
        ),
        (
            layered("[conv]\nfilters=4", "[scale_channels]\nfrom=-1\nscale_wh=1", END),
            "from: expected feature maps of 8×8×1 from the layer before; got 8×8×4",
        ),
        (layered("[conv]\nfilters=4", "[conv]", "[sam]\nfrom=0", END), "[sam] from: expected feature maps of 8×8×4"),
        (layered("[conv]", "[sam]\nfrom=-1,-1", END), "from: expected one layer; got 2"),
        (layered("[conv]", "[conv]\nshare_index=-1", END), "share_index: expected no such setting; got -1"),
        (layered("[conv]\nsize=3\ndilation=2", END), "dilation: expected 1, or no such setting; got 2"),
        (layered("[maxpool]\nmaxpool_depth=1\nout_channels=2", END), "maxpool_depth: expected 0, or no such setting"),
        (layered("[local_avg]", END), "cfg:5: expected a layer that can be read here; got [local_avgpool]"),
        (layered("[implicit]", END), "expected a layer that can be read here; got [implicit]"),
        (layered("[Gaussian_yolo]"), "expected a layer that can be read here; got [Gaussian_yolo]"),
        (TWO.replace("scale_x_y=1.05", "new_coords=1"), "new_coords: expected 0, or no such setting; got 1"),
        (layered("[reorg]\nstride=2", END), "height and width that 2 divides, and channels that 4 divides; got 8×8×3"),
        (layered("[local]\nsize=5\npad=1", END), "pad: expected 0, or 1 for windows of 3 pixels"),
        (
            layered("[crop]\ncrop_height=9\ncrop_width=8", END),
            "crop_height: expected a whole number from 1 to 8; got 9",
        ),
        (layered("[dropout]\nprobability=2", END), "probability: expected a share from 0 to 1; got 2"),
        (layered("[conv]"), "cfg: expected [yolo], [region], [detection] or [softmax]"),
        (layered("[conv]", "[softmax]"), "expected one number for each class; got 8×8×1. Put [avgpool] before it"),
        (layered("[conv]", END), "expected 2 to 100,000 classes; got 1"),
        (layered("[conv]\nfilters=3", END, "[conv]"), "expected [route] after [softmax] of line 8, or the end of the"),
        (layered("[conv]\nfilters=3", END, "[softmax]"), "cfg:9: [softmax]: expected [route] after"),
        (layered("[avgpool]", "[softmax]\ntree=a.tree"), "tree: expected classes beside each other"),
        (layered("[avgpool]", "[softmax]\ntemperature=0"), "temperature: expected a number from 0.001 to 1000; got 0"),
        # --- detectors
        (TWO.replace("filters=14", "filters=255", 1), "cfg:18: [yolo]: expected 2·(5 + 2) = 14 filters in the layer"),
        (TWO.replace("7,8\n", "7\n", 1), "cfg:20: [yolo] anchors: expected 8 numbers, as num is 4; got 7"),
        (TWO.replace("num=4", "num=3", 1), "anchors: expected 6 numbers, as num is 3; got 8"),
        (TWO.replace("mask=2,3", "mask=2,4", 1), "cfg:19: [yolo] mask: expected anchors 0 to 3; got 2,4"),
        (TWO.replace("5,6", "5,0", 1), "anchors: expected widths and heights above 0"),
        (TWO.replace("classes=2\nnum=4\n[", "classes=3\nnum=4\n[").replace("_y=1.05", "_y=0.5"), "scale_x_y: expected"),
        (TWO[: TWO.rindex("classes=2")] + "classes=9\nnum=4\n", "classes: expected 2, as in the other layers of its"),
        (TWO.replace("layers=-3", "layers=-1"), "got layer 3, [yolo]"),
        (TWO.replace("[route]\nlayers=-3\n", ""), "expected [route] after [yolo] of line 18, or the end of the file"),
        (TWO + "[route]\nlayers=2\n[region]\nclasses=2\n", "expected no further end beside [yolo] of line 18"),
        (
            layered("[conn]\noutput=9", "[yolo]\nnum=1\nanchors=1,1"),
            "expected feature maps from the layer before; got 9",
        ),
        (layered("[conv]\nfilters=6", "[region]\nclasses=1\ncoords=5"), "coords: expected 4, or no such setting"),
        (layered("[conn]\noutput=9", "[detection]\nside=2"), "2·2·(1 + 5·1) = 24 numbers from the layer before; got 9"),
        (layered("[conv]\nfilters=24", "[detection]\nside=1"), "= 6 numbers from the layer before; got 8×8×24"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(check.DataError) as caught:
        recipe(parse(text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_have_to_be_as_many_as_classes() -> None:
    with pytest.raises(check.DataError, match="the names for cfg: expected 2 names, as the network has classes; got 3"):
        recipe(parse(TWO), ["a", "b", "c"])
