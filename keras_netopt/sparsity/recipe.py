"""The three choices that turn a sparsity into masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import keras
import numpy as np

from keras_netopt.checks import check_fraction, check_integer
from keras_netopt.sparsity import allocation as allocations
from keras_netopt.sparsity import budget, patterns, scores
from keras_netopt.sparsity import masks as engine
from keras_netopt.sparsity.allocation import PerLayer, layer_sparsities
from keras_netopt.sparsity.budget import SparsityBudget
from keras_netopt.sparsity.calibration import collect_statistics
from keras_netopt.sparsity.kernels import KernelView
from keras_netopt.sparsity.masks import Units
from keras_netopt.sparsity.patterns import NM, Pattern
from keras_netopt.sparsity.scores import RandomState, Score
from keras_netopt.sparsity.selection import Selection, WeightTarget


@dataclass(frozen=True)
class Recipe:
    """What to prune, given how much: score, allocation and pattern.

    Create one with `Recipe.create`, which accepts short names and checks
    everything. The same weights, statistics and seed always give the same
    masks, in any process and under any backend.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt.sparsity import select
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> recipe = Recipe.create()
    >>> targets = recipe.fit(select(model)).targets
    >>> recipe.masks(0.5, targets, [np.array([[1.0, -4.0], [3.0, 2.0]])])
    [array([[False,  True],
           [ True, False]])]

    Args:
        score: Which weights are worth keeping.
        allocation: How the sparsity is shared among layers.
        pattern: Which weights go together.
        min_kept: Weights that each layer keeps under "global".
        seed: Seed of the random score.
    """

    score: Score
    allocation: str | PerLayer
    pattern: Pattern
    min_kept: int
    seed: int

    @classmethod
    def create(
        cls,
        score: Any = "magnitude",
        allocation: Any = "global",
        pattern: Any = "unstructured",
        min_kept: int = 1,
        seed: int = 0,
    ) -> "Recipe":
        """Checks the choices and makes a recipe of them.

        Args:
            score: "magnitude", "random", "saliency", "movement", "wanda" or a
                `callable(weight, target) -> array`, larger = keep. Defaults
                to `"magnitude"`.
            allocation: "global" (one threshold for all layers), "uniform",
                "erk", "er", a dictionary or a `PerLayer`. "wanda" keeps the
                same number of weights in every output unit, so with "global"
                each layer gets its share from the global threshold, rounded
                to whole weights an output unit. Defaults to `"global"`.
            pattern: "unstructured", "channel", "n:m" as in "2:4", or a
                pattern object. Defaults to `"unstructured"`.
            min_kept: Weights that every layer keeps at least under "global".
                Defaults to `1`.
            seed: Seed of the random score. Defaults to `0`.

        Returns:
            The recipe.

        Raises:
            TypeError: If `min_kept` or `seed` is not an integer.
            ValueError: If one of the choices is not known, or they do not go
                together.
        """
        recipe = cls(
            scores.get(score),
            allocations.get(allocation),
            patterns.get(pattern),
            check_integer(min_kept, "min_kept"),
            check_integer(seed, "seed"),
        )
        by_hand = recipe.allocation
        if isinstance(by_hand, PerLayer) and recipe.fixed_sparsity is not None:
            if any(value is not None for value in by_hand.values.values()):
                raise ValueError(
                    "Argument `allocation` may only leave layers dense (None) "
                    f"with pattern {recipe.pattern.label}, which fixes the "
                    f"sparsity. Received: allocation={by_hand.values!r}"
                )
        return recipe

    @property
    def fixed_sparsity(self) -> float | None:
        """The sparsity that the pattern means, `None` if it is free."""
        return self.pattern.fixed_sparsity

    def final_sparsity(self, sparsity: Any) -> float:
        """Checks a sparsity against the pattern and returns it.

        Args:
            sparsity: A float in [0, 1), or `None` for the pattern's own.

        Returns:
            The sparsity to reach.

        Raises:
            TypeError: If it is not a number.
            ValueError: If it is out of range, or the pattern means another.
        """
        fixed = self.fixed_sparsity
        if sparsity is None and fixed is not None:
            return fixed
        if sparsity is None:
            raise ValueError(
                "Argument `sparsity` must be a float in [0, 1) with pattern "
                f"{self.pattern.label}. Received: sparsity=None"
            )
        checked = check_fraction(sparsity, "sparsity")
        if fixed is not None and abs(checked - fixed) > 1e-9:
            raise ValueError(
                "Argument `sparsity` must be left out with pattern "
                f"{self.pattern.label}, which fixes it at {fixed:g}. "
                f"Received: sparsity={sparsity!r}"
            )
        return checked

    def fit(
        self, selection: Selection, sparsity: float | None = None
    ) -> Selection:
        """Leaves out the targets that this recipe cannot handle.

        Args:
            selection: From `select`.
            sparsity: The final sparsity; if given, it is checked whether an
                allocation by hand leaves room for it. Defaults to `None`.

        Returns:
            The selection with those targets moved to the skipped ones, each
            with the reason.

        Raises:
            ValueError: If no target is left of at least one, or the
                allocation by hand matches nothing or leaves no room.
        """
        reasons = {
            target.key: reason
            for target in selection.targets
            if (reason := self.reason_to_skip(target)) is not None
        }
        fitted = selection.without(reasons)
        if selection.targets and not fitted.targets:
            listed = ", ".join(f"{key} ({why})" for key, why in reasons.items())
            raise ValueError(
                "Arguments `pattern` and `score` must fit at least one "
                f"selected weight, but none is left: {listed}. "
                f"Received: pattern={self.pattern.label!r}, "
                f"score={self.score.name!r}"
            )
        by_hand = self.allocation
        if isinstance(by_hand, PerLayer) and fitted.targets:
            by_hand.resolve(fitted.targets)
            if sparsity is not None and self.fixed_sparsity is None:
                budget.split(by_hand, fitted.targets, sparsity)
        return fitted

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Says why a target cannot be handled, `None` if it can.

        Args:
            target: The target.

        Returns:
            The reason in a few words, or `None`.
        """
        reason = self.pattern.reason_to_skip(target.view)
        return reason or self.score.reason_to_skip(target)

    def statistics(
        self, model: keras.Model, targets: Sequence[WeightTarget], data: Any
    ) -> list[np.ndarray] | None:
        """Gathers from data what the score needs.

        Args:
            model: The model.
            targets: The targets, from `fit`.
            data: See `calibration.calibrate`.

        Returns:
            One array a target, or `None` if the score needs nothing.

        Raises:
            TypeError: If `data` is of a kind that cannot be read.
            ValueError: If `data` is missing, the model is not compiled where
                gradients are needed, or no input reaches a target.
        """
        found = collect_statistics(model, self.score, targets, data)
        if found is None:
            return None
        for target, statistic in zip(targets, found, strict=True):
            if statistic is None:
                raise ValueError(
                    f"Score {self.score.name!r} needs activations, but none "
                    f"reach `{target.key}`: leave it out with `exclude`. "
                    f"Received: key={target.key!r}"
                )
        return cast(list[np.ndarray], found)

    def masks(
        self,
        sparsity: float,
        targets: Sequence[WeightTarget],
        weights: Sequence[np.ndarray],
        *,
        previous: Sequence[np.ndarray] | None = None,
        statistics: Sequence[Any] | None = None,
        update: int = 0,
        final: float | None = None,
    ) -> list[np.ndarray]:
        """Computes one mask a target.

        Exactly `round(weights * sparsity)` weights are pruned in each layer
        ("uniform", "erk", "er") or in all of them together ("global");
        blocks and channels come as near to it as whole units can.

        Args:
            sparsity: Share of the weights to prune now, in [0, 1).
            targets: The targets, from `fit`.
            weights: Their values.
            previous: Masks in force; what they prune is pruned first, so that
                masks nest while sparsity grows. Defaults to `None`.
            statistics: One accumulated array or matrix of input norms a
                target, for scores that need them. Defaults to `None`.
            update: Number of this update, for the random score. Defaults to
                `0`.
            final: Sparsity at the end of the schedule: layers set by hand
                follow the schedule in proportion. Defaults to `None`: now is
                the end.

        Returns:
            Boolean arrays in the shapes of the weights, `True` = kept.

        Raises:
            ValueError: If a score is not finite, or statistics are missing.
        """
        if not targets:
            return []
        matrices = self._score(targets, weights, statistics, update)
        earlier: list[np.ndarray | None] = [None] * len(targets)
        if previous is not None:
            earlier = [
                target.view.to_2d(np.asarray(mask, bool))
                for target, mask in zip(targets, previous, strict=True)
            ]
        pruned = (
            self._prune_runs(self.pattern, targets, sparsity, matrices, earlier)
            if isinstance(self.pattern, NM)
            else self._prune_units(
                budget.split(self.allocation, targets, sparsity, final),
                [target.view for target in targets],
                matrices,
                earlier,
            )
        )
        return [
            np.ascontiguousarray(target.view.from_2d(~matrix))
            for target, matrix in zip(targets, pruned, strict=True)
        ]

    def _score(
        self,
        targets: Sequence[WeightTarget],
        weights: Sequence[np.ndarray],
        statistics: Sequence[Any] | None,
        update: int,
    ) -> list[np.ndarray]:
        if self.score.needs is not None and statistics is None:
            raise ValueError(
                "Argument `statistics` must hold one array a target for score "
                f"{self.score.name!r}. Received: statistics=None"
            )
        given = [None] * len(targets) if statistics is None else statistics
        draw = RandomState(self.seed, update)
        matrices = []
        for target, weight, statistic in zip(
            targets, weights, given, strict=True
        ):
            score = self.score.of(_as_float(weight), target, statistic, draw)
            if not np.isfinite(score).all():
                raise ValueError(
                    f"The scores of `{target.key}` must be finite: its "
                    "weights, gradients or activations hold NaN or infinity. "
                    f"Received: score={self.score.name!r}"
                )
            matrices.append(target.view.to_2d(score))
        return matrices

    def _prune_runs(
        self,
        pattern: NM,
        targets: Sequence[WeightTarget],
        sparsity: float,
        matrices: list[np.ndarray],
        earlier: list[np.ndarray | None],
    ) -> list[np.ndarray]:
        by_hand = self.allocation
        # `create` allows nothing by hand but to leave layers dense.
        dense = (
            by_hand.resolve(targets) if isinstance(by_hand, PerLayer) else {}
        )
        return [
            engine.prune_runs(
                pattern, matrix, dense.get(i, sparsity), earlier[i]
            )
            for i, matrix in enumerate(matrices)
        ]

    def _prune_units(
        self,
        plan: SparsityBudget,
        views: list[KernelView],
        matrices: list[np.ndarray],
        earlier: list[np.ndarray | None],
    ) -> list[np.ndarray]:
        layers = [
            Units.of(self.pattern, matrix, before)
            for matrix, before in zip(matrices, earlier, strict=True)
        ]
        within = self.score.within_outputs
        together: list[np.ndarray] = []
        shares = dict(plan.by_hand)
        if plan.rule == "global":
            together = engine.prune_together(
                [layers[i] for i in plan.rest],
                plan.weights,
                self.min_kept,
                within=within,
            )
        else:
            rest = [views[i] for i in plan.rest]
            found = layer_sparsities(plan.rule, rest, plan.sparsity)
            shares.update(zip(plan.rest, found, strict=True))
        pruned = {
            i: engine.prune_layer(layers[i], share, within=within)
            for i, share in shares.items()
        }
        pruned.update(zip(plan.rest, together, strict=False))
        return [
            self.pattern.spread(pruned[i], matrix.shape)
            for i, matrix in enumerate(matrices)
        ]


def _as_float(weight: np.ndarray) -> np.ndarray:
    """Half-precision weights are scored in float32."""
    array = np.asarray(weight)
    is_plain = array.dtype in (np.float32, np.float64)
    return array if is_plain else array.astype(np.float32)
