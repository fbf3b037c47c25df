"""The base class of layers that hold open decisions."""

import random
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import check_choice
from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.supernet.decision import (
    FIXED,
    MIXTURE,
    MODES,
    Decision,
    Option,
    sample_index,
)
from keras_netopt.training.backend import is_known

Architecture = Mapping[str, int]


class SearchableLayer(keras.layers.Layer):
    """Base of layers of which a part is still to be chosen.

    A subclass calls `add_decision` in `build`, `choose` in `call`, and defines
    `chosen_layer`. Everything that changes in a search is a weight of the
    layer, so that one compiled step serves all modes and options.
    """

    # Read by `export`, which refuses models with open decisions.
    netopt_is_searchable = True
    # Whether the layer only makes the weights of a decision of others.
    is_weights_only = False
    # Whether another layer makes the decision of this one.
    gets_decision = False
    # The decisions, once the layer is built.
    _own_decisions: tuple[Decision, ...] = ()

    def add_decision(
        self,
        options: Sequence[Option],
        *,
        axis: str | None = None,
        shared: str | None = None,
        sampling: str | None = None,
        active: int = 0,
        seed: int | None = None,
        weights: Any = None,
        temperature: float | None = None,
    ) -> Decision:
        """Adds the weights of a decision.

        Args:
            options: The options, at least two.
            axis: What is chosen, for a layer with several decisions.
                Defaults to `None`.
            shared: Name of a decision that several layers share. Defaults to
                `None`: the decision belongs to this layer alone.
            sampling: Name of the mode. Defaults to `None`: "mixture" with
                `weights`, otherwise "fixed".
            active: Position of the option that is fixed. Defaults to `0`.
            seed: Random seed. Layers of other names draw other samples from
                it. Defaults to `None`: a random seed.
            weights: Trainable weight with the logits. Defaults to `None`.
            temperature: Initial temperature. Defaults to `None`: none.
        """
        name = f"{self.name}/{axis}" if axis else self.name
        prefix = f"{axis}_" if axis else ""
        if shared is not None:  # All its layers must draw the same samples.
            name, seed = shared, seed or 0
        if seed is None:
            number = random.randrange(2**31)
        else:
            number = zlib.crc32(f"{seed}/{name}".encode()) % 2**31
        mode = MIXTURE if weights is not None else FIXED
        decision = Decision(
            name,
            tuple(options),
            self._add_state(f"{prefix}mode", MODES.get(sampling or "", mode)),
            self._add_state(f"{prefix}active", active),
            self._add_state(f"{prefix}draws", 0),
            self._add_state(f"{prefix}enabled", [1] * len(options)),
            weights,
            None
            if temperature is None
            else self._add_state(f"{prefix}temperature", temperature),
            self._add_state(f"{prefix}seed", number),
            is_shared=shared is not None,
        )
        self._own_decisions = (*self._own_decisions, decision)
        return decision

    def add_arch_alpha(self, count: int) -> Any:
        """Adds the trainable logits of `count` options, zero at first."""
        return self.add_weight(
            name="arch_alpha",
            shape=(count,),
            initializer="zeros",
            dtype="float32",
            autocast=False,
        )

    def choose(self, decision: Decision, training: bool | None) -> Any:
        """Returns the option of this call, an int32 scalar tensor.

        Training samples it as the mode says. Call `count_draw` once the
        sample is used.
        """
        if not training:
            return ops.convert_to_tensor(decision.active)
        own = decision.read()
        values = own.mode, own.active, own.draws, own.enabled, own.seed
        if not all(map(is_known, values)):
            return sample_index(*values)
        arrays: Any = [np.array(ops.convert_to_numpy(one)) for one in values]
        mode, active, draws, enabled, state = arrays
        index = sample_index(mode, active, draws, enabled, state, np)
        return ops.convert_to_tensor(index, dtype="int32")

    def count_draw(self, decision: Decision, training: bool | None) -> None:
        """Counts a training call, so that the next one samples anew."""
        if training:
            decision.draws.assign(decision.draws + 1)

    def decisions(self) -> list[Decision]:
        """Lists the decisions of this layer; it must be built."""
        return list(self._own_decisions)

    def chosen_layer(self, architecture: Architecture) -> Any:
        """Returns what computes one architecture.

        Args:
            architecture: The index of the option per decision of the model.

        Returns:
            A layer inside this layer or a new built layer with its weights,
            or a list of such layers, which are called in turn.
        """
        raise NotImplementedError

    def _add_state(self, name: str, value: Any) -> Any:
        array = np.array(value)
        is_float = array.dtype.kind == "f"
        dtype = "float32" if is_float else "int32"
        return self.add_weight(
            name=name,
            shape=array.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                array, dtype=dtype
            ),
            dtype=dtype,
            trainable=False,
            autocast=False,
        )


def check_sampling(sampling: Any, modes: Sequence[str]) -> str | None:
    """Returns the name of a mode, or `None`."""
    if sampling is not None:
        check_choice(sampling, "sampling", modes)
    chosen: str | None = sampling
    return chosen


def find_decisions(model: keras.Model) -> dict[str, Decision]:
    """Returns the decisions of all searchable layers of a model by name.

    Nested models and layers inside layers are included, in the order in which
    they were added.

    Raises:
        ValueError: If the model has no searchable layer, if one is not built,
            or if two decisions have the same name.
    """
    found: dict[str, Decision] = {}
    received = f"Received: model=<{type(model).__name__} name={model.name}>"
    layers = [
        layer
        for layer in walk_layers(model)
        if isinstance(layer, SearchableLayer)
    ]
    for layer in layers:
        if not layer.built:
            raise ValueError(
                "Argument `model` must be built, but its layer "
                f"{layer.name!r} is not. Call the model on data first. "
                f"{received}"
            )
        for decision in layer.decisions():
            first = found.get(decision.name)
            if first is not None and first.is_shared and decision.is_shared:
                found[decision.name] = first.join(decision)
                continue
            if first is not None:
                raise ValueError(
                    "Argument `model` must hold searchable layers with "
                    f"different names, but two have the name {layer.name!r}. "
                    f"Give them a `name`. {received}"
                )
            found[decision.name] = decision
    if not found:
        raise ValueError(
            "Argument `model` must have a searchable layer, such as "
            f"`layers.Choice`. {received}"
        )
    return found
