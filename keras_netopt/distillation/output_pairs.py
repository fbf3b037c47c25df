"""Which output of a student learns from which output of its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.distillation.last_activation import find_activations
from keras_netopt.distillation.output_form import (
    OutputForm,
    describe_output,
    find_losses,
)
from keras_netopt.graph.model_graph import inner_graph, output_structure

Choice = str | int | Sequence[str | int] | None
FINAL = "final"  # The last output of an exit model.


@dataclass(frozen=True)
class ModelOutput:
    """One output of a model.

    Args:
        index: Its place among the flat outputs.
        name: Its name: the key of a dictionary or the name of the layer.
        shape: Its shape; `None` if it is not known yet.
        form: What it holds.
    """

    index: int
    name: str
    shape: tuple[int | None, ...] | None
    form: OutputForm


@dataclass(frozen=True)
class OutputPair:
    """An output of the student and the output of the teacher it learns from.

    Args:
        student: The student's output.
        teacher: The teacher's output.
    """

    student: ModelOutput
    teacher: ModelOutput


def list_outputs(model: Any) -> list[ModelOutput]:
    """Lists the outputs of a model in flat order.

    A model without a graph of layers is taken to have one output.
    """
    activations = find_activations(model)
    if not activations:
        names = ["output"]
        activations = ["other"]
        shapes: list[Any] = [None]
    else:
        graph = inner_graph(model)
        structure = output_structure(graph)
        flat = keras.tree.flatten(structure)
        shapes = [tuple(tensor.shape) for tensor in flat]
        if isinstance(structure, dict):
            names = sorted(structure)
        else:
            names = list(graph.output_names)
        if len(names) != len(flat):
            names = [str(i) for i in range(len(flat))]
    losses = find_losses(model, names)
    return [
        ModelOutput(i, *parts[:2], describe_output(*parts[2:]))
        for i, parts in enumerate(
            zip(names, shapes, activations, losses, strict=True)
        )
    ]


def pair_outputs(
    student: Any, teacher: Any, student_output: Choice, teacher_output: Choice
) -> list[OutputPair]:
    """Pairs the outputs of two models.

    One output of the teacher teaches every exit of an exit model; otherwise
    both have one output each, or outputs of the same names.

    Raises:
        ValueError: If an output does not exist, it is not clear which belong
            together, or shapes differ.
    """
    own, others = list_outputs(student), list_outputs(teacher)
    learned = _choose(own, student_output, "student_output")
    taught = _choose(others, teacher_output, "teacher_output")
    if teacher_output is None and len(taught) > 1:
        taught = _match_names(student, learned, taught)
    is_open = student_output is None and len(learned) > 1
    if len(taught) == 1 and (not is_open or hasattr(student, "exit_names")):
        taught = taught * len(learned)
    if len(taught) != len(learned):
        raise ValueError(
            "The outputs of the student must be assigned to those of the "
            "teacher: give `student_output` and `teacher_output`, as many of "
            "each or one of the teacher. Received: student outputs "
            f"{[one.name for one in learned]}, teacher outputs "
            f"{[one.name for one in taught]}"
        )
    pairs = [OutputPair(*p) for p in zip(learned, taught, strict=True)]
    for pair in pairs:
        _check_shapes(pair)
    return pairs


def _match_names(
    student: Any, learned: list[ModelOutput], taught: list[ModelOutput]
) -> list[ModelOutput]:
    by_name = {one.name: one for one in taught}
    if all(one.name in by_name for one in learned):
        return [by_name[one.name] for one in learned]
    if FINAL in by_name:
        return [by_name[FINAL]]
    return taught


def _choose(
    outputs: list[ModelOutput], choice: Choice, name: str
) -> list[ModelOutput]:
    if choice is None:
        return outputs
    wanted = list(choice) if isinstance(choice, list | tuple) else [choice]
    found = [
        one
        for want in wanted
        for one in outputs
        if want == one.name or _is_index(want, one.index, len(outputs))
    ]
    if len(found) != len(wanted) or not wanted:
        raise ValueError(
            f"Argument `{name}` must name outputs among "
            f"{[one.name for one in outputs]}, or give their indices. "
            f"Received: {name}={choice!r}"
        )
    return found


def _is_index(want: Any, index: int, count: int) -> bool:
    is_integer = isinstance(want, int) and not isinstance(want, bool)
    return is_integer and want in (index, index - count)


def _check_shapes(pair: OutputPair) -> None:
    one, other = pair.student.shape, pair.teacher.shape
    if one is None or other is None:
        return
    if len(one) == len(other) and all(
        a is None or b is None or a == b
        for a, b in zip(one[1:], other[1:], strict=True)
    ):
        return
    raise ValueError(
        f"Output {pair.student.name!r} of the student must have the shape of "
        f"output {pair.teacher.name!r} of the teacher. Received: student "
        f"shape {one}, teacher shape {other}"
    )
