"""The sections of Darknet's files and the settings that they may have.

References: Redmon 2013-2018, Darknet, src/parser.c; Bochkovskiy 2016-2021, its successor of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping

ALIASES: Mapping[str, str] = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "local_avg": "local_avgpool",
    "silence": "empty",
}
RECURRENT = frozenset({"rnn", "gru", "lstm", "crnn", "conv_lstm", "history"})
UNSUPPORTED = frozenset(
    {"deconv", "deconvolutional", "lrn", "normalization", "iseg", "l2norm", "logistic", "Gaussian_yolo"}
    | {"contrastive", "local_avgpool", "reorg3d", "reorg_old", "sample", "implicit", "implicit_add", "implicit_mul"}
)

_ANY = "truth onlyforward stopbackward dontsave dontload numload dontloadscales learning_rate smooth train_only_bn"
_ANY += " stream wait_stream"
_LOSS = "jitter resize random max map tree thresh truth_thresh ignore_thresh focal_loss label_smooth_eps"
_KEYS = {
    "net": "batch subdivisions width height channels inputs learning_rate learning_rate_min momentum decay policy"
    " steps scales step scale gamma power burn_in max_batches time_steps notruth random adam B1 B2 eps max_crop"
    " min_crop max_ratio min_ratio center clip angle aspect saturation exposure hue flip blur gaussian_noise mosaic"
    " mixup cutmix letter_box mosaic_bound label_smooth_eps ema_alpha dynamic_minibatch optimized_memory track"
    " augment_speed sequential_subdivisions try_fix_nan weights_reject_freq equidistant_point loss_scale"
    " contrastive contrastive_jit_flip contrastive_color unsupervised badlabels_rejection_percentage"
    " num_sigmas_reject_badlabels badlabels_reject_threshold seq_scales adversarial_lr attention"
    " workspace_size_limit_MB init_sequential_subdivisions use_cuda_graph no_img_aug"
    " sgdr_cycle sgdr_mult max_chart_loss",
    "convolutional": "filters size stride pad padding groups activation batch_normalize binary xnor flipped dot"
    " dilation stride_x stride_y antialiasing assisted_excitation share_index deform rotate stretch"
    " sway stretch_sway cbn batch_normalize_type use_bin_output bin_output angle grad_centr reverse coordconv",
    "connected": "output activation batch_normalize",
    "local": "filters size stride pad activation",
    "maxpool": "size stride stride_x stride_y padding maxpool_depth out_channels antialiasing maxpool_zero_nonmax",
    "avgpool": "",
    "upsample": "stride scale",
    "route": "layers groups group_id",
    "shortcut": "from activation alpha beta weights_type weights_normalization",
    "sam": "from activation",
    "scale_channels": "from activation scale_wh",
    "reorg": "stride reverse flatten extra",
    "dropout": "probability dropblock dropblock_size_abs dropblock_size_rel",
    "crop": "crop_height crop_width flip angle saturation exposure shift noadjust",
    "activation": "activation",
    "empty": "",
    "batchnorm": "",
    "softmax": "groups temperature tree spatial noloss",
    "cost": "type scale ratio",
    "detection": f"classes coords rescore num side softmax sqrt max coord_scale forced object_scale noobject_scale"
    f" class_scale reorg {_LOSS}",
    "region": "anchors classes coords num softmax log sqrt background rescore classfix absolute coord_scale"
    f" object_scale noobject_scale mask_scale class_scale bias_match temperature {_LOSS}",
    "yolo": "anchors mask classes num scale_x_y new_coords iou_loss iou_normalizer cls_normalizer obj_normalizer"
    " delta_normalizer max_delta nms_kind beta_nms iou_thresh iou_thresh_kind show_details counters_per_class"
    " objectness_smooth embedding_layer track_history_size sim_thresh dets_for_track dets_for_show"
    f" track_ciou_norm yolo_thresh {_LOSS}",
}
KEYS: Mapping[str, frozenset[str]] = {kind: frozenset(f"{keys} {_ANY}".split()) for kind, keys in _KEYS.items()}

# Settings that change what a layer computes and that only one value of can be had here.
ONLY: Mapping[str, Mapping[str, float]] = {
    "convolutional": {
        **dict.fromkeys(("binary", "xnor", "flipped", "antialiasing", "assisted_excitation", "deform", "rotate"), 0),
        **dict.fromkeys(("stretch", "stretch_sway", "sway", "coordconv", "reverse", "bin_output"), 0),
        "dilation": 1,
    },
    "maxpool": {"maxpool_depth": 0, "antialiasing": 0, "maxpool_zero_nonmax": 0},
    "shortcut": {"alpha": 1, "beta": 1},
    "reorg": {"reverse": 0, "flatten": 0, "extra": 0},
    "softmax": {"groups": 1, "spatial": 0},
    "detection": {"coords": 4},
    "region": {"coords": 4, "background": 0, "log": 0, "sqrt": 0},
    "yolo": {"new_coords": 0},
}
# Settings that change it and cannot be had at all.
NEVER: Mapping[str, tuple[str, ...]] = {"convolutional": ("share_index",)}
