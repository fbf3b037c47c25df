"""Settings with which the contract tests one public function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from keras_netopt import registry

Call = Callable[[keras.Model, Path], Any]
NOT_A_MODEL: Any = "model"


@dataclass(frozen=True, kw_only=True, eq=False)
class FunctionSetting:
    """One setting of a function.

    Args:
        component: The registry row, as in "sparsity.prune".
        call: Applies it to a model; the folder holds `pruned.keras` of a
            pruned twin.
        prepare: Brings a pruned or dense model into the state it is for.
        changes: Whether it changes the model.
        once: Whether a second call is refused: nothing is left to do.
        bad: One wrong value an argument.
        free: Arguments of which any value is right.
        layers: Arguments that name layers; the error names the layer.
        tensorflow: Whether it works under TensorFlow only.
    """

    component: str
    call: Call
    prepare: Callable[[keras.Model], None] = lambda model: None
    is_pruned: bool = True
    changes: bool = False
    once: bool = False
    bad: Mapping[str, Call] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    tensorflow: bool = False

    def __str__(self) -> str:
        return self.component

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.component)
        assert found is not None
        return found
