"""One row per setting of a public layer; `test_layers` reads it.

A new layer needs a row here and in `keras_netopt.registry`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers as core

from keras_netopt import layers, registry

Arguments = Mapping[str, Any]
SHAPE = (6, 4)
NOT_A_LAYER: Any = "block"


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerSetting:
    """How one layer is tested, in the middle of a small model.

    Args:
        name: Name of the setting in test ids.
        component: The registry row, as in "layers.StochasticDepth".
        arguments: Makes the constructor's arguments, with new blocks.
        effect: `(layer, inputs) -> bool`: whether the layer of a trained
            model has its documented effect.
        neutral: Arguments with which the layer computes `plain`.
        plain: The equivalent computation without the layer, from its inputs
            and the neutral arguments.
        bad: One invalid value per argument.
        ops: LiteRT operations by which an exported file saves time.
        warns_at_export: Whether an export warns that no time is saved.
        differs_compiled_by_torch: Whether training with `jit_compile=True`
            on torch gives other weights, as the layer's page says.
        is_searchable: Whether the layer has an open decision, with which an
            export is refused.
        place: Makes of the layer what stands in the middle of the model.
            Defaults to the layer itself.
    """

    name: str
    component: str
    arguments: Callable[[], Arguments]
    effect: Callable[[Any, np.ndarray], bool]
    neutral: Callable[[], Arguments]
    plain: Callable[[Any, Arguments], Any]
    bad: Mapping[str, Any] = field(default_factory=dict)
    ops: tuple[str, ...] = ()
    warns_at_export: bool = False
    differs_compiled_by_torch: bool = False
    is_searchable: bool = False
    place: Callable[[Any], Any] = field(default=lambda layer: layer)

    def __str__(self) -> str:
        return self.name

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.component)
        assert found is not None
        return found

    @property
    def kind(self) -> Any:
        return getattr(layers, self.row.short_name)

    def build(self, **changed: Any) -> Any:
        return self.kind(**{**self.arguments(), **changed})


def block(width: int = 4) -> keras.layers.Layer:
    """A small block with fast moving statistics and no dropout."""
    return keras.Sequential(
        [
            core.Dense(8, activation="relu"),
            core.BatchNormalization(momentum=0.9),
            core.Dense(width),
        ]
    )


def drops_samples(layer: Any, x: np.ndarray) -> bool:
    """Some samples are unchanged in training, none at inference."""
    dropped = _unchanged(layer(x, training=True), x).mean()
    return 0.0 < dropped < 1.0 and not _unchanged(layer(x), x).any()


def drops_steps(layer: Any, x: np.ndarray) -> bool:
    steps = [_unchanged(layer(x, training=True), x).mean() for _ in range(12)]
    return set(steps) == {0.0, 1.0} and not _unchanged(layer(x), x).any()


def _unchanged(outputs: Any, x: np.ndarray) -> np.ndarray:
    """Which samples the layer did not change."""
    outputs = keras.ops.convert_to_numpy(keras.ops.stop_gradient(outputs))
    return (np.asarray(outputs) == x).reshape(len(x), -1).all(axis=1)


def marks_an_exit(layer: Any, x: np.ndarray) -> bool:
    """Returns its inputs and holds the head, without weights."""
    outputs = layer(x, training=True)
    is_head = isinstance(layer.netopt_exit_head, core.Dense)
    return is_head and not layer.weights and bool(_unchanged(outputs, x).all())


def adds_other_channels(layer: Any, x: np.ndarray) -> bool:
    """Returns the first input if the scale of the second is zero."""
    is_adding = not _unchanged(layer([x, x]), x).any()
    before = [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
    for weight in layer.weights:
        if weight.name in ("alpha", "bias"):
            weight.assign(np.zeros(weight.shape))
    is_off = bool(_unchanged(layer([x, x]), x).all())
    layer.set_weights(before)
    return is_adding and is_off and layer.reduce.units == 3


def is_fixed(layer: Any, x: np.ndarray) -> bool:
    """Computes the same in training and holds no trainable weight."""
    layer.trainable = True
    outputs = [
        keras.ops.convert_to_numpy(layer(x, training=training)[0])
        for training in (True, False)
    ]
    return not layer.trainable_variables and np.array_equal(*outputs)


@keras.saving.register_keras_serializable("contract")
class Scale(core.Layer):
    """A learned factor."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(shape=(1,), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


