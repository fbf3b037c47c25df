"""A plain model of one task: the same outputs, nothing else inside."""

import keras
import numpy as np
import pytest
from progressive.task_chain import build_chain, data, dense, recurrent

from keras_netopt.export import to_litert
from keras_netopt.progressive import export_task, next_task


def run(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def kinds(model):
    return {type(layer).__name__ for layer in model.layers}


@pytest.fixture(scope="module")
def chain():
    return build_chain(tasks=3)


def test_an_export_holds_plain_layers_of_its_task_alone(chain):
    # Bug: a head of another task, a wrapper or a layer of ours is inside.
    x, _ = data(dense)
    for name, columns in (("task1", 1), ("task2", 2), ("task3", 3)):
        exported = chain.export(name, x)
        np.testing.assert_allclose(
            run(exported, x), run(chain[name], x), atol=1e-5
        )
        assert kinds(exported) <= {
            *("InputLayer", "Dense", "Dropout", "Add", "Concatenate"),
        }
        dense_layers = [
            one
            for one in exported.layers
            if isinstance(one, keras.layers.Dense)
        ]
        adapters = 4 * (columns - 1)  # Two depths, two dense layers each.
        assert len(dense_layers) == 2 * columns + adapters + 1
    assert exported.compiled


def test_names_that_columns_share_and_masks_survive():
    # Bug: two layers of one name, or steps that are masked in the task count.
    x, _ = data(recurrent)
    net = build_chain(recurrent, tasks=2)
    exported = net.export("task2", x)
    np.testing.assert_allclose(
        run(exported, x), run(net["task2"], x), atol=1e-5
    )
    assert len({one.name for one in exported.layers}) == len(exported.layers)
    assert "FrozenColumn" not in kinds(exported)


def test_an_export_has_weights_of_its_own(chain):
    # Bug: training the export moves the columns of the network.
    exported = export_task(chain["task3"])
    for weight in exported.weights:
        weight.assign(np.zeros(weight.shape))
    assert exported.trainable and len(exported.trainable_weights) > 0
    assert chain.check_forgetting().passed


def test_columns_that_nothing_reads_are_absent():
    net = build_chain(tasks=3)
    x, _ = data(dense)
    net.prune_adapters("task3", x, threshold=100.0)
    assert net.export("task3").count_params() == net["task1"].count_params()


def test_states_outside_weights_are_found():
    # Bug: the mean of a Normalization layer stays that of a new layer.
    x, _ = data(dense)
    normal = keras.layers.Normalization()
    normal.adapt(x * 3 + 1)
    first = keras.Sequential(
        [
            keras.Input((4,)),
            normal,
            keras.layers.Dense(12, "relu"),
            keras.layers.Dense(9, "relu"),
            keras.layers.Dense(1),
        ]
    )
    second = next_task(first, adapter_width=2)
    exported = export_task(second, x)
    np.testing.assert_allclose(run(exported, x), run(second, x), atol=1e-5)


@pytest.mark.backend("tensorflow", "jax")
def test_files_of_the_task_and_of_its_export(chain, tmp_path):
    # Bug: the converter meets a stopped gradient or a wrapper it cannot read.
    for name, model in (
        ("export", chain.export("task2")),
        ("whole", chain["task3"]),
    ):
        path = tmp_path / f"{name}.tflite"
        report = to_litert(model, path)
        assert report.verification.max_abs_diff <= 1e-4
    small, large = (tmp_path / f"{n}.tflite" for n in ("export", "whole"))
    assert small.stat().st_size < large.stat().st_size
