"""One training of a run, and what it is built from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.callbacks.pruning import Pruning
from keras_netopt.callbacks.quantization import Quantization
from keras_netopt.compression.route import Route
from keras_netopt.report import Report

FLOOR = 0.02  # Of the learning rate, at the end of the cosine.
WARMUP = 0.03  # Share of the steps.
AGAIN = 0.3  # Of the learning rate, where a stage trains a model further.
FLOAT_SHARE = 0.4  # Of a stage that cuts, before kernels go on a grid.


@dataclass(frozen=True)
class Stage(Report):
    """One training, from the original model or from an earlier stage.

    Example:

    >>> stage = Stage(1, Route(8, cut=0.4), epochs=6)
    >>> print(stage)
    stage 1: 40 % cut, int8

    Args:
        number: Its number in the run, from 0.
        route: The methods.
        epochs: Epochs of training; 0 only writes the file.
        start: Number of the stage whose model is trained further. Defaults
            to `None`: the original model.
        has_ranges: Whether activation ranges are trained. Defaults to
            `False`.
    """

    number: int
    route: Route
    epochs: int
    start: int | None = None
    has_ranges: bool = False

    @property
    def title(self) -> str:
        """What the stage does."""
        how = ", trained ranges" if self.has_ranges else ""
        more = ", trained further" if self.start is not None else ""
        return f"{self.route}{how}{more}"

    def callbacks(self) -> list[Any]:
        """Returns new callbacks with the methods of the stage."""
        found: list[Any] = []
        bits = self.route.bits
        if self.route.zeros:
            # At once where an earlier stage has set the same zeros.
            found.append(Pruning(self.route.zeros))
        if bits < 8:
            is_new = self.start is None and self.route.cut > 0
            found.append(Quantization(bits, begin=FLOAT_SHARE * is_new))
        elif self.has_ranges:
            found.append(Quantization(8, activations=0.0))
        return found

    def __str__(self) -> str:
        return f"stage {self.number}: {self.title}"


def make_schedule(rate: float, steps: int | None, epochs: int) -> Any:
    """Returns the learning rate of a stage: a warm-up, then a cosine.

    Where the number of steps is unknown it is constant.
    """
    if steps is None:
        return rate
    total = steps * epochs
    warmup = int(WARMUP * total)
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(rate, total, alpha=FLOOR)
    return keras.optimizers.schedules.CosineDecay(
        0.1 * rate,
        total - warmup,
        alpha=FLOOR,
        warmup_target=rate,
        warmup_steps=warmup,
    )


def plan_epochs(total: int) -> list[int]:
    """Divides the epochs among the first stage and those after it.

    Example:

    >>> plan_epochs(10)
    [7, 3]
    """
    first = max(1, round(0.7 * total))
    return [first, total - first] if total > first else [first]


class StageProgress(keras.callbacks.Callback):
    """Collects the logs of a stage and shows them in the line of the run.

    Args:
        line: The `ProgressLine` of the run.
        history: Rows of earlier epochs; those of this fit are added.
        stage: The stage.
        save: Called after each epoch.
    """

    def __init__(
        self,
        line: Any,
        history: list[dict[str, Any]],
        stage: Stage,
        save: Callable[[], None],
    ) -> None:
        super().__init__()
        self._save = save
        self._line = line
        self._history = history
        self._stage = stage

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras; forgets rows that a restored epoch repeats."""
        number = self._stage.number
        self._history[:] = [
            row
            for row in self._history
            if row["stage"] != number or row["epoch"] < epoch
        ]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras; adds a row and moves the bar."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        row = {"stage": self._stage.number, "epoch": epoch, **values}
        self._history.append(row)
        self._save()
        self._line.advance(values)


def as_columns(
    rows: Sequence[dict[str, Any]],
) -> dict[str, list[float | None]]:
    """Returns one list per name, with `None` where a stage logs no value.

    Example:

    >>> as_columns([{"loss": 2.0}, {"loss": 1.0, "sparsity": 0.5}])
    {'loss': [2.0, 1.0], 'sparsity': [None, 0.5]}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
