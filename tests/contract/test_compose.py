"""C22: order rules of callbacks."""

import keras
import numpy as np
import pytest
from contract import counts, probes, settings, zoo
from contract.rows import COMPONENTS, FIRST, ONE_PER_COMPONENT

from keras_netopt import callbacks as callbacks_of
from keras_netopt import surgery
from keras_netopt.callbacks import ChannelPruning, Growing, Pruning
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

# One callback per order rule.
OTHERS = {
    "EarlyStopping(restore_best_weights=True)": (
        lambda folder: keras.callbacks.EarlyStopping(
            "loss", patience=9, restore_best_weights=True
        )
    ),
    "ModelCheckpoint": lambda folder: keras.callbacks.ModelCheckpoint(
        str(folder / "{epoch}.keras")
    ),
    "CSVLogger": lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
    "TensorBoard": lambda folder: keras.callbacks.TensorBoard(folder / "logs"),
    "SwapEMAWeights": lambda folder: keras.callbacks.SwapEMAWeights(True),
    "LearningRateScheduler": lambda folder: (
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.02)
    ),
    "ArchitectureSearch": lambda folder: callbacks_of.ArchitectureSearch(),
    "EarlyStopping": lambda folder: keras.callbacks.EarlyStopping("loss"),
    "GradualUnfreezing": lambda folder: callbacks_of.GradualUnfreezing(2),
    "LearningRateFinder": lambda folder: callbacks_of.LearningRateFinder(),
    "ParameterScheduler": lambda folder: callbacks_of.ParameterScheduler(
        "rate", 0.5
    ),
    "PrecheltStopping": lambda folder: callbacks_of.PrecheltStopping(),
    "Quantization": lambda folder: callbacks_of.Quantization(),
    "SparseTraining": lambda folder: callbacks_of.SparseTraining(0.5),
    "StructureCallback": lambda folder: callbacks_of.ChannelSparsity(),
    "Pruning": lambda folder: Pruning(0.5),
    "ChannelPruning": lambda folder: ChannelPruning(0.5),
    "Growing": lambda folder: Growing(
        [surgery.Widen("hidden", add=2)], {0.5: [0]}
    ),
}


def rules(kind):
    found = []
    for setting in settings.COMPONENTS.values():
        for rule in getattr(setting.kind, kind, ()):
            found.append(pytest.param(setting, rule, id=f"{setting}-{rule}"))
    return found


def _name(rule):
    return rule.partition("(")[0]


def fit(model, callbacks, **changed):
    """Trains in few and large steps: rules do not depend on their number."""
    arguments = {"batch_size": zoo.SAMPLES // 2, **changed}
    return probes.fit(model, "mlp", callbacks, **arguments)


def _alone(setting, case):
    return [c for c in setting.callbacks(case)][-1]


def test_every_rule_is_tested():
    named = {
        rule
        for setting in settings.COMPONENTS.values()
        for kind in ("must_follow", "should_precede", "conflicts_with")
        for rule in getattr(setting.kind, kind, ())
    }
    assert named == set(OTHERS)


@pytest.mark.check("C22")
@pytest.mark.parametrize(("setting", "rule"), rules("must_follow"))
def test_the_wrong_order_is_an_error_that_prints_the_right_one(
    setting, rule, case
):
    other = OTHERS[rule](case.folder)
    component = _alone(setting, case)
    model = zoo.light(eager=True)
    before = probes.weights(model)
    with pytest.raises(ValueError) as error:
        fit(model, [component, other])

    own = setting.row.short_name
    text = str(error.value)
    assert text.startswith(f"{own} must come after {_name(rule)}")
    assert f"Use callbacks=[{_name(rule)}, {own}]. " in text
    assert text.endswith(f"Received: callbacks=[{own}, {_name(rule)}]")
    probes.assert_same(probes.weights(model), before)


@pytest.mark.check("C22")
@pytest.mark.parametrize(("setting", "rule"), rules("must_follow"))
def test_the_right_order_works(setting, rule, case):
    other = OTHERS[rule](case.folder)
    component = _alone(setting, case)
    optimizer = keras.optimizers.Adam(0.01, use_ema="EMA" in rule)
    model = zoo.compiled(eager=True, metrics=None, optimizer=optimizer)
    # The last epoch must have the lowest loss, which takes more steps.
    probes.fit(model, "mlp", [other, component])

    assert setting.effect(zoo.build("mlp"), model, component)


@pytest.mark.check("C22")
@pytest.mark.parametrize(
    "setting", [s for s in COMPONENTS if s.kind.should_precede], ids=str
)
def test_an_unintended_order_gives_a_warning(setting, case):
    *beside, component = setting.callbacks(case)
    rules = setting.kind.should_precede
    others = [OTHERS[rule](case.folder) for rule in rules]
    with pytest.warns(NotIntendedUseWarning) as told:
        epochs = setting.whole(1)
        callbacks = [*beside, *others, component]
        fit(zoo.light(eager=True), callbacks, epochs=epochs)

    ours = [w for w in told if w.category is NotIntendedUseWarning]
    assert len(ours) == 1
    assert f"before {', '.join(rules)} in the list" in str(ours[0].message)


@pytest.mark.check("C22")
@pytest.mark.parametrize(("setting", "rule"), rules("conflicts_with"))
def test_a_conflict_is_an_error(setting, rule, case):
    callbacks = [_alone(setting, case), OTHERS[rule](case.folder)]
    # A rule may name a parent.
    other = type(callbacks[1]).__name__
    refusal = f"^{setting.row.short_name} cannot be used .* {other}.*"
    with pytest.raises(ValueError, match=f"{refusal}Received: "):
        fit(zoo.light(eager=True), callbacks)


@pytest.mark.check("C22")
def test_a_restored_dense_epoch_is_pruned_again_with_a_warning():
    """With mode "max" the first epoch is the best one."""
    early = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=9, restore_best_weights=True
    )
    model, pruning = zoo.light(eager=True), Pruning(0.5)
    with pytest.warns(NoEffectWarning, match="`start_from_epoch`") as told:
        fit(model, [early, pruning], epochs=3)

    assert [w.category for w in told].count(NoEffectWarning) == 1
    assert FIRST.effect(zoo.build("mlp"), model, pruning)


@pytest.mark.check("C22")
@ONE_PER_COMPONENT
def test_keras_callbacks_work_beside_the_component(setting, case):
    """In the documented order; checkpoints hold the current state."""
    stop = keras.callbacks.EarlyStopping(
        "loss", patience=9, restore_best_weights=True
    )
    first = [] if "EarlyStopping" in setting.kind.conflicts_with else [stop]
    callbacks = [
        *first,
        *setting.callbacks(case),
        keras.callbacks.ModelCheckpoint(str(case.folder / "{epoch}.keras")),
        keras.callbacks.ReduceLROnPlateau("loss", patience=1),
        keras.callbacks.CSVLogger(case.folder / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    model = zoo.light(eager=True)
    epochs = setting.whole(3)
    history = fit(model, callbacks, epochs=epochs)

    component = callbacks[len(first) + len(setting.beside)]
    assert setting.effect(zoo.build("mlp"), model, component)
    saved = keras.saving.load_model(case.folder / f"{epochs}.keras")
    for mine, theirs in zip(
        counts.kernels(saved), counts.kernels(model), strict=True
    ):
        np.testing.assert_array_equal(mine == 0, theirs == 0)
    header = (case.folder / "log.csv").read_text().splitlines()[0]
    added = set(component.log_names()) & set(history)
    assert bool(added) == bool(component.log_keys)
    assert added <= set(header.split(","))
