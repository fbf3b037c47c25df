"""Widens and deepens a network inside `fit`."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer, check_positive
from keras_netopt.cost.summarize import check_countable
from keras_netopt.graph.symbolic import check_input_shape
from keras_netopt.points import Point, check_point, plain_point
from keras_netopt.serialization import export_class
from keras_netopt.surgery.edits.edit_history import STATE_NAME
from keras_netopt.surgery.edits.edit_report import EditReport, combine_reports
from keras_netopt.surgery.edits.output_difference import snapshot
from keras_netopt.surgery.edits.structure_callback import (
    Edit,
    StructureCallback,
)
from keras_netopt.surgery.growing import gradmax, growth_limits
from keras_netopt.surgery.growing.actions import Action
from keras_netopt.surgery.growing.calibration_batch import (
    CalibrationBatch,
    first_batch,
)
from keras_netopt.surgery.growing.growing_arguments import (
    as_actions,
    check_action_numbers,
    check_limits,
    check_until,
    describe_growth,
    explain_missing,
    explain_no_growth,
    explain_substituted,
)
from keras_netopt.surgery.growing.growth_schedule import GrowthSchedule
from keras_netopt.surgery.growing.new_units import NEW_UNITS
from keras_netopt.surgery.growing.rehearse_actions import rehearse_actions
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


@export_class
class Growing(StructureCallback):
    """Grows a network inside `fit`: same model, same optimizer, one history.

    Starts from a small network and adds width and depth during training. A
    growth preserves the outputs up to `tolerance`, except with
    `new_units="random"` and with `Deepen` blocks that do not start as the
    identity ("copy", "gaussian"). Optimizer slots are carried over. Growth
    decided at an epoch's end is applied at the start of the next. Growth at a
    step inside an epoch is applied before that step.

    Each growth compiles the training step again. With `BackupAndRestore` a
    resumed fit restores the grown shapes, and the best weights of
    `EarlyStopping` are carried over to the new shapes.

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
        actions: `surgery.Widen` and `surgery.Deepen` actions: one or a list.
        trigger: When to grow. "plateau" (`surgery.Plateau()`) and "periodic"
            (`surgery.Every("3ep")`) make one action at a time, in order; a
            mapping such as `{0.3: [0], "12ep": [1]}` maps points of the fit
            to indices into `actions`; or another trigger. Defaults to
            `None`: the actions are spread evenly before `end`, a single one
            at half of it (`surgery.EvenlySpaced`); with `until`, "plateau".
        new_units: Initialization of new units, see `surgery.widen`: "zero",
            "paired", "net2net", "gradmax" or "random". Defaults to `"zero"`.
        until: Stopping rule, `surgery.StopWithoutImprovement()`: the actions
            are then repeated in turn until all are closed. Defaults to
            `None`: each action is made once.
        max_params: Largest `params` of the model; an action that would
            exceed it is skipped. Defaults to `None`.
        max_macs: Largest number of multiply-accumulates per sample, likewise.
            Defaults to `None`.
        end: Point after which there is no growth: a float in [0, 1] (fraction
            of the fit), an int (steps), "30ep" or "500step". Defaults to
            `0.8`.
        calibration_data: Inputs, `(x, y)` or an iterable of batches; one
            batch of 128 samples is used for "gradmax" (which needs targets),
            for the statistics of new channels in batch normalization, and to
            measure how much the outputs change. Defaults to `None`: the
            change is measured on random inputs.
        tolerance: Change of an output that counts as rounding, as a share of
            the largest output (at least 1); at least 0.01 in float16 and 0.05
            in bfloat16. Defaults to `1e-5`.
        on_violation: Reaction to a larger change of the outputs: "warn" or
            "raise". Defaults to `"warn"`.
        input_shape: The shape of a typical input, batch axis included, e.g.
            `(None, 128)`; a structure of shapes for several inputs. MACs are
            counted at this shape where an axis of the inputs is free.
            Defaults to `None`: the shape of the training data.
        verbose: 0 is silent, 1 prints one line per growth. Defaults to `1`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if a
            layer is unknown or may not grow, a point is outside the fit or
            after `end`, or the optimizer cannot be carried over, before the
            first step.

    Reference:
        Chen et al., *Net2Net*, 2016, https://arxiv.org/abs/1511.05641; Wen et
        al., *AutoGrow*, 2020, https://arxiv.org/abs/1906.02909.
    """

    should_precede = LOGGERS
    data_args = ("calibration_data",)
    log_keys = {
        **StructureCallback.log_keys,
        "growth_count": "number of growth actions made so far",
        "max_output_change": "largest absolute change of an output at the "
        "last growth, NaN if it could not be measured",
    }

    def __init__(
        self,
        actions: Action | Sequence[Action],
        trigger: str | Trigger | Mapping[Any, Sequence[int]] | None = None,
        *,
        new_units: str = "zero",
        until: StopWithoutImprovement | None = None,
        max_params: int | None = None,
        max_macs: int | None = None,
        end: Point = 0.8,
        calibration_data: Any = None,
        tolerance: float = 1e-5,
        on_violation: str = "warn",
        input_shape: Any = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        self._actions = as_actions(actions)
        times = len(self._actions) if until is None else None
        self._trigger = as_trigger(trigger, times=times)
        check_action_numbers(self._trigger, len(self._actions))
        check_choice(new_units, "new_units", NEW_UNITS)
        if new_units == "gradmax" and calibration_data is None:
            gradmax.check_calibration_batch(None)
        check_until(until)
        check_limits(max_params=max_params, max_macs=max_macs)
        check_point(end, "end")
        check_input_shape(input_shape)
        check_positive(tolerance, "tolerance")
        check_choice(on_violation, "on_violation", ("warn", "raise"))
        check_integer(verbose, "verbose")
        self.actions = actions
        self.trigger = trigger
        self.new_units = new_units
        self.until = until
        self.max_params = max_params
        self.max_macs = max_macs
        self.end = plain_point(end)
        self.calibration_data = calibration_data
        self.tolerance = tolerance
        self.on_violation = on_violation
        self.input_shape = input_shape
        self.verbose = verbose
        self.reset()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        super().reset()
        self.skipped: list[tuple[int, str]] = []
        self._max_output_change = 0.0
        self._count = 0
        self._is_restored = False
        self._batch: CalibrationBatch | None = None
        self._growth_schedule = GrowthSchedule(
            self._trigger,
            self.until,
            [action.is_repeatable for action in self._actions],
            self.end,
        )

    def on_model_ready(self, model: keras.Model) -> None:
        """Schedules the growths and rehearses every action."""
        self._batch = first_batch(self.calibration_data)
        if self.new_units == "gradmax":
            gradmax.check_calibration_batch(self._batch)
        self._growth_schedule.begin(self._progress.run)
        for reason in growth_limits.find_costs(
            self._growth_schedule, self._progress.run, model.optimizer
        ):
            self.warn(NotIntendedUseWarning, reason)
        if self.max_macs is not None:
            check_countable(model, "`max_macs`")
        # A resumed model has grown already: `on_resume` restores what is left.
        if not self._is_resumed(model):
            self._rehearse_actions(model)

    def on_length_known(self, model: keras.Model) -> None:
        """Computes the steps of points in epochs."""
        self._growth_schedule.set_length(self._progress.run)

    def on_resume(self, model: keras.Model) -> None:
        """Restores a saved position, or skips earlier growths."""
        is_resumed = self._is_resumed(model)
        super().on_resume(model)
        if self._is_restored:
            self._is_restored = False
        elif self._growth_schedule.skip_before(self._progress.step):
            self.warn(
                NoEffectWarning,
                f"the fit begins at step {self._progress.step}; earlier "
                "growth is skipped. Load a model that has grown, or use "
                "`BackupAndRestore` to resume.",
            )
        if is_resumed:
            self._rehearse_actions(model)

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the schedule of the first fit."""
        self._growth_schedule.set_state(state["schedule"])
        self._max_output_change = state["max_output_change"]
        self._count = state["count"]
        self._is_restored = True

    def get_state(self) -> dict[str, Any]:
        """Returns the state that a resumed fit restores."""
        return {
            **super().get_state(),
            "schedule": self._growth_schedule.get_state(),
            "max_output_change": self._max_output_change,
            "count": self._count,
        }

    def on_fit_end(self, model: keras.Model) -> None:
        """Warns if no action was due and no other warning says why."""
        schedule = self._growth_schedule
        if schedule.is_untouched and not schedule.missing_monitors():
            self.warn(NoEffectWarning, explain_no_growth(schedule))

    def plan_edits(self, epoch: int, logs: dict[str, Any]) -> None:
        """Asks the trigger whether the next epoch begins with a growth."""
        grows = self._growth_schedule.record_epoch(epoch + 1, logs)
        missing = self._growth_schedule.missing_monitors()
        substituted = self._growth_schedule.substituted
        if missing:
            self.warn(NoEffectWarning, explain_missing(missing, logs))
        elif grows and substituted:
            self.warn(NotIntendedUseWarning, explain_substituted(substituted))

    def has_due_edits(self) -> bool:
        """Returns whether an action is due, without access to the model."""
        return self._growth_schedule.is_due(self._progress.step)

    def due_edits(self) -> Sequence[Edit]:
        """Returns the actions that are due and within the limits."""
        step, epoch = self._progress.step, self._progress.epoch
        due = self._growth_schedule.pop_due(step, epoch)
        return [
            functools.partial(self._apply, number=number, seed=self._count + i)
            for i, number in enumerate(self._within_limits(due))
        ]

    def apply_edits(self, edits: Sequence[Edit]) -> list[EditReport]:
        """Makes the edits and measures how much the outputs change."""
        if not edits:
            return []
        numbers = [edit.keywords["number"] for edit in edits]  # type: ignore[attr-defined]
        x = None if self._batch is None else self._batch.x
        before = snapshot(self.model, x)
        reports = super().apply_edits(edits)
        self._count += len(reports)
        found = growth_limits.measure_change(before, self.model, self.tolerance)
        self._max_output_change = math.nan if found is None else found.max_abs
        if found is not None:
            reports[-1] = self.reports[-1] = dataclasses.replace(
                reports[-1], output_difference=found
            )
        if self.verbose:
            print(f"\nGrowing: {describe_growth(reports, found)}")
        text = growth_limits.explain_change(
            found, [self._actions[n] for n in numbers], self.new_units
        )
        if text and self.on_violation == "raise":
            raise ValueError(f"Growing: {text}")
        if text:
            self.warn(NotIntendedUseWarning, text)
        return reports

    def progress_logs(self) -> dict[str, float]:
        """Returns model size, growth count and change of the outputs."""
        logs = super().progress_logs()
        if logs:
            logs["growth_count"] = self._count
            logs["max_output_change"] = self._max_output_change
        return logs

    @property
    def closed(self) -> tuple[Action, ...]:
        """The actions that `until` or a limit has closed for good."""
        return tuple(self._actions[n] for n in self._growth_schedule.closed)

    def report(self) -> EditReport:
        """Returns one report of all growths; `reports` has one per action.

        Raises:
            ValueError: If the callback was not passed to `fit`, or no action
                was applied in that fit.
        """
        if not self.reports and self._trained is None:
            raise self.report_error("growth")
        if not self.reports:
            raise ValueError(
                "Growing has no growth to report: no action was applied in "
                "this `fit` call. Train longer, or choose another `trigger`, "
                f"a later `end` or higher limits. Received: {self!r}"
            )
        skipped = tuple(
            (str(self._actions[number]), why) for number, why in self.skipped
        )
        combined = combine_reports(self.reports)
        return dataclasses.replace(combined, skipped=skipped)

    def _apply(
        self, model: keras.Model, *, number: int, seed: int
    ) -> EditReport:
        return self._actions[number].apply(
            model,
            new_units=self.new_units,
            calibration_data=self._batch,
            seed=seed,
        )

    def _is_resumed(self, model: keras.Model) -> bool:
        history = CheckpointState.of(model).states.get(STATE_NAME)
        return len(getattr(history, "edits", ())) > len(self.history)

    def _rehearse_actions(self, model: keras.Model) -> None:
        """Makes the remaining actions in order and takes them back."""
        made = self._growth_schedule.made
        left = [a for n, a in enumerate(self._actions) if n not in made]
        rehearse_actions(model, left, new_units=self.new_units)

    def _within_limits(self, numbers: list[int]) -> list[int]:
        limits = {"params": self.max_params, "macs": self.max_macs}
        kept, skipped = growth_limits.split_by_limits(
            self.model, self._actions, numbers, limits, self.new_units
        )
        for number, reason in skipped:
            self._growth_schedule.close(number)
            self.skipped.append((number, reason))
            text = f"{self._actions[number]} is skipped: {reason}"
            self.warn(NoEffectWarning, text)
        return kept

    def _config_value(self, name: str, value: Any) -> Any:
        if name == "trigger" and isinstance(value, Mapping):
            value = as_trigger(value)
        return super()._config_value(name, value)
