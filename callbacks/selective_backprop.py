"""Selective backprop: backward passes for selected samples only."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.curriculum.batch_selector import BatchSelector
from keras_netopt.curriculum.select_samples import (
    SELECTION_METHODS,
    check_keep_fraction,
)
from keras_netopt.points import (
    Point,
    check_point,
    check_units,
    in_order,
    resolve_point,
)
from keras_netopt.report import Report
from keras_netopt.serialization import export_class
from keras_netopt.training import NoEffectWarning, ResumableCallback
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.sample_loss import has_loss
from keras_netopt.training.step_filter import StepFilter

# (begin, end, interrupt) by method.
DEFAULTS: dict[str, tuple[Point, Point, int]] = {
    "percentile": (0.5, 0.9, 2),
    "top": (0.5, 0.9, 2),
    "rho": (0.0, 1.0, 0),
}


@dataclass(frozen=True)
class SelectiveBackpropReport(Report):
    """Steps and samples of one fit of `SelectiveBackprop`.

    Example:

    >>> print(SelectiveBackpropReport(80, 40, 0.75))
    40 of 80 steps selected samples; 75.0% of the samples had a backward pass

    Args:
        steps: Steps of the fit so far.
        selected_steps: Steps that trained on a selection of their batch.
        backward_fraction: Share of the samples with a backward pass.
    """

    steps: int
    selected_steps: int
    backward_fraction: float

    def __str__(self) -> str:
        return (
            f"{self.selected_steps:,} of {self.steps:,} steps selected "
            f"samples; {self.backward_fraction:.1%} of the samples had a "
            "backward pass"
        )


@export_class
class SelectiveBackprop(ResumableCallback):
    """Selective backprop: trains on the samples with the largest losses.

    In steps between `begin` and `end` a forward pass in inference mode
    computes the loss of each sample of the batch; an ordinary training step
    then uses the selected samples only. The additional forward pass costs
    about a third of a step, so time is saved only if `keep_fraction` is below
    2/3.

    With wrong labels in the data, the largest losses are often those of wrong
    labels. Use `method="rho"` (RHO-LOSS), which subtracts the irreducible
    loss, the loss under a model trained on held-out data. Compute it with
    `curriculum.sample_losses` and pass it as `irreducible_loss` to
    `Curriculum.dataset`.

    Training loss and metrics in the logs are those of the selected samples;
    validation is unchanged. The selection depends on `seed` and the step of
    the optimizer only, so a resumed fit repeats it.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 1))
    >>> selective = netopt.callbacks.SelectiveBackprop(0.5, begin=0.0, end=1.0)
    >>> history = model.fit(
    ...     x, y, batch_size=16, verbose=0, callbacks=[selective]
    ... )
    >>> history.history["backward_fraction"]
    [0.75]

    Args:
        keep_fraction: Share of a batch to keep, a float in (0, 1); at least
            one sample is kept. Defaults to `0.5`.
        method: "percentile" samples at random, with a probability that grows
            with the rank of the loss; "top" selects the largest losses; "rho"
            the largest differences between loss and irreducible loss.
            Defaults to `"percentile"`.
        begin: First point of the fit with selection: a float in [0, 1]
            (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `None`: `0.5`, for "rho" `0.0`.
        end: Point after `begin` from which all samples are used again.
            Defaults to `None`: `0.9`, for "rho" `1.0`.
        interrupt: Interval of ordinary steps between `begin` and `end`: every
            n-th step uses the whole batch. An int of at least 2, or 0 for no
            ordinary steps. With `steps_per_execution`, executions are
            counted. Defaults to `None`: `2`, for "rho" `0`.
        seed: Seed of the random numbers of "percentile", an int of at least
            0. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, `end` is not after
            `begin`, or a point is outside of the fit; with "rho", if the data
            have no irreducible losses; if the loss has no value per sample;
            if there are two of these callbacks in one fit.

    Reference:
        Jiang et al., *Accelerating Deep Learning by Focusing on the Biggest
        Losers*, 2019, https://arxiv.org/abs/1910.00762. "rho": Mindermann et
        al., 2022, https://arxiv.org/abs/2206.07137.
    """

    should_precede = LOGGERS
    log_keys = {
        "backward_fraction": "share of the epoch's samples with a backward "
        "pass, in (0, 1]"
    }

    def __init__(
        self,
        keep_fraction: float = 0.5,
        *,
        method: str = "percentile",
        begin: Point | None = None,
        end: Point | None = None,
        interrupt: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_keep_fraction(keep_fraction)
        check_choice(method, "method", SELECTION_METHODS)
        for value, name in ((begin, "begin"), (end, "end")):
            if value is not None:
                check_point(value, name)
        _check_interrupt(interrupt)
        check_integer(seed, "seed")
        self.keep_fraction = keep_fraction
        self.method = method
        self.begin = begin
        self.end = end
        self.interrupt = interrupt
        self.seed = seed
        default = DEFAULTS[method]
        self._points = tuple(
            default[i] if value is None else value
            for i, value in enumerate((begin, end))
        )
        if not in_order(*self._points):
            _raise_order_error(*self._points)
        self._every = default[2] if interrupt is None else int(interrupt)
        self._filter: StepFilter | None = None
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self._selected_steps = 0
        self._backward_samples = 0.0  # In batches, over all steps.
        self._steps = 0
        self._epoch_start = (0, 0.0)
        self._window = (0, 0)
        self._steps_per_execution = 1

    @property
    def selected_steps(self) -> int:
        """Number of steps that trained on a selection of their batch."""
        return self._selected_steps

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras. Also removes the step that a failed `fit` left."""
        self._remove()
        super().on_train_begin(logs)
        if not self._attached:
            self._attach()  # Needs no weights, so before the first step.

    def on_model_ready(self, model: keras.Model) -> None:
        """Resolves `begin` and `end` and installs the selecting step."""
        run = self._progress.run
        check_units(self._points, run, "begin")
        self.on_length_known(model)
        if not has_loss(model):
            raise ValueError(
                "SelectiveBackprop needs a model that is compiled with a loss. "
                "Received: loss=None"
            )
        others = self.other_callbacks(model)
        if any(isinstance(other, SelectiveBackprop) for other in others):
            raise ValueError(
                "SelectiveBackprop must be used once per `fit`. "
                f"Received: another one beside {self!r}"
            )
        self._steps_per_execution = int(model.steps_per_execution)
        if run.total is not None and not any(
            map(self._is_due, range(run.total))
        ):
            self.warn(
                NoEffectWarning,
                f"no step of this fit of {run.total} steps selects samples "
                f"between `begin`={self._points[0]!r} and "
                f"`end`={self._points[1]!r}. Train longer, or choose an "
                "earlier `begin`.",
            )
        selector = BatchSelector(self.keep_fraction, self.method)
        self._filter = StepFilter.of(model, selector, self.seed)
        self._filter.install()

    def on_length_known(self, model: keras.Model) -> None:
        """Resolves `begin` and `end`."""
        begin, end = (
            resolve_point(point, self._progress.run, name)
            for point, name in zip(self._points, ("begin", "end"), strict=True)
        )
        if end < begin:
            _raise_order_error(*self._points)
        self._window = (begin, end)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        self._epoch_start = (self._steps, self._backward_samples)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras before it reads the step function."""
        if self._filter is not None:
            self._filter.install()
            self._filter.armed = self._is_due(self._progress.step)

    def on_steps(self, before: int, after: int) -> None:
        """Counts steps and samples."""
        steps = after - before
        self._steps += steps
        if self._filter is not None and self._is_due(before):
            self._selected_steps += steps
            self._backward_samples += steps * self.keep_fraction
        else:
            self._backward_samples += steps

    def on_fit_end(self, model: keras.Model) -> None:
        """Restores the training step of the model."""
        selector = self._filter and self._filter.selector
        self._remove()
        if isinstance(selector, BatchSelector) and selector.unreduced_sizes:
            self.warn(
                NoEffectWarning,
                f"`keep_fraction`={self.keep_fraction} keeps all samples of "
                f"batches of {selector.unreduced_sizes} samples. Use larger "
                "batches.",
            )

    def progress_logs(self) -> dict[str, float]:
        """Returns the share of the epoch's samples with a backward pass."""
        first, samples = self._epoch_start
        if self._steps == first:
            return {}
        share = (self._backward_samples - samples) / (self._steps - first)
        return {"backward_fraction": share}

    def report(self) -> SelectiveBackpropReport:
        """Returns the steps and the share of samples with a backward pass.

        Raises:
            ValueError: Before the first step.
        """
        if not self._steps:
            raise self.report_error("trained step")
        return SelectiveBackpropReport(
            steps=self._steps,
            selected_steps=self._selected_steps,
            backward_fraction=self._backward_samples / self._steps,
        )

    def _is_due(self, step: int) -> bool:
        begin, end = self._window
        if not begin <= step < end:
            return False
        execution = step // self._steps_per_execution
        return not self._every or execution % self._every != 0

    def _remove(self) -> None:
        if self._filter is not None:
            self._filter.remove()
            self._filter = None


def _check_interrupt(interrupt: Any) -> None:
    if interrupt is not None and check_integer(interrupt, "interrupt") == 1:
        raise ValueError(
            "Argument `interrupt` must be 0 or at least 2: with 1 every step "
            f"would be an ordinary one. Received: interrupt={interrupt!r}"
        )


def _raise_order_error(begin: Point, end: Point) -> None:
    raise ValueError(
        "Argument `end` must be a point after `begin`. "
        f"Received: begin={begin!r}, end={end!r}"
    )
