"""Computes masks from weights: score, allocation and pattern together."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import keras
import numpy as np

from keras_netopt.checks import check_fraction, check_integer
from keras_netopt.sparsity.allocation import PerLayer, resolve_allocation
from keras_netopt.sparsity.calibration import collect_statistics
from keras_netopt.sparsity.distribute import prune_runs, prune_units
from keras_netopt.sparsity.layer_collapse import check_not_emptied
from keras_netopt.sparsity.model_score import ModelScore
from keras_netopt.sparsity.patterns import NM, Pattern, resolve_pattern
from keras_netopt.sparsity.resolve_score import resolve_score
from keras_netopt.sparsity.rounds import find_masks_in_rounds
from keras_netopt.sparsity.score_targets import score_targets
from keras_netopt.sparsity.scores import Score
from keras_netopt.sparsity.selection import Selection, WeightTarget
from keras_netopt.sparsity.sparsity_budget import split_sparsity
from keras_netopt.training.lazy_arrays import LazyArrays


@dataclass(frozen=True)
class Pruner:
    """Computes the masks of a model's weights for a given sparsity.

    Create one with `Pruner.create`, which accepts short names and checks all
    arguments. The same weights, statistics and seed give the same masks in
    every process and on every backend.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt.sparsity import select
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> pruner = Pruner.create()
    >>> targets = pruner.filter_selection(model, select(model)).targets
    >>> weights = [np.array([[1.0, -4.0], [3.0, 2.0]])]
    >>> pruner.compute_masks(0.5, targets, weights)
    [array([[False,  True],
           [ True, False]])]

    Args:
        score: The importance score; weights with low scores are pruned first.
        allocation: How the sparsity is distributed over layers.
        pattern: Which weights are pruned together.
        min_kept: Weights that each layer keeps under "global", or `None`.
        seed: Seed of the random score.
    """

    score: Score
    allocation: str | PerLayer
    pattern: Pattern
    min_kept: int | None
    seed: int

    @classmethod
    def create(
        cls,
        score: Any = "magnitude",
        allocation: Any = "global",
        pattern: Any = "unstructured",
        min_kept: int | None = None,
        seed: int = 0,
    ) -> "Pruner":
        """Checks the arguments and creates the pruner.

        Args:
            score: "magnitude", "random", "taylor", "movement", "wanda",
                "snip", "grasp", "synflow", a score object or a
                `callable(variable) -> array` of the variable's shape, in
                which a larger value is more important. Defaults to
                `"magnitude"`.
            allocation: "global" (one threshold for all layers), "uniform",
                "erk", "er", a dictionary or a `PerLayer`. "wanda" prunes the
                same number of weights in every output unit: with "global",
                each layer gets its share from the global threshold, rounded
                to whole weights per output unit. Defaults to `"global"`.
            pattern: "unstructured", "channel", "n:m" as in "2:4", or a
                pattern object. Defaults to `"unstructured"`.
            min_kept: Weights that every layer, and every matrix of a stack,
                keeps at least under "global". Defaults to `None`: one per
                output unit, or the share that all weights keep if that is
                fewer.
            seed: Seed of the random score. Defaults to `0`.

        Returns:
            The pruner.

        Raises:
            TypeError: If `min_kept` or `seed` is not an integer.
            ValueError: If a name is unknown, or `allocation` does not fit
                `pattern`.
        """
        pruner = cls(
            resolve_score(score),
            resolve_allocation(allocation),
            resolve_pattern(pattern),
            None if min_kept is None else check_integer(min_kept, "min_kept"),
            check_integer(seed, "seed"),
        )
        by_hand = pruner.allocation
        if isinstance(by_hand, PerLayer) and pruner.fixed_sparsity is not None:
            if any(value is not None for value in by_hand.values.values()):
                raise ValueError(
                    "Argument `allocation` may only leave layers dense (None) "
                    f"with pattern {pruner.pattern.label}, which fixes the "
                    f"sparsity. Received: allocation={by_hand.values!r}"
                )
        return pruner

    @property
    def fixed_sparsity(self) -> float | None:
        """The sparsity that the pattern fixes, or `None`."""
        return self.pattern.fixed_sparsity

    def check_sparsity(self, sparsity: Any) -> float:
        """Checks a sparsity against the pattern and returns it.

        Args:
            sparsity: A float in [0, 1), or `None` if the pattern fixes it.

        Returns:
            The final sparsity.

        Raises:
            TypeError: If it is not a number.
            ValueError: If it is out of range or differs from the sparsity
                that the pattern fixes.
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

    def filter_selection(
        self,
        model: keras.Model,
        selection: Selection,
        sparsity: float | None = None,
    ) -> Selection:
        """Skips the targets that pattern or score cannot handle.

        Args:
            model: The model.
            selection: From `select`.
            sparsity: The final sparsity, to check that a `PerLayer`
                allocation can reach it. Defaults to `None`: no check.

        Returns:
            The selection with those targets moved to `skipped`, each with the
            reason.

        Raises:
            ValueError: If no target remains, a `PerLayer` allocation matches
                no target or cannot reach the sparsity, or the sparsity removes
                all weights of a target.
        """
        reasons = {
            target.key: reason
            for target in selection.targets
            if (reason := self.reason_to_skip(target)) is not None
        }
        kept = selection.without(reasons)
        if selection.targets and not kept.targets:
            listed = ", ".join(f"{key} ({why})" for key, why in reasons.items())
            raise ValueError(
                "Arguments `pattern` and `score` must fit at least one "
                f"selected weight, but they fit none: {listed}. "
                f"Received: pattern={self.pattern.label!r}, "
                f"score={self.score.name!r}"
            )
        if isinstance(self.allocation, PerLayer) and kept.targets:
            named = self.allocation.resolve(model, kept.targets)
            targets = tuple(
                dataclasses.replace(target, sparsity=named.get(place))
                for place, target in enumerate(kept.targets)
            )
            kept = dataclasses.replace(kept, targets=targets)
        if sparsity is not None and self.fixed_sparsity is None:
            check_not_emptied(
                self.pattern,
                split_sparsity(self.allocation, kept.targets, sparsity),
                kept.targets,
                within=self.score.within_outputs,
            )
        return kept

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Returns why a target cannot be pruned, `None` if it can."""
        reason = self.pattern.reason_to_skip(target.view)
        return reason or self.score.reason_to_skip(target)

    def collect_statistics(
        self, model: keras.Model, targets: Sequence[WeightTarget], data: Any
    ) -> list[np.ndarray] | None:
        """Computes the statistics that the score needs, one per target.

        `data` are those of `calibration.collect_statistics`. Returns `None`
        if the score needs none.

        Raises:
            TypeError: If `data` is of an unknown kind.
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
                    f"reach `{target.key}`. Add it to `exclude`. "
                    f"Received: key={target.key!r}"
                )
        return cast(list[np.ndarray], found)

    def find_masks(
        self,
        model: keras.Model,
        targets: Sequence[WeightTarget],
        weights: Sequence[np.ndarray],
        sparsity: float,
        data: Any = None,
        previous: Sequence[np.ndarray] | None = None,
        *,
        statistics: Sequence[Any] | None = None,
        update: int = 0,
        final: float | None = None,
    ) -> Iterable[np.ndarray]:
        """Collects what the score needs from the model and computes masks.

        "synflow", and other scores with several rounds, measure the model
        again with the masks of each round.

        Args:
            model: The model; it does not change.
            targets: The targets, from `filter_selection`.
            weights: Their values.
            sparsity: Share of the weights to prune now, in [0, 1).
            data: The calibration data, see `calibration.collect_statistics`.
                Defaults to `None`.
            previous: The current masks, see `compute_masks`. Defaults to
                `None`.
            statistics: From `collect_statistics`, if they are collected
                already. Defaults to `None`.
            update: Number of this update. Defaults to `0`.
            final: Sparsity at the end of the schedule. Defaults to `None`:
                `sparsity`.

        Returns:
            Boolean arrays in the shapes of the weights, `True` = kept; often
            an iterator, see `iterate_masks`.

        Raises:
            TypeError: If `data` is of an unknown kind.
            ValueError: If `data` is missing, a score is not finite, or the
                model is not compiled where gradients are needed.
        """

        def compute(
            now: float, before: Any, found: Any
        ) -> Iterator[np.ndarray]:
            return self.iterate_masks(
                now,
                targets,
                weights,
                previous=before,
                statistics=found,
                update=update,
                final=final or sparsity,
            )

        if isinstance(self.score, ModelScore):
            return find_masks_in_rounds(
                self.score,
                lambda *arguments: list(compute(*arguments)),
                model,
                targets,
                sparsity,
                data,
                previous,
            )
        if statistics is None:
            statistics = self.collect_statistics(model, targets, data)
        return compute(sparsity, previous, statistics)

    def compute_masks(
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
        """Computes one mask per target.

        Exactly `round(weights * sparsity)` weights are pruned, in each layer
        or, with "global", in all together. For blocks and channels, it is the
        nearest number that whole units allow.
        The matrices of a stack are pruned like layers of their own; unless
        the allocation is "global", each gets an equal part of the zeros.

        Args:
            sparsity: Share of the weights to prune now, in [0, 1).
            targets: The targets, from `filter_selection`.
            weights: Their values.
            previous: The current masks. Weights that they prune are pruned
                first, so that masks are nested while the sparsity grows.
                Defaults to `None`.
            statistics: From `collect_statistics`. Defaults to `None`.
            update: Number of this update, for the random score. Defaults to
                `0`.
            final: Sparsity at the end of the schedule, to which the
                sparsities of a `PerLayer` allocation refer. Defaults to
                `None`: `sparsity`.

        Returns:
            Boolean arrays in the shapes of the weights, `True` = kept.

        Raises:
            ValueError: If a score is not finite, or statistics are missing.
        """
        return list(
            self.iterate_masks(
                sparsity,
                targets,
                weights,
                previous=previous,
                statistics=statistics,
                update=update,
                final=final,
            )
        )

    def iterate_masks(
        self,
        sparsity: float,
        targets: Sequence[WeightTarget],
        weights: Sequence[np.ndarray],
        *,
        previous: Sequence[np.ndarray] | None = None,
        statistics: Sequence[Any] | None = None,
        update: int = 0,
        final: float | None = None,
    ) -> Iterator[np.ndarray]:
        """Yields the masks of `compute_masks`, one at a time.

        The arguments and errors are the same. The arrays of a target are not
        read again after its mask was yielded, so they may change then. With
        `LazyArrays`, the memory of a few weights is enough. Scores that are
        not finite raise their error before the first mask, if weights are.
        """
        if not targets:
            return
        matrices = score_targets(
            self.score, self.seed, targets, weights, statistics, update
        )
        earlier: Sequence[np.ndarray | None] = [None] * len(targets)
        if previous is not None:
            earlier = LazyArrays(
                lambda i: targets[i].view.to_2d(np.asarray(previous[i], bool)),
                range(len(targets)),
            )
        pruned = (
            prune_runs(self.pattern, targets, sparsity, matrices, earlier)
            if isinstance(self.pattern, NM)
            else prune_units(
                self.pattern,
                split_sparsity(self.allocation, targets, sparsity, final),
                [target.view for target in targets],
                matrices,
                earlier,
                min_kept=self.min_kept,
                within=self.score.within_outputs,
            )
        )
        for target, matrix in zip(targets, pruned, strict=True):
            yield np.ascontiguousarray(target.view.from_2d(~matrix))
