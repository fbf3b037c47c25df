"""A Keras 3 model beside its twin in tf_keras."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.graph.check_model import check_model
from keras_netopt.tf_keras_bridge.bridge_report import BridgeReport
from keras_netopt.tf_keras_bridge.clone_source import (
    clone_source,
    pair_variables,
)
from keras_netopt.tf_keras_bridge.compare_models import check_equal
from keras_netopt.tf_keras_bridge.find_obstacles import (
    check_obstacles,
    check_twins,
    find_model_obstacles,
)
from keras_netopt.tf_keras_bridge.flat_call import flatten_model
from keras_netopt.tf_keras_bridge.import_tf_keras import import_tf_keras
from keras_netopt.tf_keras_bridge.probe_inputs import make_probes
from keras_netopt.tf_keras_bridge.read_back import is_wrapped, read_weights
from keras_netopt.tf_keras_bridge.twin_builder import Twin, TwinBuilder


class TfmotBridge:
    """A Keras model and its twin in tf_keras, for tfmot.

    `export.tfmot` makes one. The source is not modified.

    Args:
        source: A built Functional or Sequential model.
        twins: As in `export.tfmot`. Defaults to `None`.
        split_activations: As in `export.tfmot`. Defaults to `False`.
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
        graph = flatten_model(source)
        self._probes = make_probes(graph, source)
        twin, difference = self._cross()
        self.model = twin.model
        self.report = BridgeReport(
            layers=tuple(one.name for one in twin.model.layers),
            weights=len(twin.links),
            dropped={k: tuple(v) for k, v in twin.crossing.dropped.items()},
            rewrites=tuple(twin.crossing.rewrites),
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
                shapes, or an unwrapped model computes something else than
                the result.
        """
        model = self.model if tf_keras_model is None else tf_keras_model
        links = self._builder().build(self.source.name).links
        variables = read_weights(model, links)
        target = clone_source(self.source) if into is None else into
        pairs = pair_variables(self.source, target)
        places = {id(old): new for old, new in pairs}
        for link, variable in zip(links, variables, strict=True):
            places[id(link.variable)].assign(variable.numpy())
        if not is_wrapped(model):
            what = f"The Keras model of '{model.name}'"
            check_equal(target, model, self._probes, what)
        return target

    def _cross(self) -> tuple[Twin, float]:
        twin = self._builder().build(self.source.name)
        what = f"The twin of '{self.source.name}' in tf_keras"
        return twin, check_equal(self.source, twin.model, self._probes, what)

    def _builder(self) -> TwinBuilder:
        builder = TwinBuilder(
            flatten_model(self.source), self._twins, self._split_activations
        )
        check_obstacles(builder.obstacles, self.source)
        return builder
