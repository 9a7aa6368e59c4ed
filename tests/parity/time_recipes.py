"""Whole steps of training as diffusers' scripts textual_inversion, train_dreambooth_lora and train_custom_diffusion take them,
for time_diffusers.py: what is learned, what of the text is computed, losses, clipping and AdamW are theirs.

What is not theirs: batches are Repose's, in f32 on the CPU and on a GPU as with `--mixed_precision fp16`; and latents are given,
as Repose encodes pictures once. The scripts encode them in each step, which takes as much longer as `--task encode` says, times
the pictures.
"""

import torch
from diffusers import DDPMScheduler
from diffusers.models.attention_processor import CustomDiffusionAttnProcessor2_0
from peft import LoraConfig
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel

# "a photo of puppet" and "a photo of cat", in the tokens of the published vocabulary.
SUBJECT, CLASS = ([49406, 320, 1125, 539, word] + [49407] * 72 for word in (7004, 2368))
RANK = 4
CLIP = 1.0


class Lesson:
    """A U-Net, a text encoder, and pictures: `count` of the subject and, if `held`, one of the class."""

    def __init__(self, args, unet, count, held):
        self.unet, self.count = unet, count
        self.encoder = CLIPTextModel.from_pretrained(args.folder / "text_encoder", dtype=args.dtype).to(args.device)
        self.encoder.requires_grad_(False)
        self.scheduler = DDPMScheduler.from_pretrained(args.folder / "scheduler")
        self.ids = torch.tensor([SUBJECT] * count + [CLASS] * held, device=args.device)
        self.latents = torch.randn(len(self.ids), unet.config.in_channels, args.side // 8, args.side // 8, dtype=args.dtype,
                                   device=args.device)
        unet.train()
        if args.checkpointing:
            unet.enable_gradient_checkpointing()

    def learn_words(self, args):
        """The whole table of word vectors gets gradients: the scripts undo afterwards what other words learned."""
        # Theirs stays in f32, whatever the U-Net is in.
        self.encoder.float().train()
        if args.checkpointing:
            self.encoder.gradient_checkpointing_enable()
        table = self.encoder.get_input_embeddings().weight.requires_grad_(True)
        self.others = (torch.arange(len(table)) != SUBJECT[4]).to(args.device)
        return table

    def loss(self):
        noise = torch.randn_like(self.latents)
        times = torch.randint(0, self.scheduler.config.num_train_timesteps, (len(self.ids),), device=self.ids.device)
        noisy = self.scheduler.add_noise(self.latents, noise, times)
        with torch.autocast("cuda", torch.float16, enabled=self.ids.is_cuda):
            made = self.unet(noisy, times, self.encoder(self.ids)[0]).sample
        made, noise = made.float(), noise.float()
        loss = mse_loss(made[:self.count], noise[:self.count])
        if len(self.ids) > self.count:
            loss = loss + mse_loss(made[self.count:], noise[self.count:])
        return loss


def stepped(loss, parameters, clip, before=lambda: None, after=lambda: None):
    """A step; the first time, each gradient is held to be finite and, all together, not zero."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    scaler = torch.amp.GradScaler(enabled=parameters[0].is_cuda)
    checked = False

    def work():
        nonlocal checked
        scaler.scale(loss()).backward()
        scaler.unscale_(optimizer)
        if not checked:
            size = sum(p.grad.abs().sum().item() for p in parameters)
            # Scaled gradients may be too large at first; such a step is left out.
            assert 0 < size and (size < float("inf") or scaler.is_enabled()), size
        checked = True
        before()
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        after()

    return work


def textual_inversion(args, unet):
    lesson = Lesson(args, unet, args.batch, 0)
    table = lesson.learn_words(args)
    original = table.detach().clone()

    @torch.no_grad()
    def after():
        table[lesson.others] = original[lesson.others]

    return stepped(lesson.loss, [table], False, after=after)


def dreambooth_lora(args, unet):
    targets = ["to_k", "to_q", "to_v", "to_out.0", "add_k_proj", "add_v_proj"]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=targets))
    for parameter in unet.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    lesson = Lesson(args, unet, args.batch, 1)
    return stepped(lesson.loss, [p for p in unet.parameters() if p.requires_grad], True)


def custom_diffusion(args, unet):
    learned, processors = [], {}
    for name in unet.attn_processors:
        attention = unet.get_submodule(name.removesuffix(".processor"))
        cross = ".attn2." in name
        sizes = dict(hidden_size=attention.to_q.in_features, cross_attention_dim=attention.to_k.in_features if cross else None)
        processor = CustomDiffusionAttnProcessor2_0(train_kv=cross, train_q_out=False, **sizes).to(args.device)
        if cross:
            processor.to_k_custom_diffusion.load_state_dict(attention.to_k.state_dict())
            processor.to_v_custom_diffusion.load_state_dict(attention.to_v.state_dict())
            learned += processor.parameters()
        processors[name] = processor
    unet.set_attn_processor(processors)
    lesson = Lesson(args, unet, args.batch, 1)
    table = lesson.learn_words(args)

    def before():
        table.grad[lesson.others] = 0

    return stepped(lesson.loss, [table, *learned], True, before=before)


RECIPES = {"textual-inversion": textual_inversion, "dreambooth-lora": dreambooth_lora, "custom-diffusion": custom_diffusion}
