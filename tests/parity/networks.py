"""Each network by itself: text encoders, U-Net with its attention maps, VAE, TAESD."""

import copy
from types import SimpleNamespace

import torch
from diffusers.models.attention_processor import AttnProcessor

from checkpoint import randomise, state_of


def token_ids(fam, rng, name="prompt", pad=None, text=None):
    """`[2, 77]`: an empty prompt and one of nine tokens, as a tokenizer pads them."""
    text = text or fam.text
    bos, eos = text["vocab_size"] - 2, text["vocab_size"] - 1
    pad = eos if pad is None else pad
    words = rng.integers(f"tokens/{name}", 5, bos, 9).tolist()
    rows = [[bos, eos], [bos, *words, eos]]
    return torch.tensor([row + [pad] * (77 - len(row)) for row in rows])


def prompt_ids(fam, rng, name="prompt"):
    """What each text encoder of the family is given for one prompt."""
    if fam.generation == "sd1":
        return [token_ids(fam, rng, name)]
    if fam.generation == "sd2":
        return [token_ids(fam, rng, name, pad=0)]
    return [token_ids(fam, rng, name), token_ids(fam, rng, name, pad=0, text=fam.text_2)]


def encode(fam, nets, ids):
    """The U-Net's context `[B, 77, C]` and, for SDXL, the pooled text `[B, P]`, as the pipelines form them."""
    if fam.text_2 is None:
        return nets.text(ids[0]).last_hidden_state, None
    first = nets.text(ids[0], output_hidden_states=True).hidden_states[-2]
    second = nets.text_2(ids[1], output_hidden_states=True)
    return torch.cat([first, second.hidden_states[-2]], -1), second.text_embeds


def added(fam, pooled, time_ids):
    return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": time_ids}} if fam.text_2 else {}


class Recorder(AttnProcessor):
    """diffusers' plain attention, which also keeps the probabilities, averaged over heads: `[B, queries, keys]`."""

    def __init__(self):
        super().__init__()
        self.maps = None

    def __call__(self, attn, *args, **kwargs):
        plain = attn.get_attention_scores

        def scores(*inner):
            probs = plain(*inner)
            self.maps = probs.unflatten(0, (-1, attn.heads)).mean(1)
            return probs

        attn.get_attention_scores = scores
        try:
            return super().__call__(attn, *args, **kwargs)
        finally:
            del attn.get_attention_scores


class Reference(AttnProcessor):
    """Self-attention that can also see what the same layer saw in an earlier pass (DreamTuner, arXiv 2312.13691):
    softmax(q [k, k_r]ᵀ / √d + log m) [v, v_r], with m = 1 for its own tokens and `weight` · mask for the others."""

    def __init__(self, mask, weight):
        super().__init__()
        self.mask, self.weight, self.features = mask, weight, None

    def __call__(self, attn, hidden_states, **kwargs):
        if self.features is None:
            self.features = hidden_states
            return super().__call__(attn, hidden_states, **kwargs)
        # Tokens are rows of the picture; the mask has blocks that every resolution divides.
        shrink = round((self.mask[0].numel() / hidden_states.shape[1]) ** 0.5)
        seen = self.mask[:, :, ::shrink, ::shrink].flatten(1)
        own = torch.zeros(hidden_states.shape[:2])
        bias = torch.cat([own, (self.weight * seen).log().expand(len(own), -1)], 1)[:, None]
        both = torch.cat([hidden_states, self.features], 1)
        return super().__call__(attn, hidden_states, encoder_hidden_states=both,
                                attention_mask=bias.repeat_interleave(attn.heads, 0))


def watched(fam):
    """The layers whose attention maps are compared: cross and self, middle and up."""
    up = "up_blocks.0" if fam.generation == "sdxl" else "up_blocks.1"
    return [
        "mid_block.attentions.0.transformer_blocks.0.attn2",
        f"{up}.attentions.1.transformer_blocks.0.attn2",
        f"{up}.attentions.1.transformer_blocks.0.attn1",
    ]


def unet_inputs(fam, rng, name, batch, height, width):
    channels = fam.unet["in_channels"]
    inputs = dict(
        sample=rng.normal(f"{name}/sample", batch, channels, height, width),
        # Fractional: Euler's time steps are.
        timesteps=torch.tensor([981.0, 37.25, 500.0])[:batch],
        context=rng.normal(f"{name}/context", batch, 77, fam.unet["cross_attention_dim"]),
    )
    if fam.text_2:
        inputs["pooled"] = rng.normal(f"{name}/pooled", batch, fam.text_2["projection_dim"])
        # original size, crop's corner, target size: (height, width) each, in pixels
        inputs["time_ids"] = torch.tensor([[1024.0, 768.0, 0.0, 64.0, 512.0, 640.0], [512.0, 512.0, 8.0, 0.0, 1024.0, 1024.0]])[:batch]
    return inputs


def call_unet(fam, nets, inputs):
    return nets.unet(
        inputs["sample"], inputs["timesteps"], inputs["context"],
        **added(fam, inputs.get("pooled"), inputs.get("time_ids")),
    ).sample


