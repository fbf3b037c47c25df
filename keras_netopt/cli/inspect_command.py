"""`keras-netopt inspect`."""

import argparse
import json
from typing import Any

from keras_netopt.cli.model_files import load_model

FREE = ("?", "none", "-1")
TARGETS = ("x86", "arm", "gpu", "microcontroller", "browser")


def add_parser(commands: Any) -> None:
    """Adds the command."""
    inspect = commands.add_parser(
        "inspect",
        help="show cost, zeros and bits of a model or a file, and advice",
    )
    inspect.add_argument("model", help="a .keras or .tflite file")
    inspect.add_argument(
        "--input-shape",
        type=parse_shape,
        action="append",
        metavar="SHAPE",
        help="shape of a typical input of a .keras model with free axes, "
        'batch axis included, as in "?,224,224,3"; once per input',
    )
    inspect.add_argument(
        "--target",
        choices=TARGETS,
        help="add advice for this target, from what can be read of the model",
    )
    inspect.add_argument(
        "--measure",
        action="store_true",
        help="write LiteRT files to a temporary folder, and measure their "
        "bytes and, on the machine that is the target, their time; without "
        "--target for this machine",
    )
    inspect.add_argument(
        "--json", action="store_true", help="print JSON instead of tables"
    )
    inspect.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.model.endswith(".tflite"):
        _inspect_file(arguments)
        return
    from keras_netopt import cost, quantization, sparsity

    model = load_model(arguments.model)
    shapes = arguments.input_shape or []
    shape = tuple(shapes) if len(shapes) > 1 else next(iter(shapes), None)
    reports = {
        "cost": cost.summarize(model, input_shape=shape),
        "sparsity": sparsity.report(model),
    }
    grids = quantization.report(model)
    if grids.quantized:
        reports["quantization"] = grids
    if advice := _advise(arguments, model, shape):
        reports["advice"] = advice
    if arguments.json:
        print(json.dumps({k: v.to_dict() for k, v in reports.items()}))
    else:
        print(*reports.values(), sep="\n\n")


def _advise(arguments: argparse.Namespace, model: Any, shape: Any) -> Any:
    """Returns the advice for the target, or `None` if it is not asked for."""
    if arguments.target is None and not arguments.measure:
        return None
    from keras_netopt import export
    from keras_netopt.advice.measured_files import host_target

    return export.advise(
        model,
        arguments.target or host_target() or TARGETS[0],
        input_shape=shape,
        measure=arguments.measure,
        verbose=int(arguments.measure),
    )


def _inspect_file(arguments: argparse.Namespace) -> None:
    from keras_netopt import export

    if arguments.input_shape is not None:
        raise ValueError(
            "--input-shape is for .keras models: the shapes of a .tflite file "
            "are in it."
        )
    report = export.inspect_file(arguments.model)
    advice = _advise(arguments, arguments.model, None)
    if arguments.json:
        plain = report.to_dict()
        print(
            json.dumps(
                plain | {"advice": advice.to_dict()} if advice else plain
            )
        )
    else:
        print(report, *([advice] if advice else []), sep="\n\n")


def parse_shape(text: str) -> tuple[int | None, ...]:
    """Reads a shape such as "?,224,224,3"; "?" is a free axis."""
    axes = [axis.strip().lower() for axis in text.strip("()[], ").split(",")]
    try:
        shape = tuple(None if axis in FREE else int(axis) for axis in axes)
    except ValueError:
        shape = (0,)
    if any(axis is not None and axis < 1 for axis in shape):
        raise argparse.ArgumentTypeError(
            f'a shape is numbers and "?", as in "?,224,224,3", not {text!r}'
        )
    return shape
