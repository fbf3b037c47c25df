"""Errors of progressive networks come before training starts."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.layers import FrozenColumn, LateralConnection
from keras_netopt.progressive import ProgressiveNetwork, next_task


def column(inputs):
    return [layers.Dense(4, "relu")(inputs)]


def build(function=column, **arguments):
    net = ProgressiveNetwork(function, keras.Input((3,)), **arguments)
    net.add_task(layers.Dense(2))
    return net


def test_a_task_name_is_used_once():
    with pytest.raises(ValueError, match="names of the other tasks"):
        build().add_task(layers.Dense(2), name="task1")


def test_columns_need_the_same_depth():
    depths = iter((1, 2))

    def deeper(inputs):
        return [layers.Dense(4)(inputs) for _ in range(next(depths))]

    with pytest.raises(ValueError, match="2 hidden tensors of task 'task2'"):
        build(deeper).add_task(layers.Dense(2))


def test_columns_need_the_same_spatial_size():
    strides = iter((1, 2))

    def conv(inputs):
        return [layers.Conv2D(2, 3, strides=next(strides))(inputs)]

    net = ProgressiveNetwork(conv, keras.Input((8, 8, 1)))
    net.add_task(layers.Flatten())
    with pytest.raises(ValueError, match="same spatial size in all columns"):
        net.add_task(layers.Flatten())
    assert net.tasks == ["task1"]
    net["task1"].compile("sgd", "mse")
    x = np.zeros((2, 8, 8, 1), "float32")
    net["task1"].train_on_batch(x, np.zeros((2, 72)))  # Still trains.


def test_a_refused_head_leaves_the_first_task_trainable():
    x = np.ones((4, 3), "float32")
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4), layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match="at least two"):
        next_task(model, layers.Dense(1))
    model.train_on_batch(x, np.zeros(4))
    assert len(model.trainable_variables) == 4
    second = next_task(model, layers.Dense(3))
    second.train_on_batch(x, np.zeros(4))


def test_a_wrong_probe_leaves_the_task_trainable():
    net = ProgressiveNetwork(
        column, keras.Input((3,)), probe=np.zeros((2, 9), "float32")
    )
    model = net.add_task(layers.Dense(2))
    with pytest.raises(Exception, match="expected axis|shape|dimension"):
        net.add_task(layers.Dense(2))
    assert net.check_forgetting().tasks == []
    model.compile("sgd", "mse")
    model.train_on_batch(np.zeros((2, 3), "float32"), np.zeros((2, 2)))


def test_a_file_of_a_task_is_no_column(tmp_path):
    net = build()
    net.add_task(layers.Dense(2)).save(tmp_path / "task.keras")
    model = keras.saving.load_model(tmp_path / "task.keras")
    with pytest.raises(ValueError, match="ProgressiveNetwork.save"):
        next_task(model)
    with pytest.raises(ValueError, match="`hidden` must be None"):
        next_task(net["task2"], hidden="dense")


def test_columns_and_heads_need_new_layers():
    shared, head = layers.Dense(4), layers.Dense(2)
    with pytest.raises(ValueError, match="A new task must have new layers"):
        build(lambda inputs: [shared(inputs)]).add_task(layers.Dense(2))
    net = ProgressiveNetwork(column, keras.Input((3,)))
    net.add_task(head)
    with pytest.raises(ValueError, match="'dense.*/kernel' of task 'task1'"):
        net.add_task(head)


def test_a_function_must_return_tensors_and_take_a_width():
    with pytest.raises(ValueError, match="list of its hidden tensors"):
        build(lambda inputs: [])
    with pytest.raises(ValueError, match="width=1.0"):
        build().add_task(layers.Dense(2), width=0.5)


def test_heads_must_return_tensors():
    with pytest.raises(TypeError, match="`head`"):
        build().add_task(3)
    with pytest.raises(ValueError, match="must return a tensor"):
        build().add_task(lambda tensor: None)
    with pytest.raises(ValueError, match="`head` must be given"):
        build().add_task()


@pytest.mark.parametrize(
    ("head", "loss", "words"),
    [
        (layers.Dense(1), "sparse_categorical_crossentropy", "at least two"),
        (layers.Dense(3), "categorical_crossentropy", "from_logits=True"),
        (
            layers.Dense(3, activation="softmax"),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "from_logits=False",
        ),
        (layers.Dense(1), "binary_crossentropy", "from_logits=True"),
    ],
)
def test_a_head_that_does_not_fit_the_loss_is_refused(head, loss, words):
    model = build().add_task(type(head).from_config(head.get_config()))
    with pytest.raises(ValueError, match=words):
        model.compile("sgd", loss)


def test_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match="one of \\['task1'\\]"):
        build()["task9"]
    with pytest.raises(ValueError, match="must name tasks"):
        build().add_task(layers.Dense(2), lateral=["task9"])
    with pytest.raises(ValueError, match=r"must end in \"\.keras\""):
        build().save("folder")
    with pytest.raises(ValueError, match="must have a task"):
        ProgressiveNetwork(column, keras.Input((3,))).save("net.keras")


def test_only_the_last_task_has_a_next_one():
    net = build()
    net.add_task(layers.Dense(2))
    with pytest.raises(ValueError, match="must be the last task"):
        next_task(net["task1"])


def test_a_file_of_one_model_is_no_network(tmp_path):
    path = tmp_path / "model.keras"
    build()["task1"].save(path)
    with pytest.raises(ValueError, match="which holds one Keras model"):
        ProgressiveNetwork.load(path)


def test_lateral_connections_need_matching_inputs():
    layer, h = LateralConnection(), keras.Input((5, 4))
    for others in ([], [keras.Input((6, 4))], [keras.Input((4,))]):
        with pytest.raises(ValueError, match="differ in the channels alone"):
            layer([h, *others])
    with pytest.raises(ValueError, match="None for the linear adapter"):
        LateralConnection("linear", 4)


def test_a_frozen_column_must_be_built():
    with pytest.raises(ValueError, match="must be built"):
        FrozenColumn(keras.Sequential([layers.Dense(2)]))
