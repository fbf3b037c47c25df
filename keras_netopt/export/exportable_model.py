"""Checks and prepares a model before its conversion."""

import inspect
import os
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.export.export_error import ExportError
from keras_netopt.export.float32_clone import find_half_layers, float32_clone
from keras_netopt.export.input_signature import match_signature
from keras_netopt.export.model_inputs import ModelInputs, make_valid_names
from keras_netopt.export.trained_ranges import copy_ranges
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.symbolic import input_specs


@dataclass(frozen=True)
class ExportableModel:
    """A model that LiteRT can convert, with the signature of its inputs.

    Args:
        model: The model itself, or its float32 clone.
        signature: One structure of `keras.InputSpec` per positional
            argument.
        inputs: The names and the structure of the inputs.
        notes: Changes made for the export, such as a fixed batch size.
        warnings: Limits of the exported file.
    """

    model: keras.Model
    signature: list[Any]
    inputs: ModelInputs
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the flat inputs in the file."""
        return self.inputs.names

    @property
    def specs(self) -> dict[str, keras.InputSpec]:
        """The spec of each input by name."""
        flat = keras.tree.flatten(self.signature)
        return dict(zip(self.names, flat, strict=True))

    @property
    def batch(self) -> int | None:
        """The fixed batch size, or `None`."""
        shape = keras.tree.flatten(self.signature)[0].shape
        return shape[0] if shape else None


def check_path(path: Any) -> str:
    """Returns a path as a string, which must end in `.tflite`."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "Argument `path` must be a string or a path. "
            f"Received: path={path!r}"
        )
    text = os.fspath(path)
    if not text.endswith(".tflite"):
        raise ValueError(
            f"Argument `path` must end in '.tflite'. Received: path={text!r}"
        )
    return text


def prepare_model(
    model: keras.Model,
    *,
    input_signature: Any = None,
    fixed_for: str = "",
) -> ExportableModel:
    """Determines the model to export and its input shapes.

    `input_signature` is in a form of `match_signature`, batch axis included;
    `None` stands for the model's own inputs, with batch 1 for a model with
    recurrent layers. With `fixed_for`, the argument that requires fixed axes
    as in "target='web'", a free batch is 1 and other free axes are refused.
    A model that is unbuilt, has open decisions of an architecture search, or
    has recurrent layers over a time axis of unknown length, is refused.
    """
    specs: Any = input_specs(model)
    layers = list(walk_layers(model))
    _check_decisions(model, layers)
    specs = _per_argument(model, specs, input_signature)
    inputs = ModelInputs(specs, *_names(model, specs))
    notes: list[str] = []
    if find_half_layers(model):
        half, model = model, float32_clone(model)
        copy_ranges(half, model)
        notes.append("half precision: exported from a float32 clone")
    if input_signature is not None:
        specs = match_signature(inputs, input_signature)
    elif any(_steps_through_time(layer) for layer in layers):
        recurrent = [one.name for one in layers if _steps_through_time(one)]
        specs = _fix_axes(
            specs, f"the recurrent layers {recurrent} require a time axis"
        )
        if keras.tree.flatten(input_specs(model))[0].shape[0] is None:
            notes.append("recurrent layers: exported with a fixed batch of 1")
    if fixed_for and None in _axes(specs):
        specs = _fix_axes(specs, f"{fixed_for} requires axes")
        notes.append(f"{fixed_for}: exported with a fixed batch of 1")
    flat = [
        _input_spec(spec, own.dtype, name)
        for spec, own, name in zip(
            keras.tree.flatten(specs),
            keras.tree.flatten(inputs.structure),
            inputs.names,
            strict=True,
        )
    ]
    return ExportableModel(
        model,
        keras.tree.pack_sequence_as(inputs.structure, flat),
        inputs,
        tuple(notes),
        _layer_warnings(layers),
    )


def _check_decisions(model: keras.Model, layers: list[Any]) -> None:
    """Refuses a model that holds all networks of a search."""
    names = [
        layer.name
        for layer in layers
        if getattr(layer, "netopt_is_searchable", False)
    ]
    if names:
        raise ExportError(
            "Argument `model` must have no open decisions, as in the layers "
            f"{names}. Export `netopt.search.extract(model)`. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )


def _layer_warnings(layers: list[keras.layers.Layer]) -> tuple[str, ...]:
    """Names layers whose compute saving is lost in the file, by remedy."""
    remedies: dict[str, list[str]] = {}
    for layer in layers:
        if remedy := getattr(layer, "netopt_export_warning", None):
            remedies.setdefault(remedy, []).append(layer.name)
    return tuple(
        f"layers {names} save no compute in this file: {remedy}"
        for remedy, names in remedies.items()
    )


def _per_argument(
    model: keras.Model, specs: list[Any], input_signature: Any
) -> list[Any]:
    """Returns one structure per positional argument that `call` requires.

    Keras records the shapes of the first alone.
    """
    if is_graph_model(model):
        return specs
    required = [
        parameter.name
        for parameter in inspect.signature(model.call).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if len(required) < 2:
        return specs
    given = input_signature
    if not isinstance(given, (list, tuple)) or len(given) != len(required):
        raise ValueError(
            "Argument `input_signature` must hold one structure of "
            f"`keras.InputSpec` for each argument of `call`: {required}. "
            f"Received: input_signature={given!r}"
        )
    return list(given)


def _input_spec(spec: Any, dtype: Any, name: str) -> keras.InputSpec:
    dtype = keras.backend.standardize_dtype(spec.dtype or dtype or "float32")
    if dtype in ("float16", "bfloat16"):
        dtype = "float32"
    if dtype == "string":
        raise ValueError(
            "Argument `model` must take numbers. "
            f"Received: input {name!r} of dtype string. Convert text to "
            "numbers outside the exported model."
        )
    return keras.InputSpec(shape=tuple(spec.shape), dtype=dtype, name=name)


def _steps_through_time(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.RNN) and not layer.unroll


def _fix_axes(specs: Any, reason: str) -> Any:
    """Replaces a free batch by 1; refuses other free axes with the reason."""

    def fix(spec: Any) -> keras.KerasTensor:
        batch, *rest = spec.shape
        if None in rest:
            raise ValueError(
                f"Argument `input_signature` must be given: {reason} of known "
                f"length. Received: an input of shape {tuple(spec.shape)}. "
                "Pass e.g. "
                "`input_signature=[keras.InputSpec(shape=(1, 20, 8))]`."
            )
        return keras.KerasTensor((batch or 1, *rest), dtype=spec.dtype)

    return keras.tree.map_structure(fix, specs)


def _axes(specs: Any) -> list[int | None]:
    return [axis for spec in keras.tree.flatten(specs) for axis in spec.shape]


def _names(
    model: keras.Model, specs: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Input names in the model, and the names that TensorFlow accepts."""
    count = len(keras.tree.flatten(specs))
    raw: list[str] = []
    if is_graph_model(model):
        raw = [spec.name for spec in keras.tree.flatten(specs)]
    elif len(specs) > 1:
        parameters = list(inspect.signature(model.call).parameters)
        for parameter, part in zip(parameters, specs, strict=False):
            raw += [parameter] * len(keras.tree.flatten(part))
    elif isinstance(specs[0], dict):
        paths = keras.tree.flatten_with_path(specs[0])
        raw = ["_".join(map(str, path)) for path, _ in paths]
    else:
        raw = ["inputs"] * count
    return tuple(raw), make_valid_names(raw)
