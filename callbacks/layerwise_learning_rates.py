"""Gives each layer its own learning rate while `fit` runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_netopt.checks import check_integer, check_number
from keras_netopt.fine_tuning.rate_factors import (
    RatedGroup,
    find_rates,
    rate_pairs,
    variable_factors,
)
from keras_netopt.fine_tuning.rate_report import LayerRateReport, RateRow
from keras_netopt.selectors import (
    Pattern,
    Selector,
    check_selector,
    deserialize_selector,
    serialize_selector,
)
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    NoEffectWarning,
    NotIntendedUseWarning,
    ResumableCallback,
)
from keras_netopt.training.update_scale import UpdateScale

LOWEST_FACTOR = 1e-4


@export_class
class LayerwiseLearningRates(ResumableCallback):
    """Multiplies the learning rate of chosen layers during `fit`.

    Use it to fine-tune a trained model: its first layers hold general
    features and should change less than its last ones (discriminative
    learning rates, layer-wise decay). The update of a weight is multiplied
    and not its gradient, which Adam and its relatives would divide out. So it
    works with every optimizer, learning rate and schedule of Keras. The
    decoupled weight decay of a layer is a part of its update and is
    multiplied too, as PyTorch does for groups of parameters. Slots do not
    change.

    A factor of 1 is plain `fit`, bit for bit; 0 keeps the weights as they
    are. The factors act in `fit` calls with the callback. If such a call is
    interrupted by an exception, they act until the next one with the callback
    has ended, or until `model.compile`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(
    ...     16, name="body"), keras.layers.Dense(3, name="head")])
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((64, 8)), np.ones((64, 3))
    >>> rates = netopt.callbacks.LayerwiseLearningRates({"body": 0.1})
    >>> history = model.fit(x, y, verbose=0, callbacks=[rates])
    >>> [(row.layers, row.factor) for row in rates.report().rows]
    [(('body',), 0.1), (('head',), 1.0)]

    Args:
        rates: A dictionary from selectors to factors of at least 0. A
            selector is a regular expression searched in the layer's path,
            "first", "last", a layer, a layer class or a `callable(layer) ->
            bool`; a layer may match one of them. Other layers have the factor
            1. Defaults to `None`.
        decay: Factor in (0, 1] between each group of layers and the next
            deeper one; the last group has 1. Multiplied with `rates`.
            Recommended: 1 / 2.6 for a few groups (Howard and Ruder), 0.65 to
            0.9 per block of a transformer. A warning tells if `decay` makes a
            factor below 1e-4 and `groups` is `None`. Defaults to `None`: 1.
        groups: The groups of `decay`: a list of selectors, from the last
            layers to the first, or a number of groups, at least 2. Defaults
            to `None`: one group per layer with a kernel, those of nested
            models included; a layer that holds others (attention, the block
            of a transformer) is one group. If the blocks of the model are no
            layers, give `groups`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or neither `rates` nor
            `decay` is given, at construction; before the first step, if a
            selector matches nothing or only frozen layers, two match one
            layer, or layers that share a weight have two factors.

    Reference:
        Howard and Ruder, 2018, https://arxiv.org/abs/1801.06146; Bao et al.,
        2021, https://arxiv.org/abs/2106.08254 (layer-wise decay).
    """

    def __init__(
        self,
        rates: Mapping[Pattern, float] | None = None,
        *,
        decay: float | None = None,
        groups: Sequence[Selector] | int | None = None,
    ) -> None:
        super().__init__()
        self._pairs = [] if rates is None else rate_pairs(rates)
        for selector, _ in self._pairs:
            check_selector(selector, "rates")
        if decay is not None and not 0.0 < check_number(decay, "decay") <= 1.0:
            raise ValueError(
                "Argument `decay` must be a float in (0, 1]. "
                f"Received: decay={decay!r}"
            )
        _check_groups(groups, decay)
        if rates is None and decay is None:
            raise ValueError(
                "Argument `rates` must be given, or `decay`: without both "
                f"every factor is 1. Received: rates={rates!r}, decay={decay!r}"
            )
        self.rates = rates
        self.decay = decay
        self.groups = groups
        self.reset()

    def reset(self) -> None:
        """Forgets the layers of the previous model."""
        self._found: list[RatedGroup] = []
        self._scale: UpdateScale | None = None
        self._is_checked = False

    def on_model_ready(self, model: keras.Model) -> None:
        """Finds the factor of each layer."""
        others = self.other_callbacks(model)
        if any(isinstance(other, LayerwiseLearningRates) for other in others):
            raise ValueError(
                "LayerwiseLearningRates must be used once per `fit`. "
                f"Received: another one beside {self!r}"
            )
        self._attach_factors(model)
        self._is_checked = False
        self._warn_of_low_rates()

    def on_steps(self, before: int, after: int) -> None:
        """Checks after the first step that the optimizer was called."""
        if self._is_checked or self._scale is None:
            return
        self._is_checked = True
        if not self._scale.was_called:
            self.warn(
                NoEffectWarning,
                "the training step updates no weights with a Keras optimizer "
                "that is an attribute of the model, so the factors have no "
                "effect. Call `optimizer.apply` in `train_step`.",
            )

    def on_fit_end(self, model: keras.Model) -> None:
        """Removes the factors."""
        if self._scale is not None:
            self._scale.detach()

    def after_edit(self, model: keras.Model) -> None:
        """Called after edits of the model; new weights get factors, too."""
        if self._scale is not None and UpdateScale.of(model) is not None:
            self._attach_factors(model)

    def report(self) -> LayerRateReport:
        """Returns the factor of each layer.

        Returns:
            The report of the last fit.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        if not self._found:
            raise self.report_error("layers")
        return LayerRateReport(
            tuple(
                RateRow(one.group.paths, one.group.parameters, one.factor)
                for one in self._found
            )
        )

    def _warn_of_low_rates(self) -> None:
        if self.decay is None or self.groups is not None:
            return
        one = min(self._found, key=lambda one: one.factor or 1.0)
        if 0.0 < one.factor < LOWEST_FACTOR:
            self.warn(
                NotIntendedUseWarning,
                f"`decay={self.decay:g}` leaves the factor {one.factor:.1g} to "
                f"{', '.join(one.group.paths[:4])}: this model has too many "
                "layers for one group each. Give `groups`, such as one "
                "selector per block, the last layers first, or a number.",
            )

    def _attach_factors(self, model: keras.Model) -> None:
        self._found = find_rates(model, self._pairs, self.decay, self.groups)
        self._scale = UpdateScale.attach(model, variable_factors(self._found))

    def _config_value(self, name: str, value: Any) -> Any:
        if name == "rates" and value is not None:
            return [[serialize_selector(k), f] for k, f in rate_pairs(value)]
        if name == "groups" and isinstance(value, list | tuple):
            return [serialize_selector(one) for one in value]
        return super()._config_value(name, value)

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Creates the callback from a config."""
        config, given = dict(config), dict[str, Any]()
        if isinstance(config.get("rates"), list):
            given["rates"] = {
                deserialize_selector(key): factor
                for key, factor in config.pop("rates")
            }
        if isinstance(config.get("groups"), list):
            groups = config.pop("groups")
            given["groups"] = [deserialize_selector(one) for one in groups]
        return super().from_config(config, **given, **data)


def _check_groups(groups: Any, decay: float | None) -> None:
    if groups is None:
        return
    if isinstance(groups, list | tuple):
        for selector in groups:
            check_selector(selector, "groups")
    else:
        check_integer(groups, "groups", minimum=2)
    if decay is None:
        raise ValueError(
            "Argument `groups` must be left out without `decay`, which it "
            f"divides. Received: groups={groups!r}"
        )