def bf16_error(fam, nets, inputs, exact):
    """How far the reference itself is off in bfloat16, as goldens measure it: what Repose may be off in that precision."""
    half = SimpleNamespace(unet=copy.deepcopy(nets.unet).to(torch.bfloat16))
    # Time steps and sizes stay exact: the reference computes their sines in f32.
    rounded = {k: v if k in ("timesteps", "time_ids") else v.to(torch.bfloat16) for k, v in inputs.items()}
    output = call_unet(fam, half, rounded).float()
    return ((output - exact).abs().max() / exact.abs().max()).item()


def text_cases(fam, nets, rng, goldens):
    for i, (model, ids) in enumerate(zip([nets.text, nets.text_2], prompt_ids(fam, rng))):
        out = model(ids, output_hidden_states=True)
        inner = getattr(model, "text_model", model)
        outputs = dict(
            last_hidden=out.last_hidden_state,
            penultimate=out.hidden_states[-2],
            # "clip skip 1": the last layer left out, then the final norm
            skipped=inner.final_layer_norm(out.hidden_states[-2]),
        )
        if fam.text_2 and i == 1:
            outputs["text_embeds"] = out.text_embeds
        else:
            outputs["pooled"] = out.pooler_output
        goldens.case("networks", f"text_encoder{'_2' if i else ''}", "text_encoder", dict(ids=ids), outputs,
                     folder=f"text_encoder{'_2' if i else ''}")


def unet_cases(fam, nets, rng, goldens):
    inputs = unet_inputs(fam, rng, "unet", 2, 8, 16)
    plain = call_unet(fam, nets, inputs)
    processors = dict(nets.unet.attn_processors)
    recorders = {name: Recorder() for name in watched(fam)}
    nets.unet.set_attn_processor(processors | {f"{n}.processor": r for n, r in recorders.items()})
    again = call_unet(fam, nets, inputs)
    assert (plain - again).abs().max() < 1e-4, "recording the maps changed the result"
    nets.unet.set_attn_processor(processors)
    maps = {f"map.{name}": r.maps for name, r in recorders.items()}
    for name, value in maps.items():
        peak = value.amax(-1).mean() * value.shape[-1]
        assert peak > 1.1 and value.amax(-1).mean() < 0.9, f"{name} is flat or one-hot"
    goldens.case("networks", "unet", "unet", inputs, {"output": plain} | maps, bf16_error=bf16_error(fam, nets, inputs, plain))
    # Sizes that do not halve evenly: the upsamplers must go to the size of the skipped features.
    inputs = unet_inputs(fam, rng, "unet odd", 1, 10, 14)
    goldens.case("networks", "unet_odd", "unet", inputs, dict(output=call_unet(fam, nets, inputs)))


def reference_case(fam, nets, rng, goldens):
    """Two passes: one over the reference latents with their own caption, one that attends to it in every layer."""
    inputs = unet_inputs(fam, rng, "unet reference", 1, 8, 16)
    other = {k: rng.normal(f"reference/{k}", *inputs[k].shape) for k in ("sample", "context", "pooled") if k in inputs}
    mask = torch.zeros(1, 1, 8, 16)
    mask[..., :8] = 1
    processors = dict(nets.unet.attn_processors)
    watching = {name: Reference(mask, 3.0) for name in processors if "attn1" in name}
    nets.unet.set_attn_processor(processors | watching)
    call_unet(fam, nets, inputs | other)
    output = call_unet(fam, nets, inputs)
    nets.unet.set_attn_processor(processors)
    plain = call_unet(fam, nets, inputs)
    assert (output - plain).abs().max() > 0.02 * plain.abs().max()
    given = inputs | {f"reference_{k}": v for k, v in other.items()} | dict(mask=mask)
    goldens.case("networks", "unet_reference", "unet_reference", given, dict(output=output), weight=3.0)


def vae_cases(fam, nets, rng, goldens):
    image = rng.normal("vae/image", 1, 3, 40, 56).clamp(-1, 1)
    posterior = nets.vae.encode(image).latent_dist
    goldens.case("networks", "vae_encode", "vae_encode", dict(image=image),
                 dict(mean=posterior.mean, logvar=posterior.logvar))
    latents = rng.normal("vae/latents", 2, fam.vae["latent_channels"], 5, 7)
    goldens.case("networks", "vae_decode", "vae_decode", dict(latents=latents),
                 dict(image=nets.vae.decode(latents).sample))


@torch.no_grad()
def run(fam, nets, rng, goldens):
    if fam.inpainting:
        # All but the first convolution is the base family's.
        inputs = unet_inputs(fam, rng, "unet", 2, 8, 16)
        goldens.case("networks", "unet", "unet", inputs, dict(output=call_unet(fam, nets, inputs)))
        return
    text_cases(fam, nets, rng, goldens)
    unet_cases(fam, nets, rng, goldens)
    reference_case(fam, nets, rng, goldens)
    vae_cases(fam, nets, rng, goldens)
