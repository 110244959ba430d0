"""The U-Net (Ronneberger, Fischer & Brox 2015, MICCAI): 31,030,658 parameters with one channel in and two classes out.

Known differences between paper and code: the authors' Caffe model was trained with the zeros of the border mirrored
into a larger image, which is preprocessing and not part of the network; most later code pads (``padding: same``) and
normalises its batches, which changes the outputs' size and the count.
"""

from __future__ import annotations

from lensmith.compose.learners import UNet
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Segment
from lensmith.compose.zoo.family import Family

U_NET = Recipe(input=(572, 572, 1), stem=None, learner=UNet(dropout=0.5), tasks={"mask": Segment(2)})

UNET = Family(
    name="U-Net",
    origin="Ronneberger, Fischer & Brox 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation",
    convention="a bias in every convolution and up-convolution, no batch normalisation, no padding",
    recipes={"unet": U_NET},
)
