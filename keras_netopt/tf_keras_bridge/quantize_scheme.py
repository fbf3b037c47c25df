"""The 8-bit scheme of tfmot, mended where it loses weights silently."""

from typing import Any

DEPTHWISE, POINTWISE = "_depthwise", "_pointwise"


def make_scheme(preserve: str | None) -> Any:
    """Returns a scheme for `tfmot.quantization.keras.quantize_apply`.

    It is tfmot's default scheme of 8 bits, or the one that keeps zeros or
    clusters, with these differences:

    1. A convolution or dense layer followed by a ReLU layer without
       `BatchNormalization` between them trains on rounded weights; tfmot
       leaves its weights unquantized in training, and so keeps neither its
       zeros nor its clusters.
    2. Zeros of depthwise kernels are kept.
    3. Each layer has a quantizer of its own: in tfmot one layer without zeros
       ends the protection of the zeros of all others.
    4. The two parts of a `SeparableConv2D` are named after it.
    5. Layers that cannot keep anything, such as `Conv2DTranspose`, are
       quantized instead of refused.

    Args:
        preserve: `None`, `"sparsity"`, `"clusters"` or `"both"`.
    """
    from tensorflow_model_optimization.quantization.keras import (
        QuantizeScheme,
    )

    layout, registry = _make_layout(), _make_registry(preserve)

    class BridgeScheme(QuantizeScheme):
        """The scheme of the bridge."""

        def get_layout_transformer(self) -> Any:
            return layout

        def get_quantize_registry(self) -> Any:
            return registry

    return BridgeScheme()


def _make_registry(preserve: str | None) -> Any:
    from tensorflow_model_optimization.quantization.keras import (
        QuantizeRegistry,
        default_8bit,
    )

    class BridgeRegistry(QuantizeRegistry):
        """The quantizers of each layer."""

        def supports(self, layer: Any) -> bool:
            default = default_8bit.Default8BitQuantizeRegistry()
            return bool(default.supports(layer))

        def get_quantize_config(self, layer: Any) -> Any:
            # New objects, which no layer shares with another one.
            default = default_8bit.Default8BitQuantizeRegistry()
            config = default.get_quantize_config(layer)
            if preserve is None or not layer.trainable_weights:
                return config
            if type(layer).__name__ == "DepthwiseConv2D":
                if preserve != "clusters":
                    config.weight_quantizer = _make_zero_keeper()
                return config
            keeper = _make_keeper(preserve)
            if keeper.supports(layer):
                return keeper.get_quantize_config(layer)
            return config

    return BridgeRegistry()


def _make_keeper(preserve: str) -> Any:
    from tensorflow_model_optimization.python.core.api.experimental import (
        combine,
    )

    if preserve == "sparsity":
        scheme = combine.Default8BitPrunePreserveQuantizeScheme()
    else:
        scheme = combine.Default8BitClusterPreserveQuantizeScheme(
            preserve_sparsity=preserve == "both"
        )
    return scheme.get_quantize_registry()


def _make_zero_keeper() -> Any:
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
        prune_preserve_quantize_registry as registry,
    )

    return registry.PrunePreserveDefault8BitConvWeightsQuantizer()


def _make_layout() -> Any:
    from tensorflow_model_optimization.quantization.keras import (
        QuantizeLayoutTransform,
        default_8bit,
        graph_transformations,
    )

    split: Any = default_8bit.default_8bit_transforms.SeparableConvQuantize
    transformer = graph_transformations.model_transformer.ModelTransformer

    class NamedSplit(split):
        """Splits a separable convolution into two layers with its name."""

        def replacement(self, match_layer: Any) -> Any:
            name = match_layer.layer["config"]["name"]
            pointwise = super().replacement(match_layer)
            (depthwise,) = pointwise.input_layers or (None,)
            if depthwise is None:
                return pointwise
            for node, suffix in (
                (depthwise, DEPTHWISE),
                (pointwise, POINTWISE),
            ):
                node.layer["config"]["name"] = name + suffix
                node.layer["name"] = name + suffix
            return pointwise

    class BridgeLayout(QuantizeLayoutTransform):
        """The places of the quantizers."""

        def apply(self, model: Any, layer_quantize_map: Any) -> Any:
            model, found = transformer(
                model,
                [NamedSplit()],
                set(layer_quantize_map),
                layer_quantize_map,
            ).transform()
            model, found = (
                default_8bit.Default8BitQuantizeLayoutTransform().apply(
                    model, found
                )
            )
            _quantize_before_relu(model, found)
            return model, found

    return BridgeLayout()


def _quantize_before_relu(model: Any, found: Any) -> None:
    """Gives layers before a ReLU layer the quantizer of their weights."""
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_aware_activation import (  # noqa: E501
        NoOpActivation,
    )

    for layer in model.layers:
        config = found.get(layer.name, {}).get("quantize_config")
        kind = type(config).__name__
        if kind == "NoOpQuantizeConfig" and hasattr(layer, "activation"):
            if type(layer).__name__ == "Activation":
                continue
            found[layer.name]["quantize_config"] = None
            if getattr(layer.activation, "__name__", "") == "linear":
                layer.activation = NoOpActivation()
