"""Whole runs of diffusers' pipelines: every sampler, starts from a picture, inpainting, inversion."""

import copy
import sys

import torch
from diffusers import (
    DDIMInverseScheduler, DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, LCMScheduler,
    StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline, UniPCMultistepScheduler,
)

from networks import added, encode, prompt_ids
from store import SAMPLED

HEIGHT, WIDTH = 8, 16  # of the latents
STEPS, GUIDANCE, STRENGTH = 20, 5.0, 0.6
KEPT = [0, 1, 4, 9, 14, 19]  # the steps after which the latents are compared, and the last one of a shorter run

SAMPLERS = {
    "ddim": (DDIMScheduler, {}),
    "dpmpp_2m_karras": (DPMSolverMultistepScheduler, dict(algorithm_type="dpmsolver++", use_karras_sigmas=True)),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lcm": (LCMScheduler, {}),
}
ZERO_SNR = dict(rescale_betas_zero_snr=True, timestep_spacing="trailing")


class Replay:
    """Gives every `randn_tensor` of diffusers named noise that f16 holds exactly, and keeps it for the golden."""

    def __init__(self, rng, name):
        self.rng, self.name, self.drawn = rng, name, []

    def __call__(self, shape, generator=None, device=None, dtype=None, layout=None):
        self.drawn.append(self.rng.normal(f"{self.name}/noise {len(self.drawn)}", *shape))
        return self.drawn[-1].to(dtype or torch.float32)

    def __enter__(self):
        self.modules = [m for n, m in sys.modules.items() if n.startswith("diffusers.") and hasattr(m, "randn_tensor")]
        self.plain = self.modules[0].randn_tensor
        for module in self.modules:
            module.randn_tensor = self
        return self

    def __exit__(self, *_):
        for module in self.modules:
            module.randn_tensor = self.plain


def scheduler(fam, sampler, **more):
    """The sampler as users get it: made from the checkpoint's scheduler_config.json."""
    made, options = SAMPLERS[sampler]
    return made.from_config(fam.scheduler | options | more)


def described(scheduler):
    """Its options. One is −∞ by default, which JSON has no number for."""
    config = {k: v for k, v in scheduler.config.items() if not k.startswith("_") and v not in (None, float("-inf"))}
    return {"class": type(scheduler).__name__} | config


