"""Finds the layers that tfmot does not quantize, before any training."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from keras_netopt.tf_keras_bridge.obstacle import Obstacle
from keras_netopt.tf_keras_bridge.quantize_scheme import DEPTHWISE, POINTWISE

LEAVE = (
    "Pass `skip_unsupported=True`, which computes it in float, or train with "
    "`callbacks.Quantization`"
)
BEFORE = "Build the model with the activation after the normalization"
APART = "Build the activation as a layer of its own"


def find_refusals(twin: Any, scheme: Any) -> list[Obstacle]:
    """Lists the layers of a model that tfmot does not quantize.

    The list comes from the registry and the graph transformations of tfmot
    itself. Which `BatchNormalization` it takes depends on the layers before,
    so that a layer that is left out may take others with it; all are listed.

    Args:
        twin: A Functional model of tf_keras. It is not modified.
        scheme: Of `make_scheme`.
    """
    found: dict[str, Obstacle] = {}
    while True:
        new = {
            one.layer: one
            for one in _find(twin, scheme, skipped=set(found))
            if one.layer not in found
        }
        if not new:
            break
        found |= new
    order = [layer.name for layer in twin.layers]
    return sorted(found.values(), key=lambda one: order.index(one.layer))


def _find(twin: Any, scheme: Any, skipped: set[str]) -> Iterator[Obstacle]:
    import tf_keras

    layers = [layer for layer in twin.layers if layer.name not in skipped]
    layers = [
        layer
        for layer in layers
        if not isinstance(layer, tf_keras.layers.InputLayer)
    ]
    early = [one for one in map(_check_early, layers) if one is not None]
    if early:
        yield from early
        return
    copy = tf_keras.models.clone_model(twin)
    inputs = {
        layer.name
        for layer in twin.layers
        if isinstance(layer, tf_keras.layers.InputLayer)
    }
    names = {layer.name for layer in layers} | inputs
    marks = {name: {"quantize_config": None} for name in names}
    changed, marks = scheme.get_layout_transformer().apply(copy, marks)
    registry = scheme.get_quantize_registry()
    own = {layer.name for layer in twin.layers}
    for layer in changed.layers:
        if layer.name in names - inputs or layer.name not in own | inputs:
            for one in _check(layer, marks.get(layer.name, {}), registry):
                yield replace(one, layer=_find_owner(one.layer, own))


def _find_owner(name: str, own: set[str]) -> str:
    """Returns the layer of which tfmot made one or two."""
    stems = (name.removesuffix(part) for part in (DEPTHWISE, POINTWISE))
    return next((stem for stem in stems if stem in own), name)


def _check_early(layer: Any) -> Obstacle | None:
    """Refuses layers on which tfmot's transformations end in an error."""
    import tf_keras

    kind = type(layer).__name__
    if isinstance(layer, tf_keras.Model):
        return Obstacle(layer.name, "tfmot takes no nested model", LEAVE)
    if kind in ("SeparableConv1D", "Lambda"):
        return Obstacle(layer.name, f"tfmot cannot transform {kind}", LEAVE)
    return None


def _check(layer: Any, mark: Any, registry: Any) -> Iterator[Obstacle]:
    kind = type(layer).__name__
    if kind in ("InputLayer", "QuantizeLayer"):
        return
    config = mark.get("quantize_config")
    if config is None and not registry.supports(layer):
        named = f"the op {layer.op}" if kind == "TFOperation" else kind
        reason = f"tfmot does not quantize {named}"
        remedy = LEAVE
        if kind == "BatchNormalization":
            reason += (
                " here: it must follow a convolution or dense layer without "
                "activation directly, as its only consumer"
            )
            remedy = f"{BEFORE}. {LEAVE}"
        yield Obstacle(layer.name, reason, remedy)
        return
    if config is None:
        config = registry.get_quantize_config(layer)
    if reason := _explain_activation(layer, config):
        remedy = LEAVE if kind == "Activation" else f"{APART}. {LEAVE}"
        yield Obstacle(layer.name, reason, remedy)


def _explain_activation(layer: Any, config: Any) -> str:
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_aware_activation import (  # noqa: E501
        QuantizeAwareActivation,
    )

    class NoQuantizer:
        """Stands for a quantizer without variables."""

        build: Callable[..., Any] = staticmethod(lambda *_: {})

    try:
        for activation, _ in config.get_activations_and_quantizers(layer):
            QuantizeAwareActivation(activation, NoQuantizer(), None, None)
        config.get_output_quantizers(layer)
    except (ValueError, RuntimeError):
        name = getattr(layer.activation, "__name__", str(layer.activation))
        return f"tfmot does not quantize the activation {name!r}"
    return ""
