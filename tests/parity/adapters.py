"""LoRA and embedding files in the formats that users have, and what the networks give with them."""

import contextlib
import math

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.loaders.textual_inversion import TextualInversionLoaderMixin, load_textual_inversion_state_dicts
from safetensors.torch import save_file

import ldm
from networks import call_unet, encode, prompt_ids, unet_inputs

PREFIX = {"unet": "lora_unet", "text_encoder": "lora_te", "text_encoder_2": "lora_te2"}


def modules(nets, part):
    return dict({"unet": nets.unet, "text_encoder": nets.text, "text_encoder_2": nets.text_2}[part].named_modules())


def targets(fam, convolutions):
    """The modules that the LoRA changes, by part and diffusers name."""
    if fam.generation == "sdxl":
        down, up = "down_blocks.1", "up_blocks.0"
    else:
        down, up = "down_blocks.1", "up_blocks.1"
    blocks = [f"{down}.attentions.0", "mid_block.attentions.0", f"{up}.attentions.2"]
    inner = [f"{a}.{p}" for a in ("attn1", "attn2") for p in ("to_q", "to_k", "to_v", "to_out.0")]
    inner += ["ff.net.0.proj", "ff.net.2"]
    unet = [f"{b}.transformer_blocks.0.{p}" for b in blocks for p in inner]
    unet += [f"{b}.{p}" for b in blocks for p in ("proj_in", "proj_out")]
    if convolutions:
        resnets = [f"{down}.resnets.0", "mid_block.resnets.1", "up_blocks.0.resnets.1"]
        unet += [f"{r}.{p}" for r in resnets for p in ("conv1", "conv2", "time_emb_proj")]
        unet += [f"{down}.resnets.0.conv_shortcut", "up_blocks.0.resnets.1.conv_shortcut"]
        unet += ["down_blocks.0.downsamplers.0.conv", "up_blocks.0.upsamplers.0.conv"]
    layer = [f"self_attn.{p}_proj" for p in ("q", "k", "v", "out")] + ["mlp.fc1", "mlp.fc2"]
    out = {"unet": unet, "text_encoder": [f"encoder.layers.{i}.{p}" for i in (0, 2) for p in layer]}
    if fam.text_2:
        out["text_encoder_2"] = [f"text_model.encoder.layers.{i}.{p}" for i in (0, 2) for p in layer]
    return out


def random_lora(fam, nets, rng, name, rank, alpha, convolutions):
    """`{(part, module): (down, up, alpha)}`; `alpha` None: as large as the rank."""
    out = {}
    for part, names in targets(fam, convolutions).items():
        known = modules(nets, part)
        for module in names:
            weight = known[module].weight
            down = rng.normal(f"{name}/{part}/{module}/down", rank, *weight.shape[1:])
            up = rng.normal(f"{name}/{part}/{module}/up", weight.shape[0], rank, *[1] * (weight.dim() - 2))
            scale = 0.5 / math.sqrt(math.prod(weight.shape[1:]) * rank) * (rank / (alpha or rank))
            out[part, module] = (down, (up * scale).half().float(), alpha)
    return out


def kohya(fam, lora):
    """kohya's names: underscores throughout; for SDXL those of the original U-Net."""
    out = {}
    for (part, module), (down, up, alpha) in lora.items():
        prefix = PREFIX[part]
        if part == "unet" and fam.generation == "sdxl":
            # unet_key works on tensors' names
            module = ldm.unet_key(module + ".weight", fam.unet).removesuffix(".weight")
        elif part != "unet":
            module = "text_model." + module.removeprefix("text_model.")
            prefix = "lora_te1" if part == "text_encoder" and fam.text_2 else prefix
        key = f"{prefix}_{module.replace('.', '_')}"
        out |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
        if alpha is not None:
            out[f"{key}.alpha"] = torch.tensor(float(alpha))
    return out


def peft(lora):
    """What diffusers' trainers write today."""
    out = {}
    for (part, module), (down, up, alpha) in lora.items():
        assert alpha is None
        if part != "unet":
            module = "text_model." + module.removeprefix("text_model.")
        out |= {f"{part}.{module}.lora_A.weight": down, f"{part}.{module}.lora_B.weight": up}
    return out


