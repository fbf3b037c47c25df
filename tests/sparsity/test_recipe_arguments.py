"""What a recipe takes as score, sparsity and statistics, and refuses."""

import numpy as np
import pytest

from keras_netopt.sparsity import Recipe
from keras_netopt.sparsity.scores import Score


def test_a_function_is_a_score(make_target):
    def newest(weight, target):
        return np.arange(weight.size, dtype=float).reshape(weight.shape)

    recipe = Recipe.create(newest, "uniform")
    (mask,) = recipe.masks(0.5, [make_target((2, 2))], [np.zeros((2, 2))])
    assert mask.tolist() == [[False, False], [True, True]]


def test_a_function_with_the_wrong_shape_raises(make_target):
    recipe = Recipe.create(lambda weight, target: weight.sum())
    with pytest.raises(ValueError) as error:
        recipe.masks(0.5, [make_target((2, 2), "a")], [np.zeros((2, 2))])
    assert str(error.value) == (
        "Argument `score` must return an array of shape (2, 2) for `a`. "
        "Received: shape=()"
    )


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_scores_that_are_not_finite_raise(make_target, bad):
    weight = np.array([[1.0, bad]])
    with pytest.raises(ValueError) as error:
        Recipe.create().masks(0.5, [make_target((1, 2), "a")], [weight])
    assert str(error.value) == (
        "The scores of `a` must be finite: its weights, gradients or "
        "activations hold NaN or infinity. Received: score='magnitude'"
    )


def test_missing_statistics_raise(make_target):
    with pytest.raises(ValueError) as error:
        Recipe.create("saliency").masks(
            0.5, [make_target((1, 2))], [np.ones((1, 2))]
        )
    assert str(error.value) == (
        "Argument `statistics` must hold one array a target for score "
        "'saliency'. Received: statistics=None"
    )


@pytest.mark.parametrize("score", ("taylor", 3, None, Score))
def test_unknown_score_names_the_allowed_ones(score):
    with pytest.raises(ValueError) as error:
        Recipe.create(score)
    assert str(error.value) == (
        "Argument `score` must be one of 'magnitude', 'random', 'saliency', "
        "'movement', 'wanda', or a callable(weight, target). "
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
        Recipe.create(**arguments)
    assert str(raised.value) == message


def test_recipes_of_the_same_choices_are_equal():
    assert Recipe.create(seed=np.int64(3)) == Recipe.create(seed=3)
    assert Recipe.create("wanda") != Recipe.create("magnitude")


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
def test_final_sparsity(pattern, sparsity, expected):
    recipe = Recipe.create(pattern=pattern)
    assert recipe.final_sparsity(sparsity) == expected


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
def test_bad_final_sparsity(pattern, sparsity, error, message):
    with pytest.raises(error) as raised:
        Recipe.create(pattern=pattern).final_sparsity(sparsity)
    assert str(raised.value) == message
