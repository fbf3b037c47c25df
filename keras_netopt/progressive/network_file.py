"""Saves a progressive network in one `.keras` file and reads it."""

import io
import json
import os
import zipfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.files import name_unreadable, write_aside
from keras_netopt.graph.model_graph import output_structure
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.task import Task
from keras_netopt.training.backend import keep_rounding
from keras_netopt.training.trainable_flags import FlagMemory

TASKS = "netopt_tasks.json"
PROBES = "netopt_probe_outputs"
OBJECTS = "Pass classes and functions of your own as `custom_objects`."
REMEDY = "If the file is damaged, load an older one, or save it again."


def save_network(
    tasks: Sequence[Task], inputs: Any, path: Any, settings: dict[str, Any]
) -> None:
    """Writes all columns and heads once, beside the file and then in place.

    The last task need not be finished; it stays trainable in memory.
    """
    path = os.fspath(path)
    if not path.endswith(".keras"):
        raise ValueError(
            f'Argument `path` must end in ".keras". Received: path={path!r}'
        )
    description = {
        "tasks": [task.name for task in tasks],
        "fingerprints": {task.name: task.fingerprint for task in tasks},
        "settings": settings,
    }
    with write_aside(path) as partial:
        _save_model(tasks, inputs, partial)
        with zipfile.ZipFile(partial, "a") as file:
            file.writestr(TASKS, json.dumps(description))
            for task in tasks:
                for number, value in enumerate(task.probe_outputs or ()):
                    buffer = io.BytesIO()
                    np.save(buffer, value)
                    name = f"{PROBES}/{task.name}/{number}.npy"
                    file.writestr(name, buffer.getvalue())


def load_network(
    path: Any, custom_objects: Any
) -> tuple[list[Task], Any, dict[str, Any]]:
    """Returns the tasks, all finished, the inputs and the settings."""
    path = os.fspath(path)
    with (
        name_unreadable(path, "a progressive network", REMEDY),
        zipfile.ZipFile(path) as file,
    ):
        names = file.namelist()
        is_network = TASKS in names
        if is_network:
            description = json.loads(file.read(TASKS))
            probes = {
                name: _read_probes(file, names, name)
                for name in description["tasks"]
            }
    if not is_network:
        raise ValueError(
            "Argument `path` must be a file that `ProgressiveNetwork.save` "
            f"wrote. Received: path={path!r}, which holds one Keras model"
        )
    with name_unreadable(path, "a progressive network", f"{OBJECTS} {REMEDY}"):
        whole: Any = keras.saving.load_model(
            path, custom_objects=custom_objects, compile=False
        )
    outputs = output_structure(whole)
    tasks = []
    for name in description["tasks"]:
        frozen = whole.get_layer(column_name(name))
        task = Task(
            name=name,
            model=keras.Model(whole.input, outputs[name], name=name),
            hidden=[],
            head=whole.get_layer(f"{name}_head"),
            inputs=keras.tree.flatten(frozen.input),
            laterals=[
                layer
                for layer in frozen.column.layers
                if isinstance(layer, LateralConnection)
            ],
            frozen=frozen,
            features=keras.tree.flatten(frozen.output),
            probe_outputs=probes[name],
        )
        task.freeze()
        # By position: paths of variables name the class of the first model.
        saved = description["fingerprints"][name]
        if saved:
            task.fingerprint = dict(
                zip(task.fingerprint, saved.values(), strict=True)
            )
        tasks.append(task)
    return tasks, whole.input, description["settings"]


def column_name(task: str) -> str:
    """Returns the name of the layer that holds the column of a task."""
    return f"{task}_column"


def _save_model(tasks: Sequence[Task], inputs: Any, path: str) -> None:
    flags = FlagMemory([task.model for task in tasks])
    try:
        outputs = {}
        for task in tasks:
            features = task.features
            if task.frozen is None:
                features = FrozenColumn(
                    task.column(), name=column_name(task.name)
                )(task.inputs)
            outputs[task.name] = _own_head(task)(features[-1])
        keras.Model(inputs, outputs, name="progressive_network").save(path)
    finally:
        flags.restore()
        for task in tasks:
            if task.frozen is not None:
                keep_rounding(task.frozen.column)
                keep_rounding(task.head)


def _own_head(task: Task) -> keras.Model:
    """Returns the head, or a copy if it shares weights with the column.

    A file holds each layer once, but reads one for each model: a tied
    embedding in the column would leave none for the head.
    """
    column = task.column() if task.frozen is None else task.frozen.column
    held = {id(weight) for weight in column.weights}
    if not any(id(weight) in held for weight in task.head.weights):
        return task.head
    copy = keras.models.clone_model(task.head)
    copy.set_weights(task.head.get_weights())
    return copy


def _read_probes(
    file: zipfile.ZipFile, names: Sequence[str], task: str
) -> list[np.ndarray] | None:
    found = [one for one in names if one.startswith(f"{PROBES}/{task}/")]
    if not found:
        return None
    return [
        np.load(io.BytesIO(file.read(f"{PROBES}/{task}/{number}.npy")))
        for number in range(len(found))
    ]
