"""Progressive networks: rows of the registry."""

from keras_netopt.registry.method import Method

_RUSU = "Rusu et al. 2016, arXiv 1606.04671"

METHODS: tuple[Method, ...] = (
    Method(
        name="progressive.ProgressiveNetwork",
        kind="network",
        summary="Learns task after task, one column each; forgets nothing.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.next_task",
        summary="Returns the next task's model of any trained model.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.find_network",
        summary="Returns the progressive network of a task's model.",
        card="progressive",
    ),
    Method(
        name="progressive.prune_adapters",
        summary="Removes lateral connections that a task hardly uses.",
        card="progressive",
    ),
    Method(
        name="progressive.export_task",
        summary="Returns a plain model of one task of a progressive network.",
        card="progressive",
    ),
    Method(
        name="progressive.cache_features",
        summary="Computes the features of frozen columns once, not per epoch.",
        card="progressive",
    ),
    Method(
        name="layers.LateralConnection",
        kind="layer",
        summary="Adds adapted features of earlier columns to a tensor.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="layers.FrozenColumn",
        kind="layer",
        summary="Runs a trained network as fixed features.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.transfer_score",
        summary="Divides the areas under two learning curves.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.measure_transfer",
        summary="Measures transfer to a new task beside its controls.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.transfer_matrix",
        summary="Measures transfer from each task to each other one.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.sensitivity",
        summary="Measures which columns each layer of a task uses.",
        card="progressive",
        reference=_RUSU,
    ),
    Method(
        name="progressive.continual_metrics",
        summary="Computes forgetting and transfer of a task sequence.",
        card="progressive",
        reference="Lopez-Paz and Ranzato 2017, arXiv 1706.08840; Chaudhry et "
        "al. 2018, arXiv 1801.10112",
    ),
    Method(
        name="progressive.ProgressCompress",
        kind="network",
        summary="Learns task after task with two columns of constant size.",
        card="continual",
        reference="Schwarz et al. 2018, arXiv 1805.06370",
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
