"""Contract settings of the search of sparse sub-networks."""

from typing import Any

import numpy as np
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import search


def _weedout(**changed: Any) -> Call:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(16, 8)).astype("float32"), np.arange(16) % 3

    def call(model: Any, folder: Any) -> Any:
        given = {
            "model": model,
            "data": data,
            "candidates": 3,
            "verbose": 0,
            **changed,
        }
        result = search.weedout(**given)
        return result.losses, result.config

    return call


FUNCTIONS = (
    FunctionSetting(
        component="search.weedout",
        call=_weedout(),
        is_pruned=False,
        bad={
            "model": _weedout(model=NOT_A_MODEL),
            "sparsity": _weedout(sparsity=1.0),
            "data": _weedout(data=np.zeros((0, 8), "float32")),
            "candidates": _weedout(candidates=0),
            "batch": _weedout(batch=0),
            "heuristic": _weedout(heuristic="annealing"),
            "scope": _weedout(scope="layer"),
            "granularity": _weedout(granularity="filter"),
            "allocation": _weedout(allocation="global"),
            "include": _weedout(include="out"),
            "exclude": _weedout(exclude="missing"),
            "mask_inputs": _weedout(mask_inputs=True, granularity="weight"),
            "controls": _weedout(controls=0),
            "seed": _weedout(seed=-1),
            "verbose": _weedout(verbose=3),
        },
    ),
)
