"""`keras-netopt export`."""

import argparse
import json
import sys
import warnings
from typing import Any

from keras_netopt.cli.model_files import load_arrays, load_model

QUANTIZE = ("dynamic", "int8", "int16x8", "float16", "int4", "int2")
TARGETS = ("web", "micro")
NEEDS_DATA = ("int8", "int16x8")


def add_parser(commands: Any) -> None:
    """Adds the command."""
    export = commands.add_parser(
        "export", help="write a LiteRT file and verify it against the model"
    )
    export.add_argument("model", help="a .keras file")
    export.add_argument("output", help="the .tflite file to write")
    export.add_argument(
        "--quantize", choices=QUANTIZE, help="how numbers are stored"
    )
    export.add_argument(
        "--sparse", action="store_true", help="store zeros in a sparse format"
    )
    export.add_argument(
        "--calibration-data",
        metavar="FILE",
        help=".npy or .npz with 200 real inputs or more, for int8 and int16x8; "
        "an .npz of several arrays names the model's inputs",
    )
    export.add_argument(
        "--overwrite", action="store_true", help="replace an existing file"
    )
    export.add_argument(
        "--quantized-io",
        nargs="?",
        const=True,
        default=False,
        choices=("int8", "uint8"),
        help="integer inputs and outputs, for int8 and int16x8; uint8 for the "
        "web; after the files",
    )
    export.add_argument(
        "--target",
        choices=TARGETS,
        help="the runtime: web is LiteRT.js in a browser, micro is TFLite "
        "Micro on microcontrollers",
    )
    export.add_argument(
        "--compact",
        action="store_true",
        help="drop tensor names and what else the runtime does not read",
    )
    export.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )
    export.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from keras_netopt import export
    from keras_netopt.quantization.range_lifecycle import load_saved_ranges

    file = arguments.calibration_data
    data = None if file is None else load_arrays(file)
    model = load_model(arguments.model)
    is_ranged = arguments.quantize == "int8" and load_saved_ranges(
        model, arguments.model
    )
    if arguments.quantize in NEEDS_DATA and file is None and not is_ranged:
        raise ValueError(
            f"--quantize {arguments.quantize} measures the range of each "
            "activation on real inputs: add --calibration-data samples.npy, "
            "or use --quantize dynamic, which needs none."
        )
    with warnings.catch_warnings():
        # The report holds them all.
        warnings.simplefilter("ignore", UserWarning)
        report = export.to_litert(
            model,
            arguments.output,
            quantize=arguments.quantize,
            sparse=arguments.sparse,
            calibration_data=data,
            overwrite=arguments.overwrite,
            quantized_io=arguments.quantized_io,
            compact=arguments.compact,
            target=arguments.target,
        )
    print(json.dumps(report.to_dict()) if arguments.json else report)
    for warning in report.warnings:
        print(f"keras-netopt: warning: {warning}", file=sys.stderr)
