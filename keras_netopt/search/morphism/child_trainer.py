"""Trains one network for the epochs of a trial."""

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.search.morphism.cosine_restart import CosineRestart
from keras_netopt.search.morphism.epoch_log import EpochLog
from keras_netopt.search.morphism.morphism_objective import (
    VALIDATION,
    MorphismObjective,
)
from keras_netopt.surgery.growing.calibration_batch import first_batch
from keras_netopt.training.present_flags import compile_for_flags

_OWN = ("epochs", "verbose", "callbacks")


@dataclass(frozen=True)
class Training:
    """The outcome of one training."""

    logs: tuple[Mapping[str, float], ...]
    spent: int
    epochs: int
    seconds: float

    @property
    def last(self) -> Mapping[str, float]:
        """The logs of the last epoch."""
        return self.logs[-1]


class ChildTrainer:
    """Trains networks with the arguments of `search`.

    Args:
        arguments: Those of `fit`, by name.
        rate: Learning rate at the beginning of each training; `None` leaves the
            optimizer alone.
        final: Last learning rate as a share of the first one.

    Raises:
        ValueError: If an argument cannot be used for several trainings.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        rate: float | None,
        final: float,
    ) -> None:
        self._rate = rate
        self._final = final
        self.arguments = {k: v for k, v in arguments.items() if k not in _OWN}
        self.callbacks = list(arguments.get("callbacks") or [])
        self.epochs = int(arguments.get("epochs", 1))
        self.is_loud = arguments.get("verbose") == 2
        _check(self.arguments, self.epochs)

    def metric_names(
        self, model: keras.Model, objective: MorphismObjective
    ) -> list[str] | None:
        """Evaluates a model to find its metrics.

        Without `validation_data` one batch of the training data is
        evaluated. What a `train_step` of the user's own logs is not known.
        """
        data = self.arguments.get("validation_data")
        if objective.is_validated and data is not None:
            return list(self._evaluate(model, data))
        if not objective.is_validated and (
            type(model).train_step is not keras.Model.train_step
        ):
            return None
        known = ("x", "y", "sample_weight", "batch_size")
        given = {k: self.arguments[k] for k in known if k in self.arguments}
        return list(
            model.evaluate(**given, steps=1, verbose=0, return_dict=True)
        )

    def train(self, model: keras.Model, epochs: int, seed: int) -> Training:
        """Trains a model; with 0 epochs it is only evaluated."""
        begin = time.perf_counter()
        # Weights, dropout and the order of samples depend on the trial alone.
        keras.utils.set_random_seed(seed)
        log = EpochLog()
        if epochs == 0:
            logs = self._evaluate(model, self.arguments["validation_data"])
            values = {VALIDATION + name: value for name, value in logs.items()}
            seconds = time.perf_counter() - begin
            return Training((values,), 0, 0, seconds)
        callbacks = [copy.deepcopy(one) for one in self.callbacks]
        if self._rate is not None:
            callbacks.append(CosineRestart(epochs, self._rate, self._final))
        model.fit(
            **_validate_last_epoch(self.arguments, epochs),
            epochs=epochs,
            verbose=2 if self.is_loud else 0,
            callbacks=[*callbacks, log],  # Sees what others log.
        )
        return Training(
            tuple(log.epochs),
            log.spent,
            len(log.epochs),
            time.perf_counter() - begin,
        )

    def first_inputs(self) -> Any:
        """Returns the inputs of up to 128 training samples."""
        x = self.arguments["x"]
        leaves = keras.tree.flatten(x)
        if all(hasattr(one, "shape") for one in leaves):
            x = (x,)
        found = first_batch(x)
        return None if found is None else found.x

    def _evaluate(self, model: keras.Model, data: Any) -> dict[str, float]:
        arguments: dict[str, Any] = {"x": data}
        if isinstance(data, tuple | list):
            names = ("x", "y", "sample_weight")
            arguments = dict(zip(names, data, strict=False))
        for name in ("batch_size", "steps"):
            given = self.arguments.get(f"validation_{name}")
            if given is not None:
                arguments[name] = given
        compile_for_flags(model, "test_function")
        found = model.evaluate(**arguments, verbose=0, return_dict=True)
        return {name: float(value) for name, value in found.items()}


def _validate_last_epoch(
    arguments: Mapping[str, Any], epochs: int
) -> dict[str, Any]:
    """Adds the last epoch, which is scored, to those that are validated."""
    every = arguments.get("validation_freq")
    if every is None:
        return dict(arguments)
    if isinstance(every, int):
        every = range(every, epochs + 1, every)
    return {**arguments, "validation_freq": sorted({*every, epochs})}


def _check(arguments: Mapping[str, Any], epochs: int) -> None:
    if epochs < 1:
        raise ValueError(
            f"Argument `epochs` must be at least 1. Received: epochs={epochs}"
        )
    if arguments.get("x") is None:
        raise ValueError(
            "Argument `x` must be the training data, as in `fit`. "
            "Received: x=None"
        )
    if arguments.get("initial_epoch"):
        raise ValueError(
            "Argument `initial_epoch` must be omitted: each child trains "
            "from its first epoch. Received: "
            f"initial_epoch={arguments['initial_epoch']}"
        )
    for name in ("x", "validation_data"):
        if isinstance(arguments.get(name), Iterator):
            raise ValueError(
                f"Argument `{name}` must be data that can be read once per "
                "child: arrays, a `keras.utils.PyDataset` or a data set. "
                f"Received: {name}={type(arguments[name]).__name__}, which is "
                "empty after one pass"
            )
