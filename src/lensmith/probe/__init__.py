"""Look inside a model: arrays first, pictures last.

:func:`look` makes every figure of an image; what they are drawn from can be had by itself, such as :func:`grad_cam`.
"""

from lensmith.probe import lab
from lensmith.probe.attribution import Attribution, integrated_gradients
from lensmith.probe.cam import Heat, grad_cam, grad_cam_plus_plus
from lensmith.probe.comparing import Comparison, compare
from lensmith.probe.data_figures import comparison_figures
from lensmith.probe.embedding import Embedded, Neighbour, Projection, embed, neighbours, pca, tsne, vector_of
from lensmith.probe.examples import MostActivating, most_activating
from lensmith.probe.figure import Figure
from lensmith.probe.looking import LOOKS, Tell, Wanted, look, look_at_data, look_at_model
from lensmith.probe.maps import before_and_after, feature_maps, kernels, pooling, strongest
from lensmith.probe.maximise import Maximised, maximise, maximise_class, maximise_several
from lensmith.probe.occlusion import Occlusion, occlusion
from lensmith.probe.statistics import Statistics, statistics
from lensmith.probe.subject import Subject
from lensmith.probe.table import Table, table
from lensmith.probe.timing import Times, times
from lensmith.probe.writing import read, write

__all__ = [
    "LOOKS",
    "Attribution",
    "Comparison",
    "Embedded",
    "Figure",
    "Heat",
    "Maximised",
    "MostActivating",
    "Neighbour",
    "Occlusion",
    "Projection",
    "Statistics",
    "Subject",
    "Table",
    "Tell",
    "Times",
    "Wanted",
    "before_and_after",
    "compare",
    "comparison_figures",
    "embed",
    "feature_maps",
    "grad_cam",
    "grad_cam_plus_plus",
    "integrated_gradients",
    "kernels",
    "lab",
    "look",
    "look_at_data",
    "look_at_model",
    "maximise",
    "maximise_class",
    "maximise_several",
    "most_activating",
    "neighbours",
    "occlusion",
    "pca",
    "pooling",
    "read",
    "statistics",
    "strongest",
    "table",
    "times",
    "tsne",
    "vector_of",
    "write",
]
