"""Compression under a budget: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="compression.compress",
        summary="Compresses a trained model until its file meets a budget.",
        card="compress",
        reference="Han et al. 2016, arXiv 1510.00149",
    ),
)
