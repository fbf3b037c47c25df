"""Keeps the configs of objects with their own `get_config` true in an edit."""

from collections.abc import Callable, Iterable
from typing import Any

from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.plain_graph import is_plain_graph
from keras_netopt.graph.rebuilt_shapes import rebuilt_shapes
from keras_netopt.surgery.edits.edited_class import (
    describe_original,
    edit_step,
    find_edits,
    mark_edited,
)
from keras_netopt.surgery.edits.layer_facts import (
    apply_changes,
    find_changes,
    list_facts,
)

Step = list[Any]
Insertion = Callable[[list[Any]], Step | None]


class EditRecorder:
    """Compares the objects inside some models before and after an edit.

    Keras' own layers and ordinary graph models have a config that shows the
    edit. Any other object is built again from its config; if that gives other
    shapes, its config gets the edit.

    Args:
        models: The models to watch, with all layers inside them.
        skip: An object whose config is kept by the caller. Defaults to
            `None`.
    """

    def __init__(self, models: Iterable[Any], skip: Any = None) -> None:
        self._watched: list[_Watched] = []
        seen = {id(skip)}
        for model in models:
            for one in walk_layers(model):
                if id(one) not in seen and _has_own_config(one):
                    self._watched.append(_Watched(one))
                seen.add(id(one))

    def finish(self, insertion: Insertion | None = None) -> tuple[str, ...]:
        """Records the edit where it is needed; returns notes for a report.

        `insertion` describes inserted layers: a function from the layers of an
        object before the edit to a step, or `None` if it holds none of them.
        """
        names = []
        for one in self._watched:
            step = one.find_step(insertion)
            if step is not None and one.needs_record(step):
                mark_edited(one.owner, one.original, step)
                names.append(f"'{one.owner.name}' ({type(one.owner).__name__})")
        if not names:
            return ()
        return (
            "a saved file of the model needs `import keras_netopt` before "
            f"`keras.saving.load_model`, because the config of "
            f"{', '.join(names)} does not show the edit",
        )


class _Watched:
    """An object with its own config, as it was before an edit."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.original: Any = describe_original(owner)
        self._before = list_facts(owner)

    def find_step(self, insertion: Insertion | None) -> Step | None:
        """Describes what the edit has changed, or returns `None`."""
        if insertion is not None:
            return insertion([facts.layer for facts in self._before])
        changes = find_changes(self._before, list_facts(self.owner))
        return ["resize", changes] if changes else None

    def needs_record(self, step: Step) -> bool:
        """Whether the author's config does not give the edited object.

        A graph model with arguments of its own is not tried: they seldom show
        which units or layers an edit has changed. An object that cannot be
        serialized has no file.
        """
        if self.original is None or find_edits(self.owner) is not None:
            return self.original is not None
        if is_graph_model(self.owner) or step[0] != "resize":
            return True
        try:
            shapes = rebuilt_shapes(self.owner)
        # The code of a user's layer may raise any error.
        except Exception:
            return True
        return shapes != [tuple(v.shape) for v in self.owner.variables]


@edit_step("resize")
def repeat_resize(owner: Any, record: Any) -> None:
    """Repeats a change of widths; objects inside keep their own record."""
    inside = EditRecorder([owner], skip=owner)
    apply_changes(owner, record)
    inside.finish()


def _has_own_config(layer: Any) -> bool:
    """Whether the config of an object is written by its author."""
    if find_edits(layer) is not None:
        return True
    if type(layer).__module__.startswith("keras.src."):
        return False
    return bool(layer.variables) and not is_plain_graph(layer)
