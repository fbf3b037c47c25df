"""The names of importance scores."""

from typing import Any

from keras_netopt.checks import takes_one_argument
from keras_netopt.sparsity.grasp import Grasp
from keras_netopt.sparsity.scores import (
    Custom,
    Magnitude,
    Movement,
    Random,
    Score,
    Taylor,
    Wanda,
)
from keras_netopt.sparsity.snip import Snip
from keras_netopt.sparsity.synflow import SynFlow

SCORES: dict[str, type[Score]] = {
    score.name: score
    for score in (
        *(Magnitude, Random, Taylor, Movement, Wanda),
        *(Snip, Grasp, SynFlow),
    )
}


def resolve_score(score: Any) -> Score:
    """Returns the `Score` for a name, a `Score` or a `callable(variable)`."""
    if isinstance(score, Score):
        return score
    if isinstance(score, str) and score in SCORES:
        return SCORES[score]()
    if takes_one_argument(score):
        return Custom(score)
    names = ", ".join(repr(name) for name in SCORES)
    raise ValueError(
        f"Argument `score` must be one of {names}, a Snip, Grasp or SynFlow, "
        f"or a callable(variable). Received: score={score!r}"
    )
