"""Progressive networks: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="progressive.transfer_score",
        summary="Divides the areas under two learning curves.",
        reference="Rusu et al. 2016, arXiv 1606.04671",
    ),
    Method(
        name="progressive.continual_metrics",
        summary="Computes forgetting and transfer of a task sequence.",
        reference="Lopez-Paz and Ranzato 2017, arXiv 1706.08840; Chaudhry et "
        "al. 2018, arXiv 1801.10112",
    ),
    Method(
        name="callbacks.ElasticWeightConsolidation",
        kind="callback",
        summary="Learns a task and keeps weights that earlier ones need.",
        card="continual",
        reference="Kirkpatrick et al. 2017, arXiv 1612.00796; Schwarz et al. "
        "2018, arXiv 1805.06370",
        touches=frozenset({"loss"}),
        retraces="on_event",
    ),
)
