"""The measurements behind the proxies, each made once."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import numpy as np

from keras_netopt.search.zero_cost_proxies import costs
from keras_netopt.search.zero_cost_proxies.activation_codes import (
    ActivationCodes,
    channel_entropy,
    collect_codes,
    meco,
    naswot,
    swap,
)
from keras_netopt.search.zero_cost_proxies.input_jacobian import (
    jacob_cov,
    measure_jacobian,
)
from keras_netopt.search.zero_cost_proxies.kernel_gradients import (
    KernelGradients,
    grad_norm,
    measure_gradients,
    snip,
)
from keras_netopt.search.zero_cost_proxies.synaptic_flow import (
    SynapticFlow,
    flow_depth,
    measure_flow,
    synflow,
)


class ProxyInputs:
    """Measures an untrained model on one batch, as far as proxies ask.

    Args:
        model: A built model.
        x: Inputs of one batch: an array or a structure of arrays.
        y: Targets of the batch, for `grad_norm` and `snip`.
    """

    def __init__(self, model: keras.Model, x: Any, y: Any = None) -> None:
        self.model, self.x, self.y = model, x, y

    @cached_property
    def codes(self) -> ActivationCodes:
        """One forward pass."""
        return collect_codes(self.model, self.x)

    @cached_property
    def flow(self) -> SynapticFlow:
        """One forward and one backward pass of one sample."""
        return measure_flow(self.model, self.x)

    @cached_property
    def gradients(self) -> KernelGradients:
        """One forward and one backward pass."""
        if self.y is None:
            raise ValueError(
                "Argument `y` must be given for the proxies 'grad_norm' and "
                "'snip', which need the loss. Received: y=None"
            )
        return measure_gradients(self.model, self.x, self.y)

    @cached_property
    def jacobian(self) -> np.ndarray:
        """One forward and one backward pass."""
        return measure_jacobian(self.model, self.x)


Proxy = Callable[[ProxyInputs], float]

# Every score is higher for a model that is expected to be better.
PROXIES: dict[str, Proxy] = {
    "synflow": lambda probe: synflow(probe.flow),
    "flow_depth": lambda probe: flow_depth(probe.flow),
    "naswot": lambda probe: naswot(probe.codes),
    "swap": lambda probe: swap(probe.codes),
    "meco": lambda probe: meco(probe.codes),
    "channel_entropy": lambda probe: channel_entropy(probe.codes),
    "jacob_cov": lambda probe: jacob_cov(probe.jacobian),
    "grad_norm": lambda probe: grad_norm(probe.gradients),
    "snip": lambda probe: snip(probe.gradients),
    "params": lambda probe: costs.params(probe.model),
    "conv_count": lambda probe: costs.conv_count(probe.model),
    "macs": lambda probe: costs.macs(probe.model),
}
NEEDS_LABELS = ("grad_norm", "snip")
