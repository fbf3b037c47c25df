"""Architecture search: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="layers.Choice",
        kind="layer",
        summary="Holds candidate layers, one of which a search chooses.",
        card="architecture_search",
        reference="Liu et al. 2018, arXiv 1806.09055; Guo et al. 2019, arXiv "
        "1904.00420",
    ),
    Method(
        name="layers.ArchitectureWeights",
        kind="layer",
        summary="Makes one decision for several `Choice` layers.",
        card="architecture_search",
        reference="Liu et al. 2018, arXiv 1806.09055",
    ),
    Method(
        name="layers.ElasticDense",
        kind="layer",
        summary="Holds dense layers of several widths in one set of weights.",
        card="elastic_layers",
        reference="Yu et al. 2018, arXiv 1812.08928; Cai et al. 2019, arXiv "
        "1908.09791",
    ),
    Method(
        name="layers.ElasticConv2D",
        kind="layer",
        summary="Holds convolutions of several widths and kernel sizes.",
        card="elastic_layers",
        reference="Cai et al. 2019, arXiv 1908.09791",
    ),
    Method(
        name="layers.ElasticDepth",
        kind="layer",
        summary="Holds networks of several depths: runs its first blocks.",
        card="elastic_layers",
        reference="Cai et al. 2019, arXiv 1908.09791",
    ),
    Method(
        name="search.extract",
        summary="Makes the chosen network of a supernet a plain Keras model.",
        card="architecture_search",
    ),
    Method(
        name="search.dataset",
        summary="Splits training data for weights and architecture.",
        card="architecture_search",
        reference="Liu et al. 2018, arXiv 1806.09055",
    ),
    Method(
        name="search.evaluate_subnets",
        summary="Evaluates networks of a supernet with their shared weights.",
        card="architecture_search",
        reference="Guo et al. 2019, arXiv 1904.00420",
    ),
    Method(
        name="search.Morphism",
        kind="tuner",
        summary="Searches by mutations of trained networks that keep weights.",
        card="morphism",
        reference="Elsken et al. 2017, arXiv 1711.04528; Real et al. 2018, "
        "arXiv 1802.01548",
    ),
    Method(
        name="search.check_model",
        summary="Compares the costs of a built model with hard limits.",
        card="architecture_limits",
    ),
    *(
        Method(
            name=f"search.{name}",
            kind="limit",
            summary=summary,
            card="architecture_limits",
        )
        for name, summary in (
            ("MaxParams", "Limits the parameters of what a search delivers."),
            ("MaxMACs", "Limits the MACs of what a search delivers."),
            ("MaxBytes", "Limits the bytes of the weights of a network."),
            ("MaxLatency", "Limits the measured latency of the LiteRT file."),
        )
    ),
    Method(
        name="search.LatencyTable",
        kind="table",
        summary="Holds the milliseconds of each candidate of a supernet.",
        card="architecture_limits",
        reference="Cai et al. 2018, arXiv 1812.00332",
    ),
    Method(
        name="callbacks.ArchitectureSearch",
        kind="callback",
        summary="Searches an architecture while the weights of all train.",
        card="architecture_search",
        reference="Liu et al. 2018, arXiv 1806.09055; Guo et al. 2019, arXiv "
        "1904.00420; Cai et al. 2019, arXiv 1908.09791",
        touches=frozenset({"weights", "loss", "optimizer"}),
        retraces="on_event",
    ),
    Method(
        name="search.compare_architectures",
        summary="Trains a found architecture and random ones of its cost.",
        card="architecture_search",
        reference="Li and Talwalkar 2019, arXiv 1902.07638",
    ),
    Method(
        name="search.weedout",
        summary="Searches a sparse sub-network before training: a baseline.",
        card="weedout",
        reference="Farahani 2024, arXiv 2403.08265",
    ),
    Method(
        name="search.zero_cost",
        summary="Scores an untrained model by zero-cost proxies.",
        card="zero_cost",
        reference="Abdelfattah et al. 2021, arXiv 2101.08134",
    ),
    Method(
        name="search.combine_scores",
        summary="Ranks models by several zero-cost proxies.",
        card="zero_cost",
    ),
    *(
        Method(
            name=f"search.ZeroCost{suffix}",
            kind=kind,
            summary="Trains the best of a pool by zero-cost proxies.",
            card="zero_cost",
            reference="Abdelfattah et al. 2021, arXiv 2101.08134",
        )
        for kind, suffix in (("tuner", ""), ("oracle", "Oracle"))
    ),
)
