import warnings

import keras
import numpy as np
import pytest

from keras_netopt.sparsity import Block, prune, report
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

L = keras.layers
EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.


@pytest.fixture(scope="module")
def built_once():
    """A small model of several layer types, compiled; building it is slow."""
    inputs = keras.Input((6, 8))
    x = L.MultiHeadAttention(2, 4, name="mha")(inputs, inputs)
    x = L.TimeDistributed(L.Dense(8, name="td"), name="wrap")(x)
    x = L.Conv1D(12, 3, padding="same", name="conv")(x)
    x = L.BatchNormalization(momentum=0.9, name="norm")(x)
    x = L.GRU(4, name="gru")(x)
    net = keras.Model(inputs, L.Dense(3, name="out")(x), name="net")
    net.compile("sgd", "mse", run_eagerly=EAGER)
    return net, net.get_weights()


@pytest.fixture
def model(built_once):
    net, weights = built_once
    net.set_weights(weights)
    return net


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 6, 8)).astype("float32")
    return x, rng.standard_normal((16, 3)).astype("float32")


def snapshot(model):
    return [np.array(w) for w in model.get_weights()]


def texts_of(caught):
    """The texts of the warnings of this package only."""
    ours = (NoEffectWarning, NotIntendedUseWarning)
    return [str(w.message) for w in caught if issubclass(w.category, ours)]


def unchanged(model, before):
    return all(
        np.array_equal(a, b)
        for a, b in zip(before, model.get_weights(), strict=True)
    )


@pytest.mark.parametrize("sparsity", (0.0, 0.3, np.float32(0.5), 0))
def test_exact_total(model, sparsity):
    before = snapshot(model)
    found = prune(model, sparsity)
    assert found.zeros == round(found.weights * float(sparsity))
    if sparsity == 0:
        assert unchanged(model, before)


def test_only_the_smallest_weights_become_zero(model):
    before = snapshot(model)
    prune(model, 0.5)
    largest, smallest = 0.0, np.inf
    for old, new in zip(before, snapshot(model), strict=True):
        gone = (new == 0) & (old != 0)
        assert np.array_equal(new[~gone], old[~gone])
        if gone.any():
            largest = max(largest, np.abs(old[gone]).max())
            smallest = min(smallest, np.abs(new[new != 0]).min())
    assert 0 < largest <= smallest


@pytest.mark.parametrize("score", ("taylor", "movement", "random"))
def test_every_score_reaches_the_sparsity(model, data, score):
    found = prune(model, 0.5, score=score, calibration_data=data)
    assert found.zeros == round(found.weights * 0.5)


def test_scores_of_gradients_prune_a_large_weight_without_effect(data):
    net = keras.Sequential([keras.Input((4,)), L.Dense(1, use_bias=False)])
    net.compile("sgd", "mse")
    # The largest weight meets an input that is always zero.
    net.set_weights([np.array([[9.0], [1.0], [2.0], [3.0]])])
    x = np.array([[0.0, 1, 1, 1], [0.0, 1, 2, 3]])
    prune(net, 0.25, score="taylor", calibration_data=(x, np.zeros((2, 1))))
    assert net.get_weights()[0].ravel().tolist() == [0.0, 1.0, 2.0, 3.0]


def test_wanda_skips_recurrent_kernels_and_prunes_units_equally(model, data):
    found = prune(
        model,
        0.5,
        score="wanda",
        allocation="uniform",
        calibration_data=data[0],
    )
    skipped = {row.key: row.reason for row in found.skipped}
    reason = "no calibration activations reach this weight"
    assert skipped["gru/gru_cell/kernel"] == reason
    assert skipped["gru/gru_cell/recurrent_kernel"] == reason
    assert [row.key for row in found.pruned] == [
        "mha/query/kernel",
        "mha/key/kernel",
        "mha/value/kernel",
        "mha/attention_output/kernel",
        "wrap/td/kernel",
        "conv/kernel",
        "out/kernel",
    ]
    for name, axes in (("conv", (0, 1)), ("out", 0)):
        kernel = keras.ops.convert_to_numpy(model.get_layer(name).kernel)
        zeros = (kernel == 0).sum(axis=axes)
        assert zeros.min() == zeros.max() > 0


