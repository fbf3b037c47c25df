"""Starts a model from the weights of a trained one."""

import os
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt import selectors
from keras_netopt.checks import (
    check_at_least_zero,
    check_bool,
    check_probability,
)
from keras_netopt.files import name_unreadable
from keras_netopt.fine_tuning.match_layers import (
    WeightedLayer,
    list_weighted_layers,
    match_layers,
)
from keras_netopt.fine_tuning.warm_lengths import NORMS, WarmLengths
from keras_netopt.fine_tuning.warm_start_report import (
    WarmStartReport,
    WarmStartRow,
)
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import variable_keys
from keras_netopt.selectors import Selector

COPIED, RESIZED, FRESH = "copied", "resized", "fresh"


def warm_start(
    model: keras.Model,
    source: keras.Model | str | os.PathLike[str],
    *,
    include: Selector | None = None,
    exclude: Selector | None = None,
    partial: bool = False,
    shrink: float = 1.0,
    noise: float = 0.0,
) -> WarmStartReport:
    """Copies the weights of a trained model into a new one.

    Layers with names of your own are matched by their path, others by class,
    shape and order, so that a model of a few more or other layers is started
    as well. A head of another size stays fresh; name a head of the same size
    in `exclude`. Only weights are copied: the optimizer of `model` starts
    new. To continue a training with its optimizer state, load its file.
    Between a plain and a weight-normalized layer the kernel is copied with
    which the source computes.

    Models that start warm and then learn from more data can generalize worse
    than models that start cold. With `shrink` and `noise` ("shrink and
    perturb") every trained weight becomes

        shrink * source + noise * initial value

    where the initial value is the one that `model` holds before the call, as
    in the code of the paper's authors, who use 0.4 and 0.1. Weights that are
    not trained, such as moving statistics, are copied as they are.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(classes):
    ...     return keras.Sequential([
    ...         keras.Input((8,)),
    ...         keras.layers.Dense(16, activation="relu", name="hidden"),
    ...         keras.layers.Dense(classes, name="head"),
    ...     ])
    >>> old, new = build(10), build(3)
    >>> report = netopt.fine_tuning.warm_start(new, old)
    >>> report.copied, report.fresh
    (('hidden/kernel', 'hidden/bias'), ('head/kernel', 'head/bias'))

    Args:
        model: A built model with initial values; its weights are changed.
        source: The trained model, or the path of its `.keras` file.
        include: Weights to copy: a regular expression searched in the
            weight's path, "first" or "last" (layer), a layer, a layer class,
            a `callable(layer) -> bool`, or a list of those. Defaults to
            `None`: all.
        exclude: Weights to leave fresh, in the same form; takes precedence
            over `include`. Defaults to `None`.
        partial: Whether a weight of the same layer and another shape gets the
            leading slice that both have: the first units of a wider layer.
            Outputs are not preserved; `surgery.widen` preserves them. The
            gates of GRU and LSTM layers stay fresh. Defaults to `False`.
        shrink: Factor of the copied values, a float in [0, 1]. Defaults to
            `1.0`.
        noise: Factor of the initial values, at least 0. Defaults to `0.0`.

    Returns:
        A report that prints as a table: each weight with its source, or the
        reason why it is fresh, and the weights of the source that were not
        used.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a model is not built, both share weights, an argument
            is out of range, a selector matches nothing, the file cannot be
            read, or no weight of `source` fits.

    Reference:
        Ash and Adams, "On warm-starting neural network training", 2020,
        https://arxiv.org/abs/1910.08475.
    """
    check_model(model)
    check_bool(partial, "partial")
    shrink = check_probability(shrink, "shrink")
    noise = check_at_least_zero(noise, "noise")
    if shrink == noise == 0.0:
        raise ValueError(
            "Argument `noise` must be above 0 with `shrink=0`: all weights "
            "would be 0. Received: noise=0.0"
        )
    trained = _as_model(source)
    _check_apart(model, trained, source)
    reasons = _find_unselected(model, include, exclude)
    keys, source_keys = variable_keys(model), variable_keys(trained)
    trainable = {id(v) for v in model.trainable_variables}
    plan, copied = [], dict[int, Any]()
    for mine, theirs in match_layers(model, trained):
        for name, variable in mine.weights.items():
            given = theirs.weights.get(name) if theirs else None
            action, reason = FRESH, reasons.get(id(variable), "")
            if not reason:
                action, reason = _choose(mine, variable, given, partial)
            plan.append((variable, action, reason))
            if action != FRESH:
                copied[id(variable)] = given
    lengths = WarmLengths(model, trained, copied)
    rows, values = [], []
    used: set[Any] = set()
    norms: set[Any] = set()
    for variable, action, reason in plan:
        given, origin = copied.get(id(variable)), None
        kernel = lengths.find_kernel(variable)
        if given is not None:
            origin = source_keys[id(given)]
            value, held = lengths.read(variable, given)
            used.update(map(id, held))
            factors = (1.0, 0.0)
            if id(variable) in trainable:
                factors = (shrink, noise)
            values.append((variable, _mix(variable, value, *factors)))
        elif kernel is not None and id(variable) not in reasons:
            action, reason, origin = COPIED, NORMS, source_keys[id(kernel)]
            norms.add(id(variable))
        key, shape = keys[id(variable)], tuple(variable.shape)
        rows.append(WarmStartRow(key, shape, action, origin, reason))
    if not values:
        raise ValueError(
            "Argument `source` must have a weight that fits one of "
            f"`model`, but all stay fresh: {_summarize(rows)}. "
            f"Received: source={source!r}"
        )
    for variable, value in values:
        variable.assign(value)
    lengths.set_norms(norms)
    _finish_constants(model)
    unused = [k for v, k in source_keys.items() if v not in used]
    name = str(model.name)
    return WarmStartReport(tuple(rows), tuple(unused), name, shrink, noise)