def old_diffusers(lora):
    """What diffusers' trainers wrote before PEFT: the U-Net's attention processors."""
    out = {}
    for (part, module), (down, up, alpha) in lora.items():
        if part != "unet" or ".attn" not in module:
            continue
        block, projection = module.replace(".to_out.0", ".to_out").rsplit(".", 1)
        key = f"unet.{block}.processor.{projection}_lora"
        out |= {f"{key}.down.weight": down, f"{key}.up.weight": up}
    return out


@contextlib.contextmanager
def merged(nets, loras):
    """The networks with `[(lora, weight)]` added to their weights: what every reader must amount to."""
    saved = []
    for lora, weight in loras:
        for (part, module), (down, up, alpha) in lora.items():
            target = modules(nets, part)[module].weight
            saved.append((target, target.data.clone()))
            scale = weight * (1.0 if alpha is None else alpha / down.shape[0])
            delta = up.flatten(1) @ down.flatten(1)
            target.data += scale * delta.reshape(target.shape)
    yield
    for target, data in reversed(saved):
        target.data.copy_(data)


@contextlib.contextmanager
def loaded(fam, nets, folder, files):
    """The networks as diffusers' own reader sets them up for `[(file, weight)]`."""
    parts = dict(vae=nets.vae, text_encoder=nets.text, tokenizer=None, unet=nets.unet, scheduler=None)
    if fam.text_2:
        pipe = StableDiffusionXLPipeline(**parts, text_encoder_2=nets.text_2, tokenizer_2=None)
    else:
        pipe = StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    names = [f"lora{i}" for i in range(len(files))]
    for name, (file, _) in zip(names, files):
        pipe.load_lora_weights(str(folder), weight_name=file, adapter_name=name)
    pipe.set_adapters(names, [weight for _, weight in files])
    yield
    pipe.unload_lora_weights()


def lora_cases(fam, nets, rng, goldens, folder):
    a = random_lora(fam, nets, rng, "lora a", 4, 2, True)
    b = random_lora(fam, nets, rng, "lora b", 3, None, False)
    c = {k: v for k, v in random_lora(fam, nets, rng, "lora c", 2, None, False).items()
         if k[0] == "unet" and ".attn" in k[1]}
    files = {"lora_kohya": (a, kohya(fam, a)), "lora_peft": (b, peft(b)), "lora_old_diffusers": (c, old_diffusers(c))}
    for name, (_, tensors) in files.items():
        half = {k: v if k.endswith("alpha") else v.half().contiguous() for k, v in tensors.items()}
        save_file(half, folder / f"{name}.safetensors", metadata={"format": "pt"})
    inputs = unet_inputs(fam, rng, "lora", 1, 8, 8)
    ids = prompt_ids(fam, rng, "lora prompt")
    inputs |= {f"ids{'_2' * i}": value for i, value in enumerate(ids)}

    def results():
        context, pooled = encode(fam, nets, ids)
        out = dict(text_context=context[1:], output=call_unet(fam, nets, inputs))
        return out | (dict(text_embeds=pooled[1:]) if fam.text_2 else {})

    plain = results()
    combined = [("lora_kohya", 0.7), ("lora_peft", -0.4)]
    for name, used in [(n, [(n, 1.0)]) for n in files] + [("lora_two", combined)]:
        with merged(nets, [(files[f][0], w) for f, w in used]):
            wanted = results()
        with loaded(fam, nets, folder, [(f"{f}.safetensors", w) for f, w in used]):
            read = results()
        for key, value in wanted.items():
            error = ((value - read[key]).abs().max() / value.abs().max()).item()
            assert error < 2e-5, f"{fam.name} {name}: diffusers reads {key} otherwise ({error:.1e})"
            moved = ((value - plain[key]).abs().max() / value.abs().max()).item()
            assert moved > 1e-2 or name == "lora_old_diffusers", f"{name} does nothing to {key}"
        again = results()
        assert all(torch.equal(again[k], plain[k]) for k in plain), "the LoRA was not taken out"
        goldens.case("adapters", name, "lora", inputs, wanted,
                     loras=[dict(file=f"{f}.safetensors", weight=w) for f, w in used])


