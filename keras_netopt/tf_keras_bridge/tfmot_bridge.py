"""A Keras 3 model beside its twin in tf_keras."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.export.float32_clone import find_half_layers, float32_clone
from keras_netopt.graph.check_model import check_model
from keras_netopt.tf_keras_bridge.bridge_report import BridgeReport
from keras_netopt.tf_keras_bridge.clone_source import (
    clone_source,
    pair_variables,
)
from keras_netopt.tf_keras_bridge.compare_layers import check_layers
from keras_netopt.tf_keras_bridge.compare_models import check_equal
from keras_netopt.tf_keras_bridge.find_obstacles import (
    check_obstacles,
    check_twins,
    find_model_obstacles,
)
from keras_netopt.tf_keras_bridge.flat_call import flatten_model
from keras_netopt.tf_keras_bridge.import_tf_keras import import_tf_keras
from keras_netopt.tf_keras_bridge.probe_inputs import make_probes
from keras_netopt.tf_keras_bridge.read_back import is_quantized, read_weights
from keras_netopt.tf_keras_bridge.twin_builder import Twin, TwinBuilder

if TYPE_CHECKING:
    from keras_netopt.tf_keras_bridge.clustered_twin import ClusteredTwin
    from keras_netopt.tf_keras_bridge.quantized_twin import QuantizedTwin

HALF = "half precision: crossed from a float32 clone"


class TfmotBridge:
    """A Keras model and its twin in tf_keras, for tfmot.

    `export.tfmot` makes one. The source is not modified.

    Args:
        source: A built Functional or Sequential model.
        twins: As in `export.tfmot`. Defaults to `None`.
        split_activations: As in `export.tfmot`. Defaults to `False`.

    Attributes:
        source: The Keras model.
        model: The twin, a Functional model of tf_keras.
        report: A `BridgeReport`.
    """

    def __init__(
        self,
        source: keras.Model,
        *,
        twins: Mapping[Any, Any] | None = None,
        split_activations: bool = False,
    ) -> None:
        check_model(source)
        import_tf_keras()
        self.source = source
        self._twins = check_twins(twins)
        self._split_activations = check_bool(
            split_activations, "split_activations"
        )
        check_obstacles(find_model_obstacles(source), source)
        twin, difference = self._cross()
        self.model = twin.model
        rewrites = twin.crossing.rewrites
        if twin.origin is not source:
            rewrites = [HALF, *rewrites]
        self.report = BridgeReport(
            layers=tuple(one.name for one in twin.model.layers),
            weights=len(twin.links),
            dropped={k: tuple(v) for k, v in twin.crossing.dropped.items()},
            rewrites=tuple(rewrites),
            max_difference=difference,
        )

    def new_twin(self) -> Any:
        """Returns a new model of tf_keras with the source's weights of now.

        Raises:
            BridgeError: If the source has changed and does not cross.
        """
        return self._cross()[0].model

    def to_keras(
        self, tf_keras_model: Any = None, *, into: keras.Model | None = None
    ) -> keras.Model:
        """Returns the source with the weights of a model of tf_keras.

        Layers are matched by name, also inside the wrappers of tfmot
        (`quant_`, `prune_low_magnitude_`, `cluster_`), and weights by name
        and shape. Weights that do not cross, such as the statistics of
        `Normalization`, are those of the source.

        Args:
            tf_keras_model: The twin, or a model that tfmot made of it.
                Defaults to `None`: `self.model`.
            into: The model to write the weights into: the source itself or
                a clone of it. Defaults to `None`: a new clone of the source,
                not compiled.

        Returns:
            The clone, or `into`.

        Raises:
            BridgeError: If layers or weights are missing or have other
                shapes, or a model without fake quantization computes
                something else than the result.
            TypeError: If an argument is no model.
        """
        model = self.model if tf_keras_model is None else tf_keras_model
        _check_tf_keras_model(model)
        if into is not None:
            check_model(into)
        twin = self._latest_twin()
        values = read_weights(model, twin.links)
        target = clone_source(self.source) if into is None else into
        pairs = pair_variables(twin.origin, target)
        places = {id(old): new for old, new in pairs}
        for link, value in zip(twin.links, values, strict=True):
            places[id(link.variable)].assign(value)
        if not is_quantized(model):
            what = f"The Keras model of '{model.name}'"
            self._check(target, model, what)
        return target

    def quantize(
        self,
        preserve: str | None = None,
        *,
        calibration_data: Any = None,
        skip_unsupported: bool = False,
    ) -> "QuantizedTwin":
        """Returns the model for tfmot's quantization-aware training.

        Weights and activations are rounded to 8 bits in training.

        Args:
            preserve: What the training keeps: `"sparsity"` (PQAT) the zeros
                of a pruned model, `"clusters"` (CQAT) the shared values of a
                clustered one, `"both"` (PCQAT). Defaults to `None`: nothing.
            calibration_data: Real inputs in a form of `export.to_litert`, of
                which 256 set the activation ranges. Defaults to `None`: the
                ranges begin at [-6, 6] and move slowly.
            skip_unsupported: Whether layers that tfmot does not quantize
                compute in float. Defaults to `False`: they are an error.

        Returns:
            The model, to be compiled, trained and exported.

        Raises:
            BridgeError: If tfmot does not quantize a layer; all are listed.
            ValueError: If an argument is out of range.
            ImportError: If tensorflow-model-optimization is not installed.
        """
        from keras_netopt.tf_keras_bridge.quantized_twin import QuantizedTwin

        return QuantizedTwin(
            self,
            preserve=preserve,
            calibration_data=calibration_data,
            skip_unsupported=skip_unsupported,
        )

    def cluster(
        self, number_of_clusters: int = 16, *, preserve_sparsity: bool = False
    ) -> "ClusteredTwin":
        """Returns the model for tfmot's weight clustering.

        Each kernel that tfmot clusters holds a few shared values, in training
        and after it.

        Args:
            number_of_clusters: Values per kernel, at least 2. Defaults to
                `16`.
            preserve_sparsity: Whether zeros stay, as one of the values.
                Defaults to `False`.

        Returns:
            The model, to be compiled and trained.

        Raises:
            BridgeError: If tfmot clusters no layer.
            ValueError: If an argument is out of range.
            ImportError: If tensorflow-model-optimization is not installed.
        """
        from keras_netopt.tf_keras_bridge.clustered_twin import ClusteredTwin

        return ClusteredTwin(
            self,
            number_of_clusters=number_of_clusters,
            preserve_sparsity=preserve_sparsity,
        )

    def _cross(self) -> tuple[Twin, float]:
        twin, builder = self._build()
        check_layers(builder, make_probes(builder.graph, twin.origin))
        what = f"The twin of '{self.source.name}' in tf_keras"
        return twin, self._check(twin.origin, twin.model, what)

    def _latest_twin(self) -> Twin:
        """Returns the last twin, a new one if the source has other weights."""
        if self._seen != [id(one) for one in self.source.weights]:
            self._build()
        return self._twin

    def _build(self) -> tuple[Twin, TwinBuilder]:
        origin = _in_float32(self.source)
        builder = TwinBuilder(
            flatten_model(origin), self._twins, self._split_activations
        )
        check_obstacles(builder.obstacles, self.source)
        self._twin = builder.build(origin)
        self._seen = [id(one) for one in self.source.weights]
        return self._twin, builder

    def _check(self, model: keras.Model, twin: Any, what: str) -> float:
        model = _in_float32(model)
        probes = make_probes(flatten_model(model), model)
        return check_equal(model, twin, probes, what)


def _in_float32(model: keras.Model) -> keras.Model:
    return float32_clone(model) if find_half_layers(model) else model


def _check_tf_keras_model(model: Any) -> None:
    import tf_keras

    if not isinstance(model, tf_keras.Model):
        raise TypeError(
            "Argument `tf_keras_model` must be a model of tf_keras. "
            f"Received: tf_keras_model={model!r} of type "
            f"{type(model).__module__}.{type(model).__name__}"
        )
