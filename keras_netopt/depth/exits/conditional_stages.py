"""All stages in one graph, with one `ops.cond` per exit."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_netopt.depth.exits.model_stages import LOGITS, ModelStages
from keras_netopt.depth.exits.stage_runner import ExitRule
from keras_netopt.serialization import export_class

EXIT = "exit"


@export_class
class ConditionalStages(keras.layers.Layer):
    """Runs the stages of one sample until an exit is confident.

    Each exit is an `ops.cond` around all later stages.

    Args:
        models: The model of each stage.
        reads: For each stage, the names of the tensors that it reads.
        live: For each stage, the names of the tensors that later ones read.
        rule: The exit rule.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        reads: Sequence[Sequence[str]],
        live: Sequence[Sequence[str]],
        rule: ExitRule,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.models = list(models)
        self.reads = [tuple(names) for names in reads]
        self.live = [tuple(names) for names in live]
        self.rule = rule

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments; another process may export the model."""
        return {
            **super().get_config(),
            "models": list(
                map(keras.saving.serialize_keras_object, self.models)
            ),
            "reads": [list(names) for names in self.reads],
            "live": [list(names) for names in self.live],
            "criterion": self.rule.criterion,
            "thresholds": list(self.rule.thresholds),
            "is_probability": self.rule.is_probability,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConditionalStages":
        """Builds the layer with new models of the stages."""
        build = keras.saving.deserialize_keras_object
        rule = ExitRule(
            config.pop("criterion"),
            tuple(config.pop("thresholds")),
            config.pop("is_probability"),
        )
        models = [build(model) for model in config.pop("models")]
        return cls(models=models, rule=rule, **config)

    def build(self, input_shape: Any) -> None:
        """Creates nothing: the stages are built."""
        self.built = True

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Returns the prediction for one sample and its exit index."""
        return self._run_from(0, dict(inputs))

    def compute_output_spec(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Returns shapes and dtypes of prediction and exit index."""
        final = self.models[-1].output[LOGITS]
        return {
            LOGITS: keras.KerasTensor((1, *final.shape[1:]), final.dtype),
            EXIT: keras.KerasTensor((1,), "int32"),
        }

    def _run_from(self, k: int, tensors: dict[str, Any]) -> dict[str, Any]:
        reads = {name: tensors[name] for name in self.reads[k]}
        outputs = dict(self.models[k](reads))
        prediction = outputs.pop(LOGITS)
        result = {LOGITS: prediction, EXIT: ops.full((1,), k, "int32")}
        if k == len(self.models) - 1:
            return result
        known = tensors | outputs
        live = {name: known[name] for name in self.live[k]}
        return ops.cond(
            self._is_confident(prediction, k),
            lambda: result,
            lambda: self._run_from(k + 1, live),
        )

    def _is_confident(self, prediction: Any, k: int) -> Any:
        score = ops.reshape(symbolic_exit_score(prediction, self.rule), ())
        limit = min(max(self.rule.thresholds[k], -1e30), 1e30)
        return score >= ops.cast(limit, score.dtype)


def symbolic_exit_score(prediction: Any, rule: ExitRule) -> Any:
    """Computes `exit_criteria.exit_scores` in backend operations."""
    p = ops.cast(prediction, "float32")
    if p.shape[-1] == 1:
        if not rule.is_probability:
            p = ops.sigmoid(p)
        p = ops.concatenate([1.0 - p, p], axis=-1)
    elif not rule.is_probability:
        p = ops.softmax(p, axis=-1)
    if rule.criterion == "entropy":
        return ops.sum(p * ops.log(ops.maximum(p, 1e-37)), axis=-1)
    largest = ops.max(p, axis=-1)
    if rule.criterion == "confidence":
        return largest
    hits = ops.one_hot(ops.argmax(p, axis=-1), p.shape[-1], dtype="float32")
    return largest - ops.max(p - 2.0 * hits, axis=-1)


def build_conditional_model(
    exit_model: Any, stages: ModelStages, rule: ExitRule
) -> keras.Model:
    """Builds the model of a single file, for one sample per call.

    Its outputs are "logits" and "exit".
    """
    inputs = {
        name: keras.Input(
            batch_shape=(1, *tensor.shape[1:]), dtype=tensor.dtype, name=name
        )
        for name, tensor in zip(
            stages.inputs, keras.tree.flatten(exit_model.input), strict=True
        )
    }
    layer = ConditionalStages(
        [stage.model for stage in stages.stages],
        [stage.inputs for stage in stages.stages],
        [stage.live for stage in stages.stages],
        rule,
        name="exits",
    )
    outputs = layer(inputs)
    return keras.Model(inputs, outputs)