def test_wanda_uses_the_norms_of_the_inputs():
    net = keras.Sequential([keras.Input((4,)), L.Dense(2, use_bias=False)])
    net.set_weights([np.array([[4.0, 1], [3, 2], [2, 3], [1, 4]])])
    prune(
        net,
        0.5,
        score="wanda",
        calibration_data=np.array([[0.1, 1.0, 1.0, 10.0]]),
    )
    # Scores by column: .4 3 2 10 and .1 2 3 40.
    assert net.get_weights()[0].tolist() == [[0, 0], [3, 0], [0, 3], [1, 4]]


@pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.LayerCollapseWarning"
)
@pytest.mark.parametrize("pattern", ("2:4", Block(2, 2), "channel"))
def test_patterns(model, pattern):
    found = prune(model, None if pattern == "2:4" else 0.5, pattern=pattern)
    assert found.sparsity == pytest.approx(0.5, abs=0.1)
    label = {"2:4": "2:4", "channel": "channel"}.get(pattern, "block 2x2")
    assert {row.pattern for row in found.pruned} == {label}
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv").kernel)
    if pattern == "2:4":
        runs = kernel.reshape(3, 2, 4, 12)
        assert ((runs != 0).sum(axis=2) == 2).all()


def test_weights_that_an_nm_pattern_does_not_fit_are_skipped(model):
    with pytest.warns(NotIntendedUseWarning):
        found = prune(model, pattern="1:8", include=["out", "conv"])
    assert {row.key: row.reason for row in found.skipped}["out/kernel"] == (
        "input axis of 4 is not divisible by 8"
    )


def test_a_pattern_that_fits_nothing_raises(model):
    with pytest.raises(ValueError) as error:
        prune(model, pattern="2:5", include="^out/")
    assert str(error.value) == (
        "Arguments `pattern` and `score` must fit at least one selected "
        "weight, but they fit none: out/kernel (input axis of 4 is not "
        "divisible by 5). Received: pattern='2:5', score='magnitude'"
    )


def test_existing_zeros_count(model):
    prune(model, 0.3, score="random", seed=1)
    found = prune(model, 0.5, score="random", seed=2)
    assert found.zeros == round(found.weights * 0.5)


def test_same_seed_same_zeros(model):
    start = snapshot(model)
    results = []
    for seed in (0, 0, 1):
        model.set_weights(start)
        prune(model, 0.5, score="random", seed=seed)
        zeros = [w.ravel() == 0 for w in model.get_weights()]
        results.append(np.concatenate(zeros))
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_include_exclude_and_min_size(model):
    found = prune(model, 0.5, include=["conv", "^out"], min_size=20)
    assert [row.key for row in found.pruned] == ["conv/kernel"]
    assert found.selected_sparsity == 0.5
    assert report(model).zeros == found.zeros


def test_report_has_the_targets_and_the_pattern(model):
    found = prune(model, 0.5, allocation="uniform")
    assert {row.target for row in found.pruned} == {0.5}
    assert {row.pattern for row in found.pruned} == {"unstructured"}


def test_layers_kept_dense(model):
    found = prune(model, 0.5, allocation={"out/": None})
    assert found.rows[-2].key == "out/kernel"
    assert found.rows[-2].zeros == 0
    assert found.zeros == round(found.weights * 0.5)


def test_bfloat16_weights():
    net = keras.Sequential(
        [keras.Input((8,)), L.Dense(8, dtype="bfloat16", name="a")]
    )
    found = prune(net, 0.5)
    assert found.zeros == 32
    assert net.layers[0].kernel.dtype == "bfloat16"


