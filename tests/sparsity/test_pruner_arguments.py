"""Arguments of `Pruner`: score, sparsity and statistics."""

import numpy as np
import pytest

from keras_netopt.sparsity import Pruner
from keras_netopt.sparsity.scores import Score

pytestmark = pytest.mark.no_backend


def test_a_function_is_a_score(make_target):
    def newest(variable):
        return np.arange(4.0).reshape(variable.shape)

    pruner = Pruner.create(newest, "uniform")
    (mask,) = pruner.compute_masks(
        0.5, [make_target((2, 2))], [np.zeros((2, 2))]
    )
    assert mask.tolist() == [[False, False], [True, True]]


def test_a_function_with_the_wrong_shape_raises(make_target):
    pruner = Pruner.create(lambda variable: np.zeros(()))
    with pytest.raises(ValueError) as error:
        pruner.compute_masks(
            0.5, [make_target((2, 2), "a")], [np.zeros((2, 2))]
        )
    assert str(error.value) == (
        "Argument `score` must return an array of shape (2, 2) for `a`. "
        "Received: shape=()"
    )


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_scores_that_are_not_finite_raise(make_target, bad):
    weight = np.array([[1.0, bad]])
    with pytest.raises(ValueError) as error:
        Pruner.create().compute_masks(0.5, [make_target((1, 2), "a")], [weight])
    assert str(error.value) == (
        "The scores of `a` must be finite: its weights, gradients or "
        "activations hold NaN or infinity. Received: score='magnitude'"
    )


def test_missing_statistics_raise(make_target):
    with pytest.raises(ValueError) as error:
        Pruner.create("taylor").compute_masks(
            0.5, [make_target((1, 2))], [np.ones((1, 2))]
        )
    assert str(error.value) == (
        "Argument `statistics` must hold one array per target for "
        "score='taylor'. Received: statistics=None"
    )


@pytest.mark.parametrize(
    "score", ("saliency", 3, None, Score, lambda w, target: w)
)
def test_unknown_score_lists_the_allowed_names(score):
    with pytest.raises(ValueError) as error:
        Pruner.create(score)
    assert str(error.value) == (
        "Argument `score` must be one of 'magnitude', 'random', 'taylor', "
        "'movement', 'wanda', 'snip', 'grasp', 'synflow', a Snip, Grasp or "
        "SynFlow, or a callable(variable). "
        f"Received: score={score!r}"
    )


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {"min_kept": -1},
            ValueError,
            "Argument `min_kept` must be an integer of at least 0. "
            "Received: min_kept=-1",
        ),
        (
            {"seed": True},
            TypeError,
            "Argument `seed` must be an integer of at least 0. "
            "Received: seed=True",
        ),
        (
            {"pattern": "2:4", "allocation": {"out": 0.5}},
            ValueError,
            "Argument `allocation` may only leave layers dense (None) with "
            "pattern 2:4, which fixes the sparsity. "
            "Received: allocation={'out': 0.5}",
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as raised:
        Pruner.create(**arguments)
    assert str(raised.value) == message


def test_pruners_with_equal_arguments_are_equal():
    assert Pruner.create(seed=np.int64(3)) == Pruner.create(seed=3)
    assert Pruner.create("wanda") != Pruner.create("magnitude")


@pytest.mark.parametrize(
    "pattern, sparsity, expected",
    [
        ("unstructured", 0.9, 0.9),
        ("unstructured", np.float32(0.5), 0.5),
        ("unstructured", 0, 0.0),
        ("2:4", None, 0.5),
        ("1:4", 0.75, 0.75),
    ],
)
def test_check_sparsity(pattern, sparsity, expected):
    pruner = Pruner.create(pattern=pattern)
    assert pruner.check_sparsity(sparsity) == expected


@pytest.mark.parametrize(
    "pattern, sparsity, error, message",
    [
        (
            "2:4",
            0.9,
            ValueError,
            "Argument `sparsity` must be left out with pattern 2:4, which "
            "fixes it at 0.5. Received: sparsity=0.9",
        ),
        (
            "unstructured",
            None,
            ValueError,
            "Argument `sparsity` must be a float in [0, 1) with pattern "
            "unstructured. Received: sparsity=None",
        ),
        (
            "unstructured",
            1.2,
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=1.2",
        ),
        (
            "unstructured",
            1,
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=1",
        ),
        (
            "unstructured",
            float("nan"),
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=nan",
        ),
        (
            "unstructured",
            True,
            TypeError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=True",
        ),
        (
            "unstructured",
            "0.5",
            TypeError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity='0.5'",
        ),
    ],
)
def test_bad_check_sparsity(pattern, sparsity, error, message):
    with pytest.raises(error) as raised:
        Pruner.create(pattern=pattern).check_sparsity(sparsity)
    assert str(raised.value) == message
