"""Callbacks and reports of models with a `train_step` of their own."""

import keras
import numpy as np
import pytest
from callback_tools.own_steps import (
    Auto,
    ByHand,
    TwoOptimizers,
    X,
    compiled,
)
from callback_tools.pruning import size, zeros

from keras_netopt import cost, sparsity
from keras_netopt.callbacks import (
    BestCheckpoint,
    LearningRateFinder,
    Pruning,
)
from keras_netopt.schedules import Constant
from keras_netopt.training import MaskStore, NotIntendedUseWarning

# A JAX step has only the variables of `model.optimizer`.
not_jax = pytest.mark.backend("tensorflow", "torch")


class Zeros(keras.callbacks.Callback):
    """Zeros after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(zeros(self.model))


def train(model, *callbacks, epochs=2):
    return model.fit(
        X,
        batch_size=8,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=list(callbacks),
    ).history


def slots(optimizer, variable):
    index = optimizer._trainable_variables_indices[optimizer._var_key(variable)]
    lists = (getattr(optimizer, n, None) for n in ("momentums", "_momentums"))
    return [np.array(s[index].numpy()) for s in lists if s]


KINDS = [Auto, pytest.param(TwoOptimizers, marks=not_jax)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_keeps_the_zeros(kind, tmp_path):
    model, seen = compiled(kind), Zeros()
    key = "loss" if kind is Auto else "part_loss"
    best = BestCheckpoint(
        tmp_path / "best.weights.h5", monitor=key, save_weights_only=True,
        mode="min",
    )  # fmt: skip
    history = train(model, Pruning(Constant(0.8)), seen, best)

    assert seen.seen == [round(0.8 * size(model))] * 8
    assert history["sparsity"][-1] == zeros(model) / size(model)
    assert sparsity.report(model).zeros == zeros(model)
    kept = zeros(model)
    model.encoder.set_weights([np.ones((6, 10)), np.zeros(10)])
    model.load_weights(tmp_path / "best.weights.h5")
    assert zeros(model) == kept


@not_jax
def test_gradients_of_every_optimizer_are_masked():
    model = compiled(TwoOptimizers)
    train(model, Pruning(Constant(0.8)))
    masks = MaskStore.of(model).masks().values()
    parts = (model.encoder, model.decoder)
    optimizers = (model.first, model.others[0])
    for mask, part, optimizer in zip(masks, parts, optimizers, strict=True):
        (momentum,) = slots(optimizer, part.layers[0].kernel)
        assert not momentum[~mask].any() and momentum[mask].any()
    sparsity.remove_masks(model)
    train(model, epochs=1)
    assert zeros(model) < 0.8 * size(model)


@not_jax
def test_weights_updated_by_hand_are_told_and_kept_zero():
    model, seen = compiled(ByHand), Zeros()
    with pytest.warns(NotIntendedUseWarning, match="changes masked weights"):
        train(model, Pruning(Constant(0.8)), seen)

    assert set(seen.seen) == {round(0.8 * size(model))}


@not_jax
def test_a_new_optimizer_under_another_name_takes_the_masks():
    model = compiled(TwoOptimizers)
    train(model, Pruning(Constant(0.8)), epochs=1)
    masked = zeros(model)
    model.compile()
    train(model, Pruning(Constant(0.8)), epochs=1)

    assert zeros(model) == masked


def test_weights_are_counted_and_pruned_without_a_call():
    model = compiled(Auto)
    report = cost.summarize(model)
    assert report.params == 6 * 10 + 10 + 10 * 6 + 6
    assert report.bytes == 4 * report.params
    assert len(report.unknown) == 2
    assert "summarize its parts" in report.unknown[0].note
    assert sparsity.prune(model, 0.5).zeros == 60


def test_the_finder_takes_a_loss_that_is_no_mean():
    finder = LearningRateFinder(1e-4, 1.0, steps=8)
    losses = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(logs["loss"])
    )
    train(compiled(Auto, optimizer="sgd"), finder, watch)

    np.testing.assert_allclose(finder.history["loss"], losses, rtol=1e-6)


@not_jax
def test_the_finder_says_what_it_needs():
    with pytest.raises(ValueError, match="Received: optimizers=") as error:
        train(compiled(TwoOptimizers), LearningRateFinder())
    assert "['optimizer', 'first', 'others']" in str(error.value)

    class Other(Auto):
        def train_step(self, data):
            return {"other": super().train_step(data)["loss"]}

    model = compiled(Other, optimizer="sgd")
    before = model.get_weights()
    with pytest.raises(ValueError, match="return it as `loss`. .* with other$"):
        train(model, LearningRateFinder())
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_that_are_missing_are_asked_for():
    class Late(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(3)]
            )
            self.second = keras.layers.Dense(2)

    with pytest.raises(ValueError, match="`model` must be built"):
        sparsity.report(Late())
