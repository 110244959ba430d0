"""The table of published weights: files, checksums, preprocessing and licences.

Addresses and checksums are those that ``keras.applications`` has in its code, and those of
github.com/akamaster/pytorch_resnet_cifar10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_AKAMASTER = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"

# Caffe's order of channels and mean, without scaling; the mean and deviation of ImageNet; and −1 to 1.
_CAFFE = {"scaling": "standardise", "mean": (103.939, 116.779, 123.68), "deviation": (1.0, 1.0, 1.0), "channels": "bgr"}
_TORCH = {
    "scaling": "standardise",
    "mean": (123.675, 116.28, 103.53),
    "deviation": (58.395, 57.12, 57.375),
    "channels": "rgb",
}
_SQUEEZENET = _CAFFE | {"mean": (104.0, 117.0, 123.0)}
_SYMMETRIC = {"scaling": "-1..1", "channels": "rgb"}

_KERNELS = "{}_weights_tf_dim_ordering_tf_kernels{}.h5"
_APACHE = "Apache-2.0"
_MOBILENET_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{:.1f}_224{}.h5"


@dataclass(frozen=True, slots=True)
class Row:
    """The files of a network: with its head, and where there is one without.

    Args:
        files: their names in Keras' cache.
        folder: of the address.
        checksums: MD5 or SHA-256 of each; None where none is published.
        preprocessing: settings of ``lensmith.data.Preprocessing``.
        licence: of the weights.
        published: their names at the address, where they differ from those in the cache.
        data: what the network was trained on.
    """

    files: tuple[str, ...]
    folder: str
    checksums: tuple[str | None, ...]
    preprocessing: Mapping[str, Any]
    licence: str
    published: tuple[str, ...] | None = None
    data: str = "imagenet"

    def address(self, i: int) -> str:
        """Where file ``i`` is published."""
        return f"{self.folder}/{(self.published or self.files)[i]}"


def _kernels(stem: str, folder: str, checksums: tuple[str, str], preprocessing: Mapping[str, Any], licence: str) -> Row:
    return Row(
        (_KERNELS.format(stem, ""), _KERNELS.format(stem, "_notop")),
        f"{_KERAS}/{folder}",
        checksums,
        preprocessing,
        licence,
    )


def _mobilenet_v1(alpha: str) -> Row:
    names = (f"mobilenet_{alpha}_224_tf.h5", f"mobilenet_{alpha}_224_tf_no_top.h5")
    return Row(names, f"{_KERAS}/mobilenet", (None, None), _SYMMETRIC, _APACHE)


def _mobilenet_v3(size: str, checksums: tuple[str, str]) -> Row:
    stem = f"weights_mobilenet_v3_{size}_224_1.0_float"
    return Row((f"{stem}.h5", f"{stem}_no_top_v2.h5"), f"{_KERAS}/mobilenet_v3", checksums, _SYMMETRIC, _APACHE)


def _cifar(depth: int, sha256: str) -> Row:
    name = f"resnet{depth}-{sha256[:8]}.th"
    return Row((name,), _AKAMASTER, (sha256,), _TORCH, "BSD-2-Clause", data="cifar10")


def _nasnet(size: str, checksums: tuple[str, str]) -> Row:
    names = (f"nasnet_{size}.h5", f"nasnet_{size}_no_top.h5")
    published = (f"NASNet-{size}.h5", f"NASNet-{size}-no-top.h5")
    return Row(names, f"{_KERAS}/nasnet", checksums, _SYMMETRIC, _APACHE, published)


_VGG16 = ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")
_VGG19 = ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6")
_RESNET = {
    "50-v1": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "101-v1": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "152-v1": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "50-v2": ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "101-v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "152-v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
}
_DENSENET = {
    "121": ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "169": ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "201": ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
}
_CIFAR = {
    20: "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
    32: "d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850",
    44: "014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4",
    56: "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367",
}
_V3_SMALL = ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836")
_V3_LARGE = ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389")
_INCEPTION_V3 = ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63")
_INCEPTION_RESNET = ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4")
_XCEPTION = ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97")
_NASNET_MOBILE = ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63")
_NASNET_LARGE = ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5")

ROWS: Mapping[str, Row] = {
    "vgg16": _kernels("vgg16", "vgg16", _VGG16, _CAFFE, "CC-BY-4.0"),
    "vgg19": _kernels("vgg19", "vgg19", _VGG19, _CAFFE, "CC-BY-4.0"),
    **{
        f"resnet{name}-keras": _kernels(
            f"resnet{name.replace('-v1', '').replace('-', '')}",
            "resnet",
            md5,
            _SYMMETRIC if "v2" in name else _CAFFE,
            "BSD-3-Clause" if "v2" in name else "MIT",
        )
        for name, md5 in _RESNET.items()
    },
    "mobilenet-v1": _mobilenet_v1("1_0"),
    "mobilenet-v1-0.75": _mobilenet_v1("7_5"),
    "mobilenet-v1-0.5": _mobilenet_v1("5_0"),
    "mobilenet-v1-0.25": _mobilenet_v1("2_5"),
    "mobilenet-v2": Row(
        (_MOBILENET_V2.format(1, ""), _MOBILENET_V2.format(1, "_no_top")),
        f"{_KERAS}/mobilenet_v2",
        (None, None),
        _SYMMETRIC,
        _APACHE,
    ),
    "mobilenet-v3-small": _mobilenet_v3("small", _V3_SMALL),
    "mobilenet-v3-large": _mobilenet_v3("large", _V3_LARGE),
    **{
        f"densenet{depth}": _kernels(f"densenet{depth}", "densenet", md5, _TORCH, "BSD-3-Clause")
        for depth, md5 in _DENSENET.items()
    },
    "inception-v3": _kernels("inception_v3", "inception_v3", _INCEPTION_V3, _SYMMETRIC, _APACHE),
    "inception-resnet-v2": _kernels(
        "inception_resnet_v2", "inception_resnet_v2", _INCEPTION_RESNET, _SYMMETRIC, _APACHE
    ),
    "xception": _kernels("xception", "xception", _XCEPTION, _SYMMETRIC, "MIT"),
    "nasnet-mobile": _nasnet("mobile", _NASNET_MOBILE),
    "nasnet-large": _nasnet("large", _NASNET_LARGE),
    **{f"resnet{depth}-cifar-v1": _cifar(depth, sha256) for depth, sha256 in _CIFAR.items()},
}

# What files were trained with, by the name of the map that knows their names.
BY_NAMES: Mapping[str, Mapping[str, Any]] = {
    "keras.applications VGG": _CAFFE,
    "torchvision VGG": _TORCH,
    "keras.applications ResNet": _CAFFE,
    "torchvision ResNet": _TORCH,
    "keras.applications ResNet V2": _SYMMETRIC,
    "CIFAR ResNet for PyTorch": _TORCH,
    "keras.applications DenseNet": _TORCH,
    "torchvision DenseNet": _TORCH,
    "published torchvision DenseNet": _TORCH,
    "keras.applications MobileNet V1": _SYMMETRIC,
    "keras.applications MobileNet V2": _SYMMETRIC,
    "keras.applications MobileNet V3": _SYMMETRIC,
    "keras.applications MobileNet V3, in order": _SYMMETRIC,
    "keras.applications Inception V3": _SYMMETRIC,
    "keras.applications Inception-ResNet V2": _SYMMETRIC,
    "keras.applications Xception": _SYMMETRIC,
    "keras.applications NASNet with 4 cells a group": _SYMMETRIC,
    "keras.applications NASNet with 6 cells a group": _SYMMETRIC,
    "keras.applications EfficientNet": _TORCH,
    "SqueezeNet for Caffe": _SQUEEZENET,
    "SqueezeNet with Deep Compression": _SQUEEZENET,
}
