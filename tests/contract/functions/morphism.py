"""Contract settings of the search by network morphism."""

from typing import Any

from contract.function_setting import Call, FunctionSetting

from keras_netopt import search

# A wrong value of each argument of the search by network morphism.
MORPHISM_BAD = {
    "parent": "model",
    "objective": 3,
    "max_trials": 0,
    "strategy": "simulated_annealing",
    "population_size": 0,
    "sample_size": 9,
    "neighbors": 0,
    "operations": ["split"],
    "factors": (0.5,),
    "mutations_per_child": 0,
    "min_channels": 0,
    "block": 3,
    "include": 3,
    "exclude": "[",
    "constraints": [3],
    "parent_epochs": -1,
    "learning_rate": 0.0,
    "final": 2.0,
    "inherit_weights": "no",
    "controls": -1,
    "mode": "up",
    "max_time": 0,
    "patience": 0,
    "overwrite": 1,
    "seed": 0.5,
}


def _morphism(**changed: Any) -> Call:
    """The mutations that a search may make of a model."""

    def call(model, folder):
        arguments = {"parent": model, "directory": folder, **changed}
        return search.Morphism(**arguments).list_mutations().to_dict()

    return call


FUNCTIONS = (
    FunctionSetting(
        component="search.Morphism",
        call=_morphism(),
        is_pruned=False,
        bad={name: _morphism(**{name: v}) for name, v in MORPHISM_BAD.items()},
        free=("directory", "project_name"),
    ),
)
