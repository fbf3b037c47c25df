"""State of one run of sparse training: constant sparsity, moving masks."""

import zlib
from typing import Any

import keras
import numpy as np

from keras_netopt.points import LATER, RunLength
from keras_netopt.schedules import Schedule
from keras_netopt.sparsity import stacks
from keras_netopt.sparsity.control_masks import shuffle_units
from keras_netopt.sparsity.mask_session import (
    TOLERANCE,
    MaskSession,
    check_finite,
)
from keras_netopt.sparsity.patterns import NM, Unstructured
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.regrow import Regrow, update_mask
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training import MaskStore
from keras_netopt.training.float_weights import float_weights
from keras_netopt.training.lazy_arrays import LazyArrays


class SparseSession(MaskSession):
    """Creates masks before the first step and moves them during training.

    Args:
        model: A compiled, built model.
        targets: The weights with masks.
        pruner: Score, allocation and pattern of the first masks.
        sparsity: Share of the weights that is masked.
        regrow: How weights return; `None` leaves the masks as they are.
        drop_fraction: Share of the kept weights to replace, over the fit.
        run: Length of the fit.
        frequency: Steps between two updates, or `None` for the default.
        longest: The default in a long fit; a short one has four updates.
        data: Calibration data of the score.
        shuffle: Whether the first masks are shuffled in each layer.
    """

    def __init__(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        pruner: Pruner,
        sparsity: float,
        *,
        regrow: Regrow | None,
        drop_fraction: Schedule,
        run: RunLength,
        frequency: int | None,
        longest: int,
        data: Any = None,
        shuffle: bool = False,
    ) -> None:
        super().__init__(model, targets, pruner)
        self.sparsity = sparsity
        self._regrow = regrow
        self._drop_fraction = drop_fraction
        self._given, self._longest = frequency, longest
        self._data = data
        self._shuffle = shuffle
        self.set_length(run)
        check_finite(targets)
        store = MaskStore.of(model)
        self._had_masks = store is not None and set(self.keys) <= {*store.keys}
        self.attach(None if regrow is None else regrow.accumulate)

    def set_length(self, run: RunLength) -> None:
        """Computes the update points, as far as the length is known."""
        schedule, regrow = self._drop_fraction, self._regrow
        self._run = run
        self._open_from: int | None = None
        points: tuple[int, ...] = ()
        if regrow is not None:
            begin, end = schedule.span(run)
            short = self._longest if end == LATER else (end - begin) // 4
            default = max(1, min(self._longest, short))
            self._frequency = self._given or default
            points = schedule.update_points(run, self._frequency)
            if end == LATER and begin != LATER:
                self._open_from = begin
        values = {point: schedule.at(point, run) for point in points}
        for fraction in values.values():
            if not 0.0 <= fraction <= 1.0:
                raise ValueError(
                    "Argument `drop_fraction` must be a schedule with values "
                    f"in [0, 1], but it reaches {fraction:g}. "
                    f"Received: drop_fraction={schedule!r}"
                )
        self._points = tuple(u for u in points if u > 0 and values[u] > 0)

    def resume(self, step: int, state: dict[str, Any] | None = None) -> None:
        """Continues with loaded or present masks, or creates the first ones.

        It raises a ValueError if training continues with sparse weights whose
        masks are not known.
        """
        if state is not None:
            self.last = state["last"]
        elif self._is_reached():
            self.last = self._due(step)  # Made already, with these masks.
        else:
            self._check_start(step)
            self.create_masks()
        self.count_masked()
        self._updated_at = step
        self.advance(step)
        self.project()

    def get_state(self) -> dict[str, Any]:
        """Returns the position as JSON-safe values."""
        return {"last": self.last}

    def create_masks(self) -> None:
        """Computes the first masks; weights that are zero are masked first."""
        with float_weights(self.model):
            weights = self.view_weights()
            masks = self._pruner.find_masks(
                self.model,
                self.targets,
                weights,
                self.sparsity,
                self._data,
                previous=LazyArrays(
                    lambda i: weights[i] != 0, range(len(weights))
                ),
            )
            if self._shuffle:
                masks = (
                    shuffle_units(
                        mask,
                        target.view,
                        self._pruner.pattern,
                        self._generator(target.key, 0, 1),
                    )
                    for target, mask in zip(self.targets, masks, strict=True)
                )
            self.set_masks(masks)

    def advance(self, step: int) -> bool:
        """Makes the latest update that is due, if it is not made yet.

        Returns `False` if a weight or a gradient is not finite; its mask is
        unchanged then.
        """
        self.verify(step)
        self.follow_shapes()
        due = self._due(step)
        if due <= self.last:
            return True
        self.last = due
        fraction = self._drop_fraction.at(due, self._run)
        # One weight at a time, to need little memory.
        updated = [self._update(t, fraction, due) for t in self.targets]
        return all(updated)

    def adopt_weights(self) -> bool:
        """Moves the masks to weights that another callback restored.

        The weights of an earlier epoch lie at other places. Their masks are
        the units that are not zero; single weights are filled up to the same
        number with places of the present mask. Returns `False` if a weight
        has more units than its mask allows; its mask stays.
        """
        masks = self.store.masks(self.keys)
        weights = self.store.weights(self.keys)
        fits, found = True, {}
        for target in self.targets:
            mask = masks[target.key]
            used = self._units_of(target, weights[target.key] != 0)
            used = np.ascontiguousarray(used)  # `ravel` must be a view.
            if not (used & ~mask).any():
                continue
            missing = int(mask.sum()) - int(used.sum())
            fits &= missing >= 0
            if missing >= 0:
                if isinstance(self._pruner.pattern, Unstructured):
                    spare = np.flatnonzero((mask & ~used).ravel())
                    used.ravel()[spare[:missing]] = True
                found[target.key] = used
        self.store.assign(found)
        self.count_masked()
        return fits

    def _units_of(self, target: WeightTarget, used: np.ndarray) -> np.ndarray:
        """Marks all weights of the units that have a marked one."""
        pattern, view = self._pruner.pattern, target.view
        if isinstance(pattern, Unstructured | NM):
            return used
        marked = view.to_2d(used.astype(np.float32))
        parts = stacks.score_stack(pattern, view, marked, None)
        joined = stacks.spread_stack(
            pattern, view, [part.scores > 0 for part in parts]
        )
        return np.ascontiguousarray(view.from_2d(joined))

    def _due(self, step: int) -> int:
        """Returns the latest update point up to a step, -1 before the first.

        While the end of the schedule is unknown, updates are made at every
        multiple of the frequency.
        """
        due = max(
            (point for point in self._points if point <= step), default=-1
        )
        if self._open_from is not None and step > self._open_from:
            late = (step - self._open_from) % self._frequency
            due = max(due, step - late)
        return due if due > 0 else -1

    def _is_reached(self) -> bool:
        """Whether the masks of an earlier fit can be continued."""
        if not self._had_masks or not self._is_enough(self.count_masked()):
            return False
        masks = self.store.masks(self.keys)
        return all(self._fits(t, masks[t.key]) for t in self.targets)

    def _fits(self, target: WeightTarget, mask: np.ndarray) -> bool:
        """Whether a mask has the pattern."""
        pattern, view = self._pruner.pattern, target.view
        if isinstance(pattern, NM):
            parts = np.hsplit(view.to_2d(mask), view.stack)
            counts = [pattern.runs(part).sum(axis=0) for part in parts]
            return bool((np.concatenate(counts) == pattern.n).all())
        return np.array_equal(self._units_of(target, mask), mask)

    def _is_enough(self, zeros: int) -> bool:
        slack = max(TOLERANCE, self.rounding())
        return zeros / self.weights + slack >= self.sparsity

    def _update(
        self, target: WeightTarget, drop_fraction: float, point: int
    ) -> bool:
        # The arrays that it needs are free again before the assignment.
        mask = self._move(target, drop_fraction, point)
        if mask is not None:
            self.store.assign({target.key: mask})
        return mask is not None

    def _move(
        self, target: WeightTarget, drop_fraction: float, point: int
    ) -> np.ndarray | None:
        key, store = target.key, self.store
        weight = store.weights([key])[key]
        if self._regrow is None or self._regrow.accumulate is None:
            rng = self._generator(key, point)
            growth = rng.random(weight.shape, np.float32)
        else:
            growth = store.statistics([key])[key]
            np.abs(growth, out=growth)
        if not (np.isfinite(weight).all() and np.isfinite(growth).all()):
            return None
        return update_mask(
            self._pruner.pattern,
            target.view,
            store.masks([key])[key],
            weight,
            growth,
            drop_fraction,
        )

    def _generator(self, key: str, *numbers: int) -> np.random.Generator:
        seed = [self._pruner.seed, zlib.crc32(key.encode()), *numbers]
        return np.random.default_rng(seed)

    def _check_start(self, step: int) -> None:
        """Refuses to guess the masks of a run that is continued."""
        if step == 0:
            return
        with float_weights(self.model):
            zeros = sum(
                w.size - np.count_nonzero(w) for w in self.view_weights()
            )
        if self.sparsity > 0 and self._is_enough(zeros):
            raise ValueError(
                "The weights are sparse already, but their masks are not "
                "known: a weight that has just grown is zero too. Load them "
                "with `sparsity.load_masks(model, path)` from the file of the "
                f"model before `fit`. Received: initial step={step}"
            )
