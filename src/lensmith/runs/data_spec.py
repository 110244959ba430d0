"""The spec's section ``data``: where the examples are, how they are read, divided, changed and fed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lensmith import check, data
from lensmith.records import Records

Scaling = Literal["0..1", "-1..1", "standardise", "none"]
Size = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Strict about names, unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SplitSpec(Section):
    """Shares of the parts, and the seed that deals the images out. Parts the source already has are kept.

    ``group`` names a fact of each example (a column, a place in a file name's pattern) whose examples stay together.
    ``file`` is a split that was written down before; examples that are new since are dealt out beside it.
    """

    train: float = Field(0.6, gt=0, le=1)
    validation: float = Field(0.2, ge=0, lt=1)
    test: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)
    group: str | None = None
    file: str | None = None


class ReadSpec(Section):
    """How the source is read, where looking at it is not enough; see :func:`lensmith.data.read`."""

    format: str | None = None
    image: str | None = None
    labels: tuple[str, ...] | None = Field(None, min_length=1)
    rows: tuple[str, ...] | None = Field(None, min_length=1)
    separator: str | None = None
    pattern: str | None = None
    group: str | None = None
    names: str | None = None
    images: str | None = None
    download: str | None = None
    hosts: tuple[str, ...] = ()

    @field_validator("labels", "rows", "hosts", mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class DataSpec(Section):
    """Where the examples are, and what the model sees of them.

    ``image`` is ``[height, width, channels]``; left out, the size is chosen by looking at the images.
    ``batch`` left out is 32, or less where there are few examples.
    ``scaling`` left out is 0..1 for images and standardisation for rows of numbers. ``split: null`` says that the
    parts were given by other means, and stand in the run's ``data.json``.
    ``augment`` is the name of a ready set of ranges, or the fields of :class:`lensmith.data.Augment`.
    ``cache`` is a folder that keeps decoded images; ``memory`` bounds what is held ready, in MiB.
    ``more`` are sources whose examples came later, see :mod:`lensmith.runs.extending`.
    ``allow_leakage`` trains although the same image stands on both sides of the source's own split.
    """

    source: str
    more: tuple[str, ...] = ()
    read: ReadSpec = ReadSpec()
    image: tuple[Size, Size, Size] | None = None
    scaling: Scaling | None = None
    split: SplitSpec | None = SplitSpec()
    batch: Size | None = None
    augment: str | dict[str, Any] | None = None
    cache: str | None = None
    memory: Size | None = None
    allow_leakage: bool = False

    def records(self) -> Records:
        """What the source holds.

        Raises:
            DataError: nothing that can be understood; says what was looked for.
            SettingError: a setting of ``read`` does not fit the source.
        """
        found = self.read
        return data.read(
            self.source,
            format=found.format,
            image=found.image,
            labels=found.labels,
            rows=found.rows,
            separator=found.separator,
            pattern=found.pattern,
            group=found.group,
            names=found.names,
            images=found.images,
            download=found.download,
            hosts=found.hosts,
        )

    def augmentation(self) -> data.Augment | None:
        """The ranges by which training images are changed; None for no change.

        Raises:
            SettingError: an unknown name, or a range that is wrong.
        """
        if self.augment is None:
            return None
        try:
            return augmentation(self.augment)
        except check.SettingError as error:
            raise check.SettingError(f"data.{error}") from None


def augmentation(asked: str | dict[str, Any]) -> data.Augment:
    """The ranges that a name or a mapping stands for.

    Raises:
        SettingError: an unknown name, or a range that is wrong.
    """
    if isinstance(asked, str):
        return data.PRESETS[check.one_of("augment", asked, data.PRESETS)]
    return data.Augment.from_dict(asked)


S = TypeVar("S", bound=Section)


def placed_in(section: DataSpec, folder: Path) -> DataSpec:
    """The section with its paths taken from the spec's folder."""

    def placed(part: S, *names: str) -> S:
        paths = {name: getattr(part, name) for name in names}
        given = {name: str((folder / Path(path).expanduser()).absolute()) for name, path in paths.items() if path}
        return part.model_copy(update=given)

    split = placed(section.split, "file") if section.split else None
    section = section.model_copy(update={"read": placed(section.read, "names", "images", "download"), "split": split})
    return placed(section, *(("cache",) if section.source.startswith("bundled:") else ("cache", "source")))
