"""Quantization: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Quantization",
        kind="callback",
        summary="Trains kernels that lie on a grid of 8, 4, 3 or 2 bits.",
        function="quantization.quantize",
        differs={
            "begin": "the function has no training to wait for",
            "activations": "without training the export calibrates ranges",
        },
        card="quantization",
        reference="Jacob et al. 2018, arXiv 1712.05877",
        touches=frozenset({"weights", "optimizer"}),
        limits={"C3": "each number of bits rounds the kernels"},
    ),
    Method(
        name="quantization.quantize",
        summary="Rounds the kernels of a model to a grid, without `fit`.",
        card="quantization",
        reference="Jacob et al. 2018, arXiv 1712.05877",
    ),
    Method(
        name="quantization.remove_masters",
        summary="Removes the float masters, so that kernels train in float.",
        card="quantization",
    ),
    Method(
        name="quantization.load_ranges",
        summary="Loads the trained activation ranges of a saved model.",
        card="quantization",
    ),
    Method(
        name="quantization.remove_ranges",
        summary="Removes activation ranges; the model computes in float.",
        card="quantization",
    ),
)
