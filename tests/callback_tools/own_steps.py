"""Models with a `train_step` of their own that are never called as a whole."""

import keras
import numpy as np
from keras import ops

L = keras.layers
BACKEND = keras.backend.backend()
X = np.random.default_rng(0).random((32, 6)).astype("float32")


class Parts(keras.Model):
    """Encoder and decoder; `step` updates some weights from a loss."""

    def __init__(self, **arguments):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((6,)), L.Dense(10)])
        self.decoder = keras.Sequential([keras.Input((10,)), L.Dense(6)])
        if BACKEND != "tensorflow":
            self.built = True  # Keras refuses `fit` otherwise.

    def loss_of(self, x):
        return ops.mean(ops.square(self.decoder(self.encoder(x)) - x))

    def gradients(self, weights, x):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = self.loss_of(x)
            return loss, tape.gradient(loss, weights)
        self.zero_grad()
        loss = self.loss_of(x)
        loss.backward()
        return loss, [v.value.grad for v in weights]

    def apply(self, optimizer, gradients, weights):
        if BACKEND != "torch":
            optimizer.apply(gradients, weights)
            return
        import torch

        with torch.no_grad():
            optimizer.apply(gradients, weights)


class Auto(Parts):
    """One optimizer; logs the loss of the batch, not a mean."""

    if BACKEND == "jax":

        def train_step(self, state, data):
            import jax

            trained, other, slots, metrics = state

            def loss_of(values):
                mapping = [*zip(self.trainable_variables, values, strict=True)]
                with keras.StatelessScope(state_mapping=mapping):
                    return self.loss_of(data)

            loss, gradients = jax.value_and_grad(loss_of)(trained)
            trained, slots = self.optimizer.stateless_apply(
                slots, gradients, trained
            )
            return {"loss": loss}, (trained, other, slots, metrics)

    else:

        def train_step(self, data):
            weights = self.trainable_weights
            loss, gradients = self.gradients(weights, data)
            self.apply(self.optimizer, gradients, weights)
            return {"loss": loss}


class TwoOptimizers(Parts):
    """As a GAN: each part has its own optimizer, under another name."""

    def compile(self, **arguments):
        super().compile(**arguments)
        self.first = keras.optimizers.SGD(0.1, momentum=0.9)
        self.others = [keras.optimizers.Adam(0.1)]

    def train_step(self, data):
        for part, optimizer in (
            (self.encoder, self.first),
            (self.decoder, self.others[0]),
        ):
            weights = part.trainable_weights
            loss, gradients = self.gradients(weights, data)
            self.apply(optimizer, gradients, weights)
        return {"part_loss": loss}


class ByHand(Parts):
    """Updates weights without an optimizer."""

    def train_step(self, data):
        weights = self.trainable_weights
        loss, gradients = self.gradients(weights, data)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign(ops.subtract(weight.value, 0.1 * gradient))
        return {"loss": loss}


def compiled(kind, **arguments):
    keras.utils.set_random_seed(0)
    model = kind()
    model.compile(**arguments)
    return model
