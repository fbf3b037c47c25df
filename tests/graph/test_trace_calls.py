import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.graph.model_graph import is_container, is_graph_model
from keras_netopt.graph.symbolic import input_specs
from keras_netopt.graph.trace_calls import graph_nodes


class Twice(keras.Model):
    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, x, training=None):
        return self.layer(self.layer(x)) + ops.ones((4,))


def test_shared_layer_is_listed_once_per_call():
    layer = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(layer(inputs)) + 1.0)
    nodes = graph_nodes(model)
    assert [node.path for node in nodes[:2]] == ["shared", "shared"]
    assert nodes[0].operation is nodes[1].operation is layer
    assert type(nodes[2].operation).__name__ == "Add"


def test_nested_model_is_listed_with_the_shapes_of_each_call():
    inner = keras.Sequential(
        [keras.Input((None, 2)), layers.Conv1D(3, 2, name="conv")],
        name="inner",
    )
    a, b = keras.Input((5, 2)), keras.Input((9, 2))
    model = keras.Model([a, b], [inner(a), inner(b)])
    nodes = graph_nodes(model)
    assert {node.path for node in nodes} == {"inner/conv"}
    shapes = {node.input_shapes[0]: node.output_shapes[0] for node in nodes}
    assert shapes == {(1, 5, 2): (1, 4, 3), (1, 9, 2): (1, 8, 3)}
    assert all(node.owners == (model, inner) for node in nodes)


def test_layers_and_ops_of_a_subclassed_model_are_listed():
    model = Twice(layers.Dense(4, name="fc"), name="twice")
    model(np.ones((2, 4), "float32"))
    kinds = [type(n.operation).__name__ for n in graph_nodes(model)]
    assert kinds == ["Dense", "Dense", "Add"]


def test_containers_are_listed_after_their_inner_calls():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="in")
    model = keras.Sequential([keras.Input((4,)), inner], name="out")
    nodes = graph_nodes(model, containers=True)
    assert [node.entered for node in nodes] == [False, True, True]
    assert [node.operation.name for node in nodes[1:]] == ["in", "out"]


def test_recurrent_cell_is_repeated_for_each_step():
    model = keras.Sequential([keras.Input((6, 3)), layers.SimpleRNN(4)])

    def enter(operation):
        return is_container(operation) or isinstance(operation, layers.RNN)

    nodes = graph_nodes(model, enter=enter)
    products = [n for n in nodes if type(n.operation).__name__ == "Matmul"]
    assert [node.repeat for node in products] == [6, 6]
    shapes = {node.input_shapes for node in products}
    assert shapes == {((1, 3), (3, 4)), ((1, 4), (4, 4))}


def test_random_numbers_inside_call_do_not_change_the_seed():
    class Noisy(keras.Model):
        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator(1)

        def call(self, x):
            return x + keras.random.normal((4,), seed=self.seed)

    model = Noisy()
    model(np.ones((2, 4), "float32"))
    before = model.seed.state.numpy().copy()
    graph_nodes(model)
    np.testing.assert_array_equal(before, model.seed.state.numpy())


def test_kinds_of_models():
    inputs = keras.Input((4,))
    functional = keras.Model(inputs, layers.Dense(2)(inputs))
    assert is_graph_model(functional)
    assert is_graph_model(keras.Sequential())
    assert not is_graph_model(Twice(layers.Dense(4)))
    assert not is_container(layers.Dense(4))


def test_input_shape_replaces_the_models_own():
    model = keras.Sequential([keras.Input((None, 3)), layers.Dense(2)])
    (spec,) = input_specs(model, input_shape=(None, 7, 3))
    assert spec.shape == (None, 7, 3)
    node = graph_nodes(model, input_shape=(5, 7, 3))[0]
    assert node.output_shapes == ((5, 7, 2),)


def test_unbuilt_subclassed_model_raises():
    with pytest.raises(ValueError, match="Argument `model` must be built."):
        graph_nodes(Twice(layers.Dense(4)))


class Positions(layers.Layer):
    """Returns a table, whatever its input holds."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return ops.convert_to_tensor(self.table)


class Untold(layers.Layer):
    """Cannot tell its output shape."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 5), name="kernel")

    def call(self, x):
        return ops.matmul(x, self.kernel), None

    def compute_output_spec(self, x):
        raise TypeError("no output shape")


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.positions = Positions(name="positions")
        self.untold = Untold(name="untold")
        self.last = layers.Dense(2, name="last")

    def build(self, shape):
        self.positions.build(shape)
        self.untold.build(shape)
        self.last.build((*shape[:-1], 5))

    def call(self, x):
        return self.last(self.untold(x + self.positions(x))[0])

    def compute_output_spec(self, x):
        return keras.KerasTensor((*x.shape[:-1], 2))


def test_layers_that_tell_no_output_shape_are_traced_into():
    inputs = keras.Input((3, 4))
    block = Block(name="block")
    model = keras.Model(inputs, block(inputs), name="model")

    def enter(operation):
        return is_container(operation) or type(operation).__module__ == __name__

    nodes = graph_nodes(model, enter=enter, containers=True)
    assert [node.path for node in nodes if node.untraced] == []
    by_path = {node.path: node for node in nodes}
    dense = by_path["block/last"]
    assert dense.owners == (model, block)
    assert dense.input_shapes == ((1, 3, 5),)
    assert dense.output_shapes == ((1, 3, 2),)
    entered = {node.operation for node in nodes if node.entered}
    assert entered == {model, block, block.positions, block.untold}
    (product,) = (n for n in nodes if n.owners[-1:] == (block.untold,))
    assert product.inputs[1] is block.untold.kernel
