"""The files: number formats, patterns of zeros, fewer channels."""

import keras
import numpy as np

from keras_netopt import export, quantization, sparsity, surgery

ZEROS = 0.8
ARMS = {
    "float32": {},
    "80 % zeros": {},
    "80 % zeros, sparse format": {"sparse": True},
    "80 % zeros in blocks of 1x4, sparse format": {"sparse": True},
    "2:4 zeros, sparse format": {"sparse": True},
    "int8 weights": {"quantize": "dynamic"},
    "int8 weights and activations": {"quantize": "int8"},
    "80 % zeros, int8 weights": {"quantize": "dynamic"},
    "int4 weights": {"quantize": "int4"},
    "half of the channels": {},
}


def write(model: keras.Model, arm: str, path: str) -> None:
    """Changes a model as an arm says and writes its file."""
    if "2:4" in arm:
        sparsity.prune(model, pattern="2:4")
    elif "blocks" in arm:
        sparsity.prune(model, ZEROS, pattern=sparsity.Block(1, 4))
    elif "zeros" in arm:
        sparsity.prune(model, ZEROS)
    elif "int4" in arm:
        quantization.quantize(model, bits=4)
    elif "half" in arm:
        surgery.prune_channels(model, 0.5)
    data = None
    if "activations" in arm:
        shape = (200, *model.input_shape[1:])
        data = np.random.default_rng(0).normal(size=shape).astype("float32")
    export.to_litert(model, path, calibration_data=data, **ARMS[arm])
