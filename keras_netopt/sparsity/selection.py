"""Selects the weights of a model to prune, with reasons for the others."""

import math
import re
from dataclasses import dataclass, field

import keras

from keras_netopt import selectors
from keras_netopt.checks import check_integer
from keras_netopt.selectors import Selector
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.prunability import Prunability
from keras_netopt.sparsity.weight_matches import match_weights


@dataclass(frozen=True, eq=False)
class WeightTarget:
    """A weight that is pruned.

    Args:
        key: Its unique name in the model, from `training.variable_keys`.
        variable: The weight.
        layer: The layer that holds it.
        view: Its view as a matrix.
        sparsity: Its sparsity where `allocation` names the weight. Defaults
            to `None`: it shares the sparsity of the other weights.
    """

    key: str
    variable: keras.Variable = field(repr=False)
    layer: keras.Layer = field(repr=False)
    view: KernelView
    sparsity: float | None = None


@dataclass(frozen=True, eq=False)
class SkippedWeight:
    """A weight that is not pruned.

    Args:
        key: Its unique name in the model.
        variable: The weight.
        layer: The layer that holds it.
        reason: Why it is not pruned, in a few words.
    """

    key: str
    variable: keras.Variable = field(repr=False)
    layer: keras.Layer = field(repr=False)
    reason: str


@dataclass(frozen=True, eq=False)
class Selection:
    """Every weight of a model, sorted into pruned and skipped.

    Args:
        targets: The weights to prune, in the order of `model.weights`.
        skipped: All others, in the same order, each with the reason.
    """

    targets: tuple[WeightTarget, ...]
    skipped: tuple[SkippedWeight, ...]

    def without(self, reasons: dict[str, str]) -> "Selection":
        """Returns a selection with targets moved to `skipped`.

        Args:
            reasons: Reasons by key of the target; other keys are ignored.
        """
        kept = tuple(t for t in self.targets if t.key not in reasons)
        moved = [
            SkippedWeight(t.key, t.variable, t.layer, reasons[t.key])
            for t in self.targets
            if t.key in reasons
        ]
        return Selection(kept, (*self.skipped, *moved))


def select(
    model: keras.Model,
    include: Selector | None = None,
    exclude: Selector | None = None,
    *,
    min_size: int = 0,
) -> Selection:
    """Selects the weights to prune.

    By default every trainable weight named `kernel`, `recurrent_kernel` or
    `pointwise_kernel` is selected, anywhere in the model: nested, wrapped,
    subclassed, shared (once). Biases, normalization weights, depthwise
    kernels, embeddings, frozen and quantized layers and LoRA pairs are not.

    `include` limits the selection to the weights that it matches, and adds
    embeddings, depthwise kernels and matrices with other names if it matches
    them. Biases, normalization weights and other vectors are added only by a
    regular expression that matches their own name, such as "bias$" or
    "hidden/bias": the name or the class of a layer does not add its bias.

    Example:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(4, name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> selection = select(model, exclude="last")
    >>> [target.key for target in selection.targets]
    ['hidden/kernel']
    >>> [(row.key, row.reason) for row in selection.skipped][-2:]
    [('out/kernel', 'excluded'), ('out/bias', 'bias')]

    Args:
        model: A built model.
        include: Weights to prune: a regular expression searched in the
            weight's path, "first" or "last" (layer with weights that are
            pruned by default), a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Defaults to
            `None`: the weights listed above.
        exclude: Weights not to prune, in the same form; takes precedence over
            `include`. Defaults to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.

    Returns:
        The selection. It may be empty if neither argument is given.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the model is not built, a selector matches no weight,
            or `include` matches only weights that cannot be pruned.
    """
    min_size = check_integer(min_size, "min_size")
    found = match_weights(
        model, include, exclude, lambda kind: kind[0] is Prunability.DEFAULT
    )
    targets: list[WeightTarget] = []
    skipped: list[SkippedWeight] = []
    for place, (key, variable, layer) in enumerate(found.weights):
        prunability, reason = found.kinds[place]
        if prunability is not Prunability.NEVER:
            reason = _reason_to_skip(
                prunability,
                reason,
                included=None if include is None else place in found.included,
                excluded=place in found.excluded,
                named=place in found.included and _is_named(include, key),
            )
        if not reason and math.prod(variable.shape) < min_size:
            reason = f"smaller than min_size={min_size}"
        if reason:
            skipped.append(SkippedWeight(key, variable, layer, reason))
        else:
            view = KernelView.of(variable, layer)
            targets.append(WeightTarget(key, variable, layer, view))
    if include is not None and not targets:
        keys = {found.weights[place][0] for place in found.included}
        rows = [f"{r.key} ({r.reason})" for r in skipped if r.key in keys]
        raise ValueError(
            "Argument `include` must match at least one weight that can be "
            f"pruned, but it matches: {', '.join(rows)}. "
            f"Received: include={include!r}"
        )
    return Selection(tuple(targets), tuple(skipped))


def _reason_to_skip(
    prunability: Prunability,
    reason: str,
    *,
    included: bool | None,
    excluded: bool,
    named: bool,
) -> str:
    is_default = prunability is Prunability.DEFAULT
    if excluded:
        return "excluded" if is_default else reason
    if named or (included and prunability is not Prunability.BY_NAME):
        return ""
    if not is_default:
        return reason
    return "" if included is None else "not included"


def _is_named(selector: Selector | None, key: str) -> bool:
    """Whether a regular expression matches the weight's own name.

    "bias$" does; "hidden" and "hidden/.*" do not: they match the layer's path.
    """
    layer, _, name = key.rpartition("/")
    start = len(key) - len(name)
    return any(
        match.end() == len(key) and match.start() <= start
        for pattern in selectors.as_patterns(selector)
        if isinstance(pattern, str) and not re.search(pattern, f"{layer}/")
        for match in re.finditer(pattern, key)
    )
