"""What was found, as documents for machines: Lensmith's own, and COCO's results format."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.boxes import convert
from lensmith.detect.finding import Found

# COCO's 80 classes of objects have ids up to 90: eleven of the 91 that were planned have no boxes.
COCO_IDS = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 31, 32, 33, 34,
    35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    64, 65, 67, 70, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 84, 85, 86, 87, 88, 89, 90,
)  # fmt: skip
_COCO = (  # without spaces, which not all write
    "person bicycle car motorcycle airplane bus train truck boat trafficlight firehydrant stopsign parkingmeter bench "
    "bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis "
    "snowboard sportsball kite baseballbat baseballglove skateboard surfboard tennisracket bottle wineglass cup fork "
    "knife spoon bowl banana apple sandwich orange broccoli carrot hotdog pizza donut cake chair couch pottedplant bed "
    "diningtable toilet tv laptop mouse remote keyboard cellphone microwave oven toaster sink refrigerator book clock "
    "vase scissors teddybear hairdrier toothbrush"
)
# As Darknet's coco.names has them, after Pascal VOC.
_OTHERWISE = {"motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "tvmonitor": "tv"}


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What was found in one picture, or in one frame of a video.

    Args:
        file: the picture or the video.
        found: in its pixels.
        frame: of a video, from 0.
        time: of that frame, in seconds.
    """

    file: str
    found: Found
    frame: int | None = None
    time: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds."""
        height, width = self.found.size
        moment = {} if self.frame is None else {"frame": self.frame, "time": round(self.time or 0.0, 6)}
        return {
            "file": self.file,
            **moment,
            "width": width,
            "height": height,
            "detections": self.found.to_dicts(),
        }


@dataclass(frozen=True, slots=True)
class CocoIds:
    """The ids of a COCO annotation file.

    Args:
        path: of the file.
        images: ids by file name, without folders.
        categories: ids by name.
    """

    path: Path
    images: Mapping[str, int]
    categories: Mapping[str, int]


def read_coco_ids(path: Path) -> CocoIds:
    """The ids in a COCO annotation file.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        images = {Path(one["file_name"]).name: int(one["id"]) for one in document["images"]}
        categories = {str(one["name"]): int(one["id"]) for one in document["categories"]}
    except OSError as error:
        raise check.DataError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, TypeError) as error:
        expected = "COCO's JSON, with images (id, file_name) and categories (id, name)"
        raise check.DataError(check.sentence(str(path), expected, f"something else ({check.reason(error)})")) from error
    return CocoIds(path, images, categories)


def image_ids(files: Sequence[str], known: CocoIds | None = None) -> tuple[list[int], str]:
    """The COCO id of each picture, and in words where the ids come from.

    They are those of the annotation file; without one, the number at the end of each file's name, as COCO's own files
    have it (``000000000139.jpg``), if every name has one and no two have the same; else the position, from 1.

    Raises:
        DataError: a picture is not in the annotation file.

    Example:
        >>> image_ids(["val/000000000139.jpg", "val/000000000285.jpg"])
        ([139, 285], 'the numbers in the names of the files')
        >>> image_ids(["dog.jpg", "eagle.jpg"])
        ([1, 2], 'the positions of the pictures, from 1')
    """
    names = [Path(file).name for file in files]
    if known is not None:
        missing = [name for name in names if name not in known.images]
        if missing:
            expected = f"pictures that {known.path} lists"
            remedy = check.nearest(missing[0], known.images)
            raise check.DataError(check.sentence("COCO results", expected, repr(missing[0]), remedy))
        return [known.images[name] for name in names], f"those of {known.path}"
    numbers = [re.search(r"(\d{1,18})$", Path(name).stem) for name in names]
    ids = [int(number[1]) for number in numbers if number]
    if files and len(set(ids)) == len(files):
        return ids, "the numbers in the names of the files"
    return list(range(1, len(files) + 1)), "the positions of the pictures, from 1"


def category_ids(names: Sequence[str], known: CocoIds | None = None) -> tuple[list[int], str]:
    """The COCO id of each class of a model, and in words where the ids come from.

    They are those of the annotation file by name; without one, COCO's own ids (1..90) where the names are its 80
    classes in their order, as Darknet or COCO writes them; else the place of the class, from 1.

    Raises:
        DataError: the annotation file has none of the names.

    Example:
        >>> category_ids(["raccoon", "cat"])
        ([1, 2], 'the places of the classes, from 1')
    """
    plain = [_plain(name) for name in names]
    if known is not None:
        listed = {_plain(name): number for name, number in known.categories.items()}
        if not set(plain) & set(listed):
            got = f"none of the model's, {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
            raise check.DataError(check.sentence(f"{known.path}: categories", "names of the model's classes", got))
        return [listed.get(name, 0) for name in plain], f"those of {known.path}"
    if plain == _COCO.split():
        return list(COCO_IDS), "COCO's own, 1 to 90"
    return list(range(1, len(names) + 1)), "the places of the classes, from 1"


def coco_results(answers: Sequence[Answer], images: Sequence[int], categories: Sequence[int]) -> list[dict[str, Any]]:
    """COCO's results format: one entry a detection.

    Args:
        answers: what was found.
        images: the id of each picture.
        categories: the id of each class; of those with id 0 nothing is told, for the annotations do not know them.

    Returns:
        ``image_id``, ``category_id``, ``bbox`` (x, y, width, height in pixels) and ``score`` of each.
    """
    entries = []
    for answer, image in zip(answers, images, strict=True):
        found = answer.found
        boxes = convert(found.boxes, "xyxy", "xywh").tolist()
        for box, score, index in zip(boxes, found.scores.tolist(), found.classes.tolist(), strict=True):
            if categories[index]:
                sides = [round(side, 3) for side in box]
                entry = {"image_id": image, "category_id": categories[index], "bbox": sides, "score": round(score, 6)}
                entries.append(entry)
    return entries


def _plain(name: str) -> str:
    """A name without spaces and capitals, in COCO's word for it."""
    word = re.sub(r"[\s_-]+", "", name.lower())
    return _OTHERWISE.get(word, word)
