"""The configurations of the small checkpoints: the topology of the real ones at a few channels.

Everything that decides how a network is wired (block types, layers per block, heads, projections, added conditioning,
which hidden state feeds the U-Net) is as in the published configurations; only widths and the vocabulary are small.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

# What the published scheduler_config.json files have in common.
SCHEDULER = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    clip_sample=False,
    set_alpha_to_one=False,
    steps_offset=1,
)

NAMES = ["sd15", "sd15-inpaint", "sd21-base", "sd21", "sd21-inpaint", "sdxl", "sdxl-inpaint", "sdxl-vpred"]


@dataclass
class Family:
    """One checkpoint: what diffusers' and transformers' constructors are given."""

    name: str
    generation: str  # "sd1", "sd2" or "sdxl"
    unet: dict
    vae: dict
    text: dict
    text_2: dict | None
    scheduler: dict
    # The name of the scheduler's class in scheduler_config.json.
    scheduler_class: str
    # "fp16": weights are named as the half-precision variants on the Hugging Face hub are.
    variant: str | None = None
    # The VAE's attention under the names that diffusers used before 0.13, as in the published SD 1.x and 2.x folders.
    old_vae_names: bool = False
    notes: list = field(default_factory=list)

    @property
    def inpainting(self):
        return self.unet["in_channels"] == 9

    @property
    def prediction(self):
        return self.scheduler["prediction_type"]


def text_config(width, heads, layers, act, vocab, eos, projection):
    # bos and eos are the two last ids, as in CLIP's vocabulary: the pooled state is found through the highest id.
    return dict(
        vocab_size=vocab,
        hidden_size=width,
        intermediate_size=width * 3,  # the published ones use 4; 3 shows that it is read
        projection_dim=projection,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=77,
        hidden_act=act,
        layer_norm_eps=1e-5,
        bos_token_id=vocab - 2,
        eos_token_id=eos,
        pad_token_id=1,
    )


def unet_config(sample_size, channels, heads, context, groups, **more):
    levels = len(channels)
    return dict(
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        center_input_sample=False,
        flip_sin_to_cos=True,
        freq_shift=0,
        down_block_types=["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
        block_out_channels=list(channels),
        layers_per_block=2,
        downsample_padding=1,
        mid_block_scale_factor=1,
        act_fn="silu",
        norm_num_groups=groups,
        norm_eps=1e-5,
        cross_attention_dim=context,
        attention_head_dim=heads,
    ) | more


def vae_config(width, groups, scaling):
    return dict(
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[width, width, 2 * width, 2 * width],
        layers_per_block=2,
        act_fn="silu",
        latent_channels=4,
        norm_num_groups=groups,
        sample_size=64,
        scaling_factor=scaling,
    )


def family(name, width=8, vocab=400):
    """The family `name` with `width` channels at the first level (a multiple of 8)."""
    if width % 8:
        raise SystemExit(f"--width {width}: must be a multiple of 8")
    base, _, variant = name.partition("-")
    w, groups = width, 4
    text_width = 4 * width
    eos = vocab - 1
    text_2 = None
    scheduler = dict(SCHEDULER, prediction_type="epsilon")
    if base == "sd15":
        unet = unet_config(64, (w, 2 * w, 2 * w, 2 * w), 4, text_width, groups)
        # eos 2 is what the published file says; transformers then takes the highest id.
        text = text_config(text_width, 4, 3, "quick_gelu", vocab, 2, text_width)
        scheduler_class, generation, scaling = "PNDMScheduler", "sd1", 0.18215
        scheduler["skip_prk_steps"] = True
    elif base == "sd21":
        unet = unet_config(
            64 if variant == "base" else 96, (w, 2 * w, 2 * w, 2 * w), [1, 2, 4, 4], text_width, groups,
            use_linear_projection=True, dual_cross_attention=False, only_cross_attention=False,
            upcast_attention=variant == "", num_class_embeds=None,
        )
        text = text_config(text_width, 4, 3, "gelu", vocab, eos, text_width // 2)
        # pad id 0: "!" of OpenCLIP's vocabulary
        text["pad_token_id"] = 0
        scheduler_class, generation, scaling = "DDIMScheduler", "sd2", 0.18215
        if variant == "":
            scheduler["prediction_type"] = "v_prediction"
    elif base == "sdxl":
        first = text_width * 3 // 4
        unet = unet_config(
            128, (w, 2 * w, 2 * w), [2, 4, 4], first + text_width, groups,
            down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            transformer_layers_per_block=[1, 1, 2],
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=w,
            projection_class_embeddings_input_dim=text_width + 6 * w,
        )
        text = text_config(first, 3, 3, "quick_gelu", vocab, 2, first)
        text_2 = text_config(text_width, 4, 4, "gelu", vocab, 2, text_width)
        scheduler_class, generation, scaling = "EulerDiscreteScheduler", "sdxl", 0.13025
        scheduler |= dict(timestep_spacing="leading", interpolation_type="linear", use_karras_sigmas=False)
        if variant == "vpred":
            # As the v-prediction fine-tunes of SDXL: zero terminal signal-to-noise ratio.
            scheduler |= dict(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
    else:
        raise SystemExit(f"no family {name}; there are {', '.join(NAMES)}")
    if variant == "inpaint":
        unet["in_channels"] = 9
    elif variant not in ("", "base", "vpred"):
        raise SystemExit(f"no family {name}; there are {', '.join(NAMES)}")
    return Family(
        name=name, generation=generation, unet=unet, vae=vae_config(w, groups, scaling), text=text, text_2=text_2,
        scheduler=scheduler, scheduler_class=scheduler_class,
        variant="fp16" if base == "sd21" else None,
        old_vae_names=base == "sd15",
    )


def of(source):
    """What a folder in diffusers' layout holds, of SD 1's kind."""
    source = Path(source)
    unet, vae, text, scheduler = (
        json.loads((source / name).read_text())
        for name in ("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json")
    )

    def options(config):
        return {k: v for k, v in config.items() if not k.startswith("_")}

    return Family(
        name=source.name, generation="sd1", unet=options(unet), vae=options(vae), text=options(text), text_2=None,
        scheduler=options(scheduler), scheduler_class=scheduler["_class_name"],
    )
