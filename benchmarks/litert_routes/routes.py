"""The routes: each writes a file and returns the model that it stands for."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

OURS, CONVERTER = "`to_litert`", "TensorFlow's converter"
KERAS, AEQ = "`model.quantize`, then `model.export`", "ai-edge-quantizer"
Write = Callable[[keras.Model, np.ndarray, Path], keras.Model]


@dataclass(frozen=True)
class Route:
    """One way to write a file.

    Args:
        engine: Who quantizes.
        title: The setting, as the table shows it.
        bits: Bits of the grid that the kernels are put on.
        write: Writes the file from a model and calibration samples; returns
            the model that the file should equal.
    """

    engine: str
    title: str
    bits: int
    write: Write


def _ours(**options: Any) -> Write:
    def write(model: keras.Model, data: np.ndarray, path: Path) -> keras.Model:
        from keras_netopt.export import to_litert

        to_litert(model, path, calibration_data=data, overwrite=True, **options)
        return model

    return write


def _trained_ranges(
    model: keras.Model, data: np.ndarray, path: Path
) -> keras.Model:
    """Sets activation ranges in an epoch that changes no weight."""
    from keras_netopt.export import to_litert
    from keras_netopt.quantization import ActivationRanges

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        # Statistics of batches would change the model.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    copy.compile(keras.optimizers.SGD(0.0), "mse")
    ActivationRanges.attach(copy)
    copy.fit(data, np.zeros((len(data), 10)), batch_size=50, verbose=0)
    to_litert(copy, path, quantize="int8", overwrite=True)
    return copy


def _converter(
    optimizations: tuple[str, ...] = (),
    ops: str | None = None,
    types: tuple[str, ...] = (),
    calibrates: bool = False,
) -> Write:
    def write(model: keras.Model, data: np.ndarray, path: Path) -> keras.Model:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [
            getattr(tf.lite.Optimize, name) for name in optimizations
        ]
        if ops:
            kind = getattr(tf.lite.OpsSet, ops)
            converter.target_spec.supported_ops = [kind]
        converter.target_spec.supported_types = [
            getattr(tf, name) for name in types
        ]
        if calibrates:
            converter.representative_dataset = lambda: (
                [row[None]] for row in data
            )
        path.write_bytes(converter.convert())
        return model

    return write


def _keras(mode: str, config: str = "", **options: Any) -> Write:
    def write(model: keras.Model, data: np.ndarray, path: Path) -> keras.Model:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        if config:
            kind = getattr(keras.quantizers, config)
            copy.quantize(config=kind(**options))
        else:
            copy.quantize(mode)
        copy.export(str(path), format="litert", verbose=False)
        return copy

    return write


def _quantizer(recipe: str, calibrates: bool = False) -> Write:
    def write(model: keras.Model, data: np.ndarray, path: Path) -> keras.Model:
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer import recipe as recipes

        model.export(str(path), format="litert", verbose=False)
        silent = io.StringIO()
        with (
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            job = quantizer.Quantizer(path.read_bytes())
            job.load_quantization_recipe(getattr(recipes, recipe)())
            found = None
            if calibrates:
                name = model.inputs[0].name
                samples = [{name: row[None]} for row in data]
                found = job.calibrate({"serving_default": samples})
            result = job.quantize(found).quantized_model
        path.write_bytes(bytes(result))
        return model

    return write


DEFAULT = ("DEFAULT",)
INT16 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
ROUTES = (
    Route(OURS, "`None`", 8, _ours()),
    Route(OURS, '`"float16"`', 8, _ours(quantize="float16")),
    Route(OURS, '`"dynamic"`', 8, _ours(quantize="dynamic")),
    Route(OURS, '`"int8"`, calibrated', 8, _ours(quantize="int8")),
    Route(OURS, '`"int8"`, trained ranges', 8, _trained_ranges),
    Route(OURS, '`"int16x8"`', 8, _ours(quantize="int16x8")),
    Route(OURS, '`"int4"`', 4, _ours(quantize="int4")),
    Route(OURS, '`"int2"`', 2, _ours(quantize="int2")),
    Route(CONVERTER, "float", 8, _converter()),
    Route(CONVERTER, "dynamic range", 8, _converter(DEFAULT)),
    Route(CONVERTER, "float16", 8, _converter(DEFAULT, types=("float16",))),
    Route(CONVERTER, "int8", 8, _converter(DEFAULT, calibrates=True)),
    Route(
        CONVERTER,
        "int16x8",
        8,
        _converter(DEFAULT, INT16, calibrates=True),
    ),
    Route(KERAS, '"int8"', 8, _keras("int8")),
    Route(
        KERAS,
        "int8, weights only",
        8,
        _keras("int8", "Int8QuantizationConfig", activation_quantizer=None),
    ),
    Route(KERAS, '"int4", blocks of 128', 4, _keras("int4")),
    Route(
        KERAS,
        "int4, blocks, weights only",
        4,
        _keras("int4", "Int4QuantizationConfig", activation_quantizer=None),
    ),
    Route(
        KERAS,
        "int4, per channel, weights only",
        4,
        _keras(
            "int4",
            "Int4QuantizationConfig",
            activation_quantizer=None,
            block_size=None,
        ),
    ),
    Route(KERAS, '"float8"', 8, _keras("float8")),
    Route(AEQ, "dynamic_wi8", 8, _quantizer("dynamic_wi8_afp32")),
    Route(AEQ, "weight_only_wi8", 8, _quantizer("weight_only_wi8_afp32")),
    Route(AEQ, "static_wi8_ai8", 8, _quantizer("static_wi8_ai8", True)),
    Route(AEQ, "static_wi8_ai16", 8, _quantizer("static_wi8_ai16", True)),
    Route(AEQ, "dynamic_wi4", 4, _quantizer("dynamic_wi4_afp32")),
    Route(AEQ, "weight_only_wi4", 4, _quantizer("weight_only_wi4_afp32")),
    Route(AEQ, "dynamic_wi4b32", 4, _quantizer("dynamic_wi4b32_afp32")),
    Route(AEQ, "dynamic_wi4c_hr", 4, _quantizer("dynamic_wi4c_hr_afp32")),
    Route(AEQ, "dynamic_wi2c", 2, _quantizer("dynamic_wi2c_afp32")),
)
