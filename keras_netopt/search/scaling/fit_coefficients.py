"""Chooses the coefficients of compound scaling by a grid."""

import math
from collections.abc import Callable
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.checks import (
    check_above,
    check_positive,
    takes_one_argument,
)
from keras_netopt.search.scaling.compound_coefficients import (
    CoefficientRow,
    CompoundCoefficients,
)
from keras_netopt.search.scaling.compound_scale import (
    check_scalable,
    compound_scale,
)

PAPER = (1.2, 1.1, 1.15)


def fit_coefficients(
    build: Any,
    evaluate: Callable[[keras.Model], float] | None = None,
    *,
    macs_factor: float = 2.0,
    step: float = 0.1,
    tolerance: float = 0.1,
    round_to: int = 8,
) -> CompoundCoefficients:
    """Chooses alpha, beta and gamma of `compound_scale` by a grid at phi = 1.

    The grid holds the multiples of `step` above 1 whose product
    alpha * beta**2 * gamma**2 is near `macs_factor`. With `evaluate` each
    model is corrected to that factor of MACs, so that scores are compared at
    equal cost, and the best score wins. Without it, nothing is trained: the
    triple whose MACs are nearest to the factor wins, of equal ones the one
    nearest to the paper's 1.2, 1.1, 1.15.

    Example:

    >>> from keras_netopt import search
    >>> space = search.spaces.resnet((32, 32, 1), 10, stages=1, blocks=1)
    >>> found = search.fit_coefficients(space, step=0.5, tolerance=0.2)
    >>> found.best.alpha, found.best.beta, found.best.gamma
    (2.0, 1.0, 1.0)

    Args:
        build: As in `search.compound_scale`.
        evaluate: `evaluate(model)` trains a compiled model and returns its
            score; higher is better. Defaults to `None`: compare MACs.
        macs_factor: MACs for each unit of phi, above 1. Defaults to `2.0`.
        step: Distance of the grid, above 0. Defaults to `0.1`.
        tolerance: Largest relative distance of the product from
            `macs_factor`, above 0. Defaults to `0.1`.
        round_to: As in `search.compound_scale`. Defaults to `8`.

    Returns:
        All triples with their MACs and scores; `best` is the first.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the grid is empty.

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional
        Neural Networks", 2019, https://arxiv.org/abs/1905.11946.
    """
    build = check_scalable(build)
    check_above(macs_factor, "macs_factor", 1.0, "1")
    check_positive(step, "step")
    check_positive(tolerance, "tolerance")
    if evaluate is not None and not takes_one_argument(evaluate):
        raise TypeError(
            "Argument `evaluate` must be a function of a model. "
            f"Received: evaluate={evaluate!r}"
        )
    triples = list_coefficients(macs_factor, step, tolerance)
    if not triples:
        raise ValueError(
            "Arguments `step` and `tolerance` must leave a triple whose "
            f"product is near macs_factor={macs_factor:g}. Decrease `step`. "
            f"Received: step={step!r}, tolerance={tolerance!r}"
        )
    # An equal factor for all would cost models that nothing is asked of.
    corrected = None if evaluate is None else macs_factor
    base = cost.summarize(compound_scale(build, 0, round_to=round_to)).macs
    rows = []
    for alpha, beta, gamma in triples:
        model = compound_scale(
            build,
            1,
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            round_to=round_to,
            macs_factor=corrected,
        )
        ratio = cost.summarize(model).macs / base
        score = None if evaluate is None else float(evaluate(model))
        rows.append(CoefficientRow(alpha, beta, gamma, ratio, score))
    rows.sort(key=lambda row: _rank(row, macs_factor))
    return CompoundCoefficients(rows[0], tuple(rows))


def list_coefficients(
    macs_factor: float, step: float, tolerance: float
) -> list[tuple[float, float, float]]:
    """Returns the triples whose product is near the factor."""
    most = macs_factor * (1 + tolerance)
    ends = (most, most**0.5, most**0.5)
    alphas, betas, gammas = (_grid(end, step) for end in ends)
    return [
        (alpha, beta, gamma)
        for alpha in alphas
        for beta in betas
        for gamma in gammas
        if abs(alpha * beta**2 * gamma**2 / macs_factor - 1) <= tolerance
    ]


def _grid(end: float, step: float) -> list[float]:
    count = math.floor((end - 1.0) / step + 1e-9) + 1
    return [round(1.0 + i * step, 10) for i in range(count)]


def _rank(row: CoefficientRow, macs_factor: float) -> tuple[float, float]:
    found = (row.alpha, row.beta, row.gamma)
    distance = math.dist(found, PAPER)
    if row.score is not None:
        score = row.score if math.isfinite(row.score) else -math.inf
        return -score, distance
    return round(abs(math.log(row.macs_ratio / macs_factor)), 3), distance
