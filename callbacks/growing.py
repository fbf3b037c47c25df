"""Widens and deepens a network while `fit` trains it."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_netopt.checks import (
    check_choice,
    check_fraction,
    check_integer,
    check_positive,
)
from keras_netopt.serialization import export_class
from keras_netopt.surgery.edits.preserve import (
    Preservation,
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.edits.report import EditReport
from keras_netopt.surgery.edits.structure_callback import (
    Edit,
    StructureCallback,
)
from keras_netopt.surgery.growing import gradmax
from keras_netopt.surgery.growing.actions import Action
from keras_netopt.surgery.growing.dry_run import DryRun, decays
from keras_netopt.surgery.growing.growth_schedule import GrowthSchedule
from keras_netopt.surgery.growing.growth_settings import (
    as_actions,
    check_numbers,
    check_until,
    listed,
    tell,
)
from keras_netopt.surgery.growing.new_units import KINDS
from keras_netopt.surgery.growing.sample import Sample, first_batch
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import Trigger, as_trigger
from keras_netopt.training import (
    CheckpointState,
    NoEffectWarning,
    NotIntendedUseWarning,
)
from keras_netopt.training.order import LOGGERS

Actions = Action | Sequence[Action]
# What half precision rounds, as a share of the largest output.
ROUNDING = {"float16": 1e-2, "bfloat16": 5e-2}
When = str | Trigger | Mapping[Any, Sequence[int]]


@export_class
class Growing(StructureCallback):
    """Grows a network inside `fit`: same model, same optimizer, one history.

    Start with a small network, and give it width and depth at moments of your
    choice without losing what it has learned: what the model computes stays
    the same to 1e-5, the optimizer's slots are carried over, and training
    goes on. What is decided when an epoch ends is done when the next one
    begins; points inside an epoch act before that training step.

    Growing costs a new compilation. `params`, `macs`, `growth` (actions made
    so far) and `preserved` (largest change of an output at the last growth)
    are in the logs. With `BackupAndRestore` a resumed fit grows its model by
    itself, and the best weights of `EarlyStopping` are carried over.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(16, activation="relu", name="hidden"),
    ...     keras.layers.Dense(1, name="out"),
    ... ])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 1))
    >>> growing = netopt.callbacks.Growing(
    ...     [netopt.surgery.Widen("hidden", factor=2)], {0.5: [0]}, verbose=0
    ... )
    >>> history = model.fit(x, y, epochs=4, verbose=0, callbacks=[growing])
    >>> history.history["params"]
    [161, 161, 321, 321]

    Args:
        actions: What to do, `surgery.Widen` and `surgery.Deepen`: one or a
            list.
        when: When to do it. "plateau" (`surgery.Plateau()`) and "periodic"
            (`surgery.Every("3ep")`) make one action a time, in order; a
            mapping such as `{0.3: [0], "12ep": [1]}` names points of the fit
            and the numbers of the actions there; or another trigger. Defaults
            to `"plateau"`.
        new_units: How new units begin, see `surgery.widen`: "zero", "paired",
            "net2net", "gradmax" or "random". Defaults to `"zero"`.
        until: When to stop, `surgery.StopWithoutImprovement()`: the actions
            then take turns, each a stage, until they are closed. Defaults to
            `None`: each action is made once.
        max_params: Weights that the model may have at most; an action that
            would exceed them is left out. Defaults to `None`.
        max_macs: The same for multiply-accumulates a sample. Defaults to
            `None`.
        final: Share of the fit at its end without growth, a float in [0, 1).
            Defaults to `0.2`.
        data: A batch as for `fit`, a tuple `(x, y)` or inputs alone; 128
            samples are used. "gradmax" needs it with targets; new channels
            get their batch statistics from it; preservation is measured on
            it. Defaults to `None`: it is measured on random numbers.
        preserve_tolerance: Change of an output that counts as rounding, as a
            share of the largest output (at least 1); in half precision at
            least 0.01 or 0.05. Defaults to `1e-5`.
        on_violation: What to do where the outputs have changed by more:
            "warn" or "raise". Defaults to `"warn"`.
        verbose: 0 is silent, 1 prints a line a growth. Defaults to `1`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if a
            layer is not known or may not grow, a point lies outside the fit
            or in its last part, or the optimizer can't be carried over,
            before the first step.

    Reference:
        Chen et al., *Net2Net*, 2016, https://arxiv.org/abs/1511.05641; Wen et
        al., *AutoGrow*, 2020, https://arxiv.org/abs/1906.02909.
    """

    should_precede = LOGGERS
    log_keys = {
        "params": "parameters of the model",
        "macs": "multiply-accumulates of a forward pass of one sample",
        "growth": "growth actions applied so far",
        "preserved": "largest change of an output by the last growth action",
    }
    data_args = ("data",)

    def __init__(
        self,
        actions: Actions,
        when: When = "plateau",
        *,
        new_units: str = "zero",
        until: StopWithoutImprovement | None = None,
        max_params: int | None = None,
        max_macs: int | None = None,
        final: float = 0.2,
        data: Any = None,
        preserve_tolerance: float = 1e-5,
        on_violation: str = "warn",
        verbose: int = 1,
    ) -> None:
        super().__init__()
        self._actions = as_actions(actions)
        self._trigger = as_trigger(when)
        check_numbers(self._trigger, len(self._actions))
        check_choice(new_units, "new_units", KINDS)
        if new_units == "gradmax" and data is None:
            gradmax.check_data(None)
        check_until(until)
        for name, value in (("max_params", max_params), ("max_macs", max_macs)):
            if value is not None:
                check_integer(value, name, minimum=1)
        check_fraction(final, "final")
        check_positive(preserve_tolerance, "preserve_tolerance")
        check_choice(on_violation, "on_violation", ("warn", "raise"))
        check_integer(verbose, "verbose")
        self.actions = actions
        self.when = when
        self.new_units = new_units
        self.until = until
        self.max_params = max_params
        self.max_macs = max_macs
        self.final = final
        self.data = data
        self.preserve_tolerance = preserve_tolerance
        self.on_violation = on_violation
        self.verbose = verbose
        self.reset()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        super().reset()
        self.skipped: list[tuple[int, str]] = []
        self._preserved = 0.0
        self._count = 0
        self._is_saved = False
        self._sample: Sample | None = None
        self._growth_schedule = GrowthSchedule(
            self._trigger,
            self.until,
            [action.repeats for action in self._actions],
            self.final,
        )

    def on_model_ready(self, model: keras.Model) -> None:
        """Fixes the moments and rehearses every action."""
        self._sample = first_batch(self.data)
        if self.new_units == "gradmax":
            gradmax.check_data(self._sample)
        self._growth_schedule.begin(self._progress.run)
        self._warn_of_cost()
        # A resumed model has grown already; `on_resume` knows what is left.
        if not self._is_resumed(model):
            self._rehearse(model)

    def on_resume(self, model: keras.Model) -> None:
        """Takes up a saved position; earlier moments are not made up for."""
        is_resumed = self._is_resumed(model)
        super().on_resume(model)
        if self._is_saved:
            self._is_saved = False
        elif self._growth_schedule.skip(self._progress.step):
            self.warn(
                NoEffectWarning,
                f"the fit begins at step {self._progress.step}: earlier "
                "growth is not made up for. Load a model that has grown, or "
                "use `BackupAndRestore` to resume.",
            )
        if is_resumed:
            self._rehearse(model)

    def resume(self, facts: dict[str, Any]) -> None:
        """Takes up the book of the first fit."""
        self._growth_schedule.load(facts["agenda"])
        self._preserved = facts["preserved"]
        self._count = facts["count"]
        self._is_saved = True

    def get_state(self) -> dict[str, Any]:
        """Returns what a resumed fit takes up."""
        return {
            **super().get_state(),
            "agenda": self._growth_schedule.state(),
            "preserved": self._preserved,
            "count": self._count,
        }

    def decide(self, epoch: int, logs: dict[str, Any]) -> None:
        """Asks the trigger whether the next epoch begins with a growth."""
        fires = self._growth_schedule.note(epoch + 1, logs)
        missing = self._growth_schedule.missing()
        if missing:
            self.warn(
                NoEffectWarning,
                f"{listed(missing)} not in the logs, so nothing is decided "
                f"by it; they hold {listed(sorted(logs))}. Pass "
                "`validation_data` to `fit`, or choose another `monitor`.",
            )
        elif fires and self._growth_schedule.stand_ins:
            self.warn(
                NotIntendedUseWarning,
                f"{listed(self._growth_schedule.stand_ins)} not in the logs, "
                "the same metric of training decides instead. Pass "
                "`validation_data` to `fit`.",
            )

    def is_due(self) -> bool:
        """Tells without touching the model whether an action is due."""
        return self._growth_schedule.is_due(self._progress.step)

    def due(self) -> Sequence[Edit]:
        """Returns the actions that are due and within the limits."""
        step, epoch = self._progress.step, self._progress.epoch
        numbers = self._within_limits(self._growth_schedule.take(step, epoch))
        return [
            functools.partial(self._act, number=number, seed=self._count + i)
            for i, number in enumerate(numbers)
        ]

    def edit(self, edits: Sequence[Edit]) -> list[EditReport]:
        """Makes the edits and measures how far the outputs have moved."""
        if not edits:
            return []
        numbers = [edit.keywords["number"] for edit in edits]  # type: ignore[attr-defined]
        data = None if self._sample is None else self._sample.x
        before = snapshot(self.model, data)
        reports = super().edit(edits)
        self._count += len(reports)
        found = None
        if before is not None:
            found = check_preserved(
                before, self.model, tolerance=self._tolerance()
            )
            self._preserved = found.max_abs
            reports[-1] = dataclasses.replace(reports[-1], preserved=found)
            self.reports[-1] = reports[-1]
        if self.verbose:
            print(f"\nGrowing: {tell(reports, found)}")
        if found is not None:
            self._judge(found, numbers)
        return reports

    def progress_logs(self) -> dict[str, float]:
        """Returns size, growth so far and the last change of an output."""
        logs = super().progress_logs()
        if not logs:
            return {}
        return {**logs, "growth": self._count, "preserved": self._preserved}

    @property
    def closed(self) -> tuple[Action, ...]:
        """The actions that `until` or a limit has closed for good."""
        return tuple(self._actions[n] for n in self._growth_schedule.closed)

    def _act(self, model: keras.Model, *, number: int, seed: int) -> EditReport:
        return self._actions[number].apply(
            model, new_units=self.new_units, data=self._sample, seed=seed
        )

    def _is_resumed(self, model: keras.Model) -> bool:
        journal = CheckpointState.of(model).states.get("journal")
        events = getattr(journal, "events", ())
        return len(events) > len(self.history)

    def _rehearse(self, model: keras.Model) -> None:
        """Tries every action that is left on a clone, in order."""
        done = list(self._growth_schedule.made)
        rehearsal = DryRun(model)
        for number, action in enumerate(self._actions):
            if number in done:
                continue
            rehearsal.make(action, new_units=self.new_units, seed=0)

    def _within_limits(self, numbers: list[int]) -> list[int]:
        if self.max_params is None and self.max_macs is None:
            return numbers
        kept: list[int] = []
        for number in numbers:
            rehearsal = DryRun(self.model)
            for one in [*kept, number]:
                report = rehearsal.make(
                    self._actions[one], new_units=self.new_units, seed=0
                )
            reason = self._excess(report)
            if reason is None:
                kept.append(number)
                continue
            self._growth_schedule.drop(number)
            self.skipped.append((number, reason))
            self.warn(
                NoEffectWarning,
                f"{self._actions[number]} was left out: {reason}",
            )
        return kept

    def _excess(self, report: EditReport) -> str | None:
        for name in ("params", "macs"):
            limit, size = getattr(self, f"max_{name}"), report.after
            if limit is not None and getattr(size, name) > limit:
                return (
                    f"{getattr(size, name):,} {name} exceed {limit:,}. Raise "
                    f"`max_{name}` to allow it."
                )
        return None

    def _tolerance(self) -> float:
        """The tolerance, coarser where the model computes more coarsely."""
        policies = {layer.compute_dtype for layer in self.model.layers}
        least = max(ROUNDING.get(name or "", 0.0) for name in policies)
        return max(self.preserve_tolerance, least)

    def _judge(self, found: Preservation, numbers: list[int]) -> None:
        keeps = [self._actions[n].preserves(self.new_units) for n in numbers]
        if found.verdict == "exact" or not all(keeps):
            return
        text = (
            "growth has changed the outputs by more than `preserve_tolerance`"
            f"={self.preserve_tolerance}: {found}"
        )
        if self.on_violation == "raise":
            raise ValueError(f"Growing: {text}")
        self.warn(NotIntendedUseWarning, text)

    def _warn_of_cost(self) -> None:
        agenda, run = self._growth_schedule, self._progress.run
        growths = len(agenda.steps)
        retraces = keras.backend.backend() != "torch"
        if retraces and growths > max(3, run.epochs / 3):
            self.warn(
                NotIntendedUseWarning,
                f"{growths} growths in {run.epochs} epochs: each compiles the "
                "training step anew. Let several actions share one point.",
            )
        last = max(agenda.steps, default=agenda.last or 0)
        if decays(self.model.optimizer, last):
            self.warn(
                NotIntendedUseWarning,
                "the learning rate falls while the network grows; keep it "
                "constant until the last growth, new units learn more then.",
            )

    def _config_value(self, name: str, value: Any) -> Any:
        if name == "when" and isinstance(value, Mapping):
            value = as_trigger(value)
        return super()._config_value(name, value)
