"""Where documented effects are documented."""

BENCHMARKS = "docs/benchmarks"
ADVICE = f"{BENCHMARKS}/advice.md"
CHANNELS = f"{BENCHMARKS}/channel_pruning.md"
EXITS = f"{BENCHMARKS}/early_exit.md"
PRUNING = f"{BENCHMARKS}/pruning.md"
QUANTIZATION = f"{BENCHMARKS}/quantization.md"
EXPORT = "docs/methods/export.md"

LITERT = "https://www.tensorflow.org/lite/performance"
LITERT_QUANTIZATION = f"{LITERT}/post_training_quantization"
LITERT_GPU = f"{LITERT}/gpu"
LITERT_FLOAT16 = f"{LITERT}/post_training_float16_quant"
XNNPACK_SPARSE = (
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/"
    "delegates/xnnpack/README.md#sparse-inference"
)
XNNPACK_POLICY = (
    "https://github.com/tensorflow/model-optimization/blob/master/"
    "tensorflow_model_optimization/python/core/sparsity/keras/"
    "pruning_policy.py"
)
XNNPACK_SPEED = (
    "https://ai.googleblog.com/2021/03/"
    "accelerating-neural-networks-on-mobile.html"
)
NVIDIA_SPARSE = (
    "https://developer.nvidia.com/blog/"
    "exploiting-ampere-structured-sparsity-with-cusparselt/"
)
TENSOR_CORES = (
    "https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html"
)
MIXED_PRECISION = "https://www.tensorflow.org/guide/mixed_precision"
LITERT_WEB = "https://ai.google.dev/edge/litert/web/get_started"
WEB = f"{BENCHMARKS}/web.md"
WEB_PAGE = "docs/methods/web.md"
MICRO = "docs/methods/microcontrollers.md"
MICRO_DENSIFY = "https://github.com/tensorflow/tflite-micro/issues/491"
