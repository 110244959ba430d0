"""A data set as a model sees it: a vector of each image, a map of them all, and what lies nearest to one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.compose import views
from lensmith.data import resize
from lensmith.probe.subject import Example, Subject
from lensmith.probe.walking import Block, Progress, as_pixels, class_of, labels_of, listed, none_left, walk
from lensmith.records import Labels, Problem

THUMBNAIL = 32  # pixels of the longer side: a thousand of them take 3 MB
PERPLEXITY = 30.0  # of t-SNE, where there are enough examples for it
_FEWEST = 4  # examples for t-SNE
_COLUMNS = 50  # that t-SNE works on: more are projected to so many before
_SAME = 1e-4  # relative distance of two vectors that are one image's: from batch to batch, the last digits differ


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A data set as vectors.

    Args:
        vectors: float32 ``(n, features)``.
        sources: what each example is called.
        classes: of each, by name, as its record holds it; empty where it is not known.
        thumbnails: uint8 ``(n, height, width, 3)``, small; None for rows.
        task: whose classes these are; None where no example has one.
        set_aside: examples that cannot be read, or whose vector is no number, and why.
    """

    vectors: np.ndarray
    sources: tuple[str, ...]
    classes: tuple[str, ...]
    thumbnails: np.ndarray | None
    task: str | None
    set_aside: tuple[Problem, ...]

    def __len__(self) -> int:
        return len(self.sources)

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds, without vectors and images."""
        named = {"examples": len(self), "features": self.vectors.shape[1], "task": self.task}
        return named | {"set_aside": listed(self.set_aside)}


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Vectors as points in a few directions.

    Args:
        points: float32 ``(n, directions)``.
        explained: the share of the variance that each direction holds, 0..1; empty where the method knows none.
        method: how they were made, in words.
    """

    points: np.ndarray
    explained: tuple[float, ...]
    method: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An example near another.

    Args:
        place: among those of the data set, from 0.
        source: what it is called.
        name: of its class; empty where it is not known.
        similarity: the cosine of the angle between the vectors, −1..1.
        same: whether its vector is the very one that was asked about: the image is in the data set itself.
    """

    place: int
    source: str
    name: str
    similarity: float
    same: bool


def embed(
    subject: Subject,
    examples: Iterable[Example],
    *,
    batch: int = 32,
    task: str | None = None,
    labels: Mapping[str, Labels] | None = None,
    progress: Progress | None = None,
) -> Embedded:
    """The vector that a model computes its answer from, for each example of a data set.

    What a batch takes, the vectors and the thumbnails are in memory, and nothing else of the data set.

    Args:
        subject: any model (see :func:`lensmith.compose.embedding`), and what it takes.
        examples: records, files, pixels or rows; read once, in order.
        batch: examples at a time.
        task: whose classes the examples are shown by; left out, the first task of kind ``class``.
        labels: what the targets of the records mean, by task; left out, what their reader said, else what the
            subject's outputs mean.
        progress: told how many are done after each batch.

    Returns:
        The vectors in the order of the examples, without those that are set aside.

    Raises:
        SettingError: the model has no embedding, or there is no such task.
        DataError: there are no examples, or not one of them can be used.

    Example:
        >>> from dataclasses import replace
        >>> from lensmith.compose import zoo
        >>> from lensmith.data import Preprocessing, bundled
        >>> model = replace(zoo.get("compact"), input=(8, 8, 1)).build(seed=0)
        >>> found = embed(Subject(model, Preprocessing(image=(8, 8, 1))), bundled("digits")[:40])
        >>> found.vectors.shape, found.thumbnails.shape, found.classes[:3]
        ((40, 128), (40, 8, 8, 3), ('0', '1', '2'))
    """
    known = labels_of(examples, subject.labels) if labels is None else labels
    task, model = _task(task, known), views.embedding(subject.model)
    vectors: list[np.ndarray] = []
    pictures: list[np.ndarray] = []
    named: list[tuple[str, str]] = []
    lost: list[Problem] = []

    def look(block: Block) -> None:
        found = np.asarray(backend.predict(model, block.inputs), np.float32).reshape(len(block.sources), -1)
        finite = np.asarray(np.isfinite(found).all(axis=1))
        vectors.append(found[finite])
        for i, (source, example) in enumerate(zip(block.sources, block.examples, strict=True)):
            if not finite[i]:
                lost.append(Problem(source, "its vector holds what is no number"))
                continue
            named.append((source, class_of(example, task, known)))
            if block.raw.ndim == 4:
                pictures.append(_thumbnail(block.raw[i]))

    set_aside = (*walk(subject, examples, look, batch=batch, progress=progress)[1], *lost)
    if not named:
        raise none_left(set_aside)
    sources, classes = zip(*named, strict=True)
    thumbnails = np.stack(pictures) if pictures else None
    return Embedded(np.concatenate(vectors), sources, classes, thumbnails, task, set_aside)


def vector_of(subject: Subject, example: Example) -> np.ndarray:
    """The vector of one example, float32 ``(features,)``, as :func:`embed` gives it.

    Raises:
        DataError: the example cannot be read.
    """
    found = backend.predict(views.embedding(subject.model), subject.inputs([example]))
    return np.asarray(found, np.float32).reshape(-1)


def pca(vectors: np.ndarray, count: int = 2) -> Projection:
    """The directions in which vectors differ most (principal components; Pearson 1901).

    Args:
        vectors: ``(n, features)``.
        count: of directions; where the vectors have fewer, the points are 0 in the others.

    Raises:
        DataError: they are no finite ``(n, features)``.

    Example:
        >>> pca(np.array([[0, 0], [2, 0], [4, 0.0]]), 2).explained
        (1.0, 0.0)
    """
    values = _checked(vectors)
    points, explained = np.zeros((len(values), check.positive("count", count)), np.float32), [0.0] * count
    spread = values - values.mean(axis=0)
    if spread.any():
        from sklearn.decomposition import PCA  # here, for importing it takes a second

        fewer = min(count, *values.shape)
        fitted = PCA(fewer, svd_solver="full").fit(spread)
        points[:, :fewer], explained[:fewer] = fitted.transform(spread), fitted.explained_variance_ratio_.tolist()
    return Projection(points, tuple(explained), "principal components")


def tsne(vectors: np.ndarray, *, seed: int = 0, perplexity: float | None = None) -> Projection:
    """A map on which near vectors lie near; distances between groups mean little (van der Maaten and Hinton 2008).

    More than 50 columns are projected to 50 by :func:`pca` before, as in its Section 4.2, and it starts from the
    principal components. The same vectors and seed give the same map on one machine.

    Args:
        vectors: ``(n, features)``.
        seed: of what is left to chance.
        perplexity: about how many neighbours count; left out, 30, or a third of the examples where these are fewer.

    Returns:
        Points ``(n, 2)``. Of fewer than four examples, or of vectors that are all the same, those of :func:`pca`.

    Raises:
        DataError: the vectors are no finite ``(n, features)``.
        SettingError: the perplexity is not from 1 to less than the number of examples.
    """
    values = _checked(vectors)
    count = len(values)
    if count < _FEWEST or not (values - values[0]).any():
        reason = f"fewer than {_FEWEST} examples" if count < _FEWEST else "vectors that are all the same"
        return Projection(pca(values).points, (), f"principal components: {reason}")
    wanted = min(PERPLEXITY, (count - 1) / 3) if perplexity is None else perplexity
    if not 1 <= wanted < count:
        raise check.SettingError(check.sentence("perplexity", f"a number from 1 to less than {count}", repr(wanted)))
    from sklearn.manifold import TSNE  # here, for importing it takes a second

    columns = pca(values, max(2, min(_COLUMNS, values.shape[1]))).points
    found = TSNE(2, perplexity=wanted, init="pca", learning_rate="auto", random_state=seed).fit_transform(columns)
    return Projection(np.asarray(found, np.float32), (), f"t-SNE, perplexity {wanted:g}")


def neighbours(embedded: Embedded, vector: np.ndarray, *, count: int = 8) -> tuple[Neighbour, ...]:
    """The examples whose vectors point most nearly where this one does, the nearest first; all are compared.

    Args:
        embedded: what :func:`embed` gave.
        vector: ``(features,)``, such as :func:`vector_of` gives; it may be one of the data set's own.
        count: how many, at most.

    Returns:
        Of equally near ones the earlier first. A vector of zeros points nowhere: its similarity is 0.

    Raises:
        DataError: the vector has another length, or holds what is no number.
    """
    check.positive("count", count)
    query, values = np.asarray(vector, np.float64), embedded.vectors.astype(np.float64)
    if query.shape != values.shape[1:] or not np.isfinite(query).all():
        got = f"shape {query.shape}" if query.shape != values.shape[1:] else "some that are none"
        raise check.DataError(check.sentence("vector", f"{values.shape[1]} finite numbers", got))
    length = np.linalg.norm(query)
    lengths = np.linalg.norm(values, axis=1) * length
    similarity = np.divide(values @ query, lengths, out=np.zeros(len(values)), where=lengths > 0).clip(-1, 1)
    same = np.linalg.norm(values - query, axis=1) <= _SAME * length
    # The very image first, whatever the last digits of its cosine are.
    order = np.lexsort((-similarity, ~same))[:count].tolist()
    return tuple(
        Neighbour(i, embedded.sources[i], embedded.classes[i], float(similarity[i]), bool(same[i])) for i in order
    )


def _task(task: str | None, known: Mapping[str, Labels]) -> str | None:
    chosen = [name for name, labels in known.items() if labels.kind == "class"]
    return next(iter(chosen), None) if task is None else check.one_of("task", task, chosen)


def _thumbnail(raw: np.ndarray) -> np.ndarray:
    height, width = raw.shape[:2]
    scale = min(1.0, THUMBNAIL / max(height, width))
    pixels = as_pixels(resize(raw, (max(1, round(height * scale)), max(1, round(width * scale)))))
    return np.repeat(pixels, 3 // pixels.shape[2], axis=2)


def _checked(vectors: np.ndarray) -> np.ndarray:
    values = np.asarray(vectors, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        got = f"shape {values.shape}" if values.ndim != 2 or not values.size else "some that are none"
        raise check.DataError(check.sentence("vectors", "finite numbers (examples, features)", got))
    return values
