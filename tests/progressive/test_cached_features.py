"""Cached features train the task itself; frozen columns get no gradient."""

import keras
import numpy as np
import pytest
from progressive.task_chain import build_chain, compile_task, data, dense

from keras_netopt.layers import FrozenColumn
from keras_netopt.progressive import cache_features


@pytest.fixture
def net():
    return build_chain(tasks=3)


def seeds(model):
    return [v for v in model.variables if "seed" in v.name]


def test_cached_training_is_that_of_the_task(net):
    # Bug: a copy is trained, dropout differs, or a feature is another one.
    model, (x, y) = net["task3"], data(dense)
    compile_task(model, keras.optimizers.SGD(0.1))
    cached = net.cache_features("task3", x)
    state = [_numpy(v) for v in [*model.weights, *seeds(model)]]
    fit = {"batch_size": 16, "epochs": 2, "verbose": 0}
    keras.utils.set_random_seed(2)
    model.fit(x, y, **fit)
    plain = model.get_weights()
    for variable, value in zip(
        [*model.weights, *seeds(model)], state, strict=True
    ):
        variable.assign(value)
    keras.utils.set_random_seed(2)
    cached.model.fit(cached.x, y, **fit)
    moved = 0.0
    for before, one, other in zip(
        state, plain, model.get_weights(), strict=False
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
        moved = max(moved, np.abs(before - one).max())
    assert moved > 1e-3
    assert net.check_forgetting().passed


def test_inputs_of_the_cached_model(net):
    x, _ = data(dense)
    cached = cache_features(net["task3"], x[:8], batch_size=4)
    assert not any(isinstance(one, FrozenColumn) for one in cached.model.layers)
    assert cached.nbytes == 8 * 4 * (8 + 6) * 2
    assert "4 features" in str(cached) and "896 bytes" in str(cached)
    np.testing.assert_allclose(
        _numpy(cached.model([*cached.transform(x)])),
        _numpy(net["task3"](x)),
        atol=1e-6,
    )


def test_only_features_that_are_read_are_kept(net):
    # Bug: features of a pruned source are computed and stored.
    x, _ = data(dense)
    for layer in net["task3"].layers:
        if "lateral_2" in layer.name:
            layer.alpha.assign([0.0, 0.5])
    net.prune_adapters("task3", x, score="alpha", threshold=0.1)
    assert len(net.cache_features("task3", x).x) == 1 + 3


def test_the_cached_model_of_a_finished_task_does_not_train(net):
    # Bug: TensorFlow trains the frozen column; JAX deletes its variables.
    model, (x, y) = net["task3"], data(dense)
    compile_task(model, keras.optimizers.SGD(0.1))
    cached = net.cache_features("task3", x)
    cached.model.train_on_batch(cached.x, y)
    net.add_task(keras.layers.Dense(3))
    before = model.get_weights()
    with pytest.raises(ValueError, match="'task3' is finished"):
        cached.model.fit(cached.x, y, verbose=0)
    with pytest.raises(ValueError, match="'task3' is finished"):
        cached.model.train_on_batch(cached.x, y)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert net.check_forgetting().passed


def test_wrong_use_is_refused(net):
    x, _ = data(dense)
    with pytest.raises(ValueError, match="finished task 'task1'"):
        net.cache_features("task1", x)
    with pytest.raises(ValueError, match="batch_size"):
        net.cache_features("task3", x, batch_size=0)
    alone = build_chain(tasks=2, adapter=None, adapter_width=None)
    with pytest.raises(ValueError, match="without lateral connections"):
        alone.cache_features("task2", x)


@pytest.mark.backend("jax", "tensorflow")
def test_no_product_is_differentiated_in_frozen_columns(net):
    """Products of the step = those with cached features + forward ones.

    Bug: a gradient flows into a frozen column, and costs a product a kernel.
    """
    model, (x, _) = net["task3"], data(dense)
    cached = net.cache_features("task3", x)
    columns = [one for one in model.layers if isinstance(one, FrozenColumn)]
    features = keras.Model(model.input, [one.output for one in columns])
    step = _count_products(model, x, gradient=True)
    alone = _count_products(cached.model, cached.x, gradient=True)
    forward = _count_products(features, x, gradient=False)
    assert step == alone + forward
    assert forward > 0 and alone > forward


@pytest.mark.backend("torch")
def test_features_have_no_graph_of_gradients(net):
    model, (x, _) = net["task3"], data(dense)
    columns = [one for one in model.layers if isinstance(one, FrozenColumn)]
    outputs = keras.Model(model.input, [one.output for one in columns])(
        x, training=True
    )
    for one in keras.tree.flatten(outputs):
        assert one.grad_fn is None and not one.requires_grad
    trained = model(x, training=True)
    trained.sum().backward()
    assert model.trainable_weights[0].value.grad is not None
    assert all(v.value.grad is None for one in columns for v in one.weights)


def _numpy(value):
    return np.array(keras.ops.convert_to_numpy(value))


def _count_products(model, x, *, gradient):
    if keras.backend.backend() == "jax":
        return _count_in_jaxpr(model, x, gradient)
    import tensorflow as tf

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            outputs = keras.tree.flatten(model(x, training=True))
            loss = sum(tf.reduce_sum(one) for one in outputs)
        if not gradient:
            return outputs
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    graph = step.get_concrete_function(keras.tree.map_structure(tf.constant, x))
    return sum(one.type == "MatMul" for one in graph.graph.get_operations())


def _count_in_jaxpr(model, x, gradient):
    import jax

    trained = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    def loss(trained, x):
        outputs, _ = model.stateless_call(trained, fixed, x, training=True)
        return sum(one.sum() for one in keras.tree.flatten(outputs))

    function = jax.grad(loss) if gradient else loss
    return _count(jax.make_jaxpr(function)(trained, x).jaxpr)


def _count(jaxpr):
    found = 0
    for equation in jaxpr.eqns:
        found += equation.primitive.name == "dot_general"
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found += _count(inner)
    return found
