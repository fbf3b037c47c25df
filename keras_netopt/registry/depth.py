"""Adaptive depth: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.ParameterScheduler",
        kind="callback",
        summary="Moves drop rates and other variables of layers in `fit`.",
        card="stochastic_depth",
        reference="Zhang and He 2020, arXiv 2010.13369",
        touches=frozenset({"scheduled_variables"}),
        limits={"C3": "a scheduled variable holds some value at every step"},
    ),
    Method(
        name="layers.StochasticDepth",
        kind="layer",
        summary="Drops whole blocks at random while a network trains.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
        touches=frozenset({"scheduled_variables"}),
    ),
    Method(
        name="layers.LayerDrop",
        kind="layer",
        summary="Trains a stack of blocks that can lose half of them.",
        card="stochastic_depth",
        reference="Fan et al. 2019, arXiv 1909.11556",
        touches=frozenset({"scheduled_variables"}),
    ),
    Method(
        name="layers.SkipGate",
        kind="layer",
        summary="Skips a block for the samples that can do without.",
        card="skip_gate",
        reference="Wang et al. 2018, arXiv 1711.09485",
        touches=frozenset({"scheduled_variables", "loss"}),
    ),
    Method(
        name="layers.MixtureOfDepths",
        kind="layer",
        summary="Runs a block on the tokens that need it most.",
        card="mixture_of_depths",
        domains=("text", "audio", "image"),
        reference="Raposo et al. 2024, arXiv 2404.02258",
        touches=frozenset({"scheduled_variables", "loss"}),
    ),
    Method(
        name="layers.AdaptiveComputation",
        kind="layer",
        summary="Repeats a cell as often as each sample needs it.",
        card="adaptive_computation",
        reference="Graves 2016, arXiv 1603.08983; Banino et al. 2021, arXiv "
        "2107.05407",
        touches=frozenset({"scheduled_variables", "loss"}),
    ),
    Method(
        name="depth.add_stochastic_depth",
        kind="function",
        summary="Lets residual blocks of a finished model drop out.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
        touches=frozenset({"graph"}),
    ),
    Method(
        name="depth.extract",
        kind="function",
        summary="Keeps some blocks of a LayerDrop stack: less deep.",
        card="stochastic_depth",
        reference="Fan et al. 2019, arXiv 1909.11556",
    ),
    Method(
        name="depth.linear_rates",
        kind="function",
        summary="Lists drop rates that grow with depth.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
    ),
    Method(
        name="layers.EarlyExit",
        kind="layer",
        summary="Marks where easy samples may leave the network.",
        function="depth.add_exits",
        card="early_exit",
        reference="Teerapittayanon et al. 2016, arXiv 1709.01686",
        touches=frozenset({"graph"}),
    ),
    Method(
        name="depth.add_exits",
        kind="function",
        summary="Lets a model answer at several depths.",
        card="early_exit",
        reference="Teerapittayanon et al. 2016, arXiv 1709.01686; Huang et "
        "al. 2017, arXiv 1703.09844",
    ),
    Method(
        name="depth.calibrate",
        kind="function",
        summary="Chooses when samples leave, within a budget.",
        card="early_exit",
        reference="Huang et al. 2017, arXiv 1703.09844; Schuster et al. "
        "2022, arXiv 2207.07061",
        data_args=("x_val", "y_val"),
    ),
)
