"""Callbacks for a target: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="compression.recipe",
        summary="Chooses callbacks with which `fit` meets a target.",
        card="recipe",
    ),
)
