"""Darknet's files: read a network of ``.cfg``, ``.weights`` and ``.names`` as a model, and write a model as these.

    from lensmith.detect.darknet import open_darknet, write_darknet

    network = open_darknet(Path("yolov3.cfg"), Path("yolov3.weights"), Path("coco.names"))
    boxes = network.model.predict(images)

The layout of the files decides nothing about the model: it is built from a recipe, has taps and heads as every other,
and can be trained, shipped and looked into.
"""

from __future__ import annotations

from lensmith.detect.darknet.cfg import Cfg, Section
from lensmith.detect.darknet.cfg import read as read_cfg
from lensmith.detect.darknet.names import read_names
from lensmith.detect.darknet.opening import Darknet, open_darknet
from lensmith.detect.darknet.recipe import preprocessing as preprocessing_of
from lensmith.detect.darknet.recipe import recipe as recipe_of
from lensmith.detect.darknet.weights import Header, load_weights, read_weights, save_weights
from lensmith.detect.darknet.writing import Written, as_darknet, write_darknet

__all__ = [
    "Cfg",
    "Darknet",
    "Header",
    "Section",
    "Written",
    "as_darknet",
    "load_weights",
    "open_darknet",
    "preprocessing_of",
    "read_cfg",
    "read_names",
    "read_weights",
    "recipe_of",
    "save_weights",
    "write_darknet",
]
