"""Proxies of the synaptic flow: how much signal all paths carry."""

from typing import Any

import keras
import numpy as np

from keras_netopt.training.synaptic_flow import SynapticFlow, open_flow


def measure_flow(model: keras.Model, x: Any) -> SynapticFlow:
    """Measures the synaptic flow of all trainable variables of a model."""
    with open_flow(model, x, model.trainable_variables) as measure:
        return measure()


def synflow(flow: SynapticFlow) -> float:
    """Returns the logarithm of the sum of `abs(w * dR/dw)`."""
    pairs = zip(flow.weights, flow.gradients, strict=True)
    total = float(sum(np.sum(np.abs(w * g)) for w, g in pairs))
    return float(np.log(total)) if total > 0 else -np.inf


def flow_depth(flow: SynapticFlow) -> float:
    """Returns the synaptic flow as a multiple of the response R.

    That is the mean number of weights on a path from an input to an output,
    over the paths of a network without biases in proportion to their flow.
    """
    if not flow.response > 0:
        return 0.0
    return float(np.exp(synflow(flow) - np.log(flow.response)))
