"""Search spaces: functions that return a `build(hp)` for any tuner."""

from keras_netopt.search.spaces.compound import compound
from keras_netopt.search.spaces.mlp import mlp
from keras_netopt.search.spaces.mobilenet import mobilenet
from keras_netopt.search.spaces.nas_bench_201 import nas_bench_201
from keras_netopt.search.spaces.resnet import resnet
from keras_netopt.search.spaces.rnn import rnn
from keras_netopt.search.spaces.space import Space
from keras_netopt.search.spaces.transformer_encoder import transformer_encoder

__all__ = [
    "Space",
    "compound",
    "mlp",
    "mobilenet",
    "nas_bench_201",
    "resnet",
    "rnn",
    "transformer_encoder",
]
