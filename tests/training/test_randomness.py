"""Predictions between training steps keep the random state."""

import keras
import numpy as np
import pytest

from keras_netopt.training.randomness import preserve_random_state


@pytest.mark.backend("torch")  # It has one generator for all.
def test_predictions_do_not_move_torchs_generator():
    import torch

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    before = torch.get_rng_state()
    with preserve_random_state():
        model.predict(np.ones((4, 1)), verbose=0)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError), preserve_random_state():
        torch.rand(3)
        _ = 1 / 0
    assert torch.equal(torch.get_rng_state(), before)
    model.predict(np.ones((4, 1)), verbose=0)
    assert not torch.equal(torch.get_rng_state(), before)
