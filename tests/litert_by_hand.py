"""A LiteRT file of one dense layer, written without a converter."""

import importlib

import numpy as np

from keras_netopt.cost.tflite_model import load_schema


def write_dense(path, kernel, bias, batch=-1):
    """Writes `x @ kernel + bias` with the signature that Keras writes."""
    s = load_schema()
    kernel, bias = (np.asarray(one, "float32") for one in (kernel, bias))
    width, units = kernel.shape

    def tensor(name, shape, buffer, first=None):
        one = s.TensorT(
            name=name, shape=shape, buffer=buffer, type=s.TensorType.FLOAT32
        )
        if first is not None:
            one.shapeSignature = [first, *shape[1:]]
        return one

    size = max(batch, 1)
    tensors = [
        tensor("serving_default_x:0", [size, width], 0, batch),
        tensor("dense/MatMul", [units, width], 1),
        tensor("dense/bias", [units], 2),
        tensor("StatefulPartitionedCall:0", [size, units], 0, batch),
    ]
    op = s.OperatorT(
        opcodeIndex=0,
        inputs=[0, 1, 2],
        outputs=[3],
        builtinOptionsType=s.BuiltinOptions.FullyConnectedOptions,
        builtinOptions=s.FullyConnectedOptionsT(),
    )
    graph = s.SubGraphT(
        name="main", tensors=tensors, inputs=[0], outputs=[3], operators=[op]
    )
    code = s.BuiltinOperator.FULLY_CONNECTED
    arrays = (kernel.T.tobytes(), bias.tobytes())
    data = [np.frombuffer(one, "uint8") for one in arrays]
    model = s.ModelT(
        version=3,
        operatorCodes=[
            s.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code)
        ],
        subgraphs=[graph],
        buffers=[s.BufferT(), *(s.BufferT(data=one) for one in data)],
        signatureDefs=[
            s.SignatureDefT(
                inputs=[s.TensorMapT(name="x", tensorIndex=0)],
                outputs=[s.TensorMapT(name="output_0", tensorIndex=3)],
                signatureKey="serving_default",
            )
        ],
    )
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with open(path, "wb") as file:
        file.write(builder.Output())
    return path
