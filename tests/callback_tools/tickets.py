"""Watches the variables of a model through the rounds of a ticket search."""

import keras
import numpy as np

from keras_netopt.graph.layers import variable_keys
from keras_netopt.training import MaskStore
from keras_netopt.training.optimizer_hook import OptimizerHook
from keras_netopt.training.optimizers import all_optimizers, slot_lists


def fit(model, data, *callbacks, **arguments):
    """Trains in 4 steps per epoch, in a fixed order; returns the history."""
    arguments = {"batch_size": 16, "verbose": 0, "shuffle": False, **arguments}
    return model.fit(*data, callbacks=list(callbacks), **arguments).history


def state(model):
    """Every weight, seed state and slot by name; "slot ... of <weight>"."""
    keys = variable_keys(model)
    found = {keys.get(id(v), f"{v.path}"): v for v in model.variables}
    seeds = [v for v in model.variables if id(v) not in keys]
    found |= {f"seed {i}": v for i, v in enumerate(seeds)}
    found = {k: v for k, v in found.items() if "seed_generator" not in k}
    added = set(map(id, OptimizerHook.added_variables(model.optimizer)))
    for depth, one in enumerate(all_optimizers(model.optimizer)):
        slots = {}
        for name, values in slot_lists(one):
            if name.startswith("_self_"):
                continue
            for variable, slot in zip(
                one._trainable_variables, values, strict=True
            ):
                if slot is not None:
                    slots[id(slot)] = f"slot {name} of {keys[id(variable)]}"
        rest = [
            v
            for v in one._variables
            if id(v) not in slots and id(v) not in added
        ]
        slots |= {id(v): f"{depth} {v.name} {i}" for i, v in enumerate(rest)}
        found |= {slots[id(v)]: v for v in one._variables if id(v) not in added}
    return {
        name: np.array(keras.ops.convert_to_numpy(v))
        for name, v in found.items()
    }


class Seed(keras.callbacks.Callback):
    """Seeds torch, which keeps unseeded dropout outside the model."""

    def on_epoch_begin(self, epoch, logs=None):
        if keras.backend.backend() == "torch":
            keras.utils.set_random_seed(epoch % 2)


class Watch(keras.callbacks.Callback):
    """Copies the state before the first step of each epoch and after steps.

    `before` and `masks` are by the number of steps made, `ended` at the end
    of an epoch, `iterations` before each step.
    """

    def __init__(self):
        super().__init__()
        self.before, self.ended, self.masks = {}, {}, {}
        self.iterations, self.steps = [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.note()

    def note(self):
        self.before[self.steps] = state(self.model)
        store = MaskStore.of(self.model)
        self.masks[self.steps] = {} if store is None else store.masks()

    def on_train_batch_begin(self, batch, logs=None):
        self.iterations.append(int(self.model.optimizer.iterations))

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if batch < 3:
            self.note()

    def on_epoch_end(self, epoch, logs=None):
        self.ended[self.steps] = state(self.model)
