"""A model with exits, cut into the stages between them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.training.replay import RecordedCall, Recording, record, run

LOGITS = "logits"


@dataclass(frozen=True)
class ModelStage:
    """What is computed between two exits, with the head of the second.

    Args:
        name: The name of the exit at its end.
        model: Takes a dictionary of named tensors, gives one: the features
            that later stages read, and "logits".
        inputs: Names of the tensors that it reads.
        features: Names of the tensors that it makes for later stages.
        live: Names of all tensors that any later stage reads; those that
            this stage did not make are handed on past it.
    """

    name: str
    model: keras.Model
    inputs: tuple[str, ...]
    features: tuple[str, ...]
    live: tuple[str, ...]


@dataclass(frozen=True)
class ModelStages:
    """The stages of a model, in order.

    Args:
        stages: One an exit.
        inputs: Names of the inputs of the whole, in their flat order.
    """

    stages: tuple[ModelStage, ...]
    inputs: tuple[str, ...]

    def feeds(self, x: Any) -> dict[str, Any]:
        """Names the arrays of one input structure.

        Args:
            x: What the model takes.

        Returns:
            One array an input.

        Raises:
            ValueError: If there are more or fewer arrays than inputs.
        """
        if isinstance(x, Mapping) and set(x) == set(self.inputs):
            return {name: x[name] for name in self.inputs}
        flat = keras.tree.flatten(x)
        if len(flat) != len(self.inputs):
            raise ValueError(
                f"Argument `x` must hold {len(self.inputs)} inputs: "
                f"{list(self.inputs)}. Received: {len(flat)} arrays"
            )
        return dict(zip(self.inputs, flat, strict=True))

    def pack(self, feeds: Mapping[str, Any], structure: Any) -> Any:
        """Arranges named arrays as the model takes them.

        Args:
            feeds: One array an input.
            structure: The model's `input`.

        Returns:
            The arrays in that structure.
        """
        flat = [feeds[name] for name in self.inputs]
        return keras.tree.pack_sequence_as(structure, flat)


def cut(model: Any) -> ModelStages:
    """Cuts a model with exits between its exits; the layers are shared.

    A skip connection across a cut becomes one more input of the stage that
    reads it.

    Args:
        model: An `ExitModel`.

    Returns:
        The stages.

    Raises:
        ValueError: If a stage would need the state of a recurrent layer.
    """
    recording = record(model)
    _refuse_stateful(recording)
    outputs = [recording.outputs[name] for name in model.exit_names]
    parts = _parts(recording, outputs)
    tensors, names = _named_tensors(recording, parts, outputs)
    stages = []
    for k, (name, calls) in enumerate(
        zip(model.exit_names, parts, strict=True)
    ):
        made = _made([calls])
        reads = _reads(calls, outputs[k], made)
        later = _all_reads(parts[k + 1 :], outputs[k + 1 :])
        later -= _made(parts[k + 1 :])
        live = [i for i in tensors if i in later]
        stages.append(
            _stage(
                name,
                calls,
                outputs[k],
                {i: tensors[i] for i in tensors if i in reads},
                {i: tensors[i] for i in live if i in made},
                names,
                tuple(names[i] for i in live),
            )
        )
    inputs = keras.tree.flatten(recording.inputs)
    return ModelStages(tuple(stages), tuple(names[id(t)] for t in inputs))


def _parts(
    recording: Recording, outputs: list[Any]
) -> list[list[RecordedCall]]:
    """The calls that each exit needs and no exit before it."""
    done: set[int] = set()
    parts = []
    for output in outputs:
        wanted, part = {id(output)}, []
        for number in range(len(recording.calls) - 1, -1, -1):
            call = recording.calls[number]
            if wanted & {id(t) for t in call.outputs}:
                wanted |= {id(t) for t in call.inputs}
                if number not in done:
                    part.append(number)
        done |= set(part)
        parts.append([recording.calls[n] for n in sorted(part)])
    return parts


def _reads(calls: list[RecordedCall], output: Any, made: set[int]) -> set[int]:
    """What a stage needs from before."""
    needed = {id(t) for call in calls for t in call.inputs} | {id(output)}
    return needed - made


def _all_reads(parts: list[list[RecordedCall]], outputs: list[Any]) -> set[int]:
    """What any of some stages needs from before it."""
    found: set[int] = set()
    for calls, output in zip(parts, outputs, strict=True):
        found |= _reads(calls, output, _made([calls]))
    return found


def _made(parts: list[list[RecordedCall]]) -> set[int]:
    return {id(t) for calls in parts for c in calls for t in c.outputs}


def _named_tensors(
    recording: Recording, parts: list[list[RecordedCall]], outputs: list[Any]
) -> tuple[dict[int, Any], dict[int, str]]:
    """All tensors that cross a cut, inputs first, and their names."""
    inputs = keras.tree.flatten(recording.inputs)
    crossing = _all_reads(parts, outputs)
    tensors = {id(t): t for t in inputs}
    names = {id(t): _plain(t.name) for t in inputs}
    for call in recording.calls:
        for number, tensor in enumerate(call.outputs):
            if id(tensor) not in crossing:
                continue
            _refuse_state(call, number)
            tensors[id(tensor)] = tensor
            names[id(tensor)] = f"features_{len(tensors) - len(inputs) - 1}"
    return tensors, names


def _stage(
    name: str,
    calls: list[RecordedCall],
    output: Any,
    reads: dict[int, Any],
    makes: dict[int, Any],
    names: dict[int, str],
    live: tuple[str, ...],
) -> ModelStage:
    inputs = {
        names[i]: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=names[i])
        for i, t in reads.items()
    }
    known = run(calls, {i: inputs[names[i]] for i in reads})
    outputs = {names[i]: known[i] for i in makes}
    model = keras.Model(inputs, {**outputs, LOGITS: known[id(output)]})
    return ModelStage(name, model, tuple(inputs), tuple(outputs), live)


def _plain(name: str) -> str:
    """A name that files and TensorFlow take as it is."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain[:1].isalpha() else f"input_{plain}"


def _refuse_stateful(recording: Recording) -> None:
    for call in recording.calls:
        if getattr(call.operation, "stateful", False):
            raise ValueError(
                "Argument `exit_model` must hold no stateful layer: its state "
                "belongs to the samples of a batch, and samples leave. "
                f"Received: layer {call.path!r} with stateful=True"
            )


def _refuse_state(call: RecordedCall, number: int) -> None:
    kinds = (keras.layers.RNN, keras.layers.Bidirectional)
    recurrent = isinstance(call.operation, kinds)
    if recurrent and number > 0:
        raise ValueError(
            "Argument `at` must not cut through the state of a recurrent "
            f"layer. Received: an exit between layer {call.path!r} and what "
            "reads its state. Move the exit before or behind both"
        )
