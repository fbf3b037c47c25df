"""Chooses when samples leave, on data held out."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_choice,
    check_fraction,
    check_positive,
)
from keras_netopt.depth.exits import confidence as criteria
from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
from keras_netopt.depth.exits.choose_thresholds import choose_thresholds
from keras_netopt.depth.exits.exit_costs import (
    ExitCosts,
    count_macs,
    measure_milliseconds,
)
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.exit_state import CalibrationGoal
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.stages import ModelStages, cut
from keras_netopt.training.randomness import undisturbed
from keras_netopt.warnings import NoEffectWarning

FEW = 100
SEEN = 0.2
BATCH = 256


def calibrate(
    exit_model: ExitModel,
    x_val: Any,
    y_val: Any,
    *,
    max_accuracy_drop: float | None = None,
    max_macs: float | None = None,
    max_latency_ms: float | None = None,
    criterion: str = "confidence",
    confidence: float | None = None,
) -> CalibratedExits:
    """Chooses how sure each exit must be, on data the model has not learnt.

    Runs the model once, then searches on arrays: shares that leave by the
    rule of MSDNet, one score for all exits, never, always. Give one budget.
    Where no exit pays, the result never leaves early and a warning says so.

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
    >>> exit_model = netopt.depth.add_exits(model, at=["first"])
    >>> exits = netopt.depth.calibrate(exit_model, x, x[:, 0] > 0, max_macs=100)
    >>> exits.cost <= 100
    True

    Args:
        exit_model: What `add_exits` returned, trained.
        x_val: Inputs held out from training, arrays of `(samples, ...)`; at
            least 100 samples, a few thousand for a drop below a point.
        y_val: Their classes: integers of shape `(samples,)` or one-hot rows.
        max_accuracy_drop: What may be lost against the final exit, a share in
            [0, 1): 0.002 is 0.2 points. The cheapest choice within it wins.
            Defaults to `None`.
        max_macs: Largest mean of the MACs a sample, heads included. The most
            accurate choice within it wins. Defaults to `None`.
        max_latency_ms: Largest mean latency at batch 1, in milliseconds; on
            TensorFlow of LiteRT files. Defaults to `None`.
        criterion: "confidence", the largest probability; "entropy" in nats;
            "margin" between the two largest. Defaults to `"confidence"`.
        confidence: Probability in (0, 1) with which the true loss must be
            within `max_accuracy_drop`, as 0.95. Defaults to `None`: the loss
            that was measured.

    Returns:
        Thresholds, shares, accuracy and cost, with `predict`, `evaluate`,
        `export`, `report` and `plot`.

    Raises:
        TypeError: If `exit_model` is no `ExitModel`.
        ValueError: If not exactly one budget is given, it cannot be reached
            (the cheapest point that can is told), an argument is out of
            range, or answers are NaN.

    Reference:
        Huang et al., *MSDNet*, 2017, arXiv 1703.09844; Schuster et al.,
        *Confident Adaptive Language Modeling*, 2022, arXiv 2207.07061.
    """
    _check_model(exit_model)
    kind, budget = _budget(max_accuracy_drop, max_macs, max_latency_ms)
    check_choice(criterion, "criterion", criteria.CRITERIA)
    confidence = _check_confidence(confidence, kind)
    _check_arrays(x_val)
    stages = cut(exit_model)
    measured = measure(exit_model, x_val, y_val, criterion)
    notes = _look_at(exit_model, x_val, measured.samples)
    costs = _costs(kind, exit_model, stages, x_val)
    goal = CalibrationGoal(kind, budget, confidence)
    state = choose_thresholds(measured, costs, goal, criterion, tuple(notes))
    if set(state.rule.thresholds[:-1]) == {math.inf}:
        _warn(
            "no exit pays within this budget: every sample runs to the end. "
            "Train the exits longer, move them, or allow a larger budget.",
            NoEffectWarning,
            level=3,
        )
    return CalibratedExits(
        exit_model, state, stages=stages, data=(x_val, y_val)
    )


def measure(
    exit_model: ExitModel, x: Any, y: Any, criterion: str
) -> MeasuredExits:
    """Runs a model once on data and keeps what a search needs.

    Args:
        exit_model: A model with exits.
        x: Inputs.
        y: Classes.
        criterion: What says how sure an answer is.

    Returns:
        Scores and correctness, shape `(samples, exits)`.

    Raises:
        ValueError: If data do not fit, or answers are NaN.
    """
    with undisturbed():
        found = exit_model.predict(x, batch_size=BATCH, verbose=0)
    answers = [np.asarray(found[name]) for name in exit_model.exit_names]
    return MeasuredExits.of(answers, y, criterion)


def _check_model(model: Any) -> None:
    if isinstance(model, ExitModel):
        return
    if isinstance(model, keras.Model):
        raise TypeError(
            "Argument `exit_model` must be the model that "
            "`keras_netopt.depth.add_exits` returns, trained: the heads of a "
            f"plain model have learnt nothing. Received: exit_model="
            f"<{type(model).__name__} name={model.name}>"
        )
    raise TypeError(
        "Argument `exit_model` must be the model that "
        "`keras_netopt.depth.add_exits` returns. "
        f"Received: exit_model={model!r}"
    )


def _check_arrays(x: Any) -> None:
    leaves = keras.tree.flatten(x)
    arrays = all(hasattr(leaf, "shape") for leaf in leaves)
    lengths = {leaf.shape[0] for leaf in leaves if arrays and leaf.shape}
    if len(lengths) != 1 or 0 in lengths:
        found = [getattr(leaf, "shape", leaf) for leaf in leaves]
        raise ValueError(
            "Argument `x_val` must be arrays with as many samples each, at "
            f"least one. Received: x_val of {found!r:.200}"
        )


def _budget(drop: Any, macs: Any, milliseconds: Any) -> tuple[str, float]:
    given = {
        "max_accuracy_drop": drop,
        "max_macs": macs,
        "max_latency_ms": milliseconds,
    }
    named = {name: v for name, v in given.items() if v is not None}
    if len(named) != 1:
        names = ", ".join(f"`{name}`" for name in given)
        raise ValueError(
            f"Arguments {names}: one of them must be given. "
            f"Received: {named or 'none'}"
        )
    name, value = named.popitem()
    if name == "max_accuracy_drop":
        return name, check_fraction(value, name)
    return name, check_positive(value, name)


def _check_confidence(confidence: Any, kind: str) -> float | None:
    if confidence is None:
        return None
    share = check_fraction(confidence, "confidence")
    if share == 0.0 or kind != "max_accuracy_drop":
        raise ValueError(
            "Argument `confidence` must be a float in (0, 1) and goes with "
            f"`max_accuracy_drop` alone. Received: confidence={confidence!r} "
            f"with {kind}"
        )
    return share


def _look_at(model: ExitModel, x: Any, samples: int) -> list[str]:
    """Warns of data that make thresholds too bold."""
    notes = []
    if samples < FEW:
        notes.append(
            f"{samples} samples are few: thresholds will differ from sample "
            f"to sample. Pass {FEW} or more."
        )
    share = model.training_record.share_of(x)
    if share >= SEEN:
        notes.append(
            f"about {share:.0%} of these samples were given to `fit`: the "
            "model is surer of them than of new ones. Pass samples that were "
            "held out."
        )
    for note in notes:
        _warn(note, UserWarning)
    if model.training_record.unknown:
        notes.append(
            "`fit` was given a data set: whether it held these samples is "
            "not known"
        )
    return notes


def _warn(note: str, category: type[Warning], *, level: int = 4) -> None:
    warnings.warn(f"calibrate: {note}", category, stacklevel=level)


def _costs(
    kind: str, model: ExitModel, stages: ModelStages, x: Any
) -> ExitCosts:
    if kind == "max_latency_ms":
        return measure_milliseconds(model, stages, stages.feeds(x))
    return count_macs(model, stages)
