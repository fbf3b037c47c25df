"""Builds a layer and what its call builds."""

from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers


def build_layer(layer: Any, build_config: dict[str, Any] | None) -> None:
    """Creates all weights of a layer that was made from its config.

    `build_config` is the result of `get_build_config`. The layers inside a
    layer that its `build` does not build are built by its first call, which
    is made on symbolic tensors here.
    """
    if not build_config:
        return
    if not layer.built:
        if type(layer).build is keras.Layer.build:
            _call(layer, build_config)
        layer.build_from_config(build_config)
        layer.built = True
    if all(one.built for one in walk_layers(layer)):
        return
    # A layer that no call uses stays unbuilt. The code of a user may raise any
    # error; a layer that lacks the weights of an edit is refused later.
    try:
        _call(layer, build_config)
    except Exception:
        return


def _call(layer: Any, build_config: dict[str, Any]) -> None:
    shapes = build_config.get("shapes_dict") or build_config
    tensors = {
        name.removesuffix("_shape"): keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, layer.input_dtype), shape
        )
        for name, shape in shapes.items()
        if shape is not None
    }
    if set(tensors) == {"input"}:
        keras.Operation.compute_output_spec(layer, tensors["input"])
    elif tensors:
        keras.Operation.compute_output_spec(layer, **tensors)
