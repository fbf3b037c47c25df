"""Decides which weights of a model are pruned, and says why others are not."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.checks import check_integer, check_model
from keras_netopt.sparsity import matching, rules
from keras_netopt.sparsity.kernels import KernelView
from keras_netopt.sparsity.matching import Candidate, WeightPattern
from keras_netopt.sparsity.rules import Access
from keras_netopt.training.layers import (
    own_variables,
    variable_keys,
    walk_layers,
)


@dataclass(frozen=True, eq=False)
class WeightTarget:
    """A weight that is pruned.

    Args:
        key: Its unique name in the model, from `training.variable_keys`.
        variable: The weight.
        layer: The layer that holds it.
        view: How it is seen as a matrix.
    """

    key: str
    variable: keras.Variable = field(repr=False)
    layer: keras.Layer = field(repr=False)
    view: KernelView


@dataclass(frozen=True, eq=False)
class Skipped:
    """A weight that is left as it is.

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
    skipped: tuple[Skipped, ...]

    def without(self, reasons: dict[str, str]) -> "Selection":
        """Moves targets to the skipped ones.

        Args:
            reasons: Why, by key of the target; keys of other weights are
                ignored.

        Returns:
            A new selection.
        """
        kept = tuple(t for t in self.targets if t.key not in reasons)
        moved = [
            Skipped(t.key, t.variable, t.layer, reasons[t.key])
            for t in self.targets
            if t.key in reasons
        ]
        return Selection(kept, (*self.skipped, *moved))


def select(
    model: keras.Model,
    include: WeightPattern | Iterable[WeightPattern] | None = None,
    exclude: WeightPattern | Iterable[WeightPattern] | None = None,
    *,
    min_size: int = 0,
) -> Selection:
    """Chooses the weights to prune.

    By default every trainable weight named `kernel`, `recurrent_kernel` or
    `pointwise_kernel` is chosen, anywhere in the model: nested, wrapped,
    subclassed, shared (once). Biases, normalization weights, depthwise
    kernels, embeddings, frozen and quantized layers and LoRA pairs are not.

    A pattern is a regular expression that is searched in the weight's key
    ("dense_1/" or "kernel$"; `Selection.targets` shows the keys), a layer or
    a layer class (they stand for everything inside them), a
    `callable(variable, layer)`, "first" or "last" (the first and the last
    layer with weights that are chosen by default), or a list of those.
    An `include` limits the choice to what it matches, and adds weights such
    as embeddings, depthwise kernels and oddly named matrices that it matches.
    Biases, normalization weights and other vectors are added by a callable
    only, so that a layer's name does not mean its bias.

    Example:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(4, name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> chosen = select(model, exclude="last")
    >>> [target.key for target in chosen.targets]
    ['hidden/kernel']
    >>> [(row.key, row.reason) for row in chosen.skipped][-2:]
    [('out/kernel', 'excluded'), ('out/bias', 'bias')]

    Args:
        model: A built model.
        include: Patterns of weights to prune. Defaults to `None`: the rule
            above.
        exclude: Patterns of weights to leave alone; wins over `include`.
            Defaults to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.

    Returns:
        The selection. It may be empty if neither argument is given.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the model is not built, a pattern matches no weight, or
            `include` matches only weights that cannot be pruned.
    """
    check_model(model)
    min_size = check_integer(min_size, "min_size")
    chooser = _Chooser(model, include, exclude)
    reasons = {}
    for key, variable, layer in chooser.candidates:
        reason = chooser.reason_to_skip(key, variable, layer)
        if reason is None and math.prod(variable.shape) < min_size:
            reason = f"smaller than min_size={min_size}"
        reasons[key] = reason
    chooser.check_include(reasons)
    targets = tuple(
        WeightTarget(key, variable, layer, KernelView.of(variable, layer))
        for key, variable, layer in chooser.candidates
        if reasons[key] is None
    )
    skipped = tuple(
        Skipped(key, variable, layer, reason)
        for key, variable, layer in chooser.candidates
        if (reason := reasons[key]) is not None
    )
    return Selection(targets, skipped)


class _Chooser:
    """The patterns of one call, resolved against one model."""

    def __init__(self, model: keras.Model, include: Any, exclude: Any) -> None:
        self.candidates = list_weights(model)
        self.model = model
        trained = {id(v) for v in model.trainable_variables}
        self.access = {
            key: rules.classify(v, layer, trainable=id(v) in trained)
            for key, v, layer in self.candidates
        }
        self.include = include
        patterns = matching.as_patterns(include, "include")
        broad = [p for p in patterns if not matching.is_predicate(p)]
        exact = [p for p in patterns if matching.is_predicate(p)]
        self.broad = self._match(broad, "include")
        self.exact = self._match(exact, "include")
        self.excluded = self._match(
            matching.as_patterns(exclude, "exclude"), "exclude"
        )

    def _match(self, patterns: list[WeightPattern], name: str) -> set[int]:
        eligible = [
            layer
            for key, _, layer in self.candidates
            if self.access[key][0] is Access.DEFAULT
        ]
        ends = (eligible[0], eligible[-1]) if eligible else (None, None)
        matched: set[int] = set()
        for pattern in patterns:
            found = matching.find(pattern, self.candidates, ends, self.model)
            if not found:
                keys = ", ".join(key for key, _, _ in self.candidates)
                raise ValueError(
                    f"Argument `{name}` must match at least one weight of the "
                    f"model, which has: {keys}. Received: {name}={pattern!r}"
                )
            matched |= found
        return matched

    def reason_to_skip(
        self, key: str, variable: keras.Variable, layer: keras.Layer
    ) -> str | None:
        access, reason = self.access[key]
        if access is Access.NEVER:
            return reason
        if id(variable) in self.excluded:
            return "excluded" if access is Access.DEFAULT else reason
        if id(variable) in self.exact:
            return None
        if id(variable) in self.broad and access is not Access.BY_CALLABLE:
            return None
        if access is not Access.DEFAULT:
            return reason
        return None if self.include is None else "not included"

    def check_include(self, reasons: dict[str, str | None]) -> None:
        """Refuses an `include` that leaves nothing to prune."""
        if self.include is None or None in reasons.values():
            return
        matched = self.broad | self.exact
        listed = ", ".join(
            f"{key} ({reasons[key]})"
            for key, variable, _ in self.candidates
            if id(variable) in matched
        )
        raise ValueError(
            "Argument `include` must match at least one weight that can be "
            f"pruned, but it matches: {listed}. "
            f"Received: include={self.include!r}"
        )


def list_weights(model: keras.Model) -> list[Candidate]:
    """Lists every weight of a model with its key and the layer it is in.

    Args:
        model: A built model.

    Returns:
        `(key, variable, layer)` in the order of `model.weights`.
    """
    owners: dict[int, keras.Layer] = {}
    for layer in walk_layers(model):
        for variable in own_variables(layer):
            owners.setdefault(id(variable), layer)
    keys = variable_keys(model)
    return [(keys[id(v)], v, owners[id(v)]) for v in model.weights]
