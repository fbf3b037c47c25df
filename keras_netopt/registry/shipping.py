"""Export and cost: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="export.to_litert",
        summary="Writes a LiteRT file and verifies its outputs.",
        card="export",
    ),
    Method(
        name="export.evaluate",
        summary="Measures the accuracy or the errors of a LiteRT file.",
        card="litert_files",
    ),
    Method(
        name="export.inspect_file",
        summary="Reads sizes, inputs, outputs and ops of a LiteRT file.",
        card="litert_files",
    ),
    Method(
        name="export.micro_report",
        summary="Checks a LiteRT file for TFLite Micro, and runs it there.",
        card="microcontrollers",
    ),
    Method(
        name="export.advise",
        summary="Tells what makes a model smaller or faster on a target.",
        card="advise",
    ),
    Method(
        name="export.to_c_array",
        summary="Writes a LiteRT file as an array in C.",
        card="litert_files",
    ),
    Method(
        name="export.tfmot",
        summary="Opens tensorflow-model-optimization to Keras 3 models.",
        card="tfmot",
    ),
    Method(
        name="export.write_web_page",
        summary="Writes a page that runs a LiteRT file in the browser.",
        card="web",
    ),
    Method(
        name="cost.summarize",
        summary="Counts parameters, zeros, MACs and bytes of a model.",
        card="cost",
    ),
    Method(
        name="cost.matched_epochs",
        summary="Computes the epochs another model may train at equal MACs.",
        card="cost",
    ),
    Method(
        name="cost.measure_latency",
        summary="Measures the latency of models and LiteRT files.",
        card="cost",
    ),
)
