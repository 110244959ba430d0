"""Compose: records of parts → an ordinary ``keras.Model``.

>>> from dataclasses import replace
>>> from lensmith import compose
>>> resnet = compose.zoo.get("resnet18-v2")
>>> small = replace(resnet, input=(32, 32, 3), stem=compose.ConvStem(64, kernel=3, stride=1),
...                 tasks={"species": compose.Classify(5), "quality": compose.Regress()})
>>> sorted(small.build().output)
['quality', 'species']
"""

from lensmith.compose import weights, zoo
from lensmith.compose.amalgam import amalgamate
from lensmith.compose.auxiliary import Auxiliary, without_auxiliaries
from lensmith.compose.blocks import (
    Basic,
    Bottleneck,
    Branches,
    Conv,
    DenseLayer,
    Fire,
    InvertedResidual,
    Pool,
    Separable,
    SeparableConv,
    SeparableResidual,
    Shuffle,
    Squeeze,
    Step,
    Transition,
)
from lensmith.compose.cells import CellGroup, Cells
from lensmith.compose.chain import Chain, Crop, read_yaml
from lensmith.compose.cost import cost, flops
from lensmith.compose.cutting import with_head, without_last
from lensmith.compose.detection import YoloMaps, YoloOutput, YoloV1, YoloV2, YoloV3, YoloV3Tiny
from lensmith.compose.freezing import Frozen, freeze, frozen, unfreeze
from lensmith.compose.halving import Halves, halves
from lensmith.compose.layers import Conventions
from lensmith.compose.learners import Autoencoder, LayerGraph, UNet
from lensmith.compose.outline import Part, outline
from lensmith.compose.parts import ConvStem, Dense, Flatten, Group, Groups, Steps
from lensmith.compose.receptive import Field, receptive_fields
from lensmith.compose.recipe import Recipe
from lensmith.compose.tapping import resizable, tapped, with_offset, with_taps
from lensmith.compose.tasks import Binary, Classify, Localise, MultiLabel, Reconstruct, Regress, Segment
from lensmith.compose.twin import Twin, contrastive_loss
from lensmith.compose.views import embedding, encoding, logits, probabilities, tap_names

__all__ = [
    "Autoencoder",
    "Auxiliary",
    "Basic",
    "Binary",
    "Bottleneck",
    "Branches",
    "CellGroup",
    "Cells",
    "Chain",
    "Classify",
    "Conv",
    "ConvStem",
    "Conventions",
    "Crop",
    "Dense",
    "DenseLayer",
    "Field",
    "Fire",
    "Flatten",
    "Frozen",
    "Group",
    "Groups",
    "Halves",
    "InvertedResidual",
    "LayerGraph",
    "Localise",
    "MultiLabel",
    "Part",
    "Pool",
    "Recipe",
    "Reconstruct",
    "Regress",
    "Segment",
    "Separable",
    "SeparableConv",
    "SeparableResidual",
    "Shuffle",
    "Squeeze",
    "Step",
    "Steps",
    "Transition",
    "Twin",
    "UNet",
    "YoloMaps",
    "YoloOutput",
    "YoloV1",
    "YoloV2",
    "YoloV3",
    "YoloV3Tiny",
    "amalgamate",
    "contrastive_loss",
    "cost",
    "embedding",
    "encoding",
    "flops",
    "freeze",
    "frozen",
    "halves",
    "logits",
    "outline",
    "probabilities",
    "read_yaml",
    "receptive_fields",
    "resizable",
    "tap_names",
    "tapped",
    "unfreeze",
    "weights",
    "with_head",
    "with_offset",
    "with_taps",
    "without_auxiliaries",
    "without_last",
    "zoo",
]
