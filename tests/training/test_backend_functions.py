"""Overrides of the backend's activations: nesting, threads, errors."""

import threading

import numpy as np
import pytest
from keras import ops
from keras.src import backend

from keras_netopt.training.backend_functions import override_functions

NAMES = ("relu", "silu")


def test_calls_of_a_call_and_of_other_threads_are_not_seen():
    seen, x = [], np.array([-1.0, 2.0], "float32")
    before = [getattr(backend.nn, name) for name in NAMES]

    def wrap(original):
        def call(x):
            seen.append(original)
            return ops.relu(original(x))

        return call

    with override_functions(NAMES, wrap):
        found = ops.convert_to_numpy(ops.silu(x))
        thread = threading.Thread(target=ops.relu, args=(x,))
        thread.start()
        thread.join()
    assert seen == [before[1]]
    np.testing.assert_allclose(found, [0.0, 2 / (1 + np.exp(-2))], rtol=1e-5)
    assert before == [getattr(backend.nn, name) for name in NAMES]


def test_an_error_restores_the_functions():
    before = backend.nn.relu
    with (
        pytest.raises(RuntimeError, match="stop"),
        override_functions(NAMES, lambda original: original),
    ):
        raise RuntimeError("stop")
    assert backend.nn.relu is before
