"""Class coverage of the first samples of an order."""

import numpy as np
import pytest

from keras_netopt.curriculum.class_coverage import (
    class_coverage,
    enforce_class_coverage,
)
from keras_netopt.curriculum.class_labels import class_labels

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_first_samples_keep_the_share_of_each_class(seed, share):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 7))
    labels = rng.choice(classes, 300, p=rng.dirichlet(np.ones(classes) * 3))
    labels = np.unique(labels, return_inverse=True)[1]
    order = np.argsort(labels + 0.1 * rng.random(300), kind="stable")
    found = enforce_class_coverage(order, labels, min_share=share)

    assert sorted(found) == list(range(300))
    counts = np.bincount(labels)
    for length in range(2 * len(counts), 300):
        here = np.bincount(labels[found[:length]], minlength=len(counts))
        wanted = np.floor(share * counts / 300 * length)
        # Rounding may cost up to two samples of a class.
        assert (here >= wanted - 2 * (share == 1.0)).all()


def test_other_samples_stay_in_the_given_order(sorted_classes):
    _, labels = sorted_classes
    found = enforce_class_coverage(np.arange(100), labels)
    assert class_coverage(found[:40], labels) >= 0.5
    first_class = found[:40][labels[found[:40]] == 0]
    np.testing.assert_array_equal(
        np.sort(first_class), np.arange(len(first_class))
    )
    assert len(first_class) > 20


def test_an_order_with_every_class_is_unchanged():
    labels = np.arange(90) % 3
    order = np.arange(90)
    assert enforce_class_coverage(order, labels) is order


@pytest.mark.parametrize("front", [1, 3])
def test_min_samples_of_each_class_are_at_the_front(front, sorted_classes):
    _, labels = sorted_classes
    found = enforce_class_coverage(
        np.arange(100), labels, min_share=0.0, min_samples=front
    )
    counts = np.bincount(labels[found[: 4 * front]])
    assert counts.tolist() == [front] * 4
    np.testing.assert_array_equal(
        np.sort(found[: 4 * front]),
        np.sort(
            np.concatenate(
                [np.flatnonzero(labels == c)[:front] for c in range(4)]
            )
        ),
    )


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([5, 9, 5, 9]), [0, 1, 0, 1]),
        (np.array([[5], [9], [5], [9]]), [0, 1, 0, 1]),
        (np.eye(2)[[1, 0, 1, 0]], [1, 0, 1, 0]),
        (np.array([0.0, 1.0, 1.0, 0.0]), [0, 1, 1, 0]),
        (np.array([True, False, True, False]), [1, 0, 1, 0]),
        (np.array([0.1, 0.2, 0.3, 0.4]), None),
        (np.array([1, 2, 3, 4]), None),
        (np.array([7, 7, 7, 7]), None),
        (np.array([[1, 1], [0, 1], [1, 0], [1, 1]]), None),
        (np.zeros((4, 3, 2)), None),
        ({"a": np.arange(4)}, None),
        (None, None),
    ],
)
def test_which_targets_are_classes(y, expected):
    found = class_labels(y)
    assert (None if found is None else found.tolist()) == expected
