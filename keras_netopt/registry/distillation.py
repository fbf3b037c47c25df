"""Distillation: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Distillation",
        kind="callback",
        summary="The model in `fit` learns from a trained teacher as well.",
        card="distillation",
        reference="Hinton et al. 2015, arXiv 1503.02531",
        touches=frozenset({"loss"}),
        retraces="on_event",
    ),
)
