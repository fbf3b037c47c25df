"""Runs LiteRT files by the names in their signature."""

import collections
import contextlib
import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.cost.native_stderr import hide_native_stderr

INSTALL = 'pip install "keras-netopt[litert]"'


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a LiteRT file.

    Example:

    >>> info = TensorInfo("x", (None, 2), "int8", scale=0.5, zero_point=3)
    >>> info.encode([[1.0, 1000.0]])
    array([[  5, 127]], dtype=int8)
    >>> info.decode(info.encode([[1.0, 1000.0]]))
    array([[ 1., 62.]], dtype=float32)
    >>> print(info)
    x int8[?,2] scale 0.5 zero point 3

    Args:
        name: Its name in the signature.
        shape: Its shape, `None` for a free axis.
        dtype: The numpy name of its dtype.
        scale: Quantization step, 0 for a float tensor.
        zero_point: The integer that represents 0.0.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        axes = ",".join(
            "?" if axis is None else str(axis) for axis in self.shape
        )
        text = f"{self.name} {self.dtype}[{axes}]"
        if not self.scale:
            return text
        return f"{text} scale {self.scale:.4g} zero point {self.zero_point}"

    def encode(self, value: Any) -> np.ndarray:
        """Quantizes real numbers for the file, clipped to its range.

        Integers are not quantized.
        """
        array = np.asarray(value)
        if self.scale and array.dtype.kind == "f":
            limits = np.iinfo(self.dtype)
            steps = np.round(array / self.scale) + self.zero_point
            array = np.clip(steps, limits.min, limits.max)
        return np.ascontiguousarray(array.astype(self.dtype))

    def decode(self, value: np.ndarray) -> np.ndarray:
        """Dequantizes an output of the file to real numbers."""
        if not self.scale:
            return value
        centred = value.astype("float32") - np.float32(self.zero_point)
        return centred * np.float32(self.scale)


