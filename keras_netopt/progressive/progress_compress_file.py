"""Saves a knowledge base with its heads in one `.keras` file and reads it."""

import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_netopt.files import name_unreadable, write_aside
from keras_netopt.graph.model_graph import output_structure
from keras_netopt.progressive.knowledge_base import KnowledgeBase
from keras_netopt.progressive.network_file import OBJECTS, REMEDY
from keras_netopt.progressive.task import refuse_training
from keras_netopt.warnings import NoEffectWarning

STATE = "netopt_progress_compress.json"
ANCHORS = "netopt_anchors.npz"
ACTIVE = "netopt_active_column.npz"


def save_knowledge(
    base: KnowledgeBase,
    consolidation: Any,
    path: Any,
    state: dict[str, Any],
    active: list[np.ndarray],
) -> None:
    """Writes the file beside its place and moves it there."""
    path = os.fspath(path)
    if not path.endswith(".keras"):
        raise ValueError(
            f'Argument `path` must end in ".keras". Received: path={path!r}'
        )
    whole = _join(base)
    description = {**state, "tasks": [*base.models], "flags": base.flags}
    description["compile"] = {
        name: _describe_compile(model) for name, model in base.models.items()
    }
    with write_aside(path) as partial:
        whole.save(partial)
        with (
            tempfile.TemporaryDirectory() as folder,
            zipfile.ZipFile(partial, "a") as file,
        ):
            file.writestr(STATE, json.dumps(description))
            consolidation.save(Path(folder, ANCHORS), whole)
            file.write(Path(folder, ANCHORS), ANCHORS)
            buffer = io.BytesIO()
            np.savez(buffer, *active)
            file.writestr(ACTIVE, buffer.getvalue())


def load_knowledge(
    path: Any, custom_objects: Any
) -> tuple[
    KnowledgeBase, dict[str, Any], list[np.ndarray], Callable[[Any], None]
]:
    """Returns base, state, weights of the active column, and a function.

    The function loads the anchors into a callback.
    """
    path = os.fspath(path)
    with (
        name_unreadable(path, "a knowledge base", REMEDY),
        zipfile.ZipFile(path) as file,
    ):
        is_base = STATE in file.namelist()
        if is_base:
            state = json.loads(file.read(STATE))
            anchors = file.read(ANCHORS)
            with np.load(io.BytesIO(file.read(ACTIVE))) as held:
                active = [held[name] for name in held.files]
    if not is_base:
        raise ValueError(
            "Argument `path` must be a file that `ProgressCompress.save` "
            f"wrote. Received: path={path!r}, which holds another model"
        )
    with name_unreadable(path, "a knowledge base", f"{OBJECTS} {REMEDY}"):
        whole: Any = keras.saving.load_model(
            path, custom_objects=custom_objects, compile=False
        )
    column = whole.get_layer("knowledge_base")
    base = KnowledgeBase(whole.input, column, state["flags"])
    outputs = output_structure(whole)
    for name in state["tasks"]:
        head = whole.get_layer(f"{name}_head")
        model = base.build_model(name, head)
        del outputs[name]
        config = state["compile"][name]
        if config:
            _compile_again(model, config, custom_objects)
        base.add(name, model)
        refuse_training(model, name)
    base.close()

    def load_anchors(consolidation: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, ANCHORS).write_bytes(anchors)
            consolidation.load(Path(folder, ANCHORS), whole)

    return base, state, active, load_anchors


def _join(base: KnowledgeBase) -> keras.Model:
    """Returns the model with one output per task."""
    hidden = keras.tree.flatten(base.column(base.inputs))
    outputs = {name: base.head(name)(hidden[-1]) for name in base.models}
    return keras.Model(base.inputs, outputs, name="progress_compress")


def _compile_again(
    model: keras.Model, config: dict[str, Any], custom_objects: Any
) -> None:
    """Compiles a model; a function that no name leads to leaves it out."""
    try:
        with keras.saving.custom_object_scope(custom_objects or {}):
            model.compile_from_config(config)
    # Keras raises errors of several types for names that it does not know.
    except Exception as error:
        warnings.warn(
            f"ProgressCompress: the model of task {model.name!r} is not "
            f"compiled, because {error} Pass the functions to `load` as "
            "`custom_objects`, or compile it before `evaluate`.",
            NoEffectWarning,
            stacklevel=4,
        )


def _describe_compile(model: keras.Model) -> dict[str, Any] | None:
    """Returns what `compile` was given if that is JSON-safe."""
    config = model.get_compile_config() if model.compiled else None
    try:
        json.dumps(config)
    except TypeError:
        return None
    return config