def _column() -> Arguments:
    inputs = keras.Input(SHAPE)
    initializer = keras.initializers.GlorotUniform(seed=3)
    hidden = core.Dense(4, kernel_initializer=initializer)(inputs)
    hidden = core.BatchNormalization(momentum=0.9)(hidden)
    return {"column": keras.Model(inputs, [hidden])}


def _fixed(column: Any) -> Callable[[Any], Any]:
    _, dense, norm = column.layers
    dense.trainable = norm.trainable = False
    return lambda x: keras.ops.stop_gradient(norm(dense(x)))


def _stochastic(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {"block": block(), "rate": 0.5, "seed": 3, **changed}


def _stack(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {
        "blocks": [block(), block()],
        "rate": 0.7,
        "residual": True,
        "seed": 3,
        **changed,
    }


def _all_blocks(x: Any, given: Arguments) -> Any:
    for one in given["blocks"]:
        x = x + one(x)
    return x


@keras.saving.register_keras_serializable("contract")
class AlwaysOpen(keras.layers.Layer):
    """A gate that runs the block for every sample."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.ones_like(inputs[:, 0, :1])


def _gated(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {"block": block(), "cost_weight": 5.0, **changed}


def gates_samples(layer: Any, x: np.ndarray) -> bool:
    """g is 0 or 1: a sample is unchanged, or the whole block is added."""
    inputs = keras.ops.convert_to_tensor(x)
    outputs = layer(inputs)
    runs = ~_unchanged(outputs, x)
    found, whole = (
        keras.ops.convert_to_numpy(keras.ops.stop_gradient(one))
        for one in (outputs, inputs + layer.block(inputs))
    )
    return np.allclose(found[runs], whole[runs], atol=1e-5)


def _depths(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {"block": block(), "capacity": 0.5, **changed}


def changes_some_tokens(layer: Any, x: np.ndarray) -> bool:
    found = keras.ops.convert_to_numpy(keras.ops.stop_gradient(layer(x)))
    changed = (np.asarray(found) != x).any(axis=-1).sum(axis=1)
    if layer.causal:
        return bool((changed <= layer.top_k).all()) and changed.any()
    return bool((changed == layer.top_k).all()) and layer.top_k == 3


def _all_tokens(x: Any, given: Arguments) -> Any:
    scores = core.Dense(1, use_bias=False, name="scores")(x)
    return x + keras.ops.sigmoid(scores) * given["block"](x)


def _repeated(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {"cell": block(), "max_steps": 4, **changed}


def _once(x: Any, given: Arguments) -> Any:
    return given["cell"](x)


def _chosen(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {
        "candidates": [block(), core.Identity()],
        "sampling": "fair",
        "seed": 3,
        **changed,
    }


def chooses_per_step(layer: Any, x: np.ndarray) -> bool:
    """Two training calls use both candidates; inference the first."""
    steps = [_unchanged(layer(x, training=True), x).all() for _ in range(2)]
    return sorted(steps) == [False, True] and not _unchanged(layer(x), x).any()


def _alpha(layer: Any) -> np.ndarray:
    alpha = keras.ops.stop_gradient(layer.arch_alpha)
    return np.asarray(keras.ops.convert_to_numpy(alpha))


def mixes(layer: Any, x: np.ndarray) -> bool:
    outputs = layer(x)
    shares = keras.ops.softmax(layer.arch_alpha)
    one, other = (candidate(x) for candidate in layer.candidates)
    found, mixed = (
        keras.ops.convert_to_numpy(keras.ops.stop_gradient(value))
        for value in (outputs, shares[0] * one + shares[1] * other)
    )
    return np.allclose(found, mixed, atol=1e-5) and bool(
        np.ptp(_alpha(layer)) > 0
    )


def _shared(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {"options": 2, "sampling": "fair", "seed": 3, **changed}


def decides(layer: Any, x: np.ndarray) -> bool:
    """Two training calls take each option once; inference the first."""
    shares = [
        keras.ops.convert_to_numpy(keras.ops.stop_gradient(layer(x, **how)))
        for how in ({"training": True}, {"training": True}, {})
    ]
    return (shares[0] + shares[1]).tolist() == [1, 1] and shares[2][0] == 1


def _decided(layer: Any) -> Any:
    """A choice that gets its weights from the layer under test."""
    choice = layers.Choice([block(), core.Identity()])
    return lambda x: choice([x, layer(x)])


def _elastic_dense(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {
        "units": 4,
        "widths": (2, 4),
        "activation": "relu",
        "normalization": core.BatchNormalization(momentum=0.9),
        "sampling": "uniform",
        "seed": 3,
        **changed,
    }


def _elastic_conv(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {
        "filters": 3,
        "kernel_size": 3,
        "widths": (1, 3),
        "kernel_sizes": (1, 3),
        "normalization": core.BatchNormalization(momentum=0.9),
        "sampling": "fair",
        "seed": 3,
        **changed,
    }


def _on_images(layer: Any) -> Any:
    """The layer on the inputs as images of one channel."""
    image = core.Reshape((*SHAPE, 1))
    return lambda x: keras.ops.mean(layer(image(x)), axis=-1)


def masks_units(layer: Any, x: np.ndarray) -> bool:
    """Training uses all widths, inference the largest."""
    x = x[..., None] if layer.kernel.shape[-2] == 1 else x

    def width(**how: Any) -> int:
        outputs = keras.ops.stop_gradient(layer(x, **how))
        flat = np.array(keras.ops.convert_to_numpy(outputs))
        return int(flat.reshape(-1, layer.unit_count).any(axis=0).sum())

    seen = {width(training=True) for _ in range(12)}
    return seen == set(layer.widths) and width() == layer.unit_count


def _elastic_depth(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {
        "blocks": [block(), block()],
        "depths": (0, 2),
        "residual": True,
        "sampling": "uniform",
        "seed": 3,
        **changed,
    }


_BAD_UNITS = {
    "activation": "no such name",
    "use_bias": 1,
    "normalization": "batch",
    "kernel_initializer": "no such name",
    "width": 3,
    "sampling": "mixture",
    "seed": -1,
}
_BAD_STOCHASTIC = {
    "block": NOT_A_LAYER,
    "rate": 1.5,
    "mode": "step",
    "scale": "both",
    "residual": 1,
    "seed": -1,
}


@keras.saving.register_keras_serializable("contract")
class NormalizedByHand(keras.layers.Dense):
    """A dense layer with its kernel g v / ||v||."""

    def build(self, input_shape: Any) -> None:
        self.g = self.add_weight(name="g", shape=(self.units,))
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        w = self.g * keras.ops.normalize(self.kernel, axis=0)
        return keras.ops.matmul(inputs, w) + self.bias


def _normalized() -> Arguments:
    return {"layer": core.Dense(4)}


def computes_with_normalized_kernels(layer: Any, x: np.ndarray) -> bool:
    ((v, g, w),) = layer.normalized_kernels()
    plain = layer.layer(x)
    found, v, g, w, plain = (
        keras.ops.convert_to_numpy(keras.ops.stop_gradient(one))
        for one in (layer(x), v, g, w, plain)
    )
    lengths = np.linalg.norm(w, axis=0)
    expected = x @ w + (plain - x @ v)  # The bias is in the last.
    return (
        np.allclose(lengths, g, atol=1e-5)
        and np.allclose(found, expected, atol=1e-5)
        and not np.allclose(v, w, atol=1e-4)
    )


LAYERS = (
    LayerSetting(
        name="StochasticDepth",
        component="layers.StochasticDepth",
        arguments=_stochastic(mode="batch"),
        effect=drops_steps,
        neutral=_stochastic(mode="batch", rate=0.0),
        plain=lambda x, given: x + given["block"](x),
        bad=_BAD_STOCHASTIC,
    ),
    LayerSetting(
        name="StochasticDepth sample",
        component="layers.StochasticDepth",
        arguments=_stochastic(scale="inference"),
        effect=drops_samples,
        neutral=_stochastic(rate=0.0),
        plain=lambda x, given: x + given["block"](x),
    ),
    LayerSetting(
        name="EarlyExit",
        component="layers.EarlyExit",
        arguments=lambda: {"head": core.Dense(3)},
        effect=marks_an_exit,
        neutral=lambda: {"head": None},
        plain=lambda x, given: x,
        bad={"head": NOT_A_LAYER},
    ),
    LayerSetting(
        name="LayerDrop",
        component="layers.LayerDrop",
        arguments=_stack(),
        effect=drops_steps,
        neutral=_stack(rate=0.0),
        plain=_all_blocks,
        bad={
            "blocks": NOT_A_LAYER,
            "rate": -0.1,
            "residual": "yes",
            "seed": 0.5,
        },
    ),
    LayerSetting(
        name="SkipGate",
        component="layers.SkipGate",
        arguments=_gated(),
        effect=gates_samples,
        neutral=_gated(cost_weight=0.0, gate=AlwaysOpen()),
        plain=lambda x, given: x + given["block"](x),
        warns_at_export=True,
        bad={
            "block": NOT_A_LAYER,
            "gate": "best",
            "target_rate": 2,
            "cost_weight": -1.0,
            "inference": "skip",
            "residual": 0,
        },
    ),
    LayerSetting(
        name="SkipGate cond",
        component="layers.SkipGate",
        arguments=_gated(inference="cond"),
        effect=gates_samples,
        neutral=_gated(cost_weight=0.0, gate=AlwaysOpen(), inference="cond"),
        plain=lambda x, given: x + given["block"](x),
        ops=("IF",),
    ),
    LayerSetting(
        name="MixtureOfDepths",
        component="layers.MixtureOfDepths",
        arguments=_depths(),
        effect=changes_some_tokens,
        neutral=_depths(capacity=1.0),
        plain=_all_tokens,
        ops=("TOPK_V2",),
        bad={
            "block": NOT_A_LAYER,
            "capacity": 0.0,
            "router_activation": "softmax",
            "causal": "no",
            "aux_loss_weight": -0.1,
        },
    ),
    LayerSetting(
        name="MixtureOfDepths causal",
        component="layers.MixtureOfDepths",
        arguments=_depths(causal=True),
        effect=changes_some_tokens,
        neutral=_depths(capacity=1.0),
        plain=_all_tokens,
    ),
    LayerSetting(
        name="AdaptiveComputation",
        component="layers.AdaptiveComputation",
        arguments=_repeated(),
        effect=lambda layer, x: 1.0 < float(layer.mean_steps.numpy()) < 4.0,
        neutral=_repeated(max_steps=1, ponder_cost=0.0),
        plain=_once,
        ops=("WHILE",),
        bad={
            "cell": NOT_A_LAYER,
            "max_steps": 0,
            "mode": "think",
            "epsilon": 1.0,
            "ponder_cost": -1e-3,
            "prior": 0.2,
            "kl_weight": 0.01,
            "halt_at": 0.5,
            "seed": 1,
        },
    ),
    LayerSetting(
        name="AdaptiveComputation ponder",
        component="layers.AdaptiveComputation",
        arguments=_repeated(mode="ponder", halt_at=0.5, seed=3),
        effect=lambda layer, x: 1.0 < float(layer.mean_steps.numpy()) < 4.0,
        neutral=_repeated(max_steps=1, mode="ponder", kl_weight=0.0),
        plain=_once,
    ),
)
LAYERS += (
    LayerSetting(
        name="Choice",
        component="layers.Choice",
        arguments=_chosen(),
        effect=chooses_per_step,
        neutral=_chosen(sampling="fixed"),
        plain=lambda x, given: given["candidates"][0](x),
        differs_compiled_by_torch=True,
        is_searchable=True,
        bad={
            "candidates": [NOT_A_LAYER] * 2,
            "sampling": "best",
            "temperature": 0.0,
            "seed": -1,
        },
    ),
    LayerSetting(
        name="Choice mixture",
        component="layers.Choice",
        arguments=_chosen(sampling=None),
        effect=mixes,
        neutral=_chosen(sampling="fixed"),
        plain=lambda x, given: given["candidates"][0](x),
        is_searchable=True,
    ),
    LayerSetting(
        name="ElasticDense",
        component="layers.ElasticDense",
        arguments=_elastic_dense(),
        effect=masks_units,
        neutral=lambda: {"units": 4, "widths": (2, 4)},
        plain=lambda x, given: core.Dense(4)(x),
        is_searchable=True,
        bad={"units": 0, "widths": (4, 2), **_BAD_UNITS},
    ),
    LayerSetting(
        name="ElasticConv2D",
        component="layers.ElasticConv2D",
        arguments=_elastic_conv(),
        effect=masks_units,
        neutral=lambda: {"filters": 3, "kernel_size": 3, "widths": (1, 3)},
        plain=lambda x, given: _on_images(core.Conv2D(3, 3, padding="same"))(x),
        is_searchable=True,
        place=_on_images,
        bad={
            "filters": 0,
            "kernel_size": 3.5,
            "widths": (1, 2),
            "kernel_sizes": (2, 3),
            "strides": 0,
            **_BAD_UNITS,
        },
    ),
    LayerSetting(
        name="ElasticDepth",
        component="layers.ElasticDepth",
        arguments=_elastic_depth(),
        effect=drops_steps,
        neutral=_elastic_depth(sampling=None),
        plain=_all_blocks,
        is_searchable=True,
        bad={
            "blocks": NOT_A_LAYER,
            "depths": (1,),
            "residual": "yes",
            "sampling": "mixture",
            "seed": 0.5,
        },
    ),
    LayerSetting(
        name="ArchitectureWeights",
        component="layers.ArchitectureWeights",
        arguments=_shared(),
        effect=decides,
        neutral=_shared(sampling="fixed"),
        plain=lambda x, given: block()(x),
        differs_compiled_by_torch=True,
        is_searchable=True,
        place=_decided,
        bad={
            "options": 1,
            "sampling": "best",
            "temperature": -1.0,
            "seed": 0.5,
        },
    ),
    LayerSetting(
        name="LateralConnection",
        component="layers.LateralConnection",
        arguments=lambda: {"adapter_width": 3},
        effect=adds_other_channels,
        neutral=lambda: {"adapter": "linear", "alpha_init": 1.0},
        plain=lambda x, given: x + core.Dense(4)(Scale()(x)),
        place=lambda layer: lambda x: layer([x, x]),
        bad={
            "adapter": "deep",
            "adapter_width": 0,
            "alpha_init": "small",
            "activation": "unknown",
            "data_format": "channels",
        },
    ),
    LayerSetting(
        name="FrozenColumn",
        component="layers.FrozenColumn",
        arguments=_column,
        effect=is_fixed,
        neutral=_column,
        plain=lambda x, given: x + _fixed(given["column"])(x),
        place=lambda layer: lambda x: x + layer(x)[0],
        bad={"column": NOT_A_LAYER},
    ),
)
LAYERS += (
    LayerSetting(
        name="WeightNormalization",
        component="layers.WeightNormalization",
        arguments=_normalized,
        effect=computes_with_normalized_kernels,
        neutral=_normalized,
        plain=lambda x, given: NormalizedByHand(4)(x),
        bad={"layer": NOT_A_LAYER},
    ),
)
BY_COMPONENT = {setting.component: setting for setting in reversed(LAYERS)}
