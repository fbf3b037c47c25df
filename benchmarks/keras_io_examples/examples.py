"""Which examples are run, and where each stops."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """One file of a keras-io checkout.

    Args:
        path: Below the folder of the examples, without suffix.
        what: What its authors wrote themselves.
        fits: After how many calls of `fit` it is left. Defaults to `1`.
        images: Number of images that its data set has. Defaults to `64`.
    """

    path: str
    what: str
    fits: int = 1
    images: int = 64


EXAMPLES = (
    Example(
        "vision/autoencoder",
        "convolutions and transposed convolutions, images as targets",
    ),
    Example(
        "vision/mnist_convnet",
        "plain convolutions, for comparison",
    ),
    Example(
        "vision/knowledge_distillation",
        "`Distiller`: a model with its own `call` and `compute_loss`",
        fits=2,
    ),
    Example(
        "structured_data/collaborative_filtering_movielens",
        "subclassed model of embeddings",
    ),
    Example(
        "vision/siamese_contrastive",
        "one tower for two inputs, `Lambda`, own loss",
        images=30_064,
    ),
    Example(
        "nlp/addition_rnn",
        "LSTM encoder and decoder, `fit` in a loop of one epoch each",
    ),
    Example(
        "vision/attention_mil_classification",
        "three inputs, attention on raw weights, shared layers",
    ),
    Example(
        "timeseries/timeseries_classification_transformer",
        "transformer of functions, attention and convolutions",
    ),
    Example(
        "generative/pixelcnn",
        "masked convolutions and residual blocks as own layers",
    ),
    Example(
        "vision/convmixer",
        "patches, depthwise convolutions, batches of `tf.data`",
    ),
    Example(
        "vision/mlp_image_classification",
        "MLP-Mixer: a layer around a Sequential, no `get_config`",
    ),
    Example(
        "vision/eanet",
        "external attention: patches, embeddings, own functions of ops",
    ),
    Example(
        "vision/cct",
        "compact transformer: tokenizer, sequence pooling, stochastic depth",
    ),
)
