"""Pixels optimised against feature maps: style transfer, with masks and regions (Gatys et al. 2016 and 2017)."""

from lensmith.stylize import masks, pictures
from lensmith.stylize.course import Moment
from lensmith.stylize.network import Network, open_network
from lensmith.stylize.objective import Evaluated, Objective
from lensmith.stylize.painting import Painting, paint
from lensmith.stylize.settings import Settings, layers_for

__all__ = [
    "Evaluated",
    "Moment",
    "Network",
    "Objective",
    "Painting",
    "Settings",
    "layers_for",
    "masks",
    "open_network",
    "paint",
    "pictures",
]
