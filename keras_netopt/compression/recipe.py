"""Callbacks that make a model meet a target within the user's own `fit`."""

from typing import Any

import keras

from keras_netopt.callbacks.channel_pruning import ChannelPruning
from keras_netopt.callbacks.distillation import Distillation
from keras_netopt.callbacks.pruning import Pruning
from keras_netopt.callbacks.quantization import Quantization
from keras_netopt.checks import check_fraction, check_integer
from keras_netopt.compression.target import Target
from keras_netopt.compression.target_meter import TargetMeter
from keras_netopt.compression.target_share import TargetShare

# Points of the fit. The cuts of `ChannelPruning` end at 0.6.
GRID_BEGIN, RANGES_BEGIN = 0.7, 0.8


def recipe(
    target: Target,
    *,
    teacher: keras.Model | None = None,
    zeros: float = 0.8,
    calibration_data: Any = None,
    min_channels: int = 8,
) -> list[keras.callbacks.Callback]:
    """Returns callbacks for `fit` with which a model meets a target.

    The model is cut, pruned and quantized while it trains; after the fit its
    LiteRT file has the size, the MACs and the latency of the target. Start
    from a trained model, and train for at least five epochs. How accurate
    the result is shows in validation; `netopt.compress` also chooses between
    recipes by accuracy.

    The list holds, in this order: `ChannelPruning`, whose share is found at
    the begin of the fit on files of cut copies; `Pruning`, if the target
    limits the bytes after gzip; `Distillation`, if a teacher is given; and
    `Quantization`. It has 8 bits with activation ranges, for
    `to_litert(model, path, quantize="int8")`. A target of size alone with
    float inputs and outputs gets 4 bits, for `quantize="int4"`. Append
    callbacks of your own, such as loggers, after these.

    Example:

    >>> import keras_netopt as netopt
    >>> callbacks = netopt.recipe(netopt.Target(kilobytes=60, io="int8"))
    >>> [type(callback).__name__ for callback in callbacks]
    ['ChannelPruning', 'Quantization']

    Args:
        target: The limits of the file.
        teacher: A trained model from which the model in `fit` learns as well,
            such as a copy of itself; see `callbacks.Distillation`. Defaults
            to `None`.
        zeros: Share of zeros in the kernels where the target limits the bytes
            after gzip, in [0, 1). Defaults to `0.8`.
        calibration_data: `(x, y)`, some hundred samples, for the better
            score "taylor" of the channels. Defaults to `None`: "magnitude".
        min_channels: Channels that every layer keeps, at least 1. Defaults to
            `8`.

    Returns:
        New callbacks, for one model.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range; in `fit`, before the first
            step, if no cut of the model meets the target.
    """
    if not isinstance(target, Target):
        raise TypeError(
            "Argument `target` must be a `netopt.Target`. "
            f"Received: target={target!r} of type {type(target).__name__}"
        )
    check_fraction(zeros, "zeros")
    check_integer(min_channels, "min_channels", minimum=1)
    if calibration_data is not None and not (
        isinstance(calibration_data, list | tuple)
        and len(calibration_data) == 2
    ):
        raise TypeError(
            "Argument `calibration_data` must be `(x, y)`, inputs and targets. "
            f"Received: calibration_data={calibration_data!r}"
        )
    limits = set(target.limits)
    is_size_alone = limits <= {"kilobytes", "gzip_kilobytes"}
    bits = 4 if is_size_alone and target.io == "float32" else 8
    used = zeros if "gzip_kilobytes" in limits else 0.0
    meter = TargetMeter(
        target, quantize="int4" if bits == 4 else "int8", zeros=used
    )
    found: list[keras.callbacks.Callback] = [
        ChannelPruning(
            TargetShare(meter, min_channels),
            resource="meter",
            meter=meter,
            min_channels=min_channels,
            score="magnitude" if calibration_data is None else "taylor",
            calibration_data=calibration_data,
        )
    ]
    if used:
        found.append(Pruning(used))
    if teacher is not None:
        found.append(Distillation(teacher))
    ranges = RANGES_BEGIN if bits == 8 else False
    found.append(Quantization(bits, begin=GRID_BEGIN, activations=ranges))
    return found
