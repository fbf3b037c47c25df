"""Prunes the weights of a model while `fit` runs."""

from typing import Any

import keras

from keras_netopt import sparsity as engine
from keras_netopt.checks import check_frequency, check_integer
from keras_netopt.schedules import Constant, Schedule, as_schedule
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.calibration import check_calibration_data
from keras_netopt.sparsity.mask_callback import MaskCallback
from keras_netopt.sparsity.mask_session import MaskSession
from keras_netopt.sparsity.pruning_session import PruningSession
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training import MaskStore, NoEffectWarning


@export_class
class Pruning(MaskCallback):
    """Prunes a model during `fit`: weights become exactly zero.

    The share of zeros follows a schedule over the fit. Pruned weights are
    zero after every batch, in every checkpoint and in the exported file. The
    model and its layers are not wrapped, and its config does not change.
    Unstructured zeros make compressed files smaller; they do not make
    inference faster.

    List it after `EarlyStopping(restore_best_weights=True)` and before
    `ModelCheckpoint` and loggers. Use `keras_netopt.callbacks.BestCheckpoint`
    to save the best epoch among those with the final sparsity. A second
    `fit` call with the same object keeps the masks; a new object starts a
    new schedule from the current masks, and so does the same object if
    weights became trainable since.

    In the logs, `sparsity` is the share of zeros in all kernels, embeddings
    and frozen layers included, `selected_sparsity` that in the selected ones.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 50))
    >>> history = model.fit(
    ...     x, y, epochs=4, verbose=0, callbacks=[netopt.callbacks.Pruning(0.9)]
    ... )
    >>> float(np.mean(model.layers[0].get_weights()[0] == 0))
    0.9
    >>> history.history["sparsity"][-1]
    0.9

    Args:
        sparsity: Share of zeros among the selected weights: a float in
            [0, 1), reached by a cubic ramp from 10 % to 75 % of the fit, or a
            schedule from `keras_netopt.schedules`. Omit it with an n:m
            pattern. Defaults to `None`.
        score: Importance score: "magnitude", "random", "taylor", "movement",
            "wanda", or a `callable(variable) -> array` of the variable's
            shape. "snip", "grasp" and "synflow", or a `Snip`, `Grasp` or
            `SynFlow` from `keras_netopt.sparsity`, choose the masks before
            the first step: a float is reached at once then, and schedules
            that change later raise an error. Defaults to `"magnitude"`.
        allocation: How the zeros are distributed over layers: "global" (one
            threshold), "uniform", "erk", "er", or a dict from selectors to
            sparsities. Defaults to `"global"`.
        pattern: "unstructured", "channel", "n:m" as in "2:4", or a `Block`,
            `Channel` or `NM` from `keras_netopt.sparsity`. Defaults to
            `"unstructured"`.
        include: Weights to prune: a regular expression searched in the
            weight's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those, see
            `sparsity.select`. Defaults to `None`: every kernel.
        exclude: Weights not to prune, in the same form. Defaults to `None`.
        frequency: Steps between two mask updates, at least 1. Defaults to
            `None`: about 100 updates in the ramp, 10 to 100 steps apart; 20
            updates in a short ramp.
        calibration_data: Inputs, `(x, y)` or an iterable of batches; "wanda"
            uses 128 samples of the inputs, "snip" and "grasp" 25 samples of
            each class of `(x, y)`. Defaults to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.
        min_kept: Elements that each weight keeps at least under "global".
            Defaults to `None`: one per output unit, or the share that all
            weights keep if that is fewer.
        seed: Seed of the "random" score. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if the schedule does not fit into the fit, a
            selector matches nothing, the pattern fits no selected weight,
            weights are not finite, or the order of callbacks is wrong.

    Reference:
        Zhu and Gupta, 2017, https://arxiv.org/abs/1710.01878 (its s_f is
        `sparsity`); Han et al., 2015, https://arxiv.org/abs/1506.02626.
    """

    schedule_arg = "sparsity"

    def __init__(
        self,
        sparsity: float | Schedule | None = None,
        *,
        score: Any = "magnitude",
        allocation: Any = "global",
        pattern: Any = "unstructured",
        include: Selector | None = None,
        exclude: Selector | None = None,
        frequency: int | None = None,
        calibration_data: Any = None,
        min_size: int = 0,
        min_kept: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.pruner = engine.Pruner.create(
            score=score,
            allocation=allocation,
            pattern=pattern,
            min_kept=min_kept,
            seed=seed,
        )
        self.schedule = _as_schedule(sparsity, self.pruner)
        check_frequency(frequency)
        check_integer(min_size, "min_size")
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        if self.pruner.score.needs != "gradients":
            check_calibration_data(self.pruner.score, calibration_data)
        self.sparsity = sparsity
        self.score = score
        self.allocation = allocation
        self.pattern = pattern
        self.include = include
        self.exclude = exclude
        self.frequency = frequency
        self.calibration_data = calibration_data
        self.min_size = min_size
        self.min_kept = min_kept
        self.seed = seed
        self.reset()

    @property
    def final_sparsity(self) -> float:
        """The sparsity at the end of the schedule."""
        return self.schedule.final

    def open_session(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        old: MaskSession | None,
        store: MaskStore | None,
    ) -> PruningSession:
        """Creates the session of one `fit` call."""
        # Weights that are new, or became trainable, start a new schedule.
        kept = set() if store is None else set(store.keys)
        done = isinstance(old, PruningSession) and old.done
        done = done and store is not None and {t.key for t in targets} <= kept
        return PruningSession(
            model,
            targets,
            self.pruner,
            self.schedule,
            self._progress.run,
            frequency=self.frequency,
            data=self.calibration_data,
            done=done,
        )

    def on_length_known(self, model: keras.Model) -> None:
        """Computes the update points of a schedule in epochs."""
        if self._session is not None and not self._session.done:
            self._session.set_length(self._progress.run)

    def on_resume(self, model: keras.Model) -> None:
        """Restores the masks and the position in the schedule."""
        super().on_resume(model)
        session = self._session
        if session is None:
            return
        if session.floor > self.schedule.final + 1e-3:
            self.warn(
                NoEffectWarning,
                f"the model already has sparsity {session.floor:.4g}, more "
                f"than the final {self.schedule.final:.4g}: no weight will "
                "be pruned. Call `sparsity.remove_masks` to start again.",
            )

    def on_fit_end(self, model: keras.Model) -> None:
        """Makes the last update if training ended before it."""
        session = self._session
        if session is None:
            return
        if not session.done:
            self._finish_early(session)
            self.warn_collapse()
        if not session.leaks and session.store.leaks(session.keys):
            self.warn(
                NoEffectWarning,
                "another callback restored denser weights, from an epoch "
                "before the final sparsity; they were pruned again without "
                "training. Set `start_from_epoch` of `EarlyStopping` to an "
                "epoch after the end of the schedule.",
            )
        session.project()
        if not session.points:
            return  # An earlier fit made all updates, also of other weights.
        wanted = self.schedule.final
        allowed = max(0.01, session.rounding())
        if session.finite and wanted - session.share > allowed:
            self.warn(
                NoEffectWarning,
                f"sparsity {session.share:.4g} was reached instead of "
                f"{wanted:.4g}: `min_kept`, `allocation` and `pattern` do not "
                "allow more.",
            )

    def _finish_early(self, session: PruningSession) -> None:
        if not session.points:
            return  # The first epoch, of unknown length, has not ended.
        reached, end = session.share, session.points[-1]
        if session.update(end):
            self.warn(
                NoEffectWarning,
                f"training ended at step {self._progress.step}, before the "
                f"end of the schedule at step {end}: sparsity {reached:.4g} "
                f"was reached by training, the rest up to {session.share:.4g} "
                "was pruned without training. Train longer, or end the "
                "schedule earlier.",
            )

    @property
    def is_complete(self) -> bool:
        """Whether the last update of the schedule has been made."""
        return self._session is not None and self._session.done


def _as_schedule(
    sparsity: float | Schedule | None, pruner: engine.Pruner
) -> Schedule:
    if isinstance(sparsity, Schedule):
        pruner.check_sparsity(sparsity.final)
        return sparsity
    final = pruner.check_sparsity(sparsity)
    if pruner.score.needs == "model":
        return Constant(final)  # The masks are chosen before training.
    return as_schedule(final, "sparsity")