def test_an_uncompiled_model_is_fine_without_gradients(data):
    net = keras.Sequential([keras.Input((4,)), L.Dense(4, name="a")])
    assert prune(net, 0.5).zeros == 8


def test_an_uncompiled_model_raises_with_gradients():
    net = keras.Sequential([keras.Input((4,)), L.Dense(4)], name="raw")
    with pytest.raises(ValueError) as error:
        prune(net, 0.5, score="taylor", calibration_data=(np.ones((2, 4)),) * 2)
    assert str(error.value) == (
        "Argument `model` must be compiled where gradients of its loss are "
        "needed: call `model.compile(loss=...)`. Received: model=<Sequential "
        "name=raw, compiled=False>"
    )


@pytest.mark.parametrize("score", ("taylor", "movement", "wanda"))
def test_missing_calibration_data_raise_and_change_nothing(model, score):
    before = snapshot(model)
    with pytest.raises(ValueError, match="`calibration_data` must be given"):
        prune(model, 0.5, score=score)
    assert unchanged(model, before)


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_non_finite_weights_raise_and_change_nothing(model, bad):
    kernel, bias = model.get_layer("out").get_weights()
    kernel[0, 0] = bad
    model.get_layer("out").set_weights([kernel, bias])
    before = snapshot(model)
    with pytest.raises(ValueError) as error:
        prune(model, 0.5)
    assert str(error.value) == (
        "Argument `model` must have finite weights, but `out/kernel` holds "
        "NaN or infinity. Received: key='out/kernel'"
    )
    after = snapshot(model)
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(before, after, strict=True)
    )


def test_a_sparsity_above_one_half_warns(model):
    with pytest.warns(NotIntendedUseWarning) as caught:
        prune(model, 0.9)
    assert texts_of(caught) == [
        "`prune` set 90% of the weights to zero in one shot. Above 50%, "
        "accuracy drops without fine-tuning: train with `callbacks.Pruning` "
        "instead, or fine-tune with it."
    ]
    (ours,) = [w for w in caught if w.category is NotIntendedUseWarning]
    assert ours.filename == __file__


def test_a_sparsity_of_one_half_does_not_warn(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotIntendedUseWarning)
        prune(model, 0.5)


def test_nothing_to_prune_warns():
    net = keras.Sequential(
        [keras.Input((3,)), L.BatchNormalization()], name="net"
    )
    before = snapshot(net)
    with pytest.warns(NoEffectWarning) as caught:
        found = prune(net, 0.5)
    assert texts_of(caught) == [
        "`prune` selected no weight of model `net`. Name weights in "
        "`include`; `sparsity.report(model)` lists why each one is skipped."
    ]
    assert found.pruned == () and unchanged(net, before)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1) with pattern "
            "unstructured. Received: sparsity=None",
        ),
        (
            {"sparsity": -0.1},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=-0.1",
        ),
        (
            {"sparsity": 0.9, "pattern": "2:4"},
            ValueError,
            "Argument `sparsity` must be left out with pattern 2:4, which "
            "fixes it at 0.5. Received: sparsity=0.9",
        ),
        (
            {"sparsity": 0.5, "min_kept": 1.0},
            TypeError,
            "Argument `min_kept` must be an integer of at least 0. "
            "Received: min_kept=1.0",
        ),
        (
            {"sparsity": 0.5, "allocation": {"nope": 0.5}},
            ValueError,
            "Argument `allocation` must match at least one weight to prune. "
            "The nearest paths are 'out/kernel'. Received: allocation='nope'",
        ),
    ],
)
def test_bad_arguments_change_nothing(model, arguments, error, message):
    before = snapshot(model)
    with pytest.raises(error) as raised:
        prune(model, include="^out/", **arguments)
    assert str(raised.value) == message
    assert unchanged(model, before)


def test_pruned_model_still_trains_and_predicts(model, data):
    prune(model, 0.5, score="taylor", calibration_data=data)
    assert np.isfinite(keras.ops.convert_to_numpy(model(data[0]))).all()
    model.fit(*data, verbose=0)
