"""Trains a model that is sparse from the first step to the last."""

import functools
from typing import Any

import keras

from keras_netopt.checks import (
    check_at_least_zero,
    check_choice,
    check_frequency,
    check_integer,
    check_number,
)
from keras_netopt.schedules import Cosine, Schedule, as_schedule
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.calibration import check_calibration_data
from keras_netopt.sparsity.mask_callback import MaskCallback
from keras_netopt.sparsity.mask_session import MaskSession
from keras_netopt.sparsity.patterns import NM
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.regrow import REGROW, STRAIGHT_THROUGH
from keras_netopt.sparsity.selection import WeightTarget, select
from keras_netopt.sparsity.sparse_session import SparseSession
from keras_netopt.sparsity.straight_through_session import (
    StraightThroughSession,
)
from keras_netopt.training import MaskStore, NoEffectWarning

FREQUENCY = {STRAIGHT_THROUGH: 10}
CONTROLS = (None, "shuffle_mask")


@export_class
class SparseTraining(MaskCallback):
    """Trains with a constant sparsity from the first step on.

    The masks are created before the first step. Every `frequency` steps the
    smallest of the kept weights of each layer are dropped and as many others
    take their place, so the number of weights never changes. The share that
    is replaced falls to zero along a cosine, so that the last quarter of the
    fit trains fixed masks.

    In our measurements on one MLP and one CNN the gradient's choice (RigL)
    and the random one (SET) are level at moderate sparsities; where a
    convolution keeps few weights, only RigL trains. Gradual pruning, which
    trains dense weights first, is more accurate than both. Zeros make
    compressed files smaller and do not make inference faster;
    `sparsity.compact` removes units that have become useless.

    List it after `EarlyStopping(restore_best_weights=True)` and before
    `ModelCheckpoint` and loggers. A later `fit` call keeps masks of this
    sparsity and pattern, whatever allocation they have, and moves them along
    a schedule of its own. A model that is not built yet gets its masks after
    the first step; an edit by another callback may change the sparsity.

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
    ...     x, y, epochs=3, verbose=0,
    ...     callbacks=[netopt.callbacks.SparseTraining(0.9)],
    ... )
    >>> history.history["sparsity"]
    [0.9, 0.9, 0.9]

    Args:
        sparsity: Share of zeros among the selected weights, a float in
            [0, 1). Omit it with an n:m pattern. Defaults to `None`.
        regrow: Which weights take the place of the dropped ones: "random"
            (SET), "gradient" (RigL: the largest gradients of the last step),
            "momentum" (the largest averages of the gradients),
            "straight_through" (all masks are chosen again by the size of
            dense weights that the optimizer updates; under SGD it failed at
            95 % in our measurements), or `None` for masks that never change.
            Defaults to `"gradient"`.
        score: Importance score that chooses the first masks, as in
            `sparsity.prune`. Defaults to `None`: "magnitude" with
            `regrow="straight_through"`, else "random".
        allocation: How the zeros are distributed over layers: "erk",
            "uniform", "er", "global", or a dict from selectors to sparsities.
            Defaults to `"erk"`.
        pattern: "unstructured", "channel", "n:m" as in "2:4" (with `regrow`
            "straight_through" or `None`), or a `Block`, `Channel` or `NM`
            from `keras_netopt.sparsity`. Defaults to `"unstructured"`.
        drop_fraction: Share of the kept weights that is replaced at an
            update: a float in (0, 1], which falls to zero along a cosine
            until 75 % of the fit, or a schedule from
            `keras_netopt.schedules`. With "straight_through" the size does
            not count, only where it is above 0. No effect with `None`.
            Defaults to `0.3`.
        decay: Only with `regrow="straight_through"`: factor, at least 0, of
            the dense weights at masked positions that is added to their
            gradients (SR-STE, whose authors use 2e-4). Defaults to `0.0`.
        frequency: Steps between two mask updates, at least 1. Defaults to
            `None`: 10 with `regrow="straight_through"`, else 100, or a
            quarter of the steps in which masks move if that is fewer. No
            effect with `regrow=None`.
        control: "shuffle_mask" shuffles the first masks in each layer: the
            control arm that tells what a score is worth beyond the density
            of each layer. Masks of an earlier `fit` stay. Defaults to `None`.
        include: Weights to train sparsely: a regular expression searched in
            the weight's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those, see
            `sparsity.select`. Defaults to `None`: every kernel.
        exclude: Weights to leave dense, in the same form. Defaults to `None`.
        calibration_data: Inputs, `(x, y)` or an iterable of batches, for
            scores that need them. Defaults to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.
        min_kept: Elements that each weight keeps at least under "global".
            Defaults to `None`: one per output unit, or the share that all
            weights keep if that is fewer.
        seed: Seed of the random choices. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if the schedule does not fit into the fit, a
            selector matches nothing, the pattern fits no selected weight, an
            n:m pattern does not fit each of them, weights are not finite,
            training continues with sparse weights of unknown masks, or the
            order of callbacks is wrong.

    Reference:
        Mocanu et al., 2018, https://arxiv.org/abs/1707.04780 (SET); Evci et
        al., 2020, https://arxiv.org/abs/1911.11134 (RigL: alpha is
        `drop_fraction`, Delta T is `frequency`); Zhou et al., 2021,
        https://arxiv.org/abs/2102.04010 (SR-STE: lambda_W is `decay`).
    """

    schedule_arg = "drop_fraction"

    def __init__(
        self,
        sparsity: float | None = None,
        *,
        regrow: str | None = "gradient",
        score: Any = None,
        allocation: Any = "erk",
        pattern: Any = "unstructured",
        drop_fraction: float | Schedule = 0.3,
        decay: float = 0.0,
        frequency: int | None = None,
        control: str | None = None,
        include: Selector | None = None,
        exclude: Selector | None = None,
        calibration_data: Any = None,
        min_size: int = 0,
        min_kept: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_choice(regrow, "regrow", (*REGROW, None))
        is_straight_through = regrow == STRAIGHT_THROUGH
        first = "magnitude" if is_straight_through else "random"
        self.pruner = Pruner.create(
            score=first if score is None else score,
            allocation=allocation,
            pattern=pattern,
            min_kept=min_kept,
            seed=seed,
        )
        self._constant = self.pruner.check_sparsity(sparsity)
        check_choice(control, "control", CONTROLS)
        self._check_pattern(regrow, control)
        self.schedule = as_schedule(drop_fraction, "drop_fraction", _decay)
        _check_share(drop_fraction)
        self._check_decay(regrow, decay)
        check_frequency(frequency)
        check_integer(min_size, "min_size")
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        if self.pruner.score.needs is not None:
            check_calibration_data(self.pruner.score, calibration_data)
        self.sparsity = sparsity
        self.regrow = regrow
        self.score = score
        self.allocation = allocation
        self.pattern = pattern
        self.drop_fraction = drop_fraction
        self.decay = decay
        self.frequency = frequency
        self.control = control
        self.include = include
        self.exclude = exclude
        self.calibration_data = calibration_data
        self.min_size = min_size
        self.min_kept = min_kept
        self.seed = seed
        self.reset()

    @property
    def final_sparsity(self) -> float:
        """The sparsity, which is constant."""
        return self._constant

    def open_session(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        old: MaskSession | None,
        store: MaskStore | None,
    ) -> SparseSession:
        """Creates the session of one `fit` call."""
        self._check_runs(model)
        create: Any = SparseSession
        if self.regrow == STRAIGHT_THROUGH:
            create = functools.partial(StraightThroughSession, decay=self.decay)
        return create(
            model,
            targets,
            self.pruner,
            self._constant,
            regrow=REGROW.get(self.regrow or ""),
            drop_fraction=self.schedule,
            run=self._progress.run,
            frequency=self.frequency,
            longest=FREQUENCY.get(self.regrow or "", 100),
            data=self.calibration_data,
            shuffle=self.control == "shuffle_mask",
        )

    def on_length_known(self, model: keras.Model) -> None:
        """Computes the update points of a schedule in epochs."""
        if self._session is not None:
            self._session.set_length(self._progress.run)

    def on_resume(self, model: keras.Model) -> None:
        """Creates the masks, or restores them from a file."""
        super().on_resume(model)
        session = self._session
        if session is None:
            return
        allowed = max(0.01, session.rounding())
        if session.share > session.sparsity + allowed:
            self.warn(
                NoEffectWarning,
                f"the model already has sparsity {session.share:.4g}, more "
                f"than {session.sparsity:.4g}: its masks move, but no weight "
                "is freed. Call `sparsity.remove_masks` to start again.",
            )

    def on_fit_end(self, model: keras.Model) -> None:
        """Moves the masks to weights that another callback restored."""
        session = self._session
        if session is None:
            return
        if not (session.leaks or session.adopt_weights()):
            self.warn(
                NoEffectWarning,
                "another callback restored weights that are less sparse; they "
                "were masked without training.",
            )
        session.project()

    def _check_pattern(self, regrow: str | None, control: str | None) -> None:
        is_nm = isinstance(self.pruner.pattern, NM)
        if is_nm and regrow not in (STRAIGHT_THROUGH, None):
            raise ValueError(
                'Argument `regrow` must be "straight_through" or None with an '
                "n:m pattern, because weights that move would break its runs. "
                f"Received: regrow={regrow!r}"
            )
        if control is not None and regrow == STRAIGHT_THROUGH:
            raise ValueError(
                'Argument `control` must be None with regrow="straight_'
                'through", which chooses later masks by the size of the '
                f"weights. Received: control={control!r}"
            )

    def _check_runs(self, model: keras.Model) -> None:
        """Refuses weights that an n:m pattern would leave dense."""
        pattern = self.pruner.pattern
        if not isinstance(pattern, NM):
            return
        selection = select(
            model, self.include, self.exclude, min_size=self.min_size
        )
        for target in selection.targets:
            reason = pattern.reason_to_skip(target.view)
            if reason is not None:
                raise ValueError(
                    f"Pattern {pattern.label} does not fit `{target.key}`: "
                    f"{reason}. Add it to `exclude`. Received: "
                    f"pattern={self.pattern!r}, shape={target.view.shape}"
                )

    def _check_decay(self, regrow: str | None, decay: float) -> None:
        check_at_least_zero(decay, "decay")
        if decay and regrow != STRAIGHT_THROUGH:
            raise ValueError(
                'Argument `decay` must be 0.0 unless regrow="straight_'
                'through", which keeps the masked weights. '
                f"Received: decay={decay!r}, regrow={regrow!r}"
            )


def _check_share(drop_fraction: Any) -> None:
    if isinstance(drop_fraction, Schedule):
        return
    if not 0 < check_number(drop_fraction, "drop_fraction") <= 1:
        raise ValueError(
            "Argument `drop_fraction` must be a float in (0, 1], or a "
            "schedule. For masks that never change pass `regrow=None`. "
            f"Received: drop_fraction={drop_fraction!r}"
        )


def _decay(final: float) -> Schedule:
    """Returns the default schedule of a share given as a number."""
    return Cosine(initial=final, final=0.0, begin=0.0, end=0.75)
