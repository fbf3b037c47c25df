import json

import keras
import numpy as np
import pytest

from keras_netopt.sparsity import SparsityReport, report
from keras_netopt.training import MaskStore

L = keras.layers


@pytest.fixture
def model():
    """Kernels with known zeros: a zero unit in `a`, two zeros in `b`."""
    net = keras.Sequential(
        [
            keras.Input((3,)),
            L.Dense(2, name="a"),
            L.BatchNormalization(name="norm"),
            L.Embedding(4, 2, name="words"),
            L.Flatten(),
            L.Dense(2, name="b", use_bias=False),
        ],
        name="net",
    )
    a = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    b = np.ones((4, 2))
    b[0] = 0.0
    net.get_layer("a").set_weights([a, np.ones(2)])
    net.get_layer("b").set_weights([b])
    net.get_layer("words").set_weights([np.ones((4, 2))])
    return net


def test_rows_count_zeros_of_any_model(model):
    rows = {row.key: row for row in report(model).rows}
    assert list(rows) == [
        "a/kernel",
        "a/bias",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "words/embeddings",
        "b/kernel",
    ]
    a, b = rows["a/kernel"], rows["b/kernel"]
    assert (a.layer, a.shape, a.weights, a.zeros) == ("Dense", (3, 2), 6, 3)
    assert (a.sparsity, a.zero_units, a.reason) == (0.5, 1, None)
    assert (a.target, a.pattern) == (None, None)
    assert (b.weights, b.zeros, b.zero_units) == (8, 2, 0)
    assert rows["words/embeddings"].reason == "embedding"
    assert rows["norm/beta"].zeros == 2


def test_totals(model):
    found = report(model)
    # All kernels, embeddings included.
    assert (found.weights, found.zeros) == (22, 5)
    assert found.sparsity == 5 / 22
    assert found.selected_sparsity == 5 / 14
    # Also counts beta and the moving mean.
    assert found.model_sparsity == pytest.approx(9 / 32)
    assert len(found.pruned) == 2 and len(found.skipped) == 6


def test_negative_zero_is_a_zero(model):
    model.get_layer("b").set_weights([np.full((4, 2), -0.0)])
    assert report(model).rows[-1].zeros == 8


def test_data_is_json_safe(model):
    found = json.loads(json.dumps(report(model).to_dict()))
    assert found["zeros"] == 5
    assert found["rows"][0] == {
        "key": "a/kernel",
        "layer": "Dense",
        "shape": [3, 2],
        "weights": 6,
        "zeros": 3,
        "zero_units": 1,
        "target": None,
        "pattern": None,
        "reason": None,
        "outputs": 2,
        "is_kernel": True,
        "sparsity": 0.5,
    }


def test_prints_as_a_table_like_model_summary(model):
    assert str(report(model)) == repr(report(model))
    assert str(report(model)).splitlines() == [
        'Sparsity of "net"',
        "┏━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━━┳━━━━━━━┳━━━━━━━━━━┳"
        "━━━━━━━━━━━━━┳━━━━━━┓",
        "┃ Weight           ┃ Shape  ┃ Weights ┃ Zeros ┃ Sparsity ┃"
        " Pattern     ┃ Dead ┃",
        "┡━━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━━╇━━━━━━━╇━━━━━━━━━━╇"
        "━━━━━━━━━━━━━╇━━━━━━┩",
        "│ a/kernel         │ (3, 2) │       6 │     3 │    50.0% │"
        " -           │    1 │",
        "│ words/embeddings │ (4, 2) │       8 │     0 │     0.0% │"
        " (embedding) │    0 │",
        "│ b/kernel         │ (4, 2) │       8 │     2 │    25.0% │"
        " -           │    0 │",
        "└──────────────────┴────────┴─────────┴───────┴──────────┴"
        "─────────────┴──────┘",
        "Kernels: 5 of 22 weights are zero (22.73%).",
        "Selected for pruning: 5 of 14 (35.71%).",
        "Dead: output units whose weights are all zero.",
        "Skipped and not shown: 1 x bias, 4 x normalization weight.",
    ]


def test_quantized_kernels_are_counted_from_zeros():
    net = keras.Sequential([keras.Input((4,)), L.Dense(4, name="a")])
    net.set_weights([np.eye(4), np.zeros(4)])
    net.layers[0].quantize("int8")
    (kernel,) = [r for r in report(net).rows if r.key.endswith("kernel")]
    assert (kernel.zeros, kernel.reason) == (12, "quantized layer")


def test_masks_define_the_pruned_rows_and_their_targets(model):
    model.compile("sgd", "mse")
    words = model.get_layer("words").embeddings
    store = MaskStore.attach(model, {"words/embeddings": words})
    mask = np.ones((4, 2), bool)
    mask[:3] = False
    store.assign({"words/embeddings": mask})
    rows = {row.key: row for row in report(model).rows}
    embedding = rows["words/embeddings"]
    assert (embedding.target, embedding.zeros) == (0.75, 6)
    assert embedding.reason is None
    assert rows["a/kernel"].reason == "no mask"
    # The table shows weights written at masked positions.
    words.assign(np.ones((4, 2)))
    assert "0.0% (not 75.0%)" in str(report(model))


def test_an_empty_report():
    assert SparsityReport(()).sparsity == 0.0
    assert SparsityReport(()).model_sparsity == 0.0


def test_unbuilt_model_raises():
    net = keras.Sequential([L.Dense(3)], name="raw")
    with pytest.raises(ValueError) as error:
        report(net)
    assert str(error.value) == (
        "Argument `model` must be built: call it on a batch, or call "
        "`model.build(input_shape)`. "
        "Received: model=<Sequential name=raw, built=False>"
    )
