"""Search spaces and compound scaling: rows of the registry."""

from keras_netopt.registry.method import Method

# Summary and reference of each space.
_SPACES = {
    "mlp": ("Search space of fully connected networks.", ""),
    "resnet": (
        "Search space of residual networks.",
        "He et al. 2015, arXiv 1512.03385",
    ),
    "mobilenet": (
        "Search space of MobileNetV2's inverted residual blocks.",
        "Sandler et al. 2018, arXiv 1801.04381; Cai et al. 2019, arXiv "
        "1908.09791",
    ),
    "nas_bench_201": (
        "Search space of NAS-Bench-201's cells.",
        "Dong and Yang 2020, arXiv 2001.00326",
    ),
    "transformer_encoder": (
        "Search space of transformers, language models included.",
        "Vaswani et al. 2017, arXiv 1706.03762",
    ),
    "rnn": ("Search space of recurrent networks.", ""),
    "compound": (
        "Search space of one network in several sizes.",
        "Tan and Le 2019, arXiv 1905.11946",
    ),
}

METHODS: tuple[Method, ...] = (
    *(
        Method(
            name=f"search.spaces.{name}",
            summary=summary,
            card="architecture_spaces",
            reference=reference,
        )
        for name, (summary, reference) in _SPACES.items()
    ),
    Method(
        name="search.compound_scale",
        summary="Scales depth, width and resolution of a network together.",
        card="architecture_spaces",
        reference="Tan and Le 2019, arXiv 1905.11946",
    ),
    Method(
        name="search.fit_coefficients",
        summary="Chooses the coefficients of compound scaling by a grid.",
        card="architecture_spaces",
        reference="Tan and Le 2019, arXiv 1905.11946",
    ),
)
