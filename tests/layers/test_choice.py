import keras
import numpy as np
import pytest
from keras import layers, ops
from search.supernet.supernets import candidates, data, supernet, to_numpy

from keras_netopt.layers import ArchitectureWeights, Choice
from keras_netopt.search.supernet.searchable_layer import find_decisions

BACKEND = keras.backend.backend()


def compiled(model, **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compiles = BACKEND == "jax" and not arguments
    arguments = {"jit_compile": compiles, **arguments}
    model.compile(keras.optimizers.SGD(0.1), loss, **arguments)
    return model


def test_outputs_of_each_mode():
    x = data()[0]
    layer = Choice(candidates())
    layer(x)
    layer.arch_alpha.assign([0.5, -1.0, 0.2, 2.0])
    outputs = [to_numpy(one(x)) for one in layer.candidates]
    shares = to_numpy(ops.softmax(layer.arch_alpha))
    mixed = sum(p * one for p, one in zip(shares, outputs, strict=True))

    np.testing.assert_allclose(to_numpy(layer(x)), mixed, atol=1e-6)
    for k, expected in enumerate(outputs):
        layer.decision.fix(k)
        np.testing.assert_array_equal(to_numpy(layer(x)), expected)


@pytest.mark.parametrize("shared", [False, True])
def test_only_the_chosen_candidate_trains(shared):
    """Weights, statistics and seeds of others do not move; one trace."""
    model = compiled(supernet(shared=shared))
    x, y = data(16)
    decisions = find_decisions(model)
    moved = []
    for k in range(3):
        for decision in decisions.values():
            decision.fix(k)
        layer = model.get_layer("edge1")
        before = [[v.numpy() for v in c.variables] for c in layer.candidates]
        model.fit(x, y, batch_size=8, verbose=0)
        moved.append(
            [
                [
                    not np.array_equal(old, v.numpy())
                    for old, v in zip(values, c.variables, strict=True)
                ]
                for values, c in zip(before, layer.candidates, strict=True)
            ]
        )
    block, dense, skip = moved
    assert all(block[0]) and not any(block[1])
    assert all(dense[1]) and not any(dense[0])
    assert not any(sum(skip, []))
    for decision in decisions.values():
        decision.set_mode("mixture")
    model.fit(x, y, batch_size=8, verbose=0)
    for decision in decisions.values():
        assert np.ptp(to_numpy(decision.weights)) > 0.0
        assert int(to_numpy(decision.draws)) == 8


def test_samples_continue_after_reloading(tmp_path):
    model = compiled(supernet(sampling="uniform", seed=1), run_eagerly=True)
    x, y = data(16)
    model.fit(x, y, batch_size=8, verbose=0)
    model.save(tmp_path / "supernet.keras")
    again = keras.models.load_model(tmp_path / "supernet.keras")

    np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(again(x)))
    first, second = (find_decisions(one) for one in (model, again))
    for name, decision in first.items():
        for variable in ("mode", "draws", "seed", "weights"):
            np.testing.assert_array_equal(
                to_numpy(getattr(decision, variable)),
                to_numpy(getattr(second[name], variable)),
            )
    seeds = {int(to_numpy(decision.seed)) for decision in first.values()}
    assert len(seeds) == 2  # One seed, but layers sample independently.


def test_shared_weights_are_saved_once(tmp_path):
    model = supernet(shared=True)
    find_decisions(model)["cell"].weights.assign([1.0, 0.0, 2.0, 0.5])
    model.save(tmp_path / "supernet.keras")
    again = keras.models.load_model(tmp_path / "supernet.keras")
    x = data()[0]

    assert sum("arch_alpha" in v.path for v in again.weights) == 1
    np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(again(x)))


def wrong_shapes():
    return [layers.Dense(4, name="four"), layers.Dense(6, name="six")]


def repeated():
    return [layers.Dense(4)] * 2


def fixed_shape():
    built = layers.Dense(6, name="built")
    built.build((None, 9))
    return [built, layers.Identity()]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wrong_shapes, r"'four': \(None, 4\), 'six': \(None, 6\)"),
        (lambda: [layers.Dense(4)], "at least two layers"),
        (repeated, "different layers"),
        (lambda: [layers.Dense(6, name="a") for _ in "ab"], "different names"),
        (fixed_shape, "take the inputs of the choice"),
        (
            lambda: [layers.Identity(), layers.Dense(6, dtype="float16")],
            "the same dtype",
        ),
        (lambda: [layers.Rescaling(0.0), layers.Rescaling(0.0)], "other than"),
    ],
)
def test_bad_candidates_are_refused(make, message):
    with pytest.raises(ValueError, match=rf"(?s){message}.*|Received") as error:
        Choice(make())(keras.Input((6,)))
    assert "Received: candidates" in str(error.value)


def test_shared_weights_of_another_length_are_refused():
    inputs = keras.Input((6,))
    weights = ArchitectureWeights(3)(inputs)
    with pytest.raises(ValueError, match=r"Weights\(4\).*Received: input_sha"):
        Choice(candidates())([inputs, weights])
    weights = ArchitectureWeights(4)(inputs)
    with pytest.raises(ValueError, match="Received: sampling='fair'"):
        Choice(candidates(), sampling="fair")([inputs, weights])
