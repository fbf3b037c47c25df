"""Finds a lottery ticket while `fit` runs."""

from typing import Any

import keras

from keras_netopt import sparsity as engine
from keras_netopt.checks import check_choice, check_fraction, check_integer
from keras_netopt.points import Point, check_point
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.calibration import check_calibration_data
from keras_netopt.sparsity.mask_callback import MaskCallback
from keras_netopt.sparsity.mask_session import MaskSession, check_finite
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.sparsity.ticket_plan import UNEVEN, UNFINISHED, TicketPlan
from keras_netopt.sparsity.ticket_report import (
    LotteryTicketReport,
    TicketRound,
)
from keras_netopt.sparsity.ticket_session import CONTROLS, TicketSession
from keras_netopt.training import (
    Arrays,
    MaskStore,
    NoEffectWarning,
    NotIntendedUseWarning,
    order,
)
from keras_netopt.training.rate_schedules import (
    find_uneven_schedules,
    restart_plateaus,
)


@export_class
class LotteryTicket(MaskCallback):
    """Finds a lottery ticket in one `fit`: train, prune, rewind, repeat.

    A lottery ticket is a sparse network that trains to the accuracy of the
    dense one when it starts from the dense network's own early weights. `fit`
    is split into `rounds + 1` equal parts. After each part but the last, the
    weights of least importance get masks, and everything else goes back to
    what it was at the rewind point: weights, biases, moving statistics, seed
    states of dropout, slots, counters and learning rates of the optimizers.
    The last part trains the ticket, whose sparsity is
    `1 - (1 - rate) ** rounds`. The compiled step does not change.

    A control arm replaces the last part and has the same budget: "reinit"
    trains the mask that was found from new initial values, "shuffle_mask"
    trains the ticket's values with the mask shuffled within each weight, or
    each matrix of a stack. Run `fit` once with each `control` to compare them.

    Learning rate schedules of the optimizer restart with its counter, and
    `ReduceLROnPlateau` restarts in each round. `LearningRateScheduler` sees
    the epochs of `fit`: list it after this callback and use
    `epoch % epochs_of_a_part`. A further `fit` with the same object trains
    the ticket on with its masks; a new object starts a new search from them.

    In the logs, `round` is the number of the round, from 0; `sparsity` and
    `selected_sparsity` are those of `Pruning`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 50))
    >>> ticket = netopt.callbacks.LotteryTicket(rounds=2, rate=0.5)
    >>> _ = model.fit(x, y, epochs=6, verbose=0, callbacks=[ticket])
    >>> [one.sparsity for one in ticket.finished_rounds]
    [0.0, 0.5, 0.75]

    Args:
        rounds: How many times weights are pruned, at least 1; the epochs of
            `fit` must be a multiple of `rounds + 1`. Defaults to `5`.
        rate: Share of the remaining weights that each round removes, a float
            in (0, 1). Defaults to `0.2`.
        rewind_to: Point in the first part to which everything goes back: 0
            for the state before the first step, "1ep", an int of steps, or a
            fraction of the whole `fit`. Each later round trains a whole part
            from there. Large networks need a few epochs. Defaults to `0`.
        control: "reinit" or "shuffle_mask" makes the last round a control
            arm; new values have had no step, whatever `rewind_to` is.
            Defaults to `None`: the last round trains the ticket.
        score: Importance score of the trained weights, as in `Pruning`;
            "taylor", "movement" and "wanda" need `calibration_data`. Defaults
            to `"magnitude"`.
        allocation: How the zeros are distributed over layers, as in
            `Pruning`. Defaults to `"global"`.
        include: Weights to prune, as in `Pruning`. Defaults to `None`: every
            kernel.
        exclude: Weights not to prune, in the same form. Defaults to `None`.
        calibration_data: Inputs, `(x, y)` or an iterable of batches. Defaults
            to `None`.
        min_size: Weights with fewer elements are skipped. Defaults to `0`.
        min_kept: Elements that each weight keeps at least under "global".
            Defaults to `None`, as in `Pruning`.
        seed: Seed of the control arms and of the "random" score. Defaults to
            `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if the epochs are no multiple of `rounds + 1`,
            `rewind_to` lies outside the first part, score or data give no
            masks, the model is not built
            for `rewind_to=0`, a layer does not tell how its initial values
            are drawn (for "reinit"), a selector matches nothing, or a
            callback is listed that stops `fit` early or changes the model.

    Reference:
        Frankle and Carbin, 2019, https://arxiv.org/abs/1803.03635; rewinding:
        Frankle et al., 2019, https://arxiv.org/abs/1912.05671; shuffled
        masks: Frankle et al., 2020, https://arxiv.org/abs/2009.08576.
    """

    # It swaps the trained weights back when an epoch begins.
    must_follow = ("SwapEMAWeights",)
    should_precede = ("LearningRateScheduler", *MaskCallback.should_precede)
    conflicts_with = (
        "ArchitectureSearch",
        "EarlyStopping",
        "GradualUnfreezing",
        "LearningRateFinder",
        "ParameterScheduler",
        "PrecheltStopping",
        "Pruning",
        "Quantization",
        "SparseTraining",
        "StructureCallback",  # Any that cuts, adds or penalizes channels.
    )
    log_keys = {
        **MaskCallback.log_keys,
        "round": "number of the round, 0 for the dense one",
    }

    def __init__(
        self,
        rounds: int = 5,
        rate: float = 0.2,
        *,
        rewind_to: Point = 0,
        control: str | None = None,
        score: Any = "magnitude",
        allocation: Any = "global",
        include: Selector | None = None,
        exclude: Selector | None = None,
        calibration_data: Any = None,
        min_size: int = 0,
        min_kept: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        rounds = check_integer(rounds, "rounds", minimum=1)
        self.rate = check_fraction(rate, "rate")
        if self.rate == 0.0:
            raise ValueError(
                "Argument `rate` must be a float in (0, 1): each round removes "
                f"this share of the weights. Received: rate={rate!r}"
            )
        check_point(rewind_to, "rewind_to")
        self.rounds = rounds
        self.plan = TicketPlan(rounds, rewind_to)
        if control is not None:
            check_choice(control, "control", CONTROLS)
        self.pruner = engine.Pruner.create(
            score=score, allocation=allocation, min_kept=min_kept, seed=seed
        )
        check_calibration_data(self.pruner.score, calibration_data)
        check_integer(min_size, "min_size")
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        self.rewind_to = rewind_to
        self.control = control
        self.score = score
        self.allocation = allocation
        self.include = include
        self.exclude = exclude
        self.calibration_data = calibration_data
        self.min_size = min_size
        self.min_kept = min_kept
        self.seed = seed
        self.reset()

    @property
    def final_sparsity(self) -> float:
        """The sparsity of the ticket, for a search that begins dense."""
        return 1.0 - (1.0 - self.rate) ** self.plan.rounds

    @property
    def finished_rounds(self) -> tuple[TicketRound, ...]:
        """The rounds that have ended, the dense one first."""
        return () if self._session is None else tuple(self._session.rounds)

    @property
    def is_complete(self) -> bool:
        """Whether the last round has begun, at the final sparsity."""
        return self._session is not None and self._session.is_last

    def report(self) -> LotteryTicketReport:  # type: ignore[override]
        """Returns sparsity and metrics of the rounds that have ended.

        Returns:
            The rounds of the last `fit`; `sparsity.report(model)` tells the
            zeros of each weight.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        if self._session is None:
            raise self.report_error("rounds")
        name = str(self._session.model.name)
        return LotteryTicketReport(self.finished_rounds, name)

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        super().reset()
        self._earlier: TicketSession | None = None
        self._is_search = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        super().on_train_begin(logs)
        if self._attached:
            return
        self.plan.check(self._progress.run)
        if self.plan.point(self._progress.run) == 0:
            raise ValueError(
                "Argument `rewind_to` is 0, the initial values, but the model "
                "has no weights before the first step. Build it before `fit`, "
                "for example by `model(x[:1])`, or rewind to a later point. "
                f"Received: rewind_to={self.rewind_to!r}"
            )

    def open_session(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        old: MaskSession | None,
        store: MaskStore | None,
    ) -> TicketSession:
        """Creates the session of one `fit` call; checks its length."""
        self._earlier = None
        if isinstance(old, TicketSession) and store is not None:
            self._earlier = old if set(old.keys) <= set(store.keys) else None
        self._is_search = self._earlier is None or not self._earlier.done
        is_late = False
        if self._is_search:
            check_finite(targets)
            self.plan.check(self._progress.run)
            self._warn_schedules()
            is_late = self.plan.point(self._progress.run) > 0
        return TicketSession(
            model,
            targets,
            self.pruner,
            rounds=self.plan.rounds,
            rate=self.rate,
            data=self.calibration_data,
            control=self.control,
            is_late=is_late,
            is_search=self._is_search,
            seed=self.seed,
        )

    def on_length_known(self, model: keras.Model) -> None:
        """Checks a rewind point in steps."""
        if self._session is not None and self._is_search:
            self.plan.check(self._progress.run)

    def on_resume(self, model: keras.Model) -> None:
        """Restores masks, round and rewind point, or begins with round 0."""
        session = self._session
        if session is None:
            return
        saved = self.loaded_state()
        self.load_state_of("masks", session.store.load_state)
        epoch = self._progress.epoch
        if saved is not None:
            session.load_state(*saved)
            self._is_search = not session.done
            if self._is_search:
                self.plan.check_resumed(saved[0]["part"], self._progress.run)
        elif self._earlier is not None and (self._earlier.done or epoch > 0):
            session.continue_with(self._earlier)
        elif epoch > 0:
            raise ValueError(
                "LotteryTicket cannot begin in the middle of `fit`, because "
                "the rewind point has not been seen. Resume with "
                "`keras.callbacks.BackupAndRestore`, or begin with epoch 0. "
                f"Received: initial_epoch={epoch}"
            )
        else:
            if self._earlier is not None and self._earlier.round > 0:
                text = UNFINISHED.format(number=self._earlier.round)
                self.warn(NotIntendedUseWarning, text)
            session.begin()
        self._earlier = None
        self.count_others(model)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; a new round begins with the first of its epochs.

        Until then the weights are those that the last round has trained, for
        the callbacks that save them at the end of its last epoch.
        """
        super().on_epoch_begin(epoch, logs)
        session = self._session
        if session is None or not self._attached or not self._is_search:
            return
        model = self.model  # On JAX, this syncs the state.
        if session.needs_snapshot:
            if self._progress.step >= self.plan.point(self._progress.run):
                session.take_snapshot()
        number = self.plan.round_at(epoch, self._progress.run)
        if number > session.round:
            session.begin_round(number)
            restart_plateaus(order.active_callbacks())
            self.count_others(model)

    def on_steps(self, before: int, after: int) -> None:
        """Remembers the rewind point when it has been passed."""
        session = self._session
        is_step = after > before  # Else an epoch ends, its length is known.
        if session is None or not is_step:
            return
        if self._is_search and session.needs_snapshot:
            if after >= self.plan.point(self._progress.run):
                session.take_snapshot()
        super().on_steps(before, after)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; adds the round that has ended."""
        given = self._other_logs(logs)
        super().on_epoch_end(epoch, logs)
        if self._ends_round(epoch):
            self._session.end_round(given)

    def on_fit_end(self, model: keras.Model) -> None:
        """Marks the search as complete; a further `fit` trains on."""
        session = self._session
        if session is None:
            return
        session.project()
        if not session.done:
            self.warn(
                NoEffectWarning,
                f"training ended in round {session.round} of "
                f"{self.plan.rounds}, so the ticket was not trained to its "
                "end. Nothing may stop `fit` early.",
            )

    def progress_logs(self) -> dict[str, float]:
        """Returns the shares of zeros and the number of the round."""
        found = super().progress_logs()
        return {**found, "round": self._session.round} if found else found

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Adds the rewind point, one copy of the model and its slots."""
        values, arrays = super().save_state()
        session = self._session
        if session is None:
            return values, arrays
        ending, last = order.find_ending_epoch(), None
        if ending is not None and self._ends_round(ending[0]):
            # Saved before this callback's turn.
            last = session.describe_round(self._other_logs(ending[1]))
        own, arrays = session.save_state(last)
        part = self.plan.part(self._progress.run)
        return {**values, **own, "part": part}, arrays

    def get_state(self) -> dict[str, Any]:
        """Returns nothing: `save_state` adds the state of the session."""
        return {}

    def _ends_round(self, epoch: int) -> bool:
        """Whether an epoch is the last of a round that is not listed yet."""
        session = self._session
        if session is None or not self._is_search:
            return False
        is_listed = len(session.rounds) > session.round
        return self.plan.is_end(epoch, self._progress.run) and not is_listed

    def _other_logs(self, logs: dict[str, Any] | None) -> dict[str, Any]:
        """Returns logs without the keys of this callback."""
        own = {f"{name}{self._log_suffix}" for name in self.log_names()}
        return {k: v for k, v in (logs or {}).items() if k not in own}

    def _warn_schedules(self) -> None:
        part = self.plan.part(self._progress.run)
        if find_uneven_schedules(order.active_callbacks(), part):
            self.warn(NotIntendedUseWarning, UNEVEN.format(part=part))
