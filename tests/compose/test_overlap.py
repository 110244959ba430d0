"""Overlap of pairs on the backend: equal to the pairwise arrays, and with gradients that are numbers, always."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lensmith import boxes
from lensmith.backend import keras
from lensmith.backend.derivative import differentiated
from lensmith.check import SettingError
from lensmith.compose import overlap

pytestmark = pytest.mark.backends

PAIRWISE: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "iou": boxes.iou,
    "giou": boxes.giou,
    "diou": boxes.diou,
    "ciou": boxes.ciou,
}
TRUTH = np.float32([0.2, 0.2, 0.6, 0.8])
# What untrained networks may say of that box; each row with its reason.
ODD = np.float32(
    [
        [0.2, 0.2, 0.6, 0.8],  # the box itself
        [0.0, 0.0, 0.0, 0.0],  # a point outside
        [0.4, 0.5, 0.4, 0.5],  # a point in its centre
        [0.2, 0.2, 0.2, 0.2],  # a point in its corner
        [0.3, 0.3, 0.3, 0.7],  # a line
        [0.3, 0.7, 0.5, 0.7],  # a line lying down
        [0.6, 0.8, 0.2, 0.2],  # the box inside out
        [0.5, 0.3, 0.3, 0.7],  # only x1 and x2 exchanged
        [0.6, 0.2, 0.9, 0.8],  # they touch
        [0.3, 0.3, 0.3 + 1e-7, 0.3 + 1e-7],  # nearly a point
        [-1e4, -1e4, 1e4, 1e4],  # far too large
        [5e5, 5e5, 5e5, 5e5],  # far away
    ]
)


def values(kind: str, first: Any, second: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(overlap.MEASURES[kind](first, second)))


def gradient(kind: str, truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Of the sum of the measures, by the boxes given."""

    def summed(x: Any) -> tuple[Any, Any]:
        return keras.ops.sum(overlap.MEASURES[kind](truth, x)), ()

    return np.asarray(keras.ops.convert_to_numpy(differentiated(summed)(given)[2]))


@pytest.mark.parametrize("kind", overlap.OVERLAPS)
def test_equal_to_the_pairwise_measure(kind: str) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 60, 4)).astype(np.float32)  # some of them inside out
    first[:40, 2:] = first[:40, :2] + 0.5 * second[:40, 2:]
    second[:40, 2:] += second[:40, :2]
    expected = np.diag(PAIRWISE[kind](first.astype(np.float64), second.astype(np.float64)))
    assert (expected[:40] > 0).sum() > 5
    np.testing.assert_allclose(values(kind, first, second), expected, atol=2e-6)
    odd = np.delete(ODD, 9, axis=0)  # nearly a point, and one for these: its shape is nobody's concern
    against_odd = PAIRWISE[kind](TRUTH[None].astype(np.float64), odd.astype(np.float64))[0]
    np.testing.assert_allclose(values(kind, TRUTH, odd), against_odd, atol=2e-6)


@pytest.mark.parametrize("kind", overlap.OVERLAPS)
def test_values_and_gradients_are_numbers_whatever_the_boxes(kind: str) -> None:
    for truth in (TRUTH, ODD, np.float32([0.4, 0.5, 0.4, 0.5])):  # a truth without extent too
        assert np.isfinite(values(kind, truth, ODD)).all()
        found = gradient(kind, truth, ODD)
        assert np.isfinite(found).all(), found


@pytest.mark.parametrize("kind", ["iou", "giou", "diou"])
def test_gradients_equal_differences(kind: str) -> None:
    """By the pairwise measure in float64, at boxes that meet and boxes that do not."""
    given = np.float64([[0.3, 0.1, 0.7, 0.5], [0.25, 0.3, 0.5, 0.7], [0.7, 0.1, 0.95, 0.15]])
    found = gradient(kind, TRUTH, given.astype(np.float32))
    step = 1e-5
    for row, box in enumerate(given):
        for side in range(4):
            ends = box + step * np.eye(4)[side], box - step * np.eye(4)[side]
            high, low = (PAIRWISE[kind](TRUTH[None].astype(np.float64), end[None])[0, 0] for end in ends)
            assert found[row, side] == pytest.approx((high - low) / (2 * step), abs=2e-4)


