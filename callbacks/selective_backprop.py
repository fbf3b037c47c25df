"""Trains on the samples of each batch that are worth it."""

from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.curriculum.batch_choice import BatchChoice
from keras_netopt.curriculum.selection import METHODS, check_keep
from keras_netopt.points import Point, check_point, in_order, resolve_point
from keras_netopt.serialization import export_class
from keras_netopt.training import NoEffectWarning, ResumableCallback
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.sample_loss import has_loss
from keras_netopt.training.step_filter import StepFilter

# (begin, end, interrupt) where they are not given.
DEFAULTS: dict[str, tuple[Point, Point, int]] = {
    "percentile": (0.5, 0.9, 2),
    "top": (0.5, 0.9, 2),
    "rho": (0.0, 1.0, 0),
}


@export_class
class SelectiveBackprop(ResumableCallback):
    """Lets only the samples with the largest losses pass backward.

    In the steps between `begin` and `end` the model answers the whole batch,
    as in inference; then only a share of it, chosen by loss, makes an
    ordinary training step. A forward pass is about a third of a step, so time
    is saved only where fewer than two thirds are kept.

    It trains more on what the model gets wrong. With wrong labels in the data
    these are what it gets wrong most: use `select="rho"` there, which takes
    out what a model trained on other data gets wrong, too. Its table of
    losses comes from `curriculum.sample_losses` of that model, and reaches
    the step as `table=` of `Curriculum.dataset`.

    The logged loss and metrics of training are those of the samples chosen;
    validation is not touched. `backward_share` in the logs is the share of
    the epoch's samples that were trained on. The choice depends on `seed` and
    the optimizer's step alone, so a resumed fit repeats it.

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
    >>> history.history["backward_share"]
    [0.75]

    Args:
        keep: Share of a batch to keep, a float in (0, 1); at least one sample
            is kept. Defaults to `0.5`.
        select: How to choose: "percentile" draws samples, the larger the loss
            the likelier; "top" takes the largest losses; "rho" those that are
            farthest above their irreducible loss. Defaults to `"percentile"`.
        begin: When to start, a point of the fit: a fraction, steps, "3ep" or
            "500step". Defaults to `None`: `0.5`, with "rho" `0.0`.
        end: When to stop, a point behind `begin`; the last steps of a fit
            should see all samples. Defaults to `None`: `0.9`, with "rho"
            `1.0`.
        interrupt: Every so many steps one is an ordinary step, an int of at
            least 2, or 0 for none. With `steps_per_execution` executions are
            counted. Defaults to `None`: `2`, with "rho" `0`.
        seed: Where the random numbers of "percentile" begin, an int of at
            least 0. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, `end` does not lie behind
            `begin`, or a point lies outside the fit; with "rho", if the data
            bring no irreducible losses; if the loss has no value a sample;
            if there are two of them in one fit.

    Reference:
        Jiang et al., *Accelerating Deep Learning by Focusing on the Biggest
        Losers*, 2019, https://arxiv.org/abs/1910.00762. "rho": Mindermann et
        al., 2022, https://arxiv.org/abs/2206.07137.
    """

    should_precede = LOGGERS
    log_keys = {
        "backward_share": "share of the epoch's samples trained on, in (0, 1]"
    }

    def __init__(
        self,
        keep: float = 0.5,
        *,
        select: str = "percentile",
        begin: Point | None = None,
        end: Point | None = None,
        interrupt: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_keep(keep)
        check_choice(select, "select", METHODS)
        for value, name in ((begin, "begin"), (end, "end")):
            if value is not None:
                check_point(value, name)
        _check_interrupt(interrupt)
        check_integer(seed, "seed")
        self.keep = keep
        self.select = select
        self.begin = begin
        self.end = end
        self.interrupt = interrupt
        self.seed = seed
        usual = DEFAULTS[select]
        self._points = tuple(
            usual[i] if value is None else value
            for i, value in enumerate((begin, end))
        )
        if not in_order(*self._points):
            _refuse_order(*self._points)
        self._every = usual[2] if interrupt is None else int(interrupt)
        self._filter: StepFilter | None = None
        self.reset()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        self._selected = 0
        self._dropped = 0.0
        self._seen = 0
        self._window = (0, 0)
        self._steps_per_execution = 1

    @property
    def selected_steps(self) -> int:
        """Steps of this model that were trained on a choice of their batch."""
        return self._selected

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras. A fit that raised has left our step behind."""
        self._remove()
        super().on_train_begin(logs)
        if not self._attached:
            self._attach()  # Before the first step; no weights are needed.

    def on_model_ready(self, model: keras.Model) -> None:
        """Places the window and makes ready the step that chooses."""
        run = self._progress.run
        begin, end = (
            resolve_point(point, run, name)
            for point, name in zip(self._points, ("begin", "end"), strict=True)
        )
        if end < begin:
            _refuse_order(*self._points)
        if not has_loss(model):
            raise ValueError(
                "SelectiveBackprop needs a model that is compiled with a loss: "
                "samples are chosen by it. "
                "Received: loss=None"
            )
        others = self.other_callbacks(model)
        if any(isinstance(other, SelectiveBackprop) for other in others):
            raise ValueError(
                "SelectiveBackprop may be in a fit once: two would choose from "
                f"each other's choice. Received: another beside {self!r}"
            )
        self._window = (begin, end)
        self._steps_per_execution = int(model.steps_per_execution)
        if run.total is not None and not any(
            map(self._is_due, range(run.total))
        ):
            self.warn(
                NoEffectWarning,
                f"no step of this fit of {run.total} steps lies between "
                f"`begin`={self._points[0]!r} and `end`={self._points[1]!r} "
                "without being interrupted, so all samples are trained on. "
                "Train longer, or choose an earlier `begin`.",
            )
        choice = BatchChoice(self.keep, self.select)
        self._filter = StepFilter.of(model, choice, self.seed)
        self._filter.install()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        self._dropped, self._seen = 0.0, 0

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; its trainers read the step function after it."""
        if self._filter is not None:
            self._filter.install()
            self._filter.armed = self._is_due(self._progress.step)

    def on_steps(self, before: int, after: int) -> None:
        """Counts what was dropped."""
        self._seen += after - before
        if self._filter is not None and self._is_due(before):
            self._selected += after - before
            self._dropped += (after - before) * (1.0 - self.keep)

    def on_fit_end(self, model: keras.Model) -> None:
        """Gives the model its own step back."""
        choice = self._filter and self._filter.choice
        self._remove()
        if isinstance(choice, BatchChoice) and choice.keeps_all:
            self.warn(
                NoEffectWarning,
                f"`keep`={self.keep} of batches of {choice.keeps_all} samples "
                "is all of them. Use larger batches.",
            )

    def progress_logs(self) -> dict[str, float]:
        """Returns the share of the epoch's samples that were trained on."""
        if not self._seen:
            return {}
        return {"backward_share": 1.0 - self._dropped / self._seen}

    def _is_due(self, step: int) -> bool:
        begin, end = self._window
        if not begin <= step < end:
            return False
        turn = step // self._steps_per_execution
        return not self._every or turn % self._every != 0

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


def _refuse_order(begin: Point, end: Point) -> None:
    raise ValueError(
        "Argument `end` must be a point behind `begin`. "
        f"Received: begin={begin!r}, end={end!r}"
    )
