"""All stages in one graph, with one `ops.cond` per exit."""

from typing import Any

import keras
from keras import ops

from keras_netopt.depth.exits.model_stages import LOGITS, ModelStages
from keras_netopt.depth.exits.stage_runner import ExitRule

EXIT = "exit"


class ConditionalStages(keras.layers.Layer):
    """Runs the stages of one sample until an exit is confident.

    Each exit is an `ops.cond` around all later stages.
    """

    def __init__(
        self, stages: ModelStages, rule: ExitRule, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stages = stages
        self.rule = rule
        self.models = [stage.model for stage in stages.stages]

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
        stage = self.stages.stages[k]
        outputs = dict(self.models[k]({n: tensors[n] for n in stage.inputs}))
        prediction = outputs.pop(LOGITS)
        result = {LOGITS: prediction, EXIT: ops.full((1,), k, "int32")}
        if k == len(self.models) - 1:
            return result
        known = tensors | outputs
        live = {name: known[name] for name in stage.live}
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
    outputs = ConditionalStages(stages, rule, name="exits")(inputs)
    return keras.Model(inputs, outputs)