def test_gradient_of_ciou_holds_its_weight_fixed() -> None:
    """The weight of the shapes' difference is no function of the box: DIoU's gradient less α times that of v."""
    box = np.float64([0.3, 0.1, 0.7, 0.5])

    def v(one: np.ndarray) -> float:
        angles = np.arctan2(one[2] - one[0], one[3] - one[1]), np.arctan2(0.4, 0.6)
        return float(4 / np.pi**2 * (angles[0] - angles[1]) ** 2)

    iou = boxes.iou([TRUTH], [box])[0, 0]
    alpha = v(box) / (1 - iou + v(box))
    step = 1e-6
    slope = [(v(box + step * side) - v(box - step * side)) / (2 * step) for side in np.eye(4)]
    expected = gradient("diou", TRUTH, np.float32([box]))[0] - alpha * np.array(slope)
    np.testing.assert_allclose(gradient("ciou", TRUTH, np.float32([box]))[0], expected, atol=1e-4)


def test_leading_axes_are_matched() -> None:
    grid = np.tile(ODD, (2, 3, 1, 1))
    assert values("giou", grid, ODD[:, None, :][:, 0]).shape == (2, 3, len(ODD))
    assert values("ciou", grid, TRUTH).shape == (2, 3, len(ODD))
    np.testing.assert_array_equal(values("iou", grid, TRUTH)[1, 2], values("iou", ODD, TRUTH))


def test_half_precision_is_worked_out_in_single() -> None:
    truth, given = np.float16([[0.2, 0.2, 0.6, 0.8]]), np.float16([[0.25, 0.2, 0.6, 0.8]])
    expected = boxes.iou(truth, given)[0]
    np.testing.assert_allclose(values("iou", truth, given), expected, atol=1e-6)


def test_the_loss_on_paper() -> None:
    """Half of the box beside it: IoU 1 / 3, GIoU the same; the mean over the two examples, the other exact."""
    truth = np.float32([[0, 0, 0.4, 0.4], [0, 0, 1, 1]])
    given = np.float32([[0.2, 0, 0.6, 0.4], [0, 0, 1, 1]])
    for kind in ("iou", "giou"):
        assert float(overlap.OverlapLoss(kind)(truth, given)) == pytest.approx((2 / 3 + 0) / 2, abs=1e-6)
    inside_out = np.float32([[0.4, 0, 0, 0.4]])  # IoU 0, and x1 is 0.4 above x2
    assert float(overlap.OverlapLoss("iou")(truth[:1], inside_out)) == pytest.approx(1.4)
    weighed = overlap.OverlapLoss("iou")(truth, given, sample_weight=np.float32([3, 1]))
    assert float(weighed) == pytest.approx(1.0, abs=1e-6)


def test_a_box_inside_out_is_pushed_apart() -> None:
    """The measures alone are flat there: without the corners' disorder nothing would be learned."""
    loss = overlap.OverlapLoss("iou")
    found = differentiated(lambda x: (loss(TRUTH[None], x), ()))(ODD[7:8])[2]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), [[1, 0, -1, 0]])


def test_the_loss_is_made_again_from_its_settings() -> None:
    loss = overlap.OverlapLoss("ciou")
    again = overlap.OverlapLoss.from_config(loss.get_config())
    assert (
        again.get_config()
        == loss.get_config()
        == {
            "kind": "ciou",
            "name": "overlap_loss",
            "reduction": "sum_over_batch_size",
        }
    )
    with pytest.raises(SettingError, match="Did you mean 'giou'"):
        overlap.OverlapLoss("gioo")  # type: ignore[arg-type]
