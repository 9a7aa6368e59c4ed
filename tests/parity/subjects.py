"""Subjects between Repose and diffusers with peft: what Repose exported is loaded there, and what was made there is for
Repose to attach. All on the model that ships, for the words of a prompt and the U-Net's answer to it."""

import collections
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
# Recipes that between them change all that recipes change, with steps after which that is seen, and ranks that keep files small.
LEARNED = {"single-insert": ("150", "1"), "custom-diffusion": ("60", "2")}
PARTS = ["lora", "kohya", "word", "a1111"]
WORD, TOKEN = "bear", "my-toy"
PROMPT = f"a photo of a {TOKEN} {WORD} sitting"
# As many words of the context are kept: the prompt and some of what fills it up. The U-Net sees all of them.
KEPT = 16


def export(repose, recipe, folder):
    """Learns a subject by a recipe and exports it in every form. Returns what its card says of it."""
    photos = ROOT / "examples/photos"

    def run(*words):
        command = [repose, *words, "--library", folder / "library", "--json", "--quiet"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    steps, rank = LEARNED[recipe]
    run("learn", photos / "teddy.jpg", "--selection", photos / "teddy_mask.png", "--name", "toy", "--is", WORD,
        "--consent", "a published photo", "--model", "pocket", "--recipe", recipe, "--rank", rank, "--steps", steps)
    for part in PARTS:
        run("subjects", "export", "toy", "--part", part, "--out", folder / f"{part}.safetensors")
    return run("subjects", "show", "toy")["subject"]["versions"][-1]["text"]


def pipeline(source):
    pipe = StableDiffusionPipeline.from_pretrained(source, dtype=torch.float32, safety_checker=None)
    for model in (pipe.unet, pipe.text_encoder):
        model.requires_grad_(False).eval()
    return pipe


def bytes_of(tensors):
    """The tensors, whatever their names and order."""
    return collections.Counter(t.detach().float().contiguous().numpy().tobytes() for t in tensors)


def wear(pipe, lora, word, token):
    """Loads both with diffusers' own readers. No tensor may be left over, and none may come from elsewhere."""
    pipe.load_lora_weights(lora.parent, weight_name=lora.name)
    layers = [m for model in (pipe.unet, pipe.text_encoder) for m in model.modules() if isinstance(m, LoraLayer)]
    worn = [half.weight for m in layers for kind in (m.lora_A, m.lora_B) for half in kind.values()]
    stored = [v for k, v in load_file(lora).items() if not k.endswith(".alpha")]
    assert bytes_of(worn) == bytes_of(stored), f"diffusers takes {len(worn)} of {len(stored)} matrices of {lora.name}"
    before = len(pipe.tokenizer)
    pipe.load_textual_inversion(str(word), token=token)
    vectors = torch.cat([torch.atleast_2d(v.float()) for v in load_file(word).values()])
    table = pipe.text_encoder.get_input_embeddings().weight
    assert torch.equal(table[before:before + len(vectors)].float(), vectors), f"diffusers reads {word.name} otherwise"


def results(pipe, prompt, sample, timesteps):
    words = pipe.maybe_convert_prompt(prompt, pipe.tokenizer)
    ids = pipe.tokenizer(words, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    context = pipe.text_encoder(ids)[0]
    return dict(context=context[:, :KEPT], output=pipe.unet(sample, timesteps, context).sample)


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def compared(source, files, token, prompt, inputs):
    """What the pairs of files give, which must be the same of all, and must be seen."""
    plain = results(pipeline(source), prompt.replace(token + " ", ""), **inputs)
    found = []
    for lora, word in files:
        pipe = pipeline(source)
        wear(pipe, lora, word, token)
        found.append(results(pipe, prompt, **inputs))
    for key, value in found[0].items():
        for (lora, _), other in zip(files, found):
            assert distance(other[key], value) < 2e-5, f"{lora.name} gives another {key}"
        assert distance(value, plain[key]) > 1e-2, f"{files[0][0].name} is not seen in {key}"
    return found[0]


def exported(source, repose, rng, goldens):
    for recipe in LEARNED:
        print(f"  {recipe}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            facts = export(repose, recipe, folder)
            path = {part: folder / f"{part}.safetensors" for part in PARTS}
            inputs = drawn(source, rng, recipe)
            outputs = compared(source, [(path["lora"], path["word"]), (path["kohya"], path["a1111"])], TOKEN, PROMPT, inputs)
            # The other forms are made of these two again: their digests tell whether they still are what was loaded here.
            names = {part: f"{recipe}_{part}.safetensors" for part in ("lora", "word")}
            for part, name in names.items():
                (goldens.folder / name).write_bytes(path[part].read_bytes())
            digests = {part: hashlib.sha256(file.read_bytes()).hexdigest() for part, file in path.items()}
        goldens.case("subjects", recipe, "exported", inputs, outputs, **names, facts=facts, prompt=PROMPT, sha256=digests)


def drawn(source, rng, name):
    config = json.loads((Path(source) / "unet/config.json").read_text())
    shape = (1, config["in_channels"], config["sample_size"], config["sample_size"])
    return dict(sample=rng.normal(f"{name}/sample", *shape), timesteps=torch.tensor([481.0]))


def adapt(model, rng, name, targets):
    """A LoRA by peft whose alpha is not its rank, of random numbers: `(state, configuration)` as the trainers save them."""
    model.add_adapter(LoraConfig(r=2, lora_alpha=3, init_lora_weights=False, target_modules=targets))
    for key, weight in sorted(get_peft_model_state_dict(model).items()):
        scale = 0.4 if "lora_B" in key else 1 / weight.shape[1] ** 0.5
        weight.copy_((scale * rng.normal(f"{name}/{key}", *weight.shape)).half())
    state = {k: v.half().contiguous() for k, v in get_peft_model_state_dict(model).items()}
    # The folder where the model lay is nobody's business.
    return state, model.peft_config["default"].to_dict() | dict(base_model_name_or_path=None)


def foreign(source, rng, goldens):
    """As diffusers' trainers of DreamBooth and of textual inversion write them, and the LoRA as its converter makes it kohya's."""
    width = json.loads((Path(source) / "text_encoder/config.json").read_text())["hidden_size"]
    # diffusers knows a kohya file of a text encoder by its `out_proj` alone.
    kinds = {"peft": (["to_q", "to_v"], ["q_proj", "out_proj"]), "kohya": (["attn2.to_k", "attn2.to_v"], ["k_proj", "out_proj"])}
    for kind, (unet_targets, text_targets) in kinds.items():
        pipe = pipeline(source)
        unet, unet_config = adapt(pipe.unet, rng, f"{kind}/unet", unet_targets)
        text, text_config = adapt(pipe.text_encoder, rng, f"{kind}/text", text_targets)
        lora, word = (goldens.folder / f"{kind}_{part}.safetensors" for part in ("lora", "word"))
        if kind == "peft":
            unet, text = convert_state_dict_to_diffusers(unet), convert_state_dict_to_diffusers(text)
            pipe.save_lora_weights(goldens.folder, unet, text, weight_name=lora.name, unet_lora_adapter_metadata=unet_config,
                                   text_encoder_lora_adapter_metadata=text_config)
        else:
            # Version 5 of transformers leaves `text_model` out, and kohya's readers want it.
            parts = {f"unet.{k}": v for k, v in unet.items()} | {f"text_encoder.text_model.{k}": v for k, v in text.items()}
            save_file(convert_state_dict_to_kohya(parts), lora)
        token = f"<{kind}>"
        # The one takes two places of a prompt, the other one.
        vectors = 0.6 * rng.normal(f"{kind}/word", 2 if kind == "peft" else 1, width)
        save_file({token: vectors if len(vectors) > 1 else vectors[0].contiguous()}, word)
        prompt = PROMPT.replace(TOKEN, token)
        inputs = drawn(source, rng, kind)
        outputs = compared(source, [(lora, word)], token, prompt, inputs)
        goldens.case("subjects", kind, "attached", inputs, outputs, lora=lora.name, word=word.name, prompt=prompt)


@torch.no_grad()
def run(source, repose, rng, goldens):
    exported(source, repose, rng, goldens)
    foreign(source, rng, goldens)
