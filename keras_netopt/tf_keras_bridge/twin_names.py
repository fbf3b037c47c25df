"""Chooses the names of the layers of a twin."""

import re

from keras_netopt.tf_keras_bridge.flat_call import FlatGraph


def choose_names(graph: FlatGraph) -> dict[int, str]:
    """Returns a unique name in the twin for each layer and op, by `id`."""
    taken = set(graph.names)
    found: dict[int, str] = {}
    for call in graph.calls:
        if id(call.operation) in found:
            continue
        name = clean_name(call.operation.name)
        if name in taken:
            name = clean_name(call.path.replace("/", "_"))
        base, number = name, 0
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        found[id(call.operation)] = name
    return found


def clean_name(name: str) -> str:
    """Returns a name that TensorFlow takes as a scope."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return name if re.match(r"[A-Za-z0-9.]", name) else f"layer{name}"
