"""Families of vision transformers, and towers of text beside them."""

from collections.abc import Callable
from typing import Any

import keras

from benchmarks.hub_families.text import HEADS, LAYERS, UNITS, WIDTH
from benchmarks.hub_families.wrapping import STEPS, VOCABULARY

SIDE, PATCH = 16, 4
IMAGE = {"image_shape": (SIDE, SIDE, 3)}
PATCHES: dict[str, Any] = {**IMAGE, "patch_size": PATCH}
SIZES: dict[str, Any] = {
    "num_layers": LAYERS,
    "num_heads": HEADS,
    "hidden_dim": WIDTH,
    "intermediate_dim": UNITS,
}
TEXT: dict[str, Any] = {
    **SIZES,
    "vocabulary_size": VOCABULARY,
    "embedding_dim": WIDTH,
    "max_sequence_length": STEPS,
}


def vit() -> keras.Model:
    """ViT: encoder before which patches are embedded."""
    import keras_hub

    sizes = {**SIZES, "mlp_dim": UNITS}
    del sizes["intermediate_dim"]
    return keras_hub.models.ViTBackbone(**PATCHES, **sizes)


def deit() -> keras.Model:
    """DeiT: ViT with a token for distillation."""
    import keras_hub

    return keras_hub.models.DeiTBackbone(**PATCHES, **SIZES)


def dinov2() -> keras.Model:
    """DINOv2 with layer scale."""
    import keras_hub

    return keras_hub.models.DINOV2Backbone(
        **PATCHES, **SIZES, position_embedding_shape=(SIDE, SIDE)
    )


def dinov2_gated() -> keras.Model:
    """DINOv2 with a SwiGLU feed-forward part and registers."""
    import keras_hub

    return keras_hub.models.DINOV2Backbone(
        **PATCHES,
        **SIZES,
        position_embedding_shape=(SIDE, SIDE),
        use_swiglu_ffn=True,
        num_register_tokens=2,
    )


def dinov3() -> keras.Model:
    """DINOv3: rotary positions in two directions."""
    import keras_hub

    sizes = {**SIZES, "hidden_dim": 32}
    return keras_hub.models.DINOV3Backbone(**PATCHES, **sizes)


def clip_vision() -> keras.Model:
    """The image tower of CLIP."""
    import keras_hub

    return keras_hub.models.CLIPVisionEncoder(**PATCHES, **SIZES)


def clip_text() -> keras.Model:
    """The text tower of CLIP."""
    import keras_hub

    return keras_hub.models.CLIPTextEncoder(**TEXT)


def clip() -> keras.Model:
    """CLIP: both towers and their cosine similarity."""
    import keras_hub

    return keras_hub.models.CLIPBackbone(
        vision_encoder=clip_vision(),
        text_encoder=clip_text(),
        projection_dim=20,
    )


def siglip_vision() -> keras.Model:
    """The image tower of SigLIP with attention pooling."""
    import keras_hub

    return keras_hub.models.SigLIPVisionEncoder(**PATCHES, **SIZES)


def siglip_text() -> keras.Model:
    """The text tower of SigLIP."""
    import keras_hub

    return keras_hub.models.SigLIPTextEncoder(**TEXT)


def swin() -> keras.Model:
    """Swin: shifted windows, patches merged between the stages."""
    import keras_hub

    return keras_hub.models.SwinTransformerBackbone(
        **PATCHES,
        embed_dim=WIDTH,
        depths=(2, 1),
        num_heads=(4, 4),
        window_size=2,
    )


def mit() -> keras.Model:
    """MiT: attention over reduced sequences, convolutions between."""
    import keras_hub

    return keras_hub.models.MiTBackbone(
        image_shape=(32, 32, 3),
        num_layers=2,
        hidden_dims=[16, 24],
        layerwise_depths=[1, 2],
        layerwise_num_heads=[2, 4],
        layerwise_sr_ratios=[2, 1],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        max_drop_path_rate=0.1,
    )


def segformer() -> keras.Model:
    """SegFormer: MiT with an all-MLP decoder."""
    import keras_hub

    return keras_hub.models.SegFormerBackbone(
        image_encoder=mit(), projection_filters=20
    )


def vit_det() -> keras.Model:
    """ViTDet: windows, relative positions, a neck of convolutions."""
    import keras_hub

    return keras_hub.models.ViTDetBackbone(
        **PATCHES,
        hidden_size=WIDTH,
        num_layers=LAYERS,
        intermediate_dim=UNITS,
        num_heads=HEADS,
        global_attention_layer_indices=[0],
        num_output_channels=20,
        window_size=2,
    )


FAMILIES: dict[str, Callable[[], keras.Model]] = {
    "ViT": vit,
    "DeiT": deit,
    "DINOV2": dinov2,
    "DINOV2 SwiGLU": dinov2_gated,
    "DINOV3": dinov3,
    "CLIP vision": clip_vision,
    "CLIP text": clip_text,
    "CLIP": clip,
    "SigLIP vision": siglip_vision,
    "SigLIP text": siglip_text,
    "Swin": swin,
    "MiT": mit,
    "SegFormer": segformer,
    "ViTDet": vit_det,
}