class TfliteModel:
    """A LiteRT file, run by the names in its signature on one thread.

    It runs in `ai_edge_litert` where that is installed, else in TensorFlow's
    own interpreter.

    Args:
        path: Path of the `.tflite` file.
        signature: Name of the signature to run. Defaults to
            `"serving_default"`, which Keras writes.

    Raises:
        OSError: If the file cannot be read.
        ImportError: If no interpreter is installed.
        ValueError: If the file is not a LiteRT file, or requires ops that
            the interpreter lacks.
    """

    def __init__(
        self, path: str | os.PathLike[str], signature: str = "serving_default"
    ) -> None:
        with open(path, "rb") as file:
            content = file.read()
        if content[4:8] != b"TFL3":
            raise ValueError(
                "Argument `path` must be a LiteRT (.tflite) file. Received: "
                f"path={os.fspath(path)!r}, which does not begin as one"
            )
        try:
            self._interpreter = _open_interpreter(content, num_threads=1)
        except ValueError as error:
            if "Flatbuffer" not in str(error):
                raise
            raise ValueError(
                "Argument `path` must be a LiteRT file that is whole. "
                f"Received: path={os.fspath(path)!r}, which is damaged. Copy "
                "or export it again"
            ) from error
        details = _by_name(self._interpreter, signature)
        self.inputs = {n: _info(n, d) for n, d in details[0].items()}
        self.outputs = {n: _info(n, d) for n, d in details[1].items()}
        self._input_index = {n: d["index"] for n, d in details[0].items()}
        self._output_index = {n: d["index"] for n, d in details[1].items()}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def feeds(self, x: Any) -> dict[str, np.ndarray]:
        """Encodes one array per input, in the dtype of the file.

        `x` is an array for a file with one input, or a dict by input name.
        """
        if not isinstance(x, Mapping):
            if len(self.inputs) != 1:
                raise ValueError(
                    "Argument `x` must be a dict of arrays, one for each of "
                    f"the inputs {sorted(self.inputs)}. "
                    f"Received: x={type(x).__name__}"
                )
            x = {next(iter(self.inputs)): x}
        if set(x) != set(self.inputs):
            raise ValueError(
                f"Argument `x` must hold the inputs {sorted(self.inputs)}. "
                f"Received: x={sorted(x)}"
            )
        return {n: info.encode(x[n]) for n, info in self.inputs.items()}

    def random_feeds(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Returns seeded random input of the file's shapes, free axes 1."""
        rng = np.random.default_rng(seed)
        shapes = {n: [a or 1 for a in t.shape] for n, t in self.inputs.items()}
        return {
            name: info.encode(rng.random(shapes[name], dtype="float32"))
            for name, info in self.inputs.items()
        }

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Callable[[], None]:
        """Sets encoded inputs and returns the function that runs the file.

        Raises ValueError if a shape differs from the file's, RuntimeError if
        the interpreter cannot prepare the file.
        """
        shapes = {name: value.shape for name, value in feeds.items()}
        if shapes != self._shapes:
            for name, shape in shapes.items():
                self._interpreter.resize_tensor_input(
                    self._input_index[name], shape, strict=True
                )
            with hide_native_stderr():  # It announces its delegates.
                self._interpreter.allocate_tensors()
            self._shapes = shapes
        for name, value in feeds.items():
            self._interpreter.set_tensor(self._input_index[name], value)
        invoke: Callable[[], None] = self._interpreter.invoke
        return invoke

    def run(self, x: Any) -> dict[str, np.ndarray]:
        """Runs the file once and returns the outputs by name, dequantized.

        `x` is that of `feeds`. Raises RuntimeError if an op cannot run.
        """
        self.prepare(self.feeds(x))()
        return {
            name: info.decode(
                self._interpreter.get_tensor(self._output_index[name])
            )
            for name, info in self.outputs.items()
        }


def find_wide_tensors(path: str, *, above: float) -> dict[str, float]:
    """Returns the ranges of quantized tensors that are larger than `above`.

    The keys are the names that the converter gives them, which begin with the
    path of a layer.
    """
    with open(path, "rb") as file:
        interpreter = _open_interpreter(file.read())
    found = {}
    for detail in interpreter.get_tensor_details():
        dtype, scale = np.dtype(detail["dtype"]), detail["quantization"][0]
        if scale and dtype in (np.int8, np.int16):
            width = float(scale) * (2 ** (8 * dtype.itemsize) - 1)
            if width > above:
                found[detail["name"]] = width
    return found


def list_scales(path: str, dtype: str) -> list[float]:
    """Returns the scales of quantized tensors that have a single one.

    `dtype` is the numpy name of their type. Ops that the runtime adds while
    it loads a file are not looked at.
    """
    with open(path, "rb") as file, ignore_deprecation_warning():
        interpreter = _interpreter_class()(model_content=file.read())
    return [
        float(detail["quantization"][0])
        for detail in interpreter.get_tensor_details()
        if np.dtype(detail["dtype"]).name == dtype and detail["quantization"][0]
    ]


def count_ops(content: bytes) -> dict[str, int]:
    """Counts each operator in the bytes of a LiteRT file, in all subgraphs.

    Custom operators count under their own name, such as "FlexErf".
    """
    ops = collections.Counter(name for name, _ in iterate_operators(content))
    return dict(sorted(ops.items()))


@dataclass(frozen=True)
class StoredTensor:
    """An input of an operator in a LiteRT file.

    Args:
        dtype: The name of its type in the file's schema, such as "FLOAT32".
        elements: Number of elements; a free axis counts 1.
        is_constant: Whether the file holds its values.
    """

    dtype: str
    elements: int
    is_constant: bool


def iterate_operators(
    content: bytes,
) -> Iterator[tuple[str, list[StoredTensor]]]:
    """Yields the name and the inputs of each operator of a LiteRT file."""
    schema = load_schema()
    model = schema.Model.GetRootAsModel(content, 0)
    types = {code: n for n, code in vars(schema.TensorType).items()}

    def read(tensor: Any) -> StoredTensor:
        shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else []
        return StoredTensor(
            types[tensor.Type()],
            int(np.prod(shape, dtype="int64")),
            model.Buffers(tensor.Buffer()).DataLength() > 0,
        )

    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for name, inputs, _ in read_operators(model, graph):
            yield name, [read(graph.Tensors(i)) for i in inputs]


def read_operators(
    model: Any, subgraph: Any
) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yields each operator of a subgraph as name, inputs and outputs.

    `model` and `subgraph` are objects of the LiteRT schema; inputs and outputs
    are indices of the subgraph's tensors, without absent ones.
    """
    schema = load_schema()
    names = {code: n for n, code in vars(schema.BuiltinOperator).items()}
    for k in range(subgraph.OperatorsLength()):
        op = subgraph.Operators(k)
        code = model.OperatorCodes(op.OpcodeIndex())
        # Old files hold the code in a byte, new ones in an int.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = builtin == schema.BuiltinOperator.CUSTOM
        name = code.CustomCode().decode() if custom else names[builtin]
        inputs = op.InputsAsNumpy() if op.InputsLength() else []
        outputs = op.OutputsAsNumpy() if op.OutputsLength() else []
        yield name, [int(i) for i in inputs if i >= 0], [*map(int, outputs)]


@contextlib.contextmanager
def ignore_deprecation_warning() -> Iterator[None]:
    """Ignores the deprecation warning of TensorFlow's interpreter."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated"
        )
        yield


def _open_interpreter(content: bytes, **options: Any) -> Any:
    with ignore_deprecation_warning(), hide_native_stderr():
        return _interpreter_class()(model_content=content, **options)


def _interpreter_class() -> Any:
    with contextlib.suppress(ImportError):
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    try:
        return importlib.import_module("tensorflow").lite.Interpreter
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"Running the file requires a LiteRT interpreter: {INSTALL}"
        ) from error


def load_schema() -> Any:
    """Returns the module that reads and writes the format of LiteRT files.

    Raises ImportError if neither ai-edge-litert nor TensorFlow has it.
    """
    with contextlib.suppress(ImportError):
        return importlib.import_module("ai_edge_litert.schema_py_generated")
    try:
        return importlib.import_module(
            "tensorflow.lite.python.schema_py_generated"
        )
    except ImportError as error:
        raise ImportError(
            f"Reading the file requires the LiteRT schema: {INSTALL}"
        ) from error


def _by_name(
    interpreter: Any, signature: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    if signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        return runner.get_input_details(), runner.get_output_details()
    inputs = {d["name"]: d for d in interpreter.get_input_details()}
    outputs = {d["name"]: d for d in interpreter.get_output_details()}
    return inputs, outputs


def _info(name: str, detail: Mapping[str, Any]) -> TensorInfo:
    signature = detail.get("shape_signature", detail["shape"])
    shape = tuple(None if axis < 0 else int(axis) for axis in signature)
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"]).name
    return TensorInfo(name, shape, dtype, float(scale), int(zero_point))
