#!/usr/bin/env bash
# keras_hub 0.32.0 with Keras 3.15.1: backbones that other models come back from `save` and `load_model` as, without an
# error. DINOV2Backbone keeps the position embeddings that its `call` adds in `interpolated_position_embeddings`; loading
# computes them again from another weight, so what `fit` learnt is lost and the outputs differ. EfficientNetBackbone leaves
# `num_features` out of its config, so a backbone of another width is rebuilt with the default width of 1280.
# LlamaTransformerDecoder.get_config reads an attribute that does not exist, so the layer cannot be saved alone.
# Llama3Backbone(tie_word_embeddings=True) leaves that argument out of its config, so its file cannot be loaded.
#
# Expected output (the difference depends on the machine; that it is above 0.01 is checked):
#   DINOV2, outputs after reload: differ by 0.1, weights that changed: interpolated_position_embeddings
#   EfficientNet, width 64 after from_config: 1280
#   LlamaTransformerDecoder.get_config: AttributeError
#   Llama3 with tied embeddings, load_model: ValueError
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 keras-hub==0.32.0 tensorflow==2.21.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import keras
import keras_hub
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
backbone = keras_hub.models.DINOV2Backbone(
    patch_size=4,
    num_layers=1,
    hidden_dim=24,
    num_heads=4,
    intermediate_dim=56,
    num_register_tokens=0,
    image_shape=(16, 16, 3),
)
inputs = keras.Input((16, 16, 3))
model = keras.Model(inputs, keras.layers.Dense(2)(backbone(inputs)[:, 0]))
model.compile("sgd", "mse")
model.fit(x, np.ones((4, 2)), epochs=3, verbose=0)
model.save("model.keras")
again = keras.saving.load_model("model.keras")
gap = float(np.abs(model.predict(x, verbose=0) - again.predict(x, verbose=0)).max())
changed = [
    v.name
    for v, w in zip(model.weights, again.weights, strict=True)
    if not np.array_equal(np.array(v), np.array(w))
]
print(f"DINOV2, outputs after reload: differ by {gap:.1f}, weights that changed: {', '.join(changed)}")

width = keras_hub.models.EfficientNetBackbone(
    stackwise_kernel_sizes=[3],
    stackwise_num_repeats=[1],
    stackwise_input_filters=[8],
    stackwise_output_filters=[16],
    stackwise_expansion_ratios=[1],
    stackwise_squeeze_and_excite_ratios=[0.25],
    stackwise_strides=[1],
    stackwise_block_types=["unfused"],
    stackwise_force_input_filters=[0],
    stackwise_nores_option=[False],
    width_coefficient=1.0,
    depth_coefficient=1.0,
    num_features=64,
    input_shape=(16, 16, 3),
)
rebuilt = type(width).from_config(width.get_config()).output_shape[-1]
print(f"EfficientNet, width {width.output_shape[-1]} after from_config: {rebuilt}")

llama = keras_hub.models.LlamaBackbone(
    vocabulary_size=30,
    num_layers=1,
    num_query_heads=4,
    num_key_value_heads=2,
    hidden_dim=16,
    intermediate_dim=24,
)
(decoder,) = [one for one in llama.layers if type(one).__name__ == "LlamaTransformerDecoder"]
try:
    decoder.get_config()
    error = "no error"
except AttributeError:
    error = "AttributeError"
print(f"LlamaTransformerDecoder.get_config: {error}")

tied = keras_hub.models.Llama3Backbone(
    vocabulary_size=30,
    num_layers=1,
    num_query_heads=4,
    num_key_value_heads=2,
    hidden_dim=16,
    intermediate_dim=24,
    tie_word_embeddings=True,
)
tied.save("tied.keras")
try:
    keras.saving.load_model("tied.keras")
    loading = "no error"
except ValueError:
    loading = "ValueError"
print(f"Llama3 with tied embeddings, load_model: {loading}")
same = changed == ["interpolated_position_embeddings"]
kept = rebuilt == 1280 and error == "AttributeError" and loading == "ValueError"
sys.exit(not (gap > 0.01 and same and kept))
PY
