"""Adaptive depth: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.ParameterScheduler",
        kind="callback",
        summary="Schedules drop rates and other layer variables during `fit`.",
        card="stochastic_depth",
        reference="Zhang and He 2020, arXiv 2010.13369",
        touches=frozenset({"scheduled_variables"}),
        limits={"C3": "every schedule sets the variable at every step"},
    ),
    Method(
        name="layers.StochasticDepth",
        kind="layer",
        summary="Skips a residual block at random during training.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
    ),
    Method(
        name="layers.LayerDrop",
        kind="layer",
        summary="Trains a stack whose blocks can be removed after training.",
        card="stochastic_depth",
        reference="Fan et al. 2019, arXiv 1909.11556",
    ),
    Method(
        name="layers.SkipGate",
        kind="layer",
        summary="Decides for each sample whether to run a residual block.",
        card="skip_gate",
        reference="Wang et al. 2018, arXiv 1711.09485",
    ),
    Method(
        name="layers.MixtureOfDepths",
        kind="layer",
        summary="Runs a block on the tokens with the highest router scores.",
        card="mixture_of_depths",
        reference="Raposo et al. 2024, arXiv 2404.02258",
    ),
    Method(
        name="layers.AdaptiveComputation",
        kind="layer",
        summary="Repeats a cell a learned number of times for each sample.",
        card="adaptive_computation",
        reference="Graves 2016, arXiv 1603.08983; Banino et al. 2021, arXiv "
        "2107.05407",
    ),
    Method(
        name="depth.add_stochastic_depth",
        summary="Adds stochastic depth to the residual blocks of a model.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
    ),
    Method(
        name="depth.extract_subnetwork",
        summary="Extracts a shallower model from one trained with LayerDrop.",
        card="stochastic_depth",
        reference="Fan et al. 2019, arXiv 1909.11556",
    ),
    Method(
        name="depth.linear_rates",
        summary="Lists drop rates that increase linearly with depth.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
    ),
    Method(
        name="layers.EarlyExit",
        kind="layer",
        summary="Marks a position at which a sample may exit the model.",
        card="early_exit",
        reference="Teerapittayanon et al. 2016, arXiv 1709.01686",
    ),
    Method(
        name="depth.add_exits",
        summary="Adds early-exit heads to a model.",
        card="early_exit",
        reference="Teerapittayanon et al. 2016, arXiv 1709.01686; Huang et "
        "al. 2017, arXiv 1703.09844",
    ),
    Method(
        name="depth.calibrate",
        summary="Chooses exit thresholds for a compute budget or an accuracy.",
        card="early_exit",
        reference="Huang et al. 2017, arXiv 1703.09844; Schuster et al. "
        "2022, arXiv 2207.07061",
    ),
)
