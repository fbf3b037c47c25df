"""What a step measures on two replicas is what one device measures.

The file runs itself in a process of its own, which alone can have two logical
devices. Each check runs eagerly, once per replica with its half of a batch.
"""

import functools
import json
import subprocess
import sys
import traceback

import keras
import numpy as np
import pytest
from contract import child
from keras import layers as core

import keras_netopt as netopt
from keras_netopt.curriculum.batch_selector import BatchSelector
from keras_netopt.quantization.activation_range import ActivationRange
from keras_netopt.sparsity.scores import Movement, Taylor
from keras_netopt.training.bilevel_optimizer import BilevelOptimizer
from keras_netopt.training.compiled_terms import added_losses
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.optimizers import count_updates

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4)).astype("float32")
Y = (np.arange(8) % 3).astype("int32")
SIZES = {"whole": (4, 4), "uneven": (5, 3)}


@functools.cache
def strategy():
    """One for all checks: two in one process confuse their collectives."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def on_both(where, function, *arrays, sizes=(4, 4)):
    """Calls a function once per replica; returns the results of both."""
    import tensorflow as tf

    def part(array):
        pieces = np.split(array, [sizes[0]])
        return where.experimental_distribute_values_from_function(
            lambda one: tf.constant(pieces[one.replica_id_in_sync_group])
        )

    found = where.run(function, args=tuple(map(part, arrays)))
    return tf.nest.map_structure(
        lambda one: [
            np.array(v) for v in where.experimental_local_results(one)
        ],
        found,
    )


def copies(variable):
    return [np.array(one) for one in variable.value.values]


def dense(where=None, **arguments):
    """One kernel of twelve weights, in a scope if one is given."""
    keras.utils.set_random_seed(0)
    with where.scope() if where is not None else keras.name_scope("alone"):
        model = keras.Sequential([keras.Input((4,)), core.Dense(3)])
        model.compile(keras.optimizers.SGD(0.1), "mse", **arguments)
        model.optimizer.build(model.trainable_variables)
    return model


def step(model, gradient):
    kernel = model.layers[0].kernel
    bias = keras.ops.zeros((3,))
    variables = [kernel, model.layers[0].bias]
    model.optimizer.apply([gradient, bias], variables)


def step_of(model):
    return lambda gradient: step(model, gradient[0])


def halves():
    return RNG.normal(size=(2, 4, 3)).astype("float32")


class FirstTarget(keras.losses.Loss):
    """Takes the first target as the loss of a sample."""

    def call(self, y_true, y_pred):
        return y_true[:, 0]


def check_statistics_are_those_of_the_summed_gradient():
    for score in (Movement(), Taylor()):
        where, parts = strategy(), halves()
        both, alone = dense(where), dense()
        for model in (both, alone):
            MaskStore.attach(
                model, {"k": model.layers[0].kernel}, score.accumulate
            )
        for _ in range(2):
            on_both(where, step_of(both), parts, sizes=(1, 1))
            step(alone, parts.sum(axis=0))
        found = MaskStore.of(both)._statistics["k"]
        wanted = MaskStore.of(alone).statistics()["k"]
        for one in copies(found):
            np.testing.assert_allclose(one, wanted, atol=1e-5)


def check_the_decay_of_dense_weights_counts_once():
    where, parts = strategy(), halves()
    both, alone = dense(where), dense()
    for model in (both, alone):
        MaskStore.attach(model, {"k": model.layers[0].kernel})
        DenseStore.attach(model, ["k"], decay=0.5)
        MaskStore.of(model).assign({"k": np.eye(4, 3).astype(bool)})
    on_both(where, step_of(both), parts, sizes=(1, 1))
    step(alone, parts.sum(axis=0))
    np.testing.assert_allclose(
        DenseStore.of(both).masters()["k"],
        DenseStore.of(alone).masters()["k"],
        atol=1e-6,
    )


def check_both_orders_of_darts_see_whole_gradients():
    where = strategy()

    def move(model, kernel, bias):
        layer = model.layers[0]
        model.optimizer.apply([kernel, bias], [layer.kernel, layer.bias])

    def make(order, model):
        bias = [model.layers[0].bias]
        own = keras.optimizers.SGD(0.1)
        model.bilevel = BilevelOptimizer(model, bias, own, order)
        return model

    for order in (1, 2):
        alone = make(order, dense())
        both = dense(where)
        with where.scope():
            make(order, both)
        for _ in range(5):
            parts, more = halves(), RNG.normal(size=(2, 3)).astype("float32")
            on_both(
                where,
                lambda k, b, both=both: move(both, k[0], b[0]),
                parts,
                more,
                sizes=(1, 1),
            )
            move(alone, parts.sum(axis=0), more.sum(axis=0))
            for mine, theirs in zip(both.weights, alone.weights, strict=True):
                for one in copies(mine):
                    np.testing.assert_allclose(one, theirs.numpy(), atol=1e-4)


def check_a_ponder_model_records_the_steps_of_each_replica():
    where = strategy()

    def build():
        keras.utils.set_random_seed(7)
        inputs = keras.Input((4,))
        cell = core.Dense(4, "tanh")
        layer = netopt.layers.AdaptiveComputation(cell, 3, mode="ponder")
        model = netopt.depth.PonderModel(inputs, core.Dense(3)(layer(inputs)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
        return model

    with where.scope():
        both = build()
    alone = build()

    def measure(model, x, y):
        outputs = model(x, training=True)
        return model.compute_loss(x, y, outputs, None), outputs["p"]

    loss, p = (np.array(one) for one in measure(alone, X, Y))
    found = on_both(where, lambda x, y: measure(both, x, y), X, Y)
    np.testing.assert_allclose(sum(found[0]), loss, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(found[1]), p, atol=1e-6)


def check_selected_are_the_best_of_the_whole_batch():
    where = strategy()
    losses = np.array([9, 8, 7, 6, 1, 2, 3, 5], "float32")
    x = np.arange(8, dtype="float32")[:, None] * np.ones((1, 3), "float32")

    for method in ("top", "percentile"):
        both, alone = dense(where), dense()
        for model in (both, alone):
            model.compile("sgd", FirstTarget())
        selector = BatchSelector(0.5, method)

        def numbers(count):
            return keras.ops.cast(keras.ops.arange(1, 1 + count), "float32") / 9

        def select(model, x, y, selector=selector):
            taken = selector.select(model, (x, y), lambda x: x, numbers)
            return taken[0][:, 0]

        wanted = np.array(select(alone, x, losses[:, None]))
        for sizes in SIZES.values():
            found = on_both(
                where,
                functools.partial(select, both),
                x,
                losses[:, None],
                sizes=sizes,
            )
            assert [len(one) for one in found] == [2, 2]
            assert sorted(np.concatenate(found)) == sorted(wanted)


def check_each_replica_keeps_as_many_samples_as_the_other():
    """Five of eight samples are to be kept: the four with the largest loss."""
    where = strategy()
    both = dense(where)
    both.compile("sgd", FirstTarget())
    selector = BatchSelector(0.63, "top")
    losses = np.array([9, 1, 8, 2, 7, 3, 6, 5], "float32")[:, None]

    def select(x, y):
        return selector.select(both, (x, y), lambda x: x, None)[1][:, 0]

    for sizes in SIZES.values():
        found = on_both(where, select, X, losses, sizes=sizes)
        assert [len(one) for one in found] == [2, 2]
        assert sorted(np.concatenate(found)) == [6, 7, 8, 9]
    assert len(select(X, losses)) == 5


def check_each_replica_keeps_a_sample():
    where = strategy()
    both = dense(where)
    selector = BatchSelector(0.1, "top")
    found = on_both(
        where,
        lambda x, y: selector.select(both, (x, y), lambda x: x, None)[0],
        X,
        X[:, :4] * 0,
    )
    assert [len(one) for one in found] == [1, 1]


def check_reducible_losses_are_ranked_in_the_whole_batch():
    """In a `fit`: Keras builds a distributed model before the first step.

    The first two steps use all samples.
    """
    known = np.array([9, 0, 0, 9, 0, 0, 9, 9], "float32")
    targets = np.eye(3, dtype="float32")[Y]

    def fit(where=None):
        model = dense(where, jit_compile=False)
        source = netopt.callbacks.Curriculum(X, targets, ordering="shuffle")
        data = source.dataset(8, irreducible_loss=known)
        rho = netopt.callbacks.SelectiveBackprop(0.5, method="rho", begin=2)
        history = model.fit(
            data, epochs=5, verbose=0, callbacks=[source, rho]
        ).history
        return model, history["loss"]

    (alone, loss), (both, shared) = fit(), fit(strategy())
    np.testing.assert_allclose(shared, loss, atol=1e-5)
    for mine, theirs in zip(both.weights, alone.weights, strict=True):
        for one in copies(mine):
            np.testing.assert_allclose(one, theirs.numpy(), atol=1e-5)


def check_half_precision_trains_as_on_one_device():
    """Movement is gathered below the scaled loss, in the compiled step."""
    targets = np.eye(3, dtype="float32")[Y]

    def fit(where=None):
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = dense(where, jit_compile=False)
        finally:
            keras.config.set_dtype_policy("float32")
        pruning = netopt.callbacks.Pruning(
            0.5, score="movement", frequency=1, min_size=1
        )
        model.fit(
            X,
            targets,
            batch_size=8,
            epochs=4,
            shuffle=False,
            verbose=0,
            callbacks=[pruning],
        )
        return model

    alone, both = fit(), fit(strategy())
    assert count_updates(both.optimizer.inner_optimizer) == 4
    for mine, theirs in zip(both.weights, alone.weights, strict=True):
        for one in copies(mine):
            np.testing.assert_allclose(one, theirs.numpy(), atol=1e-3)


def check_the_updates_of_a_shared_optimizer_are_counted():
    both, parts = dense(strategy()), halves()
    on_both(strategy(), step_of(both), parts, sizes=(1, 1))
    assert count_updates(both.optimizer) == 1


def check_ranges_are_those_of_the_whole_batch():
    where = strategy()
    with where.scope():
        both = ActivationRange("both")
    alone = ActivationRange("alone")
    for _ in range(2):
        on_both(where, lambda x: both.fake_quantize(x, training=True), X)
        alone.fake_quantize(X, training=True)
        for one in copies(both.state):
            np.testing.assert_allclose(one, alone.value(), atol=1e-6)


def check_samples_draw_the_numbers_of_their_place():
    where = strategy()

    def build():
        block = core.Dense(4, kernel_initializer="ones")
        return netopt.layers.StochasticDepth(block, 0.5, seed=3)

    with where.scope():
        both = build()
        both.build((None, 4))
    alone = build()
    for sizes in [*SIZES.values(), (2, 6), (8, 0)]:
        wanted = np.array(alone(X, training=True))
        found = on_both(where, lambda x: both(x, training=True), X, sizes=sizes)
        np.testing.assert_allclose(np.concatenate(found), wanted, atol=1e-5)
    assert not np.allclose(wanted, X)


def check_gates_compare_the_rate_of_the_whole_batch():
    """The first half of the batch opens the gate, the second does not.

    Two gates in one model: a replica that waits at the second keeps what the
    first one added.
    """
    import tensorflow as tf

    where = strategy()
    x = np.repeat([[2.0], [1.0], [-1.0], [-2.0]], 2, axis=0).astype("float32")
    x = np.repeat(x, 4, axis=1)

    def build():
        gate = core.Dense(1, kernel_initializer="ones", use_bias=False)
        block = core.Dense(4, kernel_initializer="zeros")
        return netopt.layers.SkipGate(block, gate, target_rate=0.25)

    def build_two():
        return keras.Sequential([keras.Input((4,)), build(), build()])

    with where.scope():
        both = build_two()
    alone = build_two()

    def differentiate(model, x):
        weights = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            model(x, training=True)
            loss = sum(model.losses)
        assert len(model.losses) == 2
        return loss, tape.gradient(loss, weights)[0]

    for sizes in SIZES.values():
        loss, slope = map(np.array, differentiate(alone, x))
        losses, slopes = on_both(
            where, lambda x: differentiate(both, x), x, sizes=sizes
        )
        np.testing.assert_allclose(losses, [loss, loss], atol=1e-6)
        # Keras takes the mean of the losses of the replicas.
        np.testing.assert_allclose(np.mean(slopes, axis=0), slope, atol=1e-6)
        assert np.abs(slope).max() > 1e-3
    for mine, theirs in zip(both.layers, alone.layers, strict=True):
        for one in copies(mine.execution_rate):
            wanted = theirs.execution_rate.numpy()
            np.testing.assert_allclose(one, wanted, atol=1e-6)


def check_a_gate_in_a_branch_is_refused():
    where = strategy()

    def build():
        gate = netopt.layers.SkipGate(core.Dense(4))
        return netopt.layers.LayerDrop([gate], 0.5, seed=3)

    with where.scope():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, core.Dense(3)(build()(inputs)))
        model.compile("sgd", "mse", jit_compile=False)
    before = model.get_weights()
    with pytest.raises(ValueError, match="Take the layer out of the block"):
        model.fit(X, np.eye(3)[Y], verbose=0)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def check_super_loss_refuses_the_mean_of_a_batch_that_it_does_not_see():
    loss = netopt.curriculum.SuperLoss("mse", tau="batch")
    with pytest.raises(ValueError) as caught:
        on_both(strategy(), loss.call, np.zeros_like(X), X)
    assert str(caught.value) == (
        'Argument `tau` must be a number or "log_classes" under a strategy of '
        "several replicas, because each sees a part of the batch. Received: "
        "tau='batch', 2 replicas"
    )


def check_losses_of_teachers_and_regularizers_count_once():
    where = strategy()

    def build():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        x = core.Dense(4, "tanh", kernel_regularizer="l2", name="a")(inputs)
        model = netopt.depth.add_exits(
            keras.Model(inputs, core.Dense(3, "softmax")(x)),
            layers=["a"],
            distill_temperature=2.0,
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    with where.scope():
        both = build()
    alone = build()

    def measure(model, x, y):
        outputs = model(x, training=True)
        return model.compute_loss(x, y, outputs, None), added_losses(model)

    wanted = [np.array(one) for one in measure(alone, X, Y)]
    found = on_both(where, lambda x, y: measure(both, x, y), X, Y)
    np.testing.assert_allclose([sum(one) for one in found], wanted, atol=1e-5)
    assert min(wanted) > 1e-3


CHECKS = {
    name.removeprefix("check_"): value
    for name, value in dict(globals()).items()
    if name.startswith("check_")
}


def main():
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [one, one])
    results = {}
    for name, check in CHECKS.items():
        try:
            check()
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
    print(json.dumps(results))


if keras.backend.backend() == "tensorflow" and __name__ != "__main__":

    @pytest.fixture(scope="module")
    def results():
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__],
            env=child.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    @pytest.mark.parametrize("name", CHECKS)
    def test_two_replicas(name, results):
        assert results[name] == ""


if __name__ == "__main__":
    main()
