"""Published weights for our models: read a file, know its names, put every array in its place or refuse.

>>> from lensmith.compose import weights
>>> source = weights.PUBLISHED["vgg16"]["imagenet"]
>>> source.names.name, source.preprocessing["channels"]
('keras.applications VGG', 'bgr')
"""

from lensmith.compose.weights.assigning import Report, assign
from lensmith.compose.weights.names import OWN, NameMap, Weight, by_block, by_name, by_order, weights_of
from lensmith.compose.weights.published import PUBLISHED, ClassNames, Source, fetch, source_of, trained_with
from lensmith.compose.weights.reading import read
from lensmith.compose.weights.rows import load, maps_for

__all__ = [
    "OWN",
    "PUBLISHED",
    "ClassNames",
    "NameMap",
    "Report",
    "Source",
    "Weight",
    "assign",
    "by_block",
    "by_name",
    "by_order",
    "fetch",
    "load",
    "maps_for",
    "read",
    "source_of",
    "trained_with",
    "weights_of",
]
