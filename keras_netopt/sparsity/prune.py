"""One-shot pruning: no fit, no callback."""

import warnings
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.sparsity.calibration import collect_statistics
from keras_netopt.sparsity.matching import WeightPattern
from keras_netopt.sparsity.recipe import Recipe
from keras_netopt.sparsity.report import SparsityReport, describe
from keras_netopt.sparsity.selection import Selection, WeightTarget, select
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

ONE_SHOT_LIMIT = 0.5


def prune(
    model: keras.Model,
    sparsity: float | None = None,
    *,
    score: Any = "magnitude",
    allocation: Any = "global",
    pattern: Any = "unstructured",
    include: WeightPattern | Iterable[WeightPattern] | None = None,
    exclude: WeightPattern | Iterable[WeightPattern] | None = None,
    data: Any = None,
    min_size: int = 0,
    min_kept: int = 1,
    seed: int = 0,
) -> SparsityReport:
    """Sets the least important weights of a model to zero, at once.

    It is the engine of `callbacks.Pruning` without training: for a look at
    what a sparsity costs, for small sparsities, or before fine-tuning in a
    loop of your own. The zeros are not kept there by themselves when the
    model trains on; use the callback for that.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> model.set_weights([np.arange(12.0).reshape(4, 3) + 1, np.zeros(3)])
    >>> prune(model, 0.25).zeros
    3
    >>> model.get_weights()[0][0]
    array([0., 0., 0.], dtype=float32)

    Args:
        model: A built model; it is changed in place.
        sparsity: Share of zeros to reach, in [0, 1). Leave it out with an n:m
            pattern. Defaults to `None`.
        score: What a weight is worth, see `Recipe.create`. Defaults to
            `"magnitude"`.
        allocation: How layers share the sparsity, see `Recipe.create`.
            Defaults to `"global"`.
        pattern: Which weights go together, see `Recipe.create`. Defaults to
            `"unstructured"`.
        include: Which weights to prune, see `select`. Defaults to `None`.
        exclude: Which weights to leave alone. Defaults to `None`.
        data: For "saliency" and "movement" `(x, y)` or an iterable of such
            batches, taken in inference mode; for "wanda" inputs, of which 128
            samples are used. Defaults to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.
        min_kept: Weights that every layer keeps under "global". Defaults to
            `1`.
        seed: Seed of the random score. Defaults to `0`.

    Returns:
        The report of what is zero now and what was skipped.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If an argument is out of range, the model is not built (or
            not compiled where the score needs gradients), data are missing,
            or weights are not finite. Nothing is changed then.
    """
    recipe = Recipe.create(score, allocation, pattern, min_kept, seed)
    final = recipe.final_sparsity(sparsity)
    selection = select(model, include, exclude, min_size=min_size)
    selection = recipe.fit(selection, final)
    if not selection.targets:
        _warn_nothing(model)
        return describe(model, selection, {})
    weights = _read(selection)
    selection, statistics = _calibrate(model, recipe, selection, data)
    kept = {target.key for target in selection.targets}
    values = [weights[key] for key in weights if key in kept]
    masks = recipe.masks(
        final,
        selection.targets,
        values,
        # What is zero already goes first: the sparsity asked for is a total.
        previous=[value != 0 for value in values],
        statistics=statistics,
    )
    _zero(selection.targets, masks)
    _warn_one_shot(final)
    by_key = {t.key: m for t, m in zip(selection.targets, masks, strict=True)}
    return describe(model, selection, by_key, recipe.pattern.label)


def _read(selection: Selection) -> dict[str, np.ndarray]:
    weights = {
        target.key: np.asarray(ops.convert_to_numpy(target.variable.value))
        for target in selection.targets
    }
    for key, weight in weights.items():
        if not np.isfinite(weight.astype(np.float32)).all():
            raise ValueError(
                "Argument `model` must have finite weights, but "
                f"`{key}` holds NaN or infinity. Received: key={key!r}"
            )
    return weights


def _calibrate(
    model: keras.Model, recipe: Recipe, selection: Selection, data: Any
) -> tuple[Selection, list[Any] | None]:
    found = collect_statistics(model, recipe.score, selection.targets, data)
    if found is None:
        return selection, None
    reasons = {
        target.key: "no calibration activations reach this weight"
        for target, statistic in zip(selection.targets, found, strict=True)
        if statistic is None
    }
    seen = [statistic for statistic in found if statistic is not None]
    return selection.without(reasons), seen


def _zero(targets: tuple[WeightTarget, ...], masks: list[np.ndarray]) -> None:
    for target, mask in zip(targets, masks, strict=True):
        weight = ops.convert_to_tensor(target.variable.value)
        keep = ops.convert_to_tensor(mask)
        target.variable.assign(ops.where(keep, weight, ops.zeros_like(weight)))


def _warn_nothing(model: keras.Model) -> None:
    warnings.warn(
        f"`prune` found no weight to prune in model `{model.name}`. Name "
        "weights in `include`; `sparsity.report(model)` says why each one is "
        "skipped.",
        NoEffectWarning,
        stacklevel=3,
    )


def _warn_one_shot(sparsity: float) -> None:
    if sparsity <= ONE_SHOT_LIMIT:
        return
    warnings.warn(
        f"`prune` set {sparsity:.0%} of the weights to zero at once; above "
        f"{ONE_SHOT_LIMIT:.0%} accuracy suffers without fine-tuning. Train "
        "with `callbacks.Pruning` instead, or fine-tune with it afterwards.",
        NotIntendedUseWarning,
        stacklevel=3,
    )
