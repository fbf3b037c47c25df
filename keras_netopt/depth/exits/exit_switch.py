"""All stages in one graph, with a branch at each exit."""

from typing import Any

import keras
from keras import ops

from keras_netopt.depth.exits.runner import ExitRule
from keras_netopt.depth.exits.stages import LOGITS, ModelStages

EXIT = "exit"


class ExitSwitch(keras.layers.Layer):
    """Runs the stages of one sample, the later ones only where needed.

    Each exit is one `ops.cond` around all that comes behind it.

    Args:
        stages: The stages.
        rule: When to leave.
    """

    def __init__(
        self, stages: ModelStages, rule: ExitRule, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stages = stages
        self.rule = rule
        self.models = [stage.model for stage in stages.stages]

    def build(self, input_shape: Any) -> None:
        """The stages are built already."""
        self.built = True

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Answers one sample and tells its exit."""
        return self._from(0, dict(inputs))

    def compute_output_spec(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Returns shapes and dtypes of answer and exit."""
        final = self.models[-1].output[LOGITS]
        return {
            LOGITS: keras.KerasTensor((1, *final.shape[1:]), final.dtype),
            EXIT: keras.KerasTensor((1,), "int32"),
        }

    def _from(self, k: int, held: dict[str, Any]) -> dict[str, Any]:
        stage = self.stages.stages[k]
        made = dict(self.models[k]({n: held[n] for n in stage.inputs}))
        answer = made.pop(LOGITS)
        here = {LOGITS: answer, EXIT: ops.full((1,), k, "int32")}
        if k == len(self.models) - 1:
            return here
        known = {**held, **made}
        live = {name: known[name] for name in stage.live}
        return ops.cond(
            self._is_sure(answer, k),
            lambda: here,
            lambda: self._from(k + 1, live),
        )

    def _is_sure(self, answer: Any, k: int) -> Any:
        threshold = self.rule.thresholds[k]
        sure = ops.reshape(symbolic_score(answer, self.rule), ())
        limit = min(max(threshold, -1e30), 1e30)
        return sure >= ops.cast(limit, sure.dtype)


def symbolic_score(answer: Any, rule: ExitRule) -> Any:
    """How sure an answer is, as `confidence.scores` in backend ops.

    Args:
        answer: Shape `(batch, classes)`.
        rule: The criterion.

    Returns:
        Shape `(batch,)`; the larger, the surer.
    """
    likely = ops.cast(answer, "float32")
    if likely.shape[-1] == 1:
        if not rule.is_probability:
            likely = ops.sigmoid(likely)
        likely = ops.concatenate([1.0 - likely, likely], axis=-1)
    elif not rule.is_probability:
        likely = ops.softmax(likely, axis=-1)
    if rule.criterion == "confidence":
        return ops.max(likely, axis=-1)
    if rule.criterion == "entropy":
        logs = ops.log(ops.maximum(likely, 1e-37))
        return ops.sum(likely * logs, axis=-1)
    first = ops.max(likely, axis=-1)
    place = ops.argmax(likely, axis=-1)
    others = likely - 2.0 * ops.one_hot(
        place, likely.shape[-1], dtype="float32"
    )
    return first - ops.max(others, axis=-1)


def switch_model(
    exit_model: Any, stages: ModelStages, rule: ExitRule
) -> keras.Model:
    """Builds the model of one file, for one sample at a time.

    Args:
        exit_model: The model with exits.
        stages: Its stages.
        rule: When to leave.

    Returns:
        A model with the outputs "logits" and "exit".
    """
    inputs = {
        name: keras.Input(
            batch_shape=(1, *tensor.shape[1:]), dtype=tensor.dtype, name=name
        )
        for name, tensor in zip(
            stages.inputs, keras.tree.flatten(exit_model.input), strict=True
        )
    }
    outputs = ExitSwitch(stages, rule, name="exits")(inputs)
    return keras.Model(inputs, outputs)
