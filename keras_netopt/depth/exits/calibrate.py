"""Chooses exit thresholds on held-out data."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_fraction, check_positive
from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
from keras_netopt.depth.exits.choose_thresholds import choose_thresholds
from keras_netopt.depth.exits.exit_calibration import CalibrationGoal
from keras_netopt.depth.exits.exit_costs import (
    count_exit_macs,
    measure_exit_latency,
)
from keras_netopt.depth.exits.exit_criteria import CRITERIA
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.model_stages import split_into_stages
from keras_netopt.training.present_flags import compile_for_flags
from keras_netopt.training.randomness import preserve_random_state
from keras_netopt.warnings import NoEffectWarning

MIN_SAMPLES = 100
MAX_FRACTION_SEEN = 0.2
BATCH = 256


def calibrate(
    exit_model: ExitModel,
    x: Any,
    y: Any,
    *,
    max_accuracy_drop: float | None = None,
    max_macs: float | None = None,
    max_latency_ms: float | None = None,
    criterion: str = "confidence",
    confidence_level: float | None = None,
) -> CalibratedExits:
    """Chooses exit thresholds within one budget, on held-out data.

    Runs the model once, then searches on arrays: the exit fractions of MSDNet,
    one threshold for all exits, never exit, always exit. If no exit reduces
    the cost within the budget, all early exits are disabled and a warning is
    given.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(8, activation="relu", name="first"),
    ...         keras.layers.Dense(64, activation="relu"),
    ...         keras.layers.Dense(2),
    ...     ]
    ... )
    >>> x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    >>> exit_model = netopt.depth.add_exits(model, layers=["first"])
    >>> exits = netopt.depth.calibrate(exit_model, x, x[:, 0] > 0, max_macs=100)
    >>> exits.cost <= 100
    True

    Args:
        exit_model: The trained result of `add_exits`.
        x: Inputs held out from training, arrays of shape `(samples, ...)`; at
            least 100 samples, a few thousand for a drop below 0.01.
        y: Their classes: integers of shape `(samples,)` or one-hot rows.
        max_accuracy_drop: Largest accuracy drop against the final exit, a
            share in [0, 1): 0.002 is 0.2 percentage points. The cheapest
            point within it is chosen. Defaults to `None`.
        max_macs: Largest mean MACs per sample, heads included. The most
            accurate point within it is chosen. Defaults to `None`.
        max_latency_ms: Largest mean latency at batch size 1, in milliseconds;
            on TensorFlow that of LiteRT files. Defaults to `None`.
        criterion: Exit criterion: "confidence", the largest softmax
            probability; "entropy" in nats; "margin" between the two largest
            probabilities. Defaults to `"confidence"`.
        confidence_level: Probability in (0, 1) with which the true drop stays
            within `max_accuracy_drop`, such as 0.95. Defaults to `None`: the
            measured drop is used.

    Returns:
        Thresholds, exit fractions, accuracy and cost, with `predict`,
        `evaluate`, `export`, `report` and `plot`.

    Raises:
        TypeError: If `exit_model` is not an `ExitModel`.
        ValueError: If not exactly one budget is given, it cannot be met (the
            message names the cheapest point), an argument is out of range,
            or predictions are NaN.

    Reference:
        Huang et al., *MSDNet*, 2017, arXiv 1703.09844; Schuster et al.,
        *Confident Adaptive Language Modeling*, 2022, arXiv 2207.07061.
    """
    _check_model(exit_model)
    kind, budget = _check_budget(max_accuracy_drop, max_macs, max_latency_ms)
    check_choice(criterion, "criterion", CRITERIA)
    confidence_level = _check_confidence_level(confidence_level, kind)
    _check_arrays(x)
    stages = split_into_stages(exit_model)
    measured = measure_exits(exit_model, x, y, criterion)
    notes = _check_samples(exit_model, x, measured.samples)
    if kind == "max_latency_ms":
        inputs = stages.named_inputs(x)
        costs = measure_exit_latency(exit_model, stages, inputs)
    else:
        costs = count_exit_macs(exit_model, stages)
    calibration = choose_thresholds(
        exit_model.exit_names,
        measured,
        costs,
        CalibrationGoal(kind, budget, confidence_level),
        criterion,
        tuple(notes),
    )
    if set(calibration.rule.thresholds[:-1]) == {math.inf}:
        _warn(
            "no exit reduces the cost within this budget: every sample runs "
            "to the final exit. Train the exits longer, move them, or allow a "
            "larger budget.",
            NoEffectWarning,
            level=3,
        )
    return CalibratedExits(
        exit_model, calibration, stages=stages, validation_data=(x, y)
    )


def measure_exits(
    exit_model: ExitModel, x: Any, y: Any, criterion: str
) -> MeasuredExits:
    """Predicts once and keeps scores and correctness of every exit."""
    compile_for_flags(exit_model, "predict_function")
    with preserve_random_state():
        found = exit_model.predict(x, batch_size=BATCH, verbose=0)
    outputs = [np.asarray(found[name]) for name in exit_model.exit_names]
    return MeasuredExits.from_outputs(outputs, y, criterion)


def _check_model(model: Any) -> None:
    if isinstance(model, ExitModel):
        return
    shown = repr(model)
    if isinstance(model, keras.Model):
        shown = f"<{type(model).__name__} name={model.name}>"
    raise TypeError(
        "Argument `exit_model` must be the trained model that "
        "`keras_netopt.depth.add_exits` returns. "
        f"Received: exit_model={shown}"
    )


def _check_arrays(x: Any) -> None:
    leaves = keras.tree.flatten(x)
    arrays = all(hasattr(leaf, "shape") for leaf in leaves)
    lengths = {leaf.shape[0] for leaf in leaves if arrays and leaf.shape}
    if len(lengths) != 1 or 0 in lengths:
        found = [getattr(leaf, "shape", leaf) for leaf in leaves]
        raise ValueError(
            "Argument `x` must be arrays with the same number of samples, at "
            f"least one. Received: x of {found!r:.200}"
        )


def _check_budget(drop: Any, macs: Any, latency: Any) -> tuple[str, float]:
    budgets = {
        "max_accuracy_drop": drop,
        "max_macs": macs,
        "max_latency_ms": latency,
    }
    given = {name: v for name, v in budgets.items() if v is not None}
    if len(given) != 1:
        names = ", ".join(f"`{name}`" for name in budgets)
        raise ValueError(
            f"Arguments {names}: exactly one must be given. "
            f"Received: {given or 'none'}"
        )
    name, value = given.popitem()
    if name == "max_accuracy_drop":
        return name, check_fraction(value, name)
    return name, check_positive(value, name)


def _check_confidence_level(level: Any, kind: str) -> float | None:
    if level is None:
        return None
    share = check_fraction(level, "confidence_level")
    if share == 0.0 or kind != "max_accuracy_drop":
        raise ValueError(
            "Argument `confidence_level` must be a float in (0, 1), given "
            f"with `max_accuracy_drop`. Received: confidence_level={level!r} "
            f"with `{kind}`"
        )
    return share


def _check_samples(model: ExitModel, x: Any, samples: int) -> list[str]:
    """Warns of data that make thresholds too optimistic."""
    notes = []
    if samples < MIN_SAMPLES:
        notes.append(
            f"{samples} samples are few: the thresholds depend on the choice "
            f"of samples. Pass {MIN_SAMPLES} or more."
        )
    share = model.training_record.fraction_seen(x)
    if share >= MAX_FRACTION_SEEN:
        notes.append(
            f"about {share:.0%} of these samples were passed to `fit`: the "
            "model is more confident on them than on new samples. Pass "
            "held-out samples."
        )
    for note in notes:
        _warn(note, UserWarning)
    if model.training_record.unknown:
        notes.append(
            "`fit` was given a data set: whether it contained these samples "
            "is unknown"
        )
    return notes


def _warn(note: str, category: type[Warning], *, level: int = 4) -> None:
    warnings.warn(f"calibrate: {note}", category, stacklevel=level)
