"""Families of convolution networks and feature pyramids."""

from collections.abc import Callable

import keras

SHAPE = (32, 32, 3)


def mobilenet() -> keras.Model:
    """MobileNetV3: inverted residuals with squeeze and excitation."""
    import keras_hub

    return keras_hub.models.MobileNetBackbone(
        stackwise_expansion=[[40, 56], [64, 144]],
        stackwise_num_blocks=[2, 2],
        stackwise_num_filters=[[16, 16], [24, 24]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=48,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=48,
        squeeze_and_excite=0.5,
        input_num_filters=16,
        image_shape=SHAPE,
    )


def mobilenet_v5() -> keras.Model:
    """MobileNetV5: edge residuals, inverted bottlenecks, attention."""
    import keras_hub

    return keras_hub.models.MobileNetV5Backbone(
        stackwise_block_types=[["er"], ["uir", "mqa"]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[24], [48, 48]],
        stackwise_strides=[[2], [2, 1]],
        stackwise_act_layers=[["relu"], ["relu", "relu"]],
        stackwise_exp_ratios=[[4.0], [6.0, 0.0]],
        stackwise_se_ratios=[[0.0], [0.0, 0.0]],
        stackwise_dw_kernel_sizes=[[0], [5, 3]],
        stackwise_dw_start_kernel_sizes=[[0], [0, 0]],
        stackwise_dw_end_kernel_sizes=[[0], [0, 0]],
        stackwise_exp_kernel_sizes=[[3], [0, 0]],
        stackwise_pw_kernel_sizes=[[1], [0, 0]],
        stackwise_num_heads=[[0], [0, 4]],
        stackwise_key_dims=[[0], [0, 6]],
        stackwise_value_dims=[[0], [0, 6]],
        stackwise_kv_strides=[[0], [0, 1]],
        stackwise_use_cpe=[[False], [False, False]],
        use_msfa=False,
        image_shape=SHAPE,
    )


def _efficientnet(blocks: list[str], ratios: list[float]) -> keras.Model:
    import keras_hub

    return keras_hub.models.EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3, 3],
        stackwise_num_repeats=[1, 2, 2],
        stackwise_input_filters=[8, 16, 24],
        stackwise_output_filters=[16, 24, 32],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_squeeze_and_excite_ratios=ratios,
        stackwise_strides=[1, 2, 2],
        stackwise_block_types=blocks,
        stackwise_force_input_filters=[0] * 3,
        stackwise_nores_option=[False] * 3,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        input_shape=SHAPE,
    )


def efficientnet() -> keras.Model:
    """EfficientNet: inverted residuals with squeeze and excitation."""
    return _efficientnet(["unfused"] * 3, [0.25] * 3)


def efficientnet_v2() -> keras.Model:
    """EfficientNetV2: fused blocks first."""
    return _efficientnet(["fused", "fused", "unfused"], [0, 0, 0.25])


def efficientnet_lite() -> keras.Model:
    """EfficientNet with convolution and normalization blocks (`cba`)."""
    return _efficientnet(["cba", "unfused", "unfused"], [0, 0.25, 0.25])


def _resnet(*, pre_activation: bool = False, stages: int = 3) -> keras.Model:
    import keras_hub

    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[16],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 24, 32, 40][:stages],
        stackwise_num_blocks=[1, 2, 1, 1][:stages],
        stackwise_num_strides=[1, 2, 2, 2][:stages],
        block_type="bottleneck_block",
        use_pre_activation=pre_activation,
        image_shape=SHAPE,
    )


def resnet() -> keras.Model:
    """ResNet with bottleneck blocks."""
    return _resnet()


def resnet_v2() -> keras.Model:
    """ResNet V2: normalization before the convolutions."""
    return _resnet(pre_activation=True)


def resnet_vd() -> keras.Model:
    """ResNet-vd: three convolutions in the stem, pooled shortcuts."""
    import keras_hub

    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[8, 8, 16],
        input_conv_kernel_sizes=[3, 3, 3],
        stackwise_num_filters=[64, 24, 32],
        stackwise_num_blocks=[1, 2, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block_vd",
        image_shape=SHAPE,
    )


def densenet() -> keras.Model:
    """DenseNet: every layer reads all before it."""
    import keras_hub

    return keras_hub.models.DenseNetBackbone(
        stackwise_num_repeats=[2, 3], growth_rate=8, image_shape=SHAPE
    )


def cspnet() -> keras.Model:
    """CSPDarkNet: cross-stage partial blocks."""
    import keras_hub

    return keras_hub.models.CSPNetBackbone(
        stem_filters=16,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2],
        stackwise_strides=[2, 2],
        stackwise_num_filters=[24, 32],
        block_type="dark_block",
        stage_type="dark",
        image_shape=SHAPE,
    )


def vgg() -> keras.Model:
    """VGG."""
    import keras_hub

    return keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 2, 2],
        stackwise_num_filters=[8, 16, 24],
        image_shape=SHAPE,
    )


def hgnet_v2() -> keras.Model:
    """HGNetV2: aggregated convolutions, learned affine maps."""
    import keras_hub

    return keras_hub.models.HGNetV2Backbone(
        depths=[1, 2],
        embedding_size=16,
        hidden_sizes=[32, 48],
        stem_channels=[3, 12, 16],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[
            (16, 12, 32, 1, 2, 3),
            (32, 20, 48, 2, 2, 3),
        ],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        image_shape=SHAPE,
    )


def xception() -> keras.Model:
    """Xception: separable convolutions."""
    import keras_hub

    return keras_hub.models.XceptionBackbone(
        stackwise_conv_filters=[[8, 16], [24, 24], [32, 40]],
        stackwise_pooling=[True, True, False],
        image_shape=(64, 64, 3),
    )


def retinanet() -> keras.Model:
    """RetinaNet: a feature pyramid on a ResNet."""
    import keras_hub

    return keras_hub.models.RetinaNetBackbone(
        image_encoder=_resnet(stages=4),
        min_level=3,
        max_level=6,
        use_p5=False,
        use_fpn_batch_norm=True,
        image_shape=SHAPE,
    )


def deeplab() -> keras.Model:
    """DeepLabV3: pooled dilated convolutions on a ResNet."""
    import keras_hub

    return keras_hub.models.DeepLabV3Backbone(
        image_encoder=resnet(),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        upsampling_size=4,
        dilation_rates=[2, 3],
        projection_filters=12,
        image_shape=SHAPE,
    )


FAMILIES: dict[str, Callable[[], keras.Model]] = {
    "MobileNet": mobilenet,
    "MobileNetV5": mobilenet_v5,
    "EfficientNet": efficientnet,
    "EfficientNetV2": efficientnet_v2,
    "EfficientNet CBA": efficientnet_lite,
    "ResNet": resnet,
    "ResNetV2": resnet_v2,
    "ResNet-vd": resnet_vd,
    "DenseNet": densenet,
    "CSPNet": cspnet,
    "VGG": vgg,
    "HGNetV2": hgnet_v2,
    "Xception": xception,
    "RetinaNet": retinanet,
    "DeepLabV3": deeplab,
}
