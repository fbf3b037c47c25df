"""Lists the ops of the installed `tflite-micro`, as JSON.

    python -m benchmarks.micro.list_ops

Opens one file per op, each in a copy of the process, because a kernel without
its options may end it. `keras_netopt/data/tflite_micro_ops.json` holds the
result; a test compares them.
"""

import json
import os

from tflite_micro import runtime

from keras_netopt.cost.tflite_model import load_schema

CUSTOM = (
    "CIRCULAR_BUFFER",
    "SignalDelay",
    "SignalEnergy",
    "SignalFftAutoScale",
    "SignalFilterBank",
    "SignalFilterBankLog",
    "SignalFilterBankSpectralSubtraction",
    "SignalFilterBankSquareRoot",
    "SignalFramer",
    "SignalIrfft",
    "SignalOverlapAdd",
    "SignalPCAN",
    "SignalRfft",
    "SignalStacker",
    "SignalWindow",
    "TFLM_DECODE",
    "TFLite_Detection_PostProcess",
    "ethos-u",
)
LACKS = ("Didn't find op", "Failed to get registration")


def main() -> None:
    """Prints the builtin and the custom ops."""
    codes = vars(load_schema().BuiltinOperator)
    names = sorted(n for n in codes if n[0] != "_" and n != "CUSTOM")
    found = {
        "ops": [name for name in names if has_op(codes[name], None)],
        "custom_ops": [n for n in CUSTOM if has_op(codes["CUSTOM"], n)],
    }
    print(json.dumps(found, indent=2))


def has_op(code: int, custom: str | None) -> bool:
    """Whether the runtime finds an op, prepared or not."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 2)
        try:
            runtime.Interpreter.from_bytes(make_file(code, custom), [], 10**5)
        # The kernel has none of its options.
        except Exception:
            pass
        os._exit(0)
    os.close(write)
    with os.fdopen(read, errors="replace") as messages:
        text = messages.read()
    os.waitpid(child, 0)
    return not any(one in text for one in LACKS)


def make_file(code: int, custom: str | None) -> bytes:
    """Returns a file of one op."""
    from flatbuffers import Builder

    schema = load_schema()
    kind = schema.OperatorCodeT(
        deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=1
    )
    kind.customCode = custom
    graph = schema.SubGraphT(
        tensors=[schema.TensorT(shape=[1, 2], buffer=0) for _ in range(2)],
        inputs=[0],
        outputs=[1],
        operators=[schema.OperatorT(opcodeIndex=0, inputs=[0], outputs=[1])],
    )
    model = schema.ModelT(
        version=3,
        operatorCodes=[kind],
        subgraphs=[graph],
        buffers=[schema.BufferT()],
    )
    builder = Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    main()
