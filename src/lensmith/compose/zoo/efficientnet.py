"""EfficientNet-B0 (Tan & Le 2019, Table 1): MobileNet's inverted residuals with squeeze and excitation.

Counts and numbers are those of ``keras.applications.EfficientNetB0`` but for its first layers, which scale and
standardise the image and count 7 numbers: ours leaves that to the data. No convolution has a bias but those of squeeze
and excitation. Not here is what the paper does in training alone: stochastic depth of 0.2.
"""

from __future__ import annotations

from lensmith.compose.blocks import Conv, InvertedResidual, Squeeze
from lensmith.compose.layers import Conventions
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

# Table 1, stages 2 to 8: expansion, kernel, filters, blocks, stride.
B0 = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
SQUEEZE = Squeeze(0.25, of="input", multiple=1, activation="silu", gate="sigmoid")


def efficientnet_b0() -> Recipe:
    """EfficientNet-B0."""
    stages = (
        Group(InvertedResidual(expansion, kernel, SQUEEZE, "silu"), filters=filters, blocks=blocks, stride=stride)
        for expansion, kernel, filters, blocks, stride in B0
    )
    last = Group(Conv(1, norm="before", activation="silu"), filters=1280)
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(32, kernel=3, activation="silu"),
        learner=Groups(*stages, last),
        tasks={"label": Classify(1000, dropout=0.2)},
        conventions=Conventions(epsilon=1e-3, momentum=0.99, padding="tensorflow"),
    )


EFFICIENTNET = Family(
    name="EfficientNet",
    origin="Tan & Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    convention="no bias before a batch normalisation; without keras.applications' 7 numbers of preprocessing",
    recipes={"efficientnet-b0": efficientnet_b0()},
)
