"""Splits a model with exits into the stages between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.export.model_inputs import ModelInputs, make_valid_names
from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.record_calls import (
    Recording,
    record_calls,
    run_calls,
)

LOGITS = "logits"


@dataclass(frozen=True)
class ModelStage:
    """The computation between two exits, with the head of the second.

    Args:
        name: Name of the exit at its end.
        model: Maps a dictionary of named tensors to a dictionary: the
            features that later stages read, and "logits".
        inputs: Names of the tensors that it reads.
        features: Names of the tensors that it computes for later stages.
        live: Names of all tensors that any later stage reads, those of
            earlier stages included.
    """

    name: str
    model: keras.Model
    inputs: tuple[str, ...]
    features: tuple[str, ...]
    live: tuple[str, ...]


@dataclass(frozen=True)
class ModelStages:
    """The stages of a model, one per exit, and the names of its flat inputs."""

    stages: tuple[ModelStage, ...]
    model_inputs: ModelInputs

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the flat inputs in stages and files."""
        return self.model_inputs.names

    def named_inputs(self, x: Any) -> dict[str, Any]:
        """Returns the arrays of an input structure by name.

        The structure is any that the model's `predict` supports.
        """
        ways = list(self.model_inputs.find_values(x))
        if not ways:
            names = list(self.model_inputs.input_names)
            received = list(x) if isinstance(x, Mapping) else type(x).__name__
            raise ValueError(
                f"Argument `x` must hold {len(names)} inputs: {names}, by "
                "these names for a model that takes a dict. "
                f"Received: x={received}"
            )
        return dict(zip(self.inputs, ways[0], strict=True))

    def to_model_inputs(self, inputs: Mapping[str, Any], structure: Any) -> Any:
        """Arranges named arrays in the structure of the model's `input`."""
        flat = [inputs[name] for name in self.inputs]
        return keras.tree.pack_sequence_as(structure, flat)


def split_into_stages(model: Any) -> ModelStages:
    """Splits an `ExitModel` at its exits; the stages share its layers.

    A skip connection across an exit becomes another input of the stage that
    reads it. A stateful layer, or a stage that would read the state of a
    recurrent layer, is refused.
    """
    recording = record_calls(model)
    _check_stateless(recording)
    outputs = [recording.outputs[name] for name in model.exit_names]
    parts = _calls_by_stage(recording, outputs)
    tensors, names = _crossing_tensors(recording, parts, outputs)
    stages = []
    for k, (name, calls) in enumerate(
        zip(model.exit_names, parts, strict=True)
    ):
        computed = _computed([calls])
        reads = _reads(calls, outputs[k], computed)
        later = _all_reads(parts[k + 1 :], outputs[k + 1 :])
        later -= _computed(parts[k + 1 :])
        live = [i for i in tensors if i in later]
        stages.append(
            _build_stage(
                name,
                calls,
                outputs[k],
                {i: tensors[i] for i in tensors if i in reads},
                {i: tensors[i] for i in live if i in computed},
                names,
                tuple(names[i] for i in live),
            )
        )
    inputs = keras.tree.flatten(recording.inputs)
    found = ModelInputs(
        [recording.inputs],
        tuple(tensor.name for tensor in inputs),
        tuple(names[id(tensor)] for tensor in inputs),
    )
    return ModelStages(tuple(stages), found)


def calls_upstream_of(
    output: Any, calls: tuple[GraphNode, ...]
) -> list[GraphNode]:
    """Returns the calls that an output is computed from, in order."""
    needed = {id(output)}
    found = []
    for call in reversed(calls):
        if needed & {id(tensor) for tensor in call.outputs}:
            found.append(call)
            needed |= {id(tensor) for tensor in call.input_tensors}
    return found[::-1]


def _calls_by_stage(
    recording: Recording, outputs: list[Any]
) -> list[list[GraphNode]]:
    """The calls that each exit needs and no earlier exit needs."""
    done: set[int] = set()
    parts = []
    for output in outputs:
        needed = calls_upstream_of(output, recording.calls)
        parts.append([call for call in needed if id(call) not in done])
        done |= {id(call) for call in needed}
    return parts


def _reads(calls: list[GraphNode], output: Any, computed: set[int]) -> set[int]:
    """Tensors that a stage reads from earlier ones."""
    needed = {id(t) for call in calls for t in call.input_tensors}
    return (needed | {id(output)}) - computed


def _all_reads(parts: list[list[GraphNode]], outputs: list[Any]) -> set[int]:
    """Tensors that any of some stages reads from earlier ones."""
    found: set[int] = set()
    for calls, output in zip(parts, outputs, strict=True):
        found |= _reads(calls, output, _computed([calls]))
    return found


def _computed(parts: list[list[GraphNode]]) -> set[int]:
    return {id(t) for calls in parts for c in calls for t in c.outputs}


def _crossing_tensors(
    recording: Recording, parts: list[list[GraphNode]], outputs: list[Any]
) -> tuple[dict[int, Any], dict[int, str]]:
    """Tensors that cross stages, inputs first, and their names."""
    inputs = keras.tree.flatten(recording.inputs)
    crossing = _all_reads(parts, outputs)
    tensors = {id(t): t for t in inputs}
    valid = make_valid_names(tensor.name for tensor in inputs)
    names = {id(t): name for t, name in zip(inputs, valid, strict=True)}
    for call in recording.calls:
        for number, tensor in enumerate(call.outputs):
            if id(tensor) not in crossing:
                continue
            _check_no_recurrent_state(call, number)
            tensors[id(tensor)] = tensor
            names[id(tensor)] = f"features_{len(tensors) - len(inputs) - 1}"
    return tensors, names


def _build_stage(
    name: str,
    calls: list[GraphNode],
    output: Any,
    reads: dict[int, Any],
    features: dict[int, Any],
    names: dict[int, str],
    live: tuple[str, ...],
) -> ModelStage:
    inputs = {
        names[i]: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=names[i])
        for i, t in reads.items()
    }
    known = run_calls(calls, {i: inputs[names[i]] for i in reads})
    outputs = {names[i]: known[i] for i in features}
    model = keras.Model(inputs, {**outputs, LOGITS: known[id(output)]})
    return ModelStage(name, model, tuple(inputs), tuple(outputs), live)


def _check_stateless(recording: Recording) -> None:
    for call in recording.calls:
        if getattr(call.operation, "stateful", False):
            raise ValueError(
                "Argument `exit_model` must not hold stateful layers: their "
                "state belongs to the samples of a batch, and samples that "
                "exit leave the batch. "
                f"Received: layer {call.path!r} with stateful=True"
            )


def _check_no_recurrent_state(call: GraphNode, number: int) -> None:
    kinds = (keras.layers.RNN, keras.layers.Bidirectional)
    if isinstance(call.operation, kinds) and number > 0:
        raise ValueError(
            "Argument `layers` must not separate a recurrent layer from the "
            "layer that reads its state. Received: an exit between layer "
            f"{call.path!r} and the reader of its state. Move the exit before "
            "or after both"
        )
