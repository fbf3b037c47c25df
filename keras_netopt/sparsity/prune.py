"""One-shot pruning of a model, without training."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.selectors import Selector
from keras_netopt.sparsity.calibration import collect_statistics
from keras_netopt.sparsity.layer_collapse import (
    describe_collapse,
    find_collapsed,
)
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.selection import Selection, select
from keras_netopt.sparsity.sparsity_report import SparsityReport, make_report
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning
from keras_netopt.training.lazy_arrays import LazyArrays
from keras_netopt.training.weight_store import view
from keras_netopt.warnings import LayerCollapseWarning

ONE_SHOT_LIMIT = 0.5


def prune(
    model: keras.Model,
    sparsity: float | None = None,
    *,
    score: Any = "magnitude",
    allocation: Any = "global",
    pattern: Any = "unstructured",
    include: Selector | None = None,
    exclude: Selector | None = None,
    calibration_data: Any = None,
    min_size: int = 0,
    min_kept: int | None = None,
    seed: int = 0,
) -> SparsityReport:
    """Prunes a model in one shot: sets the least important weights to zero.

    Use it to see the effect of a sparsity, for small sparsities, or before
    fine-tuning in a custom loop. Training does not keep these weights at
    zero; `callbacks.Pruning` does, with the same arguments.

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
        model: A built model; changed in place.
        sparsity: Share of zeros among the selected weights, a float in
            [0, 1). Omit it with an n:m pattern. Defaults to `None`.
        score: Importance score: "magnitude", "random", "taylor", "movement",
            "wanda", for untrained models "snip", "grasp" and "synflow", a
            `Snip`, `Grasp` or `SynFlow`, or a `callable(variable) -> array`
            of the variable's shape. Defaults to `"magnitude"`.
        allocation: How the zeros are distributed over layers: "global" (one
            threshold), "uniform", "erk", "er", or a dict from selectors to
            sparsities. Defaults to `"global"`.
        pattern: "unstructured", "channel", "n:m" as in "2:4", or a `Block`,
            `Channel` or `NM` from `keras_netopt.sparsity`. Defaults to
            `"unstructured"`.
        include: Weights to prune: a regular expression searched in the
            weight's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those, see `select`.
            Defaults to `None`: every kernel.
        exclude: Weights not to prune, in the same form. Defaults to `None`.
        calibration_data: Inputs, `(x, y)` or an iterable of batches. "taylor"
            and "movement" need `(x, y)` and use inference mode; "wanda" uses
            128 samples of the inputs, "snip" and "grasp" 25 samples of each
            class of `(x, y)`. Defaults to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.
        min_kept: Elements that each weight keeps at least under "global".
            Defaults to `None`: one per output unit, or the share that all
            weights keep if that is fewer.
        seed: Seed of the "random" score. Defaults to `0`.

    Returns:
        The report: zeros per weight, and the skipped weights with reasons.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model is not built (or
            not compiled, for a score of gradients), calibration data are
            missing, or weights are not finite. The model is unchanged then.

    Reference:
        Han et al., 2015, https://arxiv.org/abs/1506.02626.
    """
    pruner = Pruner.create(score, allocation, pattern, min_kept, seed)
    final = pruner.check_sparsity(sparsity)
    selection = select(model, include, exclude, min_size=min_size)
    selection = pruner.filter_selection(model, selection, final)
    if not selection.targets:
        _warn_nothing(model)
        return make_report(model, selection, {})
    _check_finite(selection)
    selection, statistics = _calibrate(
        model, pruner, selection, calibration_data
    )
    targets = selection.targets
    variables = [target.variable for target in targets]
    found = pruner.find_masks(
        model,
        targets,
        LazyArrays(view, variables),
        final,
        calibration_data,
        # Existing zeros are pruned first: `sparsity` is the total.
        previous=LazyArrays(lambda one: view(one) != 0, variables),
        statistics=statistics,
    )
    masks = {}
    for target, mask in zip(targets, found, strict=True):
        _set_to_zero(target.variable, mask)
        masks[target.key] = mask
    _warn_one_shot(final)
    kept = [int(np.count_nonzero(mask)) for mask in masks.values()]
    _warn_collapse(find_collapsed(targets, kept))
    return make_report(model, selection, masks, pruner.pattern.label)


def _check_finite(selection: Selection) -> None:
    for target in selection.targets:
        values: Any = view(target.variable).astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise ValueError(
                "Argument `model` must have finite weights, but "
                f"`{target.key}` holds NaN or infinity. "
                f"Received: key={target.key!r}"
            )


def _calibrate(
    model: keras.Model, pruner: Pruner, selection: Selection, data: Any
) -> tuple[Selection, list[Any] | None]:
    found = collect_statistics(model, pruner.score, selection.targets, data)
    if found is None:
        return selection, None
    reasons = {
        target.key: "no calibration activations reach this weight"
        for target, statistic in zip(selection.targets, found, strict=True)
        if statistic is None
    }
    seen = [statistic for statistic in found if statistic is not None]
    return selection.without(reasons), seen


def _set_to_zero(variable: keras.Variable, mask: np.ndarray) -> None:
    weight = ops.convert_to_tensor(variable.value)
    keep = ops.convert_to_tensor(mask)
    variable.assign(ops.where(keep, weight, ops.zeros_like(weight)))


def _warn_nothing(model: keras.Model) -> None:
    warnings.warn(
        f"`prune` selected no weight of model `{model.name}`. Name weights in "
        "`include`; `sparsity.report(model)` lists why each one is skipped.",
        NoEffectWarning,
        stacklevel=3,
    )


def _warn_collapse(keys: list[str]) -> None:
    if keys:
        warnings.warn(
            f"`prune`: {describe_collapse(keys)}",
            LayerCollapseWarning,
            stacklevel=3,
        )


def _warn_one_shot(sparsity: float) -> None:
    if sparsity <= ONE_SHOT_LIMIT:
        return
    warnings.warn(
        f"`prune` set {sparsity:.0%} of the weights to zero in one shot. "
        f"Above {ONE_SHOT_LIMIT:.0%}, accuracy drops without fine-tuning: "
        "train with `callbacks.Pruning` instead, or fine-tune with it.",
        NotIntendedUseWarning,
        stacklevel=3,
    )
