"""`keras-netopt c-array`."""

import argparse
from typing import Any

from keras_netopt.cli.model_files import check_file


def add_parser(commands: Any) -> None:
    """Adds the command."""
    array = commands.add_parser(
        "c-array", help="write a LiteRT file as an array in C"
    )
    array.add_argument("file", help="a .tflite file")
    array.add_argument("header", help="the .h file to write")
    array.add_argument(
        "--name", help="name of the array; default: that of the header"
    )
    array.add_argument(
        "--overwrite", action="store_true", help="replace an existing file"
    )
    array.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    check_file(arguments.file)
    from keras_netopt import export

    name = export.to_c_array(
        arguments.file,
        arguments.header,
        name=arguments.name,
        overwrite=arguments.overwrite,
    )
    print(
        f"{arguments.header}: array `{name}`, its length in bytes `{name}_len`"
    )
