"""The candidate layers of a choice: checked and built."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.graph.output_spec import traced_spec

# The option that cuts an edge: never chosen by its weight.
NONE = "none"


def check_candidates(candidates: Any) -> list[keras.Layer]:
    """Returns the candidates as a list, or refuses them."""
    layers = list(candidates) if isinstance(candidates, list | tuple) else None
    if layers is None or not all(isinstance(x, keras.Layer) for x in layers):
        raise TypeError(
            "Argument `candidates` must be a list of Keras layers. "
            f"Received: candidates={candidates!r}"
        )
    names = [layer.name for layer in layers]
    problem = None
    if len(layers) < 2:
        problem = "at least two layers"
    elif len(set(map(id, layers))) < len(layers):
        problem = "different layers, each of them once"
    elif len(set(names)) < len(names):
        problem = "layers with different names: give them a `name`"
    elif all(map(is_zero, layers)):
        problem = "a layer other than `Rescaling(0.0)`"
    if problem is not None:
        raise ValueError(
            f"Argument `candidates` must hold {problem}. "
            f"Received: candidates={names}"
        )
    return layers


def is_zero(layer: Any) -> bool:
    """Whether a layer is `Rescaling(0.0)`, which cuts the edge."""
    return isinstance(layer, keras.layers.Rescaling) and (
        layer.scale == 0 and layer.offset == 0
    )


def option_labels(candidates: Sequence[keras.Layer]) -> tuple[str, ...]:
    """Returns the names of the layers, "none" for one that cuts the edge."""
    return tuple(NONE if is_zero(layer) else layer.name for layer in candidates)


def build_candidates(
    candidates: Sequence[keras.Layer], shape: Any, dtype: str
) -> None:
    """Builds the candidates for one input, and compares their outputs.

    Raises:
        ValueError: If a candidate does not take the input, or if outputs
            differ in shape or dtype.
    """
    if not _is_shape(shape):
        raise ValueError(
            "The inputs of a choice must be one tensor, or a list of a tensor "
            "and the output of `ArchitectureWeights`. "
            f"Received: input_shape={shape!r}"
        )
    inputs = keras.KerasTensor(tuple(shape), dtype=dtype)
    found: dict[str, tuple[Any, str]] = {}
    for layer in candidates:
        outputs = _build(layer, inputs)
        if not isinstance(outputs, keras.KerasTensor):
            raise ValueError(
                "Argument `candidates` must hold layers with one output. "
                f"Received: candidates with {layer.name!r}, whose outputs are "
                f"{outputs!r}"
            )
        dtype = outputs.dtype
        if keras.backend.backend() == "torch":
            # There a trace loses half precision.
            dtype = layer.compute_output_spec(inputs).dtype
        found[layer.name] = (tuple(outputs.shape), dtype)
    for at, what in enumerate(("shape", "dtype")):
        if len({spec[at] for spec in found.values()}) > 1:
            listed = {name: spec[at] for name, spec in found.items()}
            raise ValueError(
                "Argument `candidates` must hold layers whose outputs have "
                f"the same {what}. Received: candidates with the output "
                f"{what}s {listed} for inputs of shape {tuple(shape)}"
            )


def _build(layer: Any, inputs: keras.KerasTensor) -> Any:
    # The code of a layer may raise any error on an input that does not fit.
    try:
        if not layer.built:
            if type(layer).build is keras.Layer.build:
                layer.compute_output_spec(inputs)  # Builds the layers inside.
            if not layer.built:
                layer.build(inputs.shape)
        return traced_spec(layer, inputs)
    except Exception as error:
        raise ValueError(
            "Argument `candidates` must hold layers that take the inputs of "
            f"the choice, but: {error} Received: candidates with "
            f"{layer.name!r} and inputs of shape {tuple(inputs.shape)}"
        ) from error


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list | tuple) and all(
        axis is None or isinstance(axis, int) for axis in shape
    )
