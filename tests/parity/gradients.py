"""The training loss and its gradients, by autograd and peft, in f64: small gradients are sums of large numbers, and the
reference in f32 is as far from them as any other."""

import contextlib
import copy

import torch
from diffusers import DDPMScheduler
from peft import LoraConfig
from peft.tuners.lora import LoraLayer

import adapters
from networks import call_unet, encode, prompt_ids, unet_inputs

RANK, ALPHA = 2, 3.0


def watched(fam):
    """Modules whose LoRA gradients are compared: every kind of layer, early and late."""
    up = "up_blocks.0" if fam.generation == "sdxl" else "up_blocks.1"
    block = "down_blocks.1.attentions.0"
    return [
        f"{block}.proj_in",
        f"{block}.transformer_blocks.0.attn1.to_q",
        f"{block}.transformer_blocks.0.attn2.to_k",
        "mid_block.attentions.0.transformer_blocks.0.attn1.to_v",
        f"{up}.attentions.1.transformer_blocks.0.attn2.to_v",
        f"{up}.attentions.1.transformer_blocks.0.attn2.to_out.0",
        f"{up}.attentions.1.transformer_blocks.0.ff.net.0.proj",
        "down_blocks.1.resnets.0.conv1",
        "up_blocks.0.upsamplers.0.conv",
    ]


def noising(fam, rng, goldens):
    """What a trainer gives the network and asks of it."""
    made = DDPMScheduler.from_config(fam.scheduler)
    clean = rng.normal("gradient/clean", 2, 4, 8, 8)
    noise = rng.normal("gradient/noise", 2, 4, 8, 8)
    steps = torch.tensor([761, 120])
    velocity = fam.prediction == "v_prediction"
    target = made.get_velocity(clean, noise, steps) if velocity else noise
    noisy = made.add_noise(clean, noise, steps)
    config = {k: v for k, v in made.config.items() if not k.startswith("_") and v is not None}
    goldens.case("gradients", "noising", "noising", dict(clean=clean, noise=noise, timesteps=steps.float()),
                 dict(noisy=noisy, target=target), scheduler=config)
    return noisy, steps.float(), target


def mean_square(prediction, target):
    return torch.nn.functional.mse_loss(prediction, target)


def unet_case(fam, nets, rng, goldens, batch):
    noisy, steps, target = batch
    inputs = unet_inputs(fam, rng, "gradient", 2, 8, 8) | dict(sample=noisy, timesteps=steps)
    names = watched(fam)
    nets.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=names), "default")
    layers = {n: m for n, m in nets.unet.named_modules() if isinstance(m, LoraLayer)}
    assert set(layers) == set(names), set(names) ^ set(layers)
    given, wanted = {}, {}
    for name in names:
        for half_name, part in (("lora_A", layers[name].lora_A["default"]), ("lora_B", layers[name].lora_B["default"])):
            shape = part.weight.shape
            scale = shape[1:].numel() ** -0.5 if half_name == "lora_A" else 0.1
            part.weight.data = (scale * rng.normal(f"gradient/{name}/{half_name}", *shape)).half().double()
            part.weight.requires_grad_(True)
            given[f"{name}.{half_name}"] = part.weight
    inputs |= {k: v.double() for k, v in inputs.items() if k != "timesteps"}
    for key in ("sample", "context"):
        inputs[key] = inputs[key].clone().requires_grad_(True)
        wanted[key] = inputs[key]
    # A whole matrix as well: what Custom Diffusion trains.
    full = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    wanted[full] = nets.unet.get_parameter(full).requires_grad_(True)
    loss = mean_square(call_unet(fam, nets, inputs), target)
    wanted |= given
    grads = torch.autograd.grad(loss, list(wanted.values()))
    assert all(g.std() > 1e-9 for g in grads)
    nets.unet.get_parameter(full).requires_grad_(False)
    outputs = dict(loss=loss) | {f"grad.{k}": g for k, g in zip(wanted, grads)}
    # torch in f32 is up to 7e-5 away from these.
    goldens.case("gradients", "gradient_unet", "gradient_unet", inputs | given | dict(target=target), outputs,
                 tolerance=2e-4, rank=RANK, alpha=ALPHA, modules=names, weight=full)
    nets.unet.delete_adapters("default")


def words_case(fam, nets, rng, goldens, batch):
    """Textual inversion: through the U-Net and the text encoders down to the word vectors."""
    noisy, steps, target = (x[:1] for x in batch)
    positions = torch.tensor([3, 4])
    ids = [adapters.placed(i[1:], positions) for i in prompt_ids(fam, rng, "gradient prompt")]
    inputs = unet_inputs(fam, rng, "gradient words", 1, 8, 8) | dict(sample=noisy, timesteps=steps)
    del inputs["context"]
    inputs.pop("pooled", None)
    inputs |= {k: v.double() for k, v in inputs.items() if k != "timesteps"}
    vectors = {"vectors": (nets.text, fam.text)}
    if fam.text_2:
        vectors["vectors_2"] = (nets.text_2, fam.text_2)
    given = {}
    for name, (encoder, config) in vectors.items():
        value = (0.6 * rng.normal(f"gradient/{name}", 2, config["hidden_size"])).half().double()
        given[name] = value.requires_grad_(True)
    with contextlib.ExitStack() as stack:
        for name, (encoder, _) in vectors.items():
            stack.enter_context(adapters.spliced(encoder, positions, given[name]))
        context, pooled = encode(fam, nets, ids)
    full = inputs | dict(context=context) | (dict(pooled=pooled) if fam.text_2 else {})
    loss = mean_square(call_unet(fam, nets, full), target)
    grads = torch.autograd.grad(loss, list(given.values()))
    inputs |= {f"ids{'_2' * i}": value for i, value in enumerate(ids)}
    inputs |= dict(positions=positions, target=target) | given
    goldens.case("gradients", "gradient_words", "gradient_words", inputs,
                 dict(loss=loss) | {f"grad.{k}": g for k, g in zip(given, grads)})


def run(fam, nets, rng, goldens):
    batch = noising(fam, rng, goldens)
    exact = copy.deepcopy(nets)
    for model in exact.all():
        model.double()
    batch = [x.double() for x in batch]
    unet_case(fam, exact, rng, goldens, batch)
    words_case(fam, exact, rng, goldens, batch)
