"""Families that read token ids (Whisper and Moonshine: sound)."""

from collections.abc import Callable
from typing import Any

import keras

from benchmarks.hub_families.wrapping import STEPS, VOCABULARY

WIDTH, HEADS, GROUPS, UNITS, LAYERS = 24, 4, 2, 56, 1
SIZES: dict[str, Any] = {
    "vocabulary_size": VOCABULARY,
    "num_layers": LAYERS,
    "hidden_dim": WIDTH,
    "intermediate_dim": UNITS,
}
PLAIN = {**SIZES, "num_heads": HEADS}
GROUPED = {**SIZES, "num_query_heads": HEADS, "num_key_value_heads": GROUPS}
LENGTH = {"max_sequence_length": STEPS + 2}
Family = Callable[[], keras.Model]


def _backbone(name: str, **arguments: Any) -> Family:
    def build() -> keras.Model:
        import keras_hub

        backbone = getattr(keras_hub.models, f"{name}Backbone")
        return backbone(**arguments)

    return build


FAMILIES: dict[str, Family] = {
    "Bert": _backbone("Bert", **PLAIN, **LENGTH),
    "Roberta": _backbone("Roberta", **PLAIN, **LENGTH),
    "XLMRoberta": _backbone("XLMRoberta", **PLAIN, **LENGTH),
    "DistilBert": _backbone("DistilBert", **PLAIN, **LENGTH),
    "Albert": _backbone("Albert", **PLAIN, **LENGTH, embedding_dim=12),
    "DebertaV3": _backbone("DebertaV3", **PLAIN, **LENGTH, bucket_size=8),
    "Electra": _backbone(
        "Electra",
        vocab_size=VOCABULARY,
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        embedding_dim=12,
        intermediate_dim=UNITS,
        **LENGTH,
    ),
    "FNet": _backbone("FNet", **SIZES, **LENGTH),
    "XLNet": _backbone("XLNet", **PLAIN),
    "RoformerV2": _backbone("RoformerV2", **PLAIN, head_size=6),
    "ESM2": _backbone("ESM2", **PLAIN, max_sequence_length=STEPS + 2),
    "Bart": _backbone("Bart", **PLAIN, **LENGTH),
    "T5": _backbone("T5", **{**PLAIN, "num_layers": 2}),
    "GPT2": _backbone("GPT2", **PLAIN, **LENGTH),
    "GPTNeoX": _backbone("GPTNeoX", **PLAIN, rotary_percentage=0.34),
    "OPT": _backbone("OPT", **PLAIN, **LENGTH),
    "Bloom": _backbone("Bloom", **PLAIN),
    "Falcon": _backbone("Falcon", **SIZES, num_attention_heads=HEADS),
    "Phi3": _backbone("Phi3", **GROUPED, max_sequence_length=STEPS + 2),
    "Llama": _backbone("Llama", **GROUPED),
    "Llama3": _backbone("Llama3", **GROUPED, tie_word_embeddings=True),
    "SmolLM3": _backbone(
        "SmolLM3",
        **SIZES,
        num_attention_heads=HEADS,
        num_key_value_heads=GROUPS,
        attention_bias=False,
        attention_dropout=0.0,
        rope_layer_enabled_list=[True] * LAYERS,
        layer_types=["full_attention"] * LAYERS,
        mlp_bias=False,
        layer_norm_epsilon=1e-6,
        max_position_embeddings=STEPS + 2,
        rope_theta=10000.0,
        partial_rotary_factor=1.0,
    ),
    "Mistral": _backbone("Mistral", **GROUPED),
    "Mixtral": _backbone("Mixtral", **GROUPED, num_experts=3),
    "GptOss": _backbone("GptOss", **GROUPED, num_experts=3, head_dim=6),
    "Qwen": _backbone("Qwen", **GROUPED),
    "Qwen3": _backbone("Qwen3", **GROUPED, head_dim=8),
    "QwenMoe": _backbone(
        "QwenMoe",
        **GROUPED,
        moe_intermediate_dim=40,
        shared_expert_intermediate_dim=44,
        num_experts=3,
        top_k=2,
    ),
    "Qwen3Moe": _backbone(
        "Qwen3Moe",
        **GROUPED,
        head_dim=8,
        moe_intermediate_dim=40,
        num_experts=3,
        top_k=2,
    ),
    "Gemma": _backbone("Gemma", **GROUPED, head_dim=8),
    "Gemma2": _backbone(
        "Gemma",
        **GROUPED,
        head_dim=8,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
        attention_logit_soft_cap=50,
        final_logit_soft_cap=30,
        use_sliding_window_attention=True,
        sliding_window_size=6,
    ),
    "Gemma3": _backbone("Gemma3", **GROUPED, head_dim=8, image_size=16),
    "Whisper": _backbone(
        "Whisper",
        **PLAIN,
        num_mels=14,
        max_encoder_sequence_length=2 * STEPS,
        max_decoder_sequence_length=STEPS + 2,
    ),
    "Moonshine": _backbone(
        "Moonshine",
        vocabulary_size=VOCABULARY,
        filter_dim=WIDTH,
        encoder_num_layers=LAYERS,
        decoder_num_layers=LAYERS,
        hidden_dim=WIDTH,
        intermediate_dim=UNITS,
        encoder_num_heads=HEADS,
        decoder_num_heads=HEADS,
    ),
}
