"""Two groups of variables move in turn, as in a hand-made loop."""

import keras
import numpy as np
import pytest
from training.mixed_layer import build_mixed, make_data

from keras_netopt.search.bilevel_data import dataset
from keras_netopt.training.bilevel_optimizer import BilevelOptimizer
from keras_netopt.training.gradients import compute_gradients
from keras_netopt.training.phase_loss import PhaseLoss


def read(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def groups(model):
    alpha = model.get_layer("mixed").alpha
    weights = [v for v in model.trainable_variables if v is not alpha]
    return weights, alpha


class HandMade:
    """DARTS in NumPy: momentum SGD for the weights, SGD for alpha."""

    def __init__(self, model, rate, momentum, alpha_rate):
        self.model, self.rate = model, rate
        self.momentum, self.alpha_rate = momentum, alpha_rate
        self.weights, self.alpha = groups(model)
        self.velocity = [np.zeros(v.shape) for v in self.weights]

    def gradients(self, batch):
        found = compute_gradients(
            self.model, *batch, variables=[*self.weights, self.alpha]
        )
        return found[:-1], found[-1]

    def assign(self, values):
        for variable, value in zip(self.weights, values, strict=True):
            variable.assign(value)

    def step(self, batch):
        """The weights after a step, and the velocity then."""
        gradients, _ = self.gradients(batch)
        velocity = [
            self.momentum * m - self.rate * g
            for m, g in zip(self.velocity, gradients, strict=True)
        ]
        values = read(self.weights)
        moved = [w + m for w, m in zip(values, velocity, strict=True)]
        return moved, velocity

    def first(self, held_out, batch):
        _, gradient = self.gradients(held_out)
        self.alpha.assign(read([self.alpha])[0] - self.alpha_rate * gradient)
        moved, self.velocity = self.step(batch)
        self.assign(moved)

    def second(self, held_out, batch):
        before = read(self.weights)
        self.assign(self.step(batch)[0])
        along, outer = self.gradients(held_out)
        norm = np.sqrt(sum((one.astype("f8") ** 2).sum() for one in along))
        eps, found = 0.01 / norm, []
        for sign in (1.0, -1.0):
            pairs = zip(before, along, strict=True)
            self.assign([w + sign * eps * v for w, v in pairs])
            found.append(self.gradients(batch)[1])
        self.assign(before)
        total = outer - self.rate * (found[0] - found[1]) / (2 * eps)
        self.alpha.assign(read([self.alpha])[0] - self.alpha_rate * total)
        moved, self.velocity = self.step(batch)
        self.assign(moved)


@pytest.mark.parametrize("order", [1, 2])
def test_a_cycle_equals_the_hand_made_one(order):
    data = dataset(*make_data(), batch_size=10, order=order)
    sgd = keras.optimizers.SGD
    model = build_mixed(sgd(0.1, momentum=0.9))
    by_hand = HandMade(build_mixed("sgd"), 0.1, 0.9, 0.5)
    bilevel = BilevelOptimizer(model, [groups(model)[1]], sgd(0.5), order)
    for epoch in range(2):
        data.epoch = epoch
        model.fit(data, epochs=1, verbose=0)
        batches = [
            batch[:2] for batch in map(data._read, data.batch_ids(epoch))
        ]
        for start in range(0, len(batches), bilevel.cycle):
            kinds = dict(zip(data.kinds, batches[start:], strict=False))
            step = by_hand.first if order == 1 else by_hand.second
            step(kinds["validation"], kinds["train"])
    for one, other in zip(
        model.trainable_variables,
        by_hand.model.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(*read([one, other]), atol=1e-6)
    assert np.abs(read([groups(model)[1]])[0]).max() > 1e-3
    assert int(model.optimizer.iterations) == 4


def train_step_by_step(order, batches):
    """Which groups moved, and the slots of which optimizer, by step."""
    optimizer = keras.optimizers.AdamW(
        0.01, weight_decay=0.1, global_clipnorm=0.1, use_ema=True
    )
    model = build_mixed(optimizer)
    weights, alpha = groups(model)
    own = keras.optimizers.AdamW(0.1, weight_decay=0.1)
    alpha.assign([0.3, -0.2, 0.1])
    bilevel = BilevelOptimizer(model, [alpha], own, order)
    held = (weights, [alpha], optimizer._momentums, own._momentums[:1])
    x, y = make_data()
    moved = []
    for _ in range(batches):
        before = [read(one) for one in held]
        model.train_on_batch(x, y)
        moved.append(
            [
                any(
                    not np.array_equal(*pair) for pair in zip(a, b, strict=True)
                )
                for a, b in zip(before, map(read, held), strict=True)
            ]
        )
    return model, bilevel, np.array(moved)


def test_groups_move_in_their_own_steps_only():
    model, bilevel, moved = train_step_by_step(1, 4)
    assert (
        moved.tolist()
        == [
            [False, True, False, True],
            [True, False, True, False],
        ]
        * 2
    )
    assert int(model.optimizer.iterations) == 2
    names = [v.name for v in model.optimizer.variables]
    assert "bilevel_step" in names
    bilevel.remove()
    weights, alpha = groups(model)
    moving = read([alpha])
    model.optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_array_equal(moving, read([alpha]))  # No average of it.
    assert len(model.optimizer.variables) < len(names)


def test_the_second_order_moves_slots_in_their_own_steps_only():
    model, bilevel, moved = train_step_by_step(2, 5)
    # The weights move virtually, and come back before the last step.
    assert moved[:, 1:].tolist() == [
        [False, False, False],
        [False, False, False],
        [False, False, False],
        [True, False, True],
        [False, True, False],
    ]
    assert int(model.optimizer.iterations) == 1


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_unfinished_cycle_leaves_the_weights_of_training(steps):
    model = build_mixed("sgd")
    weights, alpha = groups(model)
    before = read(weights)
    bilevel = BilevelOptimizer(model, [alpha], keras.optimizers.SGD(0.1), 2)
    for _ in range(steps):
        model.train_on_batch(*make_data())
    assert not np.array_equal(before[0], read(weights)[0])
    bilevel.remove()
    for one, other in zip(before, read(weights), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("steps_per_execution", [3, 4])
def test_cycles_need_not_fit_executions(steps_per_execution):
    if keras.backend.backend() == "torch":
        pytest.skip("Keras refuses steps_per_execution on torch")
    data = dataset(*make_data(), batch_size=5, seed=1)
    found = []
    for count in (1, steps_per_execution):
        model = build_mixed("adam", steps_per_execution=count)
        alpha = groups(model)[1]
        BilevelOptimizer(model, [alpha], keras.optimizers.SGD(0.5))
        data.epoch = 0
        model.fit(data, epochs=1, verbose=0)
        found.append(read(model.trainable_variables))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


class Measure(keras.callbacks.Callback):
    """Measures the loss of the first of two steps."""

    def on_train_begin(self, logs=None):
        self.removed = []
        self.loss = PhaseLoss(self.model, "held_out", 2, 0)
        self.loss.install(lambda: self.removed.append(True))

    def on_epoch_begin(self, epoch, logs=None):
        self.loss.reset()


def test_the_loss_of_the_search_is_that_of_validation_batches():
    model = build_mixed(keras.optimizers.SGD(0.0))
    data = dataset(*make_data(), batch_size=10)
    measure = Measure()
    model.fit(data, epochs=2, verbose=0, callbacks=[measure])
    x, y, _ = data.half("validation")
    expected = model.evaluate(x, y, verbose=0)
    assert measure.loss.result()["held_out"] == pytest.approx(expected, 1e-5)
    assert not measure.removed
    model.fit(data, verbose=0)  # As after an error.
    assert measure.removed and "compute_loss" not in vars(model)