class Run:
    """One pipeline run. What `case` writes:

    inputs   noise      the unit noise that the run begins with, before `init_noise_sigma`
             start      for a run at `strength` < 1: the clean latents that the noise is added to
             steps      noise of a stochastic sampler, one `[C, H, W]` for each draw, in order
             mask, masked_latents   the five further channels of an inpainting network
    outputs  timesteps  as the network is given them
             latents    after the steps of `settings.kept`: those of `KEPT` at which the reference agrees with itself in f64
             image      the decoded result, every fourth pixel
    """

    def __init__(self, fam, nets, ids, dtype=torch.float32):
        self.fam, self.nets, self.dtype = fam, nets, dtype
        self.context, self.pooled = encode(fam, nets, ids)
        self.channels = fam.vae["latent_channels"]
        self.pixels = dict(height=8 * HEIGHT, width=8 * WIDTH)

    def normal(self, rng, name, *shape):
        return rng.normal(name, *shape).to(self.dtype)

    def pipeline(self, kind, scheduler):
        xl = self.fam.text_2 is not None
        table = {
            "text": (StableDiffusionPipeline, StableDiffusionXLPipeline),
            "start": (StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline),
            "inpaint": (StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline),
        }
        parts = dict(vae=self.nets.vae, text_encoder=self.nets.text, tokenizer=None, unet=self.nets.unet, scheduler=scheduler)
        if xl:
            parts |= dict(text_encoder_2=self.nets.text_2, tokenizer_2=None)
        else:
            parts |= dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
        pipe = table[kind][xl](**parts)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def sample(self, rng, sampler, steps=STEPS, guidance=GUIDANCE, strength=1.0, rescale=0.0, options=None):
        """Inputs, `[(timestep, latents)]` after each step, and the scheduler."""
        fam = self.fam
        made = scheduler(fam, sampler, **(options or {}))
        kind = "inpaint" if fam.inpainting else "text" if strength == 1.0 else "start"
        pipe = self.pipeline(kind, made)
        noise = self.normal(rng, "initial noise", 1, self.channels, HEIGHT, WIDTH)
        start = self.normal(rng, "start", 1, self.channels, HEIGHT, WIDTH)
        inputs, call = dict(noise=noise), {}
        if kind == "text":
            call |= dict(latents=noise.clone(), guidance_rescale=rescale, **self.pixels)
        elif kind == "start":
            # Four channels: taken as latents. The pipeline's own first draw is the noise.
            call |= dict(image=start, strength=strength)
        else:
            mask = (self.normal(rng, "mask", 1, 1, HEIGHT, WIDTH) > 0).to(self.dtype)
            masked = self.normal(rng, "masked latents", 1, self.channels, HEIGHT, WIDTH)
            inputs |= dict(mask=mask, masked_latents=masked)
            call |= dict(
                image=start, mask_image=mask.repeat_interleave(8, 2).repeat_interleave(8, 3),
                masked_image_latents=masked, strength=strength, **self.pixels,
            )
            if strength == 1.0:
                call |= dict(latents=noise.clone())
        if strength < 1.0:
            inputs |= dict(start=start)
        if fam.text_2:
            size = (8 * HEIGHT, 8 * WIDTH)
            call |= dict(pooled_prompt_embeds=self.pooled[1:], negative_pooled_prompt_embeds=self.pooled[:1],
                         original_size=size, target_size=size, crops_coords_top_left=(0, 0))
        seen = []

        def keep(pipe, step, timestep, tensors):
            seen.append((float(timestep), tensors["latents"].clone()))
            return {}

        with Replay(rng, "steps") as replay:
            if strength < 1.0:
                replay.drawn = []
                plain = replay.rng
                replay.rng = First(plain, noise)
            pipe(
                prompt_embeds=self.context[1:], negative_prompt_embeds=self.context[:1], num_inference_steps=steps,
                guidance_scale=guidance, output_type="latent", callback_on_step_end=keep, **call,
            )
        drawn = replay.drawn[1:] if strength < 1.0 else replay.drawn
        if drawn:
            inputs["steps"] = torch.cat(drawn)
        return inputs, seen, made

    def invert(self, rng, options):
        """DDIM inversion of clean latents under the prompt, without guidance; the latents from clean to noise."""
        fam = self.fam
        made = DDIMInverseScheduler.from_config(fam.scheduler | options)
        made.set_timesteps(STEPS)
        start = self.normal(rng, "start", 1, self.channels, HEIGHT, WIDTH)
        latents, seen = start, []
        more = added(fam, self.pooled[1:] if fam.text_2 else None, time_ids(1).to(self.dtype))
        for t in made.timesteps:
            noise = self.nets.unet(latents, t, self.context[1:], **more).sample
            latents = made.step(noise, t, latents).prev_sample
            seen.append((float(t), latents))
        return dict(start=start), seen, made


def settled(seen, exact):
    """The steps worth comparing. Random networks can blow up any rounding: from where the reference in f32 is more
    than half the tolerance away from itself in f64, its numbers decide nothing."""
    wanted = sorted({k for k in KEPT if k < len(seen)} | {len(seen) - 1})
    error = [(a - b).abs().max() / b.abs().max() for (_, a), (_, b) in zip(seen, exact)]
    return [k for k in wanted if max(error[:k + 1]) < SAMPLED / 2]


