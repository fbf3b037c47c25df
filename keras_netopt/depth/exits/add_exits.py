"""Hangs exits on a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_netopt.checks import check_model
from keras_netopt.depth.exits.exit_model import FINAL, ExitModel
from keras_netopt.depth.exits.frozen_exit_model import FrozenExitModel
from keras_netopt.depth.exits.heads import default_head, final_activation
from keras_netopt.depth.exits.places import ExitPlacement, find_places
from keras_netopt.depth.exits.weights import exit_weights
from keras_netopt.training.replay import Recording

Heads = Sequence[keras.layers.Layer] | Mapping[str, keras.layers.Layer]


def add_exits(
    model: keras.Model,
    at: Sequence[str] | None = None,
    *,
    heads: Heads | None = None,
    weights: Any = None,
    distill: float | None = None,
    freeze: bool = False,
    name: str | None = None,
) -> ExitModel:
    """Returns a model that answers at several depths, sharing every layer.

    Compile it with one loss and fit it with the one `y` that you have: every
    exit learns the same task. Your model stays the object that it was, with
    the same predictions, bit for bit, until training moves the weights that
    both share. Then `depth.calibrate` chooses when to leave.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((8,)),
    ...         keras.layers.Dense(16, activation="relu", name="first"),
    ...         keras.layers.Dense(16, activation="relu", name="second"),
    ...         keras.layers.Dense(3),
    ...     ]
    ... )
    >>> exits = netopt.depth.add_exits(model, at=["first"])
    >>> exits.exit_names, exits.exit_weights
    (('exit1', 'final'), {'exit1': 0.3, 'final': 1.0})

    Args:
        model: A built Functional or Sequential model with one output. Nested
            models are opened where an exit lies inside of them.
        at: Names of the layers behind which samples may leave, or paths such
            as "block/conv" for a layer inside a nested model. Defaults to
            `None`: at every `layers.EarlyExit`.
        heads: One layer an exit, in the order of `at`, or a dictionary by the
            name of the layer; each gives an answer of the shape of the final
            one. Defaults to `None`: the head of the marker, else the mean
            over space or time and a `Dense`.
        weights: What the loss of each exit counts: a number for every early
            exit, a list with one number an exit and one for the end, a
            dictionary by exit name, or `"depth"` for weights that grow
            evenly up to 1. Defaults to `None`: 0.3 early, 1.0 at the end.
        distill: Temperature, above 0, at which each early exit also learns
            from the answer of the last one. Defaults to `None`: off.
        freeze: Whether only the heads learn, and the backbone answers and
            stays as it is, bit for bit. Defaults to `False`.
        name: Name of the new model. Defaults to `None`: Keras makes one.

    Returns:
        The model with the outputs `{"exit1": ..., "final": ...}`; an exit at
        a marker has the marker's name.

    Raises:
        TypeError: If an argument has the wrong type, or the model is no
            graph of layers.
        ValueError: If a name is unknown (near matches are listed) or names
            the final output, a head does not fit, or a number is out of
            range.

    Reference:
        Teerapittayanon, McDanel and Kung, *BranchyNet*, 2016, arXiv
        1709.01686; Huang et al., *MSDNet*, 2017, arXiv 1703.09844.
    """
    check_model(model)
    _check_flag(freeze)
    recording, places = find_places(model, at)
    places = _in_given_order(places, at)
    chosen = _heads(heads, places)
    final = keras.tree.flatten(recording.outputs)[0]
    activation = _activation(recording, final)
    order = sorted(range(len(places)), key=lambda k: places[k].number)
    outputs: dict[str, Any] = {}
    for position, k in enumerate(order):
        place, head = places[k], chosen[k]
        title = place.call.operation.name if place.is_marker else ""
        title = title or f"exit{position + 1}"
        if head is None:
            units = _units(final)
            head = default_head(
                place.features, units, activation, f"{title}_head"
            )
        outputs[title] = _attached(head, place, final)
    outputs[FINAL] = final
    kind = FrozenExitModel if freeze else ExitModel
    return kind(
        recording.inputs,
        outputs,
        name=name,
        exit_weights=exit_weights(weights, tuple(outputs)),
        distill=distill,
        activation=activation,
    )


def _check_flag(freeze: Any) -> None:
    if not isinstance(freeze, bool):
        raise TypeError(
            "Argument `freeze` must be True or False. "
            f"Received: freeze={freeze!r}"
        )


def _in_given_order(
    places: tuple[ExitPlacement, ...], at: Sequence[str] | None
) -> tuple[ExitPlacement, ...]:
    """Heads come in the order of the names, not in that of execution."""
    if at is None or isinstance(at, str):
        return places
    names = list(at)

    def position(place: ExitPlacement) -> int:
        path = place.call.path
        return names.index(path if path in names else path.split("/")[-1])

    return tuple(sorted(places, key=position))


def _heads(
    heads: Any, places: tuple[ExitPlacement, ...]
) -> list[keras.layers.Layer | None]:
    if heads is None:
        return [place.head for place in places]
    if isinstance(heads, Mapping):
        names = [place.call.operation.name for place in places]
        paths = [place.call.path for place in places]
        found = [
            heads.get(path, heads.get(name, place.head))
            for path, name, place in zip(paths, names, places, strict=True)
        ]
        fits = set(heads) <= {*names, *paths}
    else:
        is_list = isinstance(heads, list | tuple)
        found = list(heads) if is_list else [heads]
        fits = len(found) == len(places)
    layers = all(h is None or isinstance(h, keras.layers.Layer) for h in found)
    if not fits or not layers:
        listed = [place.call.path for place in places]
        raise ValueError(
            "Argument `heads` must bring a Keras layer for each of the exits "
            f"at {listed}. Received: heads={heads!r}"
        )
    return found


def _attached(
    head: keras.layers.Layer, place: ExitPlacement, final: Any
) -> Any:
    answer = head(place.features)
    is_one = isinstance(answer, keras.KerasTensor)
    if not is_one or tuple(answer.shape) != tuple(final.shape):
        shape = keras.tree.map_structure(lambda x: tuple(x.shape), answer)
        raise ValueError(
            "Argument `heads` must give answers of the shape of the final "
            f"output, {tuple(final.shape)}. Received: {shape} from head "
            f"{head.name!r} at {place.call.path!r}"
        )
    return answer


def _units(final: Any) -> int:
    units = final.shape[-1]
    if len(final.shape) != 2 or units is None:
        raise ValueError(
            "Argument `heads` must bring the heads where the final output is "
            f"not (batch, classes). Received: heads=None for an output of "
            f"shape {tuple(final.shape)}"
        )
    return int(units)


def _activation(recording: Recording, final: Any) -> str:
    for call in recording.calls:
        if any(output is final for output in call.outputs):
            return final_activation(call.operation)
    return "other"