class NoTokenizer:
    def get_vocab(self):
        return {}


@contextlib.contextmanager
def spliced(encoder, positions, vectors):
    """The text encoder with word vectors `[N, C]` in place of the tokens at `positions` `[N]` of every row."""
    inner = getattr(encoder, "text_model", encoder)

    def replace(module, args, output):
        rows = [output[:, i] for i in range(output.shape[1])]
        for i, vector in zip(positions.tolist(), vectors):
            rows[i] = vector.expand_as(rows[i])
        return torch.stack(rows, 1)

    hook = inner.embeddings.token_embedding.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def embedding_files(fam, nets, rng, folder):
    """Writes one file for each format; `{file: {part: vectors}}`."""
    width = fam.text["hidden_size"]

    def draw(name, count, width):
        return 0.6 * rng.normal(f"embedding/{name}", count, width)

    out = {}
    if fam.text_2:
        both = {"clip_l": draw("l", 3, width), "clip_g": draw("g", 3, fam.text_2["hidden_size"])}
        save_file({k: v.half() for k, v in both.items()}, folder / "embedding_sdxl.safetensors")
        out["embedding_sdxl.safetensors"] = {
            "text_encoder": both["clip_l"].half().float(), "text_encoder_2": both["clip_g"].half().float()}
        return out
    # diffusers' trainer writes one vector `[C]` without a batch where the concept has one.
    one = draw("diffusers", 1, width)
    save_file({"<puppet>": one[0].contiguous()}, folder / "learned_embeds.safetensors")
    out["learned_embeds.safetensors"] = {"text_encoder": one}
    if fam.generation == "sd2":
        return out
    vectors = draw("a1111", 3, width)
    # As AUTOMATIC1111 writes it today, and as the first trainers did: a parameter that wants a gradient, in torch's first
    # container. (That names its storages by their addresses: the one file that differs from run to run.)
    head = {"string_to_token": {"*": 265}, "name": "puppet", "step": 500, "sd_checkpoint": "0123abcd",
            "sd_checkpoint_name": "tiny"}
    torch.save(head | {"string_to_param": {"*": vectors}}, folder / "embedding_a1111.pt")
    torch.save(head | {"string_to_param": {"*": torch.nn.Parameter(vectors)}}, folder / "embedding_a1111_old.pt",
               _use_new_zipfile_serialization=False)
    save_file({"emb_params": vectors}, folder / "embedding_a1111.safetensors")
    for file in ("embedding_a1111.pt", "embedding_a1111_old.pt", "embedding_a1111.safetensors"):
        out[file] = {"text_encoder": vectors}
    for file, parts in out.items():
        state = load_textual_inversion_state_dicts([str(folder)], weight_name=file)
        _, [read] = TextualInversionLoaderMixin._retrieve_tokens_and_embeddings([None], state, NoTokenizer())
        assert torch.equal(torch.atleast_2d(read.detach()), parts["text_encoder"]), f"diffusers reads {file} otherwise"
    return out


def placed(ids, positions):
    """`ids` with id 0 where word vectors go, so that the end of the text is found as without them."""
    ids = ids.clone()
    ids[:, positions] = 0
    return ids


def embedding_cases(fam, nets, rng, goldens, folder):
    for file, parts in embedding_files(fam, nets, rng, folder).items():
        ids = prompt_ids(fam, rng, "embedding prompt")
        positions = torch.arange(next(iter(parts.values())).shape[0]) + 3
        ids = [placed(i[1:], positions) for i in ids]
        inputs = {f"ids{'_2' * i}": value for i, value in enumerate(ids)} | dict(positions=positions)
        with contextlib.ExitStack() as stack:
            for part, vectors in parts.items():
                stack.enter_context(spliced(nets.text if part == "text_encoder" else nets.text_2, positions, vectors))
            context, pooled = encode(fam, nets, ids)
        outputs = dict(context=context) | (dict(text_embeds=pooled) if fam.text_2 else {})
        goldens.case("adapters", file, "embedding", inputs, outputs, file=file)


@torch.no_grad()
def run(fam, nets, rng, goldens, folder):
    lora_cases(fam, nets, rng, goldens, folder)
    embedding_cases(fam, nets, rng, goldens, folder)
