"""Everything that can be looked at in a model, by name: with one image, with a data set, and without either.

>>> from dataclasses import replace
>>> from lensmith import probe
>>> from lensmith.compose import zoo
>>> from lensmith.data import Preprocessing, bundled
>>> model = replace(zoo.get("compact"), input=(8, 8, 1)).build(seed=0)
>>> subject = probe.Subject(model, Preprocessing(image=(8, 8, 1)))
>>> [figure.name for figure in probe.look(subject, bundled("digits")[3], probe.Wanted(show=("maps", "pooling")))]
['maps-P0', 'maps-P1', 'maps-P2', 'maps-P3', 'pooling-learner-group1-pool']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from lensmith import check
from lensmith.compose import graph, tapping
from lensmith.probe import data_figures, heads, layer_figures, maps, table_figures, why
from lensmith.probe.cam import Method
from lensmith.probe.chains import has_kernel
from lensmith.probe.embedding import embed, neighbours, vector_of
from lensmith.probe.examples import most_activating
from lensmith.probe.figure import Figure, file_name, told_apart
from lensmith.probe.map_derivatives import last_maps
from lensmith.probe.maximise import maximise, maximise_class
from lensmith.probe.statistics import statistics
from lensmith.probe.subject import Example, Subject
from lensmith.probe.table import table
from lensmith.probe.targets import refuse_objects
from lensmith.probe.timing import times
from lensmith.probe.walking import Progress, small, source_of
from lensmith.records import Records

Tell = Callable[[str], Progress]  # makes a progress bar of a name
_QUERY = 224  # pixels of the image whose neighbours are shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at.

    Args:
        show: names of looks, whose figures come in the order of :data:`LOOKS`; none takes all that the model allows,
            ``layer`` where a layer is named, ``examples`` and ``maximise`` where a unit of one is.
        layers: taps or layers; none takes the taps, for class activation the last feature maps, and for kernels,
            pooling and before and after a layer the first one.
        unit: a channel of the one layer that is named.
        head: of a model that has several; None takes the first.
        target: a class, or number, by name or index; None takes the most probable, and for ``maximise`` the first.

    Raises:
        SettingError: there is no such look, or a unit is named without its layer.
    """

    show: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    unit: int | None = None
    head: str | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        for name in self.show:
            check.one_of("show", name, LOOKS)
        if self.unit is not None and len(self.layers) != 1:
            got = ", ".join(self.layers) or "none"
            raise check.SettingError(check.sentence("unit", "one layer that it is of", got, "Name it: --layer NAME"))
        if "examples" in self.show and self.unit is None:
            remedy = "Say which: --layer NAME --unit NUMBER"
            raise check.SettingError(check.sentence("examples", "a unit of a layer", "none", remedy))


def look(subject: Subject, example: Example, wanted: Wanted | None = None, *, tell: Tell | None = None) -> list[Figure]:
    """What one image does inside a model, and why the model says what it says of it.

    Args:
        subject: the model, and what it takes.
        example: a file, pixels or a record.
        wanted: what to look at; looks that need a data set are left out.
        tell: makes a progress bar for what takes long.

    Raises:
        SettingError: there is no such layer, head, class or unit, or the model cannot be looked at so.
        DataError: the image cannot be read.
    """
    wanted = wanted or Wanted()
    usual = () if wanted.show else _possible(subject, wanted)
    chosen = [name for name in OF_IMAGE if name in (wanted.show or usual)]
    return told_apart(figure for name in chosen for figure in OF_IMAGE[name](subject, example, wanted, tell or _silent))


def look_at_model(subject: Subject, wanted: Wanted | None = None, *, tell: Tell | None = None) -> list[Figure]:
    """What is known of a model without any image: kernels, its table; and images that its units answer to."""
    wanted = wanted or Wanted()
    # Painting takes long, so that it has to be asked for, be it by naming a unit.
    painted = wanted.unit is not None and subject.preprocessing.image is not None
    usual = [name for name in OF_MODEL if name != "maximise" or painted]
    chosen = [name for name in OF_MODEL if name in (wanted.show or usual)]
    return told_apart(figure for name in chosen for figure in OF_MODEL[name](subject, wanted, tell or _silent))


