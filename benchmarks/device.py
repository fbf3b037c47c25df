"""Everything that one GPU has to show, in one command.

`python -m benchmarks.device` runs, each part in processes of its own:

- lowering: every function that JAX compiles in training, lowered for TPU and
  CUDA; needs no device,
- agreement: every callback and layer with and without XLA on TensorFlow,
- correctness: every callback and layer on the device against the CPU, on each
  backend,
- overhead: the time of a step with each callback against plain `fit`, on each
  backend.

LiteRT files are for other devices and are left out. Rows go to
benchmarks/results, so that a run that was interrupted goes on where it
stopped. A backend that is not installed is skipped and named, one that does
not see the device is an error. `--small` trains a few cases, writes nothing
and is how this script is tested where there is no GPU:

    python -m benchmarks.device --small --device cpu:0 --parts correctness
"""

import argparse

from benchmarks import processes

BACKENDS = ("tensorflow", "jax", "torch")
PARTS = {
    "lowering": ("benchmarks.devices.lowering", ("jax",)),
    "agreement": ("benchmarks.devices.agreement", ("tensorflow",)),
    "correctness": ("benchmarks.devices.correctness", BACKENDS),
    "overhead": ("benchmarks.steps.overhead", BACKENDS),
}


def main() -> None:
    """Runs the parts one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="gpu:0")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=[*BACKENDS]
    )
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    for part in options.parts:
        module, backends = PARTS[part]
        arguments = []
        if options.small:
            small = ["--dry", "--rounds", "1", "--models", "mlp"]
            arguments = small if part == "overhead" else ["--small"]
        if part == "correctness":
            arguments += ["--device", options.device]
        for backend in backends:
            if backend in options.backends:
                processes.run_part(module, backend, arguments)


if __name__ == "__main__":
    main()
