"""Layer calls are recorded in one thread and leave other threads alone."""

import threading

import keras
import numpy as np

from keras_netopt.graph.symbolic import record_layer_calls
from keras_netopt.graph.trace_calls import graph_nodes

L = keras.layers
X = np.ones((2, 4), "float32")


class Branching(keras.Model):
    """Its `call` cannot run on symbolic tensors, so calls are recorded."""

    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(4), L.Dense(2)

    def call(self, inputs):
        hidden = self.first(inputs)
        if isinstance(hidden, keras.KerasTensor):
            raise TypeError("needs a tensor of the backend")
        return self.second(hidden)


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_calls_of_another_thread_run_and_are_not_recorded():
    mine, others, outputs = L.Dense(3), L.Dense(5), []
    with record_layer_calls() as calls:
        in_thread(lambda: outputs.append(others(X)))
        mine(X)
        in_thread(lambda: outputs.append(others(X)))

    assert [layer for layer, _, _ in calls] == [mine]
    assert [tuple(output.shape) for output in outputs] == [(2, 5), (2, 5)]


def test_threads_record_one_after_the_other():
    original, recorded = L.Layer.__call__, []
    entered = threading.Event()

    def record():
        layer = L.Dense(5)
        with record_layer_calls() as calls:
            entered.set()
            layer(X)
        recorded.append([found for found, _, _ in calls] == [layer])

    thread = threading.Thread(target=record)
    with record_layer_calls():
        thread.start()
        assert not entered.wait(0.2)
    thread.join()

    assert recorded == [True]
    assert L.Layer.__call__ is original


def test_graphs_are_read_while_another_thread_calls_layers():
    model = Branching()
    model(X)
    other, stop = L.Dense(3), threading.Event()
    other(X)

    def work():
        while not stop.is_set():
            other(X)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        paths = [[n.path for n in graph_nodes(model)] for _ in range(20)]
    finally:
        stop.set()
        thread.join()

    first, second = model.first.name, model.second.name
    assert all(p[-2:] == [first, second] for p in paths)
    assert all(other.name not in p for p in paths)
