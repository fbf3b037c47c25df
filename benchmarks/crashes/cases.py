"""What is trained: every public callback, by its row in the registry.

Models, data and arguments are those of the contract tests. Import after
`preload`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from callback_tools import supernets
from contract import callback_setting, probes, settings, zoo
from keras import layers

from keras_netopt import callbacks, registry, search
from keras_netopt.callbacks import ElasticWeightConsolidation

EPOCHS = 4

# A model, its callbacks, and the other arguments of `fit`.
Parts = tuple[keras.Model, list[Any], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One callback that is trained and killed.

    Args:
        name: Its name in the table.
        component: Its row in the registry.
        build: Makes what `fit` needs, in the child.
    """

    name: str
    component: str
    build: Callable[[], Parts]


def list_cases() -> list[Case]:
    """Returns the cases of all public callbacks, one of each at first.

    Raises:
        KeyError: If a callback of the registry has no case.
    """
    found: list[Case] = []
    first: list[Case] = []
    for row in registry.METHODS:
        if row.kind != "callback":
            continue
        before = len(found)
        own = [s for s in settings.CALLBACKS if s.component == row.name]
        if own:
            found += [
                Case(one.name, row.name, partial(_of_contract, one))
                for one in own
            ]
        else:
            found += [
                Case(name, row.name, build)
                for name, build in OWN_MODELS[row.name].items()
            ]
        first.append(found[before])
    return [*first, *(case for case in found if case not in first)]


def _of_contract(setting: callback_setting.Setting) -> Parts:
    case = callback_setting.case("mlp", Path())
    model = zoo.compiled("mlp")
    x, y = zoo.data("mlp")
    chosen = setting.callbacks(case)
    arguments = {
        "x": x,
        "y": y,
        "batch_size": zoo.BATCH_SIZE,
        "epochs": setting.whole(EPOCHS),
        "validation_data": (x, y),
    }
    return model, chosen, probes.fed(chosen, arguments)


def _search(method: str) -> Parts:
    options: dict[str, Any] = {"evaluations": 3}
    if method == "darts":
        options["architecture_optimizer"] = keras.optimizers.Adam(0.05)
    component = callbacks.ArchitectureSearch(method, **options)
    data = search.dataset(*supernets.make_data(), batch_size=12)
    model = supernets.build_supernet(edges=1)
    return model, [component], {"x": data, "epochs": EPOCHS}


def _consolidation() -> Parts:
    """The second of two tasks with a hidden layer in common."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 4)).astype("float32")
    y = (np.arange(24) % 3).astype("int32")
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, activation="relu", name="hidden")(inputs)
    hidden = layers.Dropout(0.2, seed=5)(hidden)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    models = []
    for i in range(2):
        models.append(keras.Model(inputs, layers.Dense(3, name=f"{i}")(hidden)))
        models[i].compile(keras.optimizers.Adam(0.01), loss)
    component = ElasticWeightConsolidation(strength=100.0, fisher_samples=8)
    component.consolidate(models[0], x)
    arguments = {"x": x, "y": y, "batch_size": 8, "epochs": EPOCHS}
    return models[1], [component], arguments


# Callbacks that train no model of the contract tests.
OWN_MODELS: dict[str, dict[str, Callable[[], Parts]]] = {
    "callbacks.ArchitectureSearch": {
        f"ArchitectureSearch {method}": partial(_search, method)
        for method in ("single_path", "darts")
    },
    "callbacks.ElasticWeightConsolidation": {
        "ElasticWeightConsolidation": _consolidation
    },
}
