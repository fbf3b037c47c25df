import keras
import numpy as np
import pytest
from search.supernet import elastic_net
from search.supernet.elastic_net import network, randomize, to_numpy

from keras_netopt.layers import ElasticDense
from keras_netopt.search.supernet.architecture import set_architecture
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.search.supernet.shrinking import (
    apply_stage,
    find_stage,
    plan_stages,
)
from keras_netopt.search.supernet.sort_channels import sort_channels


@pytest.fixture
def net():
    model = network()
    randomize(model)
    return model


def largest(model):
    found = find_decisions(model)
    return {name: len(d.options) - 1 for name, d in found.items()}


def test_kernels_shrink_first_then_depth_then_widths(net):
    stages = plan_stages(net, gradual=True)

    assert [stage.name for stage in stages] == [
        "largest",
        "kernel 3",
        "depth 2",
        "width 2",
        "width 3",
    ]
    assert [stage.sorts for stage in stages] == [False] * 3 + [True, False]
    first, kernel, depth, width, last = (stage.enabled for stage in stages)
    assert set(first.values()) == {(1,), (2,)}
    assert kernel["stem/kernel"] == (0, 1, 2) and kernel["stack"] == (1,)
    assert depth["stack"] == (0, 1) and depth["stream"] == (2,)
    assert width["stream"] == (1, 2) and width["head"] == (0, 1)
    assert last["stream"] == (0, 1, 2)


def test_the_order_can_be_changed(net):
    names = [s.name for s in plan_stages(net, ("width", "depth", "kernel"))]
    assert names == ["largest", "width 3", "depth 2", "kernel 3"]
    with pytest.raises(ValueError, match="each of .* once. Received: order="):
        plan_stages(net, ("width", "depth"))


def test_stages_are_equally_long():
    at = [0.0, 0.24, 0.25, 0.5, 0.749, 0.75, 1.0]
    assert [find_stage(4, x) for x in at] == [0, 0, 1, 2, 2, 3, 3]


def test_a_stage_limits_what_training_samples(net):
    stages = plan_stages(net)
    apply_stage(net, stages[0])
    found = find_decisions(net)
    for decision in found.values():
        decision.set_mode("uniform")
    x, _ = elastic_net.data()
    full = to_numpy(net(x, training=True))
    set_architecture(net, largest(net))
    np.testing.assert_allclose(full, to_numpy(net(x, training=True)))
    apply_stage(net, stages[1])

    enabled = {k: to_numpy(d.enabled).tolist() for k, d in found.items()}
    assert enabled["stem/kernel"] == [1, 1, 1]
    assert enabled["stream"] == [0, 0, 1]
    for one in found["stream"].others:
        assert to_numpy(one.enabled).tolist() == [0, 0, 1]


def test_sorting_keeps_the_largest_network(net):
    x, _ = elastic_net.data()
    before = to_numpy(net(x))
    names = sort_channels(net)

    assert names == ["stem", "wide0", "back0", "wide1", "back1", "head"]
    np.testing.assert_allclose(to_numpy(net(x)), before, atol=1e-4)
    head = np.abs(to_numpy(net.get_layer("out").kernel)).sum(axis=1)
    assert (np.diff(head) <= 0).all()
    wide = net.get_layer("stack").blocks[1].get_layer("back1").kernel
    assert (np.diff(np.abs(to_numpy(wide)).sum(axis=(0, 1, 3))) <= 0).all()


def test_a_sorted_network_gives_the_narrow_ones_the_large_units():
    """Otherwise width 1 would keep the unit that happens to be first."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            ElasticDense(3, (1, 3), name="d"),
            keras.layers.Dense(1, use_bias=False, name="out"),
        ]
    )
    model.get_layer("out").kernel.assign([[0.1], [-5.0], [1.0]])
    kernel = to_numpy(model.get_layer("d").kernel)
    sort_channels(model)

    np.testing.assert_allclose(
        to_numpy(model.get_layer("d").kernel), kernel[:, [1, 2, 0]]
    )
    np.testing.assert_allclose(
        to_numpy(model.get_layer("out").kernel)[:, 0], [-5.0, 1.0, 0.1]
    )


def test_optimizer_variables_move_with_their_weights(net):
    """A slot of another unit would push a unit the wrong way."""
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    net.compile(optimizer, "mse")
    optimizer.build(net.trainable_variables)
    slots = zip(net.trainable_variables, optimizer.momentums, strict=True)
    for variable, slot in slots:
        slot.assign(3.0 * to_numpy(variable))
    held = list(optimizer.variables)
    before = [to_numpy(v) for v in net.trainable_variables]
    sort_channels(net)

    after = [to_numpy(v) for v in net.trainable_variables]
    assert not all(map(np.array_equal, before, after))
    # A compiled step holds these very objects.
    assert all(a is b for a, b in zip(held, optimizer.variables, strict=True))
    slots = zip(net.trainable_variables, optimizer.momentums, strict=True)
    for variable, slot in slots:
        np.testing.assert_allclose(to_numpy(slot), 3.0 * to_numpy(variable))


def test_a_model_without_elastic_layers_is_refused(net):
    with pytest.raises(ValueError, match="must have a searchable layer"):
        plan_stages(
            keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        )
