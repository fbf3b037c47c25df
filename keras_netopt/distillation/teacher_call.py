"""Calls a teacher on the inputs of its student."""

from typing import Any

import keras
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import inner_graph
from keras_netopt.training.backend import without_gradients


class TeacherCall:
    """Runs a teacher in inference mode; nothing in the teacher changes.

    Its inputs are found by name if the student has inputs of these names,
    otherwise by their order.

    Args:
        teacher: A built model.
        student: The model that learns from it.

    Raises:
        ValueError: If the teacher shares weights with the student, or its
            inputs do not fit those of the student.
    """

    def __init__(self, teacher: keras.Model, student: keras.Model) -> None:
        self._teacher: Any = teacher
        _check_apart(teacher, student)
        self._names = _list_inputs(student)
        self._wanted = _list_inputs(teacher)
        self._values: list[Any] = []
        if self._names and self._wanted:
            self._check_inputs()

    def is_like(self, other: "TeacherCall") -> bool:
        """Whether another one calls the same teacher in the same way."""
        return (
            self._teacher is other._teacher
            and self._names == other._names
            and self._wanted == other._wanted
        )

    def has_new_weights(self) -> bool:
        """Whether a compiled step must take up weights that have changed.

        JAX compiles the teacher's weights into the step as constants; other
        backends read them at every step.
        """
        if keras.backend.backend() != "jax":
            return False
        held, self._values = (
            self._values,
            [variable.value for variable in self._teacher.variables],
        )
        return len(held) != len(self._values) or any(
            one is not other
            for one, other in zip(held, self._values, strict=True)
        )

    def __call__(self, x: Any) -> list[Any]:
        """Returns the flat outputs of the teacher for inputs `x`."""
        # The scope takes what layers assign, such as moving statistics.
        with keras.StatelessScope(), without_gradients():
            outputs = self._teacher(self._arrange(x), training=False)
        return [ops.stop_gradient(y) for y in keras.tree.flatten(outputs)]

    def _arrange(self, x: Any) -> Any:
        if not self._wanted:
            return x
        known = dict(x) if isinstance(x, dict) else {}
        flat = keras.tree.flatten(x)
        names = list(self._names or known)
        if not known and len(names) == len(flat):
            known = dict(zip(names, flat, strict=True))
        if all(name in known for name in self._wanted):
            flat = [known[name] for name in self._wanted]
        elif self._names and all(name in known for name in self._names):
            flat = [known[name] for name in self._names]
        return keras.tree.pack_sequence_as(
            inner_graph(self._teacher).input, flat[: len(self._wanted)]
        )

    def _check_inputs(self) -> None:
        own, wanted = self._names, self._wanted
        by_name = all(name in own for name in wanted)
        if not by_name and len(own) != len(wanted):
            raise ValueError(
                "The teacher must have inputs of the names of the student's, "
                f"or as many. Received: teacher inputs {list(wanted)}, "
                f"student inputs {list(own)}"
            )
        sources = wanted if by_name else own
        for (name, shape), source in zip(wanted.items(), sources, strict=True):
            if not _fits(own[source], shape):
                raise ValueError(
                    f"Input {name!r} of the teacher must take the input "
                    f"{source!r} of the student: make a teacher that resizes "
                    "its input, such as `keras.Sequential([keras.Input("
                    "...), keras.layers.Resizing(...), teacher])`. "
                    f"Received: teacher shape {shape}, student shape "
                    f"{own[source]}"
                )


def _list_inputs(model: Any) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the inputs by name; empty without a graph of layers."""
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    return {one.name: tuple(one.shape) for one in inputs}


def _fits(given: Any, wanted: Any) -> bool:
    return len(given) == len(wanted) and all(
        a is None or b is None or a == b
        for a, b in zip(given[1:], wanted[1:], strict=True)
    )


def _check_apart(teacher: Any, student: Any) -> None:
    own = {id(variable) for variable in student.variables}
    shared = [v.path for v in teacher.variables if id(v) in own]
    inside = any(layer is student for layer in walk_layers(teacher))
    if shared or inside or teacher is student:
        raise ValueError(
            "The teacher must not share weights with the student, which would "
            "change it: copy it with `keras.models.clone_model` and "
            "`set_weights`. For exits that learn from the last output of their "
            "own model use `depth.add_exits(..., distill_temperature=...)`. "
            f"Received: shared weights {shared[:3]}"
        )
