"""Compose: records of parts → an ordinary ``keras.Model``.

>>> from dataclasses import replace
>>> from lensmith import compose
>>> resnet = compose.zoo.get("resnet18-v2")
>>> small = replace(resnet, input=(32, 32, 3), stem=compose.ConvStem(64, kernel=3, stride=1),
...                 tasks={"species": compose.Classify(5), "quality": compose.Regress()})
>>> sorted(small.build().output)
['quality', 'species']
"""

from lensmith.compose import zoo
from lensmith.compose.amalgam import amalgamate
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
    Shuffle,
    Squeeze,
    Step,
    Transition,
)
from lensmith.compose.chain import Chain, Crop, read_yaml
from lensmith.compose.layers import Conventions
from lensmith.compose.outline import Part, outline
from lensmith.compose.parts import ConvStem, Dense, Flatten, Group, Groups, Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Binary, Classify, Localise, MultiLabel, Regress
from lensmith.compose.views import embedding, logits, tap_names

__all__ = [
    "Basic",
    "Binary",
    "Bottleneck",
    "Branches",
    "Chain",
    "Classify",
    "Conv",
    "ConvStem",
    "Conventions",
    "Crop",
    "Dense",
    "DenseLayer",
    "Fire",
    "Flatten",
    "Group",
    "Groups",
    "InvertedResidual",
    "Localise",
    "MultiLabel",
    "Part",
    "Pool",
    "Recipe",
    "Regress",
    "Separable",
    "Shuffle",
    "Squeeze",
    "Step",
    "Steps",
    "Transition",
    "amalgamate",
    "embedding",
    "logits",
    "outline",
    "read_yaml",
    "tap_names",
    "zoo",
]