def look_at_data(
    subject: Subject,
    examples: Records | Sequence[Example],
    wanted: Wanted | None = None,
    *,
    query: Example | None = None,
    tell: Tell | None = None,
) -> list[Figure]:
    """What a model makes of a data set, which is read a batch at a time, once for each look.

    Args:
        subject: the model, and what it takes.
        examples: records, or files.
        wanted: what to look at; looks that need one image are left out.
        query: an image whose nearest neighbours are looked for.
        tell: makes a progress bar for what takes long.

    Raises:
        SettingError: there is no such layer or unit, or the model cannot be looked at so.
        DataError: no example can be read, or for ``statistics``, one of them cannot.
    """
    wanted, tell = wanted or Wanted(), tell or _silent
    chosen = [name for name in OF_DATA if name in wanted.show or not wanted.show]
    figures: list[Figure] = []
    if "statistics" in chosen:
        batches = _counted(subject.batches(examples), len(examples), tell("statistics"))
        figures += table_figures.statistics_figures(statistics(subject.model, batches, wanted.layers or None))
    if "examples" in chosen and wanted.unit is not None:
        told = tell("most activating examples")
        found = most_activating(subject, examples, wanted.layers[0], wanted.unit, progress=told)
        figures.append(data_figures.examples_figure(found))
    asked = query if "neighbours" in chosen else None
    if "embedding" in chosen or asked is not None:
        embedded = embed(subject, examples, progress=tell("embedding"))
        figures += data_figures.embedding_figures(embedded) if "embedding" in chosen else ()
        if asked is not None:
            near = neighbours(embedded, vector_of(subject, asked))
            figures.append(data_figures.neighbours_figure(embedded, near, small(asked, _QUERY), source_of(asked, 0)))
    return told_apart(figures)


def without_classes(subject: Subject, wanted: Wanted) -> tuple[Wanted, str]:
    """What can be looked at with a head that finds objects, and a line that says what cannot; else all as it is.

    Raises:
        SettingError: nothing is left of what was asked for.
    """
    head = heads.head_of(subject, wanted.head)
    of_class = set(_OF_A_CLASS) - ({"maximise"} if wanted.unit is not None else set())
    left = tuple(name for name in wanted.show if name not in of_class)
    if not head.objects or (wanted.show and len(left) == len(wanted.show)):
        return wanted, ""
    if wanted.show and not left:
        refuse_objects(head)
    return replace(wanted, show=left), f"{head.name}: finds boxes; see lensmith detect"


def _counted(batches: Iterable[np.ndarray], total: int, told: Progress) -> Iterator[np.ndarray]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        told(done, total)


def _possible(subject: Subject, wanted: Wanted) -> list[str]:
    """The looks that an example of this model allows, and that need no more than was asked for."""
    flat = heads.flat(subject)
    image = subject.preprocessing.image is not None
    ranks = {call.layer.name: len(call.outputs[0].shape) for call in graph.calls(flat) if call.inputs}
    if wanted.layers:
        mapped = all(ranks.get(tapping.layer_of(flat, layer)) == 4 for layer in wanted.layers)
    else:
        mapped = last_maps(heads.raw(subject, heads.head_of(subject, wanted.head).name)) is not None
    explained = image and not heads.head_of(subject, wanted.head).objects
    allowed = {
        "cam": explained and mapped,
        "cam++": explained and mapped,
        "occlusion": explained,
        "gradients": explained,
        "maps": bool(wanted.layers or layer_figures.layers_to_show(flat)),
        "layer": bool(wanted.layers),
        "pooling": bool(maps.pooling_layers(flat)),
        "times": True,
    }
    return [name for name, so in allowed.items() if so]


def _maps(subject: Subject, example: Example, wanted: Wanted, _: Tell) -> Sequence[Figure]:
    return layer_figures.maps_figures(subject.model, subject.inputs([example]), wanted.layers or None)