class Runs:
    """The same runs in f32, which the goldens hold, and in f64, to know which of their steps are sure."""

    def __init__(self, fam, nets, ids, goldens, rng):
        self.goldens, self.rng = goldens, rng
        self.run = Run(fam, nets, ids)
        exact = copy.deepcopy(nets)
        for model in exact.all():
            model.double()
        self.exact = Run(fam, exact, ids, torch.float64)

    def write(self, name, kind, inputs, seen, exact, image=False, **settings):
        kept = settled(seen, exact)
        assert len(kept) > 2, f"{name}: only steps {kept} are sure"
        if kept[-1] != len(seen) - 1:
            print(f"{name}: sure to step {kept[-1] + 1} of {len(seen)}")
        outputs = dict(
            timesteps=torch.tensor([t for t, _ in seen]),
            latents=torch.cat([seen[k][1] for k in kept]),
        )
        if image:
            vae = self.run.nets.vae
            outputs["image"] = vae.decode(seen[-1][1] / vae.config.scaling_factor).sample[:, :, ::4, ::4]
        self.goldens.case("samplers", name, kind, inputs, outputs, SAMPLED, prompt="prompt", kept=kept, **settings)

    def sample(self, name, sampler, steps=STEPS, guidance=GUIDANCE, strength=1.0, rescale=0.0, image=False, options=None):
        (inputs, seen, made), (_, exact, _) = (
            run.sample(self.rng, sampler, steps, guidance, strength, rescale, options) for run in (self.run, self.exact))
        self.write(
            name, "sample", inputs, seen, exact, image, sampler=sampler, steps=steps, guidance=guidance,
            guidance_rescale=rescale, strength=strength, init_noise_sigma=float(made.init_noise_sigma),
            scheduler=described(made),
        )

    def invert(self, name, **options):
        (inputs, seen, made), (_, exact, _) = (run.invert(self.rng, options) for run in (self.run, self.exact))
        self.write(name, "invert", inputs, seen, exact, steps=STEPS, scheduler=described(made))


class First:
    """A source of noise whose first draw is given: that of the start, which the pipeline makes itself."""

    def __init__(self, rng, first):
        self.rng, self.first = rng, first

    def normal(self, name, *shape):
        if self.first is not None:
            value, self.first = self.first, None
            assert value.shape == shape
            return value
        return self.rng.normal(name, *shape)


def time_ids(batch):
    """What SDXL's pipelines give for a picture made at its size: original size, corner, target size."""
    size = [8.0 * HEIGHT, 8.0 * WIDTH]
    return torch.tensor([size + [0.0, 0.0] + size] * batch)


@torch.no_grad()
def run(fam, nets, rng, goldens):
    ids = prompt_ids(fam, rng, "sampled prompt")
    context, pooled = encode(fam, nets, ids)
    inputs = {f"ids{'_2' * i}": value for i, value in enumerate(ids)}
    outputs = dict(context=context)
    if fam.text_2:
        inputs["time_ids"] = time_ids(2)
        outputs["pooled"] = pooled
    # Row 0 is the negative prompt, row 1 the prompt.
    goldens.case("samplers", "prompt", "prompt", inputs, outputs)
    runs = Runs(fam, nets, ids, goldens, rng)
    if fam.inpainting:
        for sampler in ("ddim", "dpmpp_2m_karras", "euler_a"):
            runs.sample(f"inpaint_{sampler}", sampler)
        runs.sample("inpaint_ddim_strength", "ddim", strength=STRENGTH)
        return
    for sampler in SAMPLERS:
        # LCM is made for hardly any guidance: at 5, v-prediction would blow up roundings from step to step.
        guidance = 1.5 if sampler == "lcm" else GUIDANCE
        runs.sample(sampler, sampler, guidance=guidance, image=sampler == "ddim")
    runs.sample("lcm_4", "lcm", steps=4)
    runs.sample("ddim_rescale", "ddim", rescale=0.7)
    # diffusers takes what has another number of channels for a picture.
    starts = ("ddim", "dpmpp_2m_karras", "euler_a") if runs.run.channels == 4 else ()
    for sampler in starts:
        runs.sample(f"start_{sampler}", sampler, strength=STRENGTH)
    runs.invert("invert")
    if fam.prediction == "v_prediction":
        for sampler in ("ddim", "dpmpp_2m_karras", "euler_a", "unipc"):
            runs.sample(f"zero_snr_{sampler}", sampler, rescale=0.7, options=ZERO_SNR)
        runs.invert("zero_snr_invert", **ZERO_SNR)
