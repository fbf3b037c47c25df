"""Shuffles the masks of a model: the control arm of a score."""

import re
import zlib
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.sparsity.control_masks import shuffle_units
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.mask_lifecycle import require_masks
from keras_netopt.sparsity.patterns import (
    NM,
    Block,
    Pattern,
    resolve_pattern,
)
from keras_netopt.sparsity.selection import select
from keras_netopt.sparsity.sparsity_report import SparsityReport, report
from keras_netopt.training import MaskStore, sync_variables
from keras_netopt.training.backend import commit_variables
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.float_weights import float_weights


def shuffle_masks(
    model: keras.Model, seed: int = 0, *, pattern: Any = None
) -> SparsityReport:
    """Moves the masks of each layer to random positions: a control arm.

    Every layer keeps its number of weights, and the pattern stays: entries
    move inside their run of n:m, blocks and channels as a whole, and inside
    their matrix of a stack. The kept values of a layer are dealt out to the
    new positions, and its optimizer variables become zero. If a model that
    is trained after this is as good as with its own masks, the score has
    found no more than the density of each layer.

    For a control with the initial values of the new positions, write these
    into the model afterwards and call `apply_masks`;
    `callbacks.SparseTraining(control="shuffle_mask")` does both before its
    first step.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> _ = model.fit(np.ones((32, 8)), np.zeros((32, 50)), epochs=2,
    ...     verbose=0, callbacks=[netopt.callbacks.Pruning(0.75)])
    >>> before = model.layers[0].get_weights()[0] != 0
    >>> shuffle_masks(model).sparsity
    0.75
    >>> bool((before == (model.layers[0].get_weights()[0] != 0)).all())
    False

    Args:
        model: A model with masks.
        seed: Seed of the new positions. Defaults to `0`.
        pattern: Pattern of the masks, as in `prune`, if they were loaded from
            a file, which does not hold it. Defaults to `None`: the pattern
            with which they were created.

    Returns:
        The report: zeros per weight.

    Raises:
        TypeError: If `seed` is not an integer.
        ValueError: If the model has no masks, trains dense weights behind
            them, or a pattern is not known or does not fit its mask. The
            model is unchanged then.

    Reference:
        Frankle et al., 2020, https://arxiv.org/abs/2009.08576.
    """
    seed = check_integer(seed, "seed")
    given = None if pattern is None else resolve_pattern(pattern)
    store = require_masks(model)
    if DenseStore.of(model) is not None:
        raise ValueError(
            "Argument `model` must not train dense weights behind its masks: "
            "the next step would find other masks. Received: "
            f"model={model.name!r} with straight-through masks"
        )
    selection = select(model)
    places = {
        **{t.key: (t.variable, t.layer) for t in selection.targets},
        **{s.key: (s.variable, s.layer) for s in selection.skipped},
    }
    masks, shuffled = store.masks(), {}
    for key, mask in masks.items():
        view = KernelView.of(*places[key])
        chosen = given or _find_pattern(store.labels.get(key), key)
        rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
        reason = chosen.reason_to_skip(view)
        if reason is None and not _has_pattern(mask, view, chosen):
            reason = "another pattern"
        if reason is not None:
            raise ValueError(
                "Argument `pattern` must be the pattern of the masks, but "
                f"`{key}` does not have it ({reason}). "
                f"Received: pattern={chosen.label!r}"
            )
        found = shuffle_units(mask, view, chosen, rng)
        shuffled[key] = (found, view, rng)
    variables = {key: places[key][0] for key in masks}
    _move(model, store, variables, shuffled)
    return report(model)


def _move(
    model: keras.Model,
    store: MaskStore,
    variables: dict[str, keras.Variable],
    shuffled: dict[str, tuple[np.ndarray, KernelView, np.random.Generator]],
) -> None:
    weights, masks = store.weights(), store.masks()
    # Masks of zeros set weights and optimizer variables to zero.
    store.assign({key: np.zeros_like(mask) for key, mask in masks.items()})
    store.assign({key: found for key, (found, _, _) in shuffled.items()})
    with float_weights(model):
        sync_variables(model)
        for key, (found, view, rng) in shuffled.items():
            values = _deal(weights[key], masks[key], found, view, rng)
            variables[key].assign(values)
        commit_variables(model)


def _deal(
    weight: np.ndarray,
    mask: np.ndarray,
    found: np.ndarray,
    view: KernelView,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns the kept values of each matrix at the new positions."""
    old, kept, new = (view.to_2d(one) for one in (weight, mask, found))
    dealt = np.zeros_like(old)
    width = view.fan_out // view.stack
    for start in range(0, view.fan_out, width):
        part = slice(start, start + width)
        values = rng.permutation(old[:, part][kept[:, part]])
        target = dealt[:, part]
        target[new[:, part]] = values
    return view.from_2d(dealt)


def _has_pattern(mask: np.ndarray, view: KernelView, pattern: Pattern) -> bool:
    """Whether units are masked as a whole, or runs keep what n:m allows.

    On the way to n:m, all runs keep the same number.
    """
    for part in np.hsplit(view.to_2d(mask), view.stack):
        if isinstance(pattern, NM):
            counts = pattern.runs(part).sum(axis=0)
            if counts.max() > max(pattern.n, counts.min()):
                return False
            continue
        shape = (part.shape[0], part.shape[1])
        units = pattern.pool(part.astype(np.float32)) > 0
        if not np.array_equal(pattern.spread(units, shape), part):
            return False
    return True


def _find_pattern(label: str | None, key: str) -> Pattern:
    block = re.fullmatch(r"block (\d+)x(\d+)", label or "")
    if block:
        return Block(int(block[1]), int(block[2]))
    try:
        along = " along the output"
        if label is not None and label.endswith(along):
            n, m = label.removesuffix(along).split(":")
            return NM(int(n), int(m), "output")
        return resolve_pattern(label)
    except ValueError:
        raise ValueError(
            f"Argument `pattern` must name the pattern of the mask of `{key}`, "
            "which is not known: it was loaded from a file, or has a pattern "
            f"of its own. Received: pattern=None, label={label!r}"
        ) from None
