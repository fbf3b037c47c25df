"""The architecture learns inside `fit`, and the model stays the user's."""

import keras
import numpy as np
import pytest
from callback_tools.supernets import (
    Stop,
    StopAt,
    alphas,
    build_supernet,
    make_data,
    variables,
)

import keras_netopt as netopt
from keras_netopt import search
from keras_netopt.callbacks import ArchitectureSearch
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.warnings import NotIntendedUseWarning, SearchCollapseWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.SearchCollapseWarning"
)


def darts(order=1, **options):
    own = keras.optimizers.Adam(0.05, beta_1=0.5, weight_decay=1e-3)
    return ArchitectureSearch(
        "darts", order=order, architecture_optimizer=own, **options
    )


def fit(model, component, *others, epochs=3, order=1, after=(), **options):
    data = search.dataset(*make_data(), batch_size=12, order=order)
    callbacks = [*others, component, *after]
    return model.fit(
        data, epochs=epochs, callbacks=callbacks, verbose=0, **options
    ).history


@pytest.mark.parametrize("order", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_search_resumes_bit_for_bit(order, tmp_path):
    whole = build_supernet(edges=1)
    fit(whole, darts(order), epochs=2, order=order)
    for stop in (StopAt(1, 1), None):
        model = build_supernet(seed=3 if stop else 8, edges=1)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        before = [] if stop is None else [stop]
        try:
            fit(
                model,
                darts(order),
                *before,
                epochs=2,
                order=order,
                after=[backup],
            )
        except Stop:
            assert stop is not None
    assert np.abs(alphas(whole)).max() > 0.01
    for one, other in zip(variables(whole), variables(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_after_an_error_plain_fit_trains_every_variable(tmp_path):
    order = 2
    plain = build_supernet(edges=1)
    plain.optimizer.build(plain.trainable_variables)
    model = build_supernet(edges=1)
    optimizer = model.optimizer
    with pytest.raises(Stop):
        fit(model, darts(order), StopAt(1, 2), order=order)
    x, y = make_data()
    before = alphas(model)
    model.fit(x, y, batch_size=48, epochs=2, verbose=0)
    assert model.optimizer is optimizer
    assert not np.array_equal(before, alphas(model))
    assert "compute_loss" not in vars(model)
    shapes = [tuple(v.shape) for v in plain.optimizer.variables]
    assert [tuple(v.shape) for v in optimizer.variables] == shapes
    # One weight step per cycle of five, in two epochs; two plain steps.
    assert int(optimizer.iterations) == 2 + 2
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(plain.optimizer)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), loaded.predict(x, verbose=0)
    )


@pytest.fixture(scope="module")
def single():
    """A finished single-path search that nobody changes."""
    model = build_supernet(keras.optimizers.Adam(0.02))
    component = ArchitectureSearch(
        evaluations=9, constraints=search.MaxParams(10**6)
    )
    history = fit(model, component, epochs=3)
    return model, component, history


def test_single_path_sets_the_found_architecture(single):
    model, component, history = single
    report = component.report()
    assert component.architecture == search_architecture(model)
    assert report.choices.keys() == {"first", "second"}
    assert report.evaluations == report.space == 9
    assert 0.0 <= report.value <= 1.0 and report.monitor == "accuracy"
    assert report.costs["params"] == report.params["found"]
    assert report.macs["found"] <= report.macs["largest"]
    assert report.macs["largest"] <= report.macs["supernet"]
    assert set(history) - {"loss", "accuracy"} == set(component.log_names())
    np.testing.assert_allclose(history["architecture_entropy"], np.log(3))
    np.testing.assert_allclose(history["architecture_share"], 1 / 3)
    assert "accuracy" in str(report)


def search_architecture(model):
    from keras_netopt.search.supernet.architecture import read_architecture

    return read_architecture(model)


def test_single_path_trains_on_the_training_half_only():
    data = search.dataset(*make_data(), batch_size=12)
    epochs, seen, draw = [], [], data.batch_ids

    def record(epoch):
        epochs.append(epoch)
        seen.extend(draw(epoch))
        return draw(epoch)

    data.batch_ids = record
    eager = keras.backend.backend() == "tensorflow"
    model = build_supernet(edges=1, run_eagerly=eager)
    component = ArchitectureSearch(evaluations=2)
    model.fit(data, epochs=2, callbacks=[component], verbose=0)
    assert set(epochs) == {0, 1}
    assert set(np.concatenate(seen[-8:])) <= set(data.halves["train"])
    assert not data.trains_only


@pytest.fixture(scope="module")
def differentiable():
    """A finished search by gradients that nobody changes."""
    model = build_supernet()
    component = darts()
    return model, component, fit(model, component, epochs=4)


def test_darts_logs_the_state_of_the_search(differentiable):
    model, component, history = differentiable
    assert set(history) - {"loss", "accuracy"} == set(component.log_names())
    entropies = history["architecture_entropy"]
    assert np.log(3) > entropies[0] > entropies[-1]
    shares = np.exp(alphas(model))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = shares.max(axis=1).mean()
    assert history["architecture_share"][-1] == pytest.approx(expected)
    report = component.report()
    assert report.relative_cost > 0.0 and report.method == "darts"
    # An epoch has two weight steps and two of the architecture.
    assert int(model.optimizer.iterations) == 8


def test_darts_keeps_the_weights_of_the_mixture(differentiable):
    model, component, _ = differentiable
    best = alphas(model)[:, :2].argmax(axis=1)  # The third cuts the edge.
    assert list(component.architecture.values()) == best.tolist()


def test_the_same_data_for_both_give_one_warning():
    eager = keras.backend.backend() == "tensorflow"
    model = build_supernet(edges=1, run_eagerly=eager)
    x, y = make_data()
    with pytest.warns(NotIntendedUseWarning) as told:
        model.fit(x, y, epochs=2, verbose=0, callbacks=[darts()])
    told = [w for w in told if w.category is NotIntendedUseWarning]
    assert len(told) == 1
    assert "`search.dataset(x, y, batch_size)`" in str(told[0].message)


def fit_arrays(component, model=None, **options):
    x, y = make_data()
    model = model or build_supernet()
    model.fit(x, y, callbacks=[component], verbose=0, **options)


def no_choice():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


BAD_FITS = {
    "no choice": (
        lambda: fit_arrays(ArchitectureSearch(), no_choice()),
        "searchable layer, such as `layers.Choice`",
    ),
    "no validation data": (
        lambda: fit_arrays(ArchitectureSearch()),
        "`validation_data` must be given",
    ),
    "second order": (
        lambda: fit_arrays(darts(2)),
        r"`search.dataset\(x, y, batch_size, order=2\)`",
    ),
    "other order": (
        lambda: fit(build_supernet(), darts(2)),
        "`order` must be that of `search.dataset`",
    ),
    "impossible": (
        lambda: fit_arrays(
            ArchitectureSearch(
                constraints=search.MaxParams(3), validation_data=make_data()
            )
        ),
        r"cheapest one has params=\d+: {'first': \d, 'second': \d}. Received",
    ),
    "accumulation": (
        lambda: fit(
            build_supernet(keras.optimizers.SGD(gradient_accumulation_steps=2)),
            darts(),
        ),
        "use larger batches instead of `gradient_accumulation_steps`",
    ),
    "loss scale": (
        lambda: fit(
            build_supernet(
                keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
            ),
            darts(),
        ),
        "an optimizer that does not scale the loss",
    ),
    "unknown metric": (
        lambda: fit(
            build_supernet(edges=1), darts(monitor="bleu", mode="max"), epochs=1
        ),
        "`monitor` must be a metric of the compiled model",
    ),
}


@pytest.mark.all_cases
@pytest.mark.parametrize("name", BAD_FITS)
@pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.NotIntendedUseWarning"
)
def test_bad_fits_are_refused(name):
    call, message = BAD_FITS[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "random"}, "`method` must be one of"),
        ({"order": 2}, '`order` must be left out unless `method="darts"`'),
        ({"architecture_optimizer": "adam"}, "must be left out"),
        ({"sampling": "gumbel"}, "`sampling` must be one of 'fair'"),
        ({"evaluations": 1}, "`evaluations` must be an integer of at least 2"),
        ({"mode": "up"}, "`mode` must be one of"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ArchitectureSearch(**arguments)


def test_a_metric_without_a_direction_is_refused_before_training():
    with pytest.raises(ValueError, match="`mode` must be 'min' or 'max'"):
        ArchitectureSearch(monitor="bleu")
    with pytest.raises(TypeError, match="`architecture_optimizer` must be"):
        ArchitectureSearch("darts", architecture_optimizer=3)
    ArchitectureSearch("darts", architecture_optimizer="adam")


def test_constraints_of_darts_are_refused():
    with pytest.raises(ValueError, match="`constraints` must be left out"):
        ArchitectureSearch("darts", constraints=search.MaxMACs(3))
    with pytest.raises(TypeError, match="`validation_data` must be a tuple"):
        ArchitectureSearch(validation_data=3)


def build_rivals(*names):
    """One choice between a useful skip, a useful layer and a useless one."""
    keras.utils.set_random_seed(1)
    layers = {
        "skip": keras.layers.Identity(name="skip"),
        "frozen": keras.layers.Dense(
            4, trainable=False, kernel_initializer="zeros", name="frozen"
        ),
        "learns": keras.layers.Dense(4, name="learns"),
    }
    inputs = keras.Input((4,))
    choice = netopt.layers.Choice([layers[n] for n in names], name="edge")
    outputs = keras.layers.Dense(2, name="head")(choice(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    return model


def make_linear_data(samples=48):
    x = np.random.default_rng(0).normal(size=(samples, 4)).astype("float32")
    return x, (x[:, 0] > x[:, 1]).astype("int32")


@pytest.mark.parametrize("method", ["darts", "single_path"])
def test_a_skip_that_takes_over_gives_one_warning(method):
    model = build_rivals("skip", "frozen")
    if method == "darts":
        model.get_layer("edge").arch_alpha.assign([2.0, 0.0])
    component = ArchitectureSearch(method)
    data = search.dataset(*make_linear_data(), batch_size=8)
    with pytest.warns(SearchCollapseWarning) as told:
        model.fit(data, epochs=3, verbose=0, callbacks=[component])
    told = [w for w in told if w.category is SearchCollapseWarning]
    assert len(told) == 1
    text = "1 of 1 decisions: 'edge': 'skip'"
    if method == "darts":
        # The softmax of [2, 0] is 0.88; training moves it a little.
        text = "'edge': 'skip' with a share of 0.8"
    assert text in str(told[0].message)
    assert f"operations without weights: {text}" in str(component.report())


@pytest.mark.filterwarnings(
    "error::keras_netopt.warnings.SearchCollapseWarning"
)
@pytest.mark.parametrize("method", ["darts", "single_path"])
def test_the_option_that_can_learn_is_found_without_a_warning(method):
    model = build_rivals("frozen", "learns")
    model.run_eagerly = False
    options = {}
    if method == "darts":
        own = keras.optimizers.Adam(0.02, beta_1=0.5)
        options = {"architecture_optimizer": own}
    component = ArchitectureSearch(method, **options)
    data = search.dataset(*make_linear_data(400), batch_size=20)
    model.fit(data, epochs=5, verbose=0, callbacks=[component])
    assert component.report().choices == {"edge": "learns"}


def test_stages_of_progressive_shrinking_end_with_all_options():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    hidden = netopt.layers.ElasticDense(
        8, widths=(2, 4, 8), activation="relu", name="hidden"
    )
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden(inputs)))
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    component = ArchitectureSearch(
        progressive_shrinking=True, evaluations=3, sampling="sandwich"
    )
    history = fit(model, component, epochs=6)
    counts = np.exp(history["architecture_entropy"])
    np.testing.assert_allclose(counts, [1, 1, 1, 3, 3, 3], rtol=1e-6)
    assert np.all(np.diff(history["expected_macs"]) <= 0)
    assert component.report().evaluations == 3
    enabled = find_decisions(model)["hidden"].enabled
    assert keras.ops.convert_to_numpy(enabled).tolist() == [1, 1, 1]
    assert "share" not in (component.report().collapse or "")
    with pytest.raises(ValueError, match="epochs than stages, which are 2.*=1"):
        fit(model, component, epochs=1)