def _as_model(source: Any) -> keras.Model:
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not path.endswith(".keras") or not os.path.exists(path):
            raise ValueError(
                "Argument `source` must be a model or an existing file that "
                "ends in '.keras'. For a '.weights.h5' file build the model "
                f"and call its `load_weights`. Received: source={path!r}"
            )
        remedy = "Import its own classes first, or save the model again."
        with name_unreadable(path, "a Keras model", remedy):
            return keras.saving.load_model(path, compile=False)
    try:
        check_model(source)
    except (TypeError, ValueError) as error:
        text = str(error).replace("`model`", "`source`")
        raise type(error)(text.replace("model=", "source=")) from None
    return source


def _check_apart(model: keras.Model, trained: keras.Model, source: Any) -> None:
    shared = set(map(id, model.weights)) & set(map(id, trained.weights))
    if shared:
        raise ValueError(
            "Argument `source` must be a model that shares no weights with "
            "`model`: build a new model, whose initial values are needed. "
            f"Received: source={source!r} with {len(shared)} shared weights"
        )


def _find_unselected(
    model: keras.Model, include: Selector | None, exclude: Selector | None
) -> dict[int, str]:
    """Returns why weights are not copied, by `id`."""
    keys = variable_keys(model)
    layers = {
        id(v): one.layer
        for one in list_weighted_layers(model)
        for v in one.weights.values()
    }
    candidates = [(keys[id(v)], layers[id(v)]) for v in model.weights]
    places = range(len(candidates))
    kinds = {"kind": "weight"}
    chosen = set(places)
    if include is not None:
        chosen = selectors.select(
            include, candidates, model, "include", **kinds
        )
    left = selectors.select(exclude, candidates, model, "exclude", **kinds)
    return {
        id(model.weights[k]): "excluded" if k in left else "not included"
        for k in places
        if k in left or k not in chosen
    }


def _choose(
    layer: WeightedLayer,
    variable: keras.Variable,
    given: keras.Variable | None,
    partial: bool,
) -> tuple[str, str]:
    """Returns what is done with a weight, and why."""
    if given is None:
        return FRESH, "no layer of the source fits"
    mine, theirs = tuple(variable.shape), tuple(given.shape)
    if mine == theirs:
        return COPIED, ""
    if not partial or len(mine) != len(theirs):
        return FRESH, f"the source has shape {theirs}"
    square = layer.shapes.get("recurrent_kernel", (1, 1))[-2:]
    if square[0] != square[1]:
        return FRESH, "its gates lie side by side"
    return RESIZED, f"{_common(mine, theirs)} of {theirs}"


def _common(mine: Any, theirs: Any) -> tuple[int, ...]:
    return tuple(min(a, b) for a, b in zip(mine, theirs, strict=True))


def _mix(
    variable: keras.Variable,
    new: np.ndarray,
    shrink: float,
    noise: float,
) -> np.ndarray:
    """Returns the new value of a weight."""
    value = np.array(ops.convert_to_numpy(variable.value))
    common = _common(value.shape, new.shape)
    slices = tuple(slice(size) for size in common)
    if (shrink, noise) == (1.0, 0.0):
        value[slices] = new[slices]
    else:
        value[slices] = shrink * new[slices] + noise * value[slices]
    return value


def _finish_constants(model: keras.Model) -> None:
    """Updates what `Normalization` derives from its weights."""
    for one in list_weighted_layers(model):
        if isinstance(one.layer, keras.layers.Normalization):
            one.layer.finalize_state()


def _summarize(rows: list[WarmStartRow]) -> str:
    shown = [f"{row.key} ({row.reason})" for row in rows[:4]]
    more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
    return ", ".join(shown) + more
