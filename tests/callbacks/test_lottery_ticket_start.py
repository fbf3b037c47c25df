"""What `LotteryTicket` checks when a search begins."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import zeros
from callback_tools.tickets import fit

from keras_netopt import sparsity
from keras_netopt.callbacks import LotteryTicket
from keras_netopt.training import MaskStore, NotIntendedUseWarning

L = keras.layers


def small(layer=None):
    layer = layer or L.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8,)), layer])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def fails(variable):
    raise ValueError("no score of one's own")


def count_runs(variable):
    count_runs.calls += 1
    return np.abs(keras.ops.convert_to_numpy(variable))


BAD = {
    "taylor": "must hold targets",
    "snip": "must hold targets",
    "shape": "shape",
    "error": "no score of one's own",
}
FUNCTIONS = {"shape": lambda variable: np.ones(3), "error": fails}


@pytest.mark.parametrize("name", BAD)
def test_bad_scores_and_data_are_found_before_training(name, toy_data):
    """Bug: `fit` trains the whole first round and fails then."""
    model, epochs = small(), []
    seen = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch)
    )
    ticket = LotteryTicket(
        1,
        0.5,
        score=FUNCTIONS.get(name, name),
        calibration_data=None if name in FUNCTIONS else toy_data[0],
    )
    before = model.get_weights()
    with pytest.raises(ValueError, match=BAD[name]):
        fit(model, toy_data, ticket, seen, epochs=2)
    assert not epochs and MaskStore.of(model) is None
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fit_after_the_search_tries_no_score(toy_data):
    model, count_runs.calls = small(), 0
    ticket = LotteryTicket(1, 0.5, score=count_runs)
    fit(model, toy_data, ticket, epochs=2)
    assert count_runs.calls == 2
    fit(model, toy_data, ticket, epochs=1)
    assert count_runs.calls == 2 and zeros(model) == 12


def test_data_that_are_read_once_are_left_for_the_round(toy_data):
    """Bug: the try at the start takes the only batch."""
    model = small()
    data = iter([tuple(part[:32] for part in toy_data)])
    ticket = LotteryTicket(1, 0.5, score="taylor", calibration_data=data)
    fit(model, toy_data, ticket, epochs=2)
    assert zeros(model) == 12


def test_a_search_that_begins_with_an_unfinished_one_is_told(
    ticket_mlp, toy_data, recwarn
):
    """Bug: round 0 has half the weights and is called dense."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    def sparsities():
        return [one.sparsity for one in ticket.finished_rounds]

    model, ticket = ticket_mlp(), LotteryTicket(2, 0.5)
    initial = model.get_weights()
    fit(model, toy_data, ticket, Stop(), epochs=3)
    recwarn.clear()
    with pytest.warns(NotIntendedUseWarning, match=r"round 1 of .*remove_mask"):
        fit(model, toy_data, ticket, Stop(), epochs=3)
    assert sparsities()[0] > 0.4

    sparsity.remove_masks(model)
    model.set_weights(initial)
    recwarn.clear()
    fit(model, toy_data, ticket, epochs=3)
    assert not [w for w in recwarn if w.category is NotIntendedUseWarning]
    np.testing.assert_allclose(sparsities(), [0, 0.5, 0.75], atol=0.01)
    assert ticket.get_config()["rounds"] == ticket.rounds == 2


def test_a_shuffled_control_keeps_the_counts_of_each_matrix():
    """Bug: zeros move from one matrix of a stack to another."""
    keras.utils.set_random_seed(2)
    layer = L.EinsumDense("bhi,hio->bho", (3, 5), name="heads")
    model = keras.Sequential([keras.Input((3, 8)), layer])
    model.compile("sgd", "mse")
    kernel = np.random.default_rng(0).uniform(1, 2, (3, 8, 5))
    kernel *= np.array([1.0, 3.0, 9.0])[:, None, None]
    layer.kernel.assign(kernel)
    data = np.zeros((32, 3, 8), "float32"), np.zeros((32, 3, 5), "float32")
    masks = []
    for control in (None, "shuffle_mask"):
        layer.kernel.assign(kernel)
        ticket = LotteryTicket(1, 0.5, control=control, min_kept=1)
        fit(model, data, ticket, epochs=2)
        masks.append(MaskStore.of(model).masks()["heads/kernel"])
        sparsity.remove_masks(model)
    counts = [mask.sum(axis=(1, 2)).tolist() for mask in masks]
    assert counts[0] == counts[1] and len(set(counts[0])) > 1
    assert not np.array_equal(*masks)
