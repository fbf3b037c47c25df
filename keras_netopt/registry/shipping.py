"""Export and cost: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="export.to_litert",
        kind="function",
        summary="Writes a LiteRT file and verifies its outputs.",
        card="export",
        data_args=("calibration_data",),
    ),
    Method(
        name="cost.summarize",
        kind="function",
        summary="Counts parameters, zeros, MACs and bytes of a model.",
        card="cost",
    ),
    Method(
        name="cost.matched_epochs",
        kind="function",
        summary="Computes the epochs another model may train at equal MACs.",
        card="cost",
    ),
    Method(
        name="cost.measure_latency",
        kind="function",
        summary="Measures the latency of models and LiteRT files.",
        card="cost",
    ),
)
