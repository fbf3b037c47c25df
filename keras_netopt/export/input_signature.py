"""The argument `input_signature` in the structure of a model's inputs."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.export.model_inputs import ModelInputs, fits


def match_signature(inputs: ModelInputs, given: Any) -> list[Any]:
    """Returns one structure of specs per positional argument of the model.

    `given` is in this structure, a flat list in the order of the inputs, a
    flat list whose specs have the names of the inputs, a dict by these names,
    or one spec.

    Raises:
        ValueError: If it holds no specs, another number of inputs, or sizes
            that the model does not accept.
    """
    leaves = keras.tree.flatten(given)
    for leaf in leaves:
        if getattr(leaf, "shape", None) is None:
            raise ValueError(
                "Argument `input_signature` must hold `keras.InputSpec`s with "
                f"a shape. Received: input_signature={given!r}"
            )
    count = len(inputs.names)
    if len(leaves) != count:
        raise ValueError(
            f"Argument `input_signature` must hold {count} inputs. "
            f"Received: input_signature={given!r}"
        )
    flat = _by_name(inputs, leaves) or _by_structure(inputs, given)
    if flat is None:
        raise ValueError(
            "Argument `input_signature` must be a dict by the inputs "
            f"{list(inputs.input_names)}, or hold specs with these names. "
            f"Received: input_signature={given!r}"
        )
    _check_shapes(inputs, flat)
    packed: list[Any] = keras.tree.pack_sequence_as(inputs.structure, flat)
    return packed


def _by_name(inputs: ModelInputs, leaves: list[Any]) -> list[Any] | None:
    names = [getattr(leaf, "name", None) for leaf in leaves]
    for known in (inputs.input_names, inputs.names):
        if set(names) == set(known) and len(set(known)) == len(leaves) > 1:
            return [leaves[names.index(name)] for name in known]
    return None


def _by_structure(inputs: ModelInputs, given: Any) -> list[Any] | None:
    alone = [given[0]] if _is_sequence(given) and len(given) == 1 else []
    for structure in (*alone, given):
        ways = inputs.find_values(structure)
        found = [way for way in ways if not any(map(_is_nested, way))]
        if found:
            return list(found[0])
    return None


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping))


def _check_shapes(inputs: ModelInputs, specs: list[Any]) -> None:
    shapes = [tuple(spec.shape) for spec in specs]
    for name, shape, wanted in zip(
        inputs.input_names, shapes, inputs.shapes, strict=True
    ):
        if not fits(shape, wanted):
            raise ValueError(
                f"Argument `input_signature` must have shape {wanted} for "
                f"input {name!r}. Received: shape {shape}"
            )
    if len({shape[:1] for shape in shapes}) > 1:
        raise ValueError(
            "Argument `input_signature` must have one batch size for all "
            f"inputs. Received: shapes {shapes}"
        )