def _around(subject: Subject, example: Example, wanted: Wanted, _: Tell) -> Sequence[Figure]:
    x, model = subject.inputs([example]), subject.model
    layers = wanted.layers or _first_with_kernels(model)
    return [layer_figures.before_after_figure(maps.before_and_after(model, x, layer)) for layer in layers]


def _pooling(subject: Subject, example: Example, wanted: Wanted, _: Tell) -> Sequence[Figure]:
    x, model = subject.inputs([example]), subject.model
    layers = wanted.layers if "pooling" in wanted.show else ()
    return [layer_figures.pooling_figure(maps.pooling(model, x, layer)) for layer in layers or (None,)]


def _cam(method: Method) -> ImageLook:
    def made(subject: Subject, example: Example, wanted: Wanted, _: Tell) -> Sequence[Figure]:
        figures = [
            why.cam_figure(subject, example, layer=layer, head=wanted.head, target=wanted.target, method=method)
            for layer in wanted.layers or (None,)
        ]
        if len(figures) == 1:
            return figures
        # The same class at several layers: each is called by its layer too.
        named = zip(figures, wanted.layers, strict=True)
        return [replace(figure, name=file_name(figure.name, layer)) for figure, layer in named]

    return made


def _occlusion(subject: Subject, example: Example, wanted: Wanted, tell: Tell) -> Sequence[Figure]:
    told = tell("occlusion")
    return [why.occlusion_figure(subject, example, head=wanted.head, target=wanted.target, progress=told)]


def _gradients(subject: Subject, example: Example, wanted: Wanted, tell: Tell) -> Sequence[Figure]:
    told = tell("integrated gradients")
    return [why.gradients_figure(subject, example, head=wanted.head, target=wanted.target, progress=told)]


def _times(subject: Subject, example: Example, wanted: Wanted, _: Tell) -> Sequence[Figure]:
    return [table_figures.times_figure(times(subject.model, subject.inputs([example])))]


def _table(subject: Subject, wanted: Wanted, _: Tell) -> Sequence[Figure]:
    return table_figures.table_figures(table(subject.model))


def _kernels(subject: Subject, wanted: Wanted, _: Tell) -> Sequence[Figure]:
    named = wanted.layers if "kernels" in wanted.show else ()
    layers = named or _first_with_kernels(subject.model)
    return [layer_figures.kernels_figure(subject.model, layer) for layer in layers]


def _maximised(subject: Subject, wanted: Wanted, tell: Tell) -> Sequence[Figure]:
    told = tell("activation maximisation")
    if wanted.unit is not None:
        found = maximise(subject, wanted.layers[0], wanted.unit, progress=told)
    else:
        found = maximise_class(subject, wanted.target or 0, head=wanted.head, progress=told)
    return [data_figures.maximised_figure(found)]


def _first_with_kernels(model: Any) -> tuple[str, ...]:
    """The first layer with kernels, a convolution if there is one; none in a model without."""
    with_kernels = [call for call in graph.calls(graph.flat(model)) if has_kernel(call.layer)]
    first = next((call for call in with_kernels if len(call.outputs[0].shape) == 4), next(iter(with_kernels), None))
    return () if first is None else (str(first.layer.name),)


def _silent(_: str) -> Progress:
    return lambda done, total: None


ImageLook = Callable[[Subject, Example, Wanted, Tell], Sequence[Figure]]
ModelLook = Callable[[Subject, Wanted, Tell], Sequence[Figure]]

OF_IMAGE: Mapping[str, ImageLook] = MappingProxyType(
    {
        "cam": _cam("grad-cam"),
        "cam++": _cam("grad-cam++"),
        "occlusion": _occlusion,
        "gradients": _gradients,
        "maps": _maps,
        "layer": _around,
        "pooling": _pooling,
        "times": _times,
    }
)
OF_MODEL: Mapping[str, ModelLook] = MappingProxyType({"kernels": _kernels, "table": _table, "maximise": _maximised})
OF_DATA = ("statistics", "examples", "embedding", "neighbours")
LOOKS = (*OF_IMAGE, *OF_MODEL, *OF_DATA)
_OF_A_CLASS = ("cam", "cam++", "occlusion", "gradients", "maximise")  # the last, if no unit is named
