"""Whole steps of training as diffusers' scripts textual_inversion, train_dreambooth_lora and train_custom_diffusion take them,
for time_diffusers.py: what is learned, what of the text is computed, losses, clipping and AdamW are theirs.

What is not theirs: batches are Repose's, in f32; and latents are given, as Repose encodes pictures once. The scripts encode them
in each step, which takes as much longer as `--task encode` says, times the pictures.
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
        self.encoder = CLIPTextModel.from_pretrained(args.folder / "text_encoder", dtype=args.dtype).requires_grad_(False)
        self.scheduler = DDPMScheduler.from_pretrained(args.folder / "scheduler")
        self.ids = torch.tensor([SUBJECT] * count + [CLASS] * held)
        self.latents = torch.randn(len(self.ids), unet.config.in_channels, args.side // 8, args.side // 8, dtype=args.dtype)
        unet.train()
        if args.checkpointing:
            unet.enable_gradient_checkpointing()

    def learn_words(self, args):
        """The whole table of word vectors gets gradients: the scripts undo afterwards what other words learned."""
        self.encoder.train()
        if args.checkpointing:
            self.encoder.gradient_checkpointing_enable()
        table = self.encoder.get_input_embeddings().weight.requires_grad_(True)
        self.others = torch.arange(len(table)) != SUBJECT[4]
        return table

    def loss(self):
        noise = torch.randn_like(self.latents)
        times = torch.randint(0, self.scheduler.config.num_train_timesteps, (len(self.ids),))
        noisy = self.scheduler.add_noise(self.latents, noise, times)
        made = self.unet(noisy, times, self.encoder(self.ids)[0]).sample
        loss = mse_loss(made[:self.count], noise[:self.count])
        if len(self.ids) > self.count:
            loss = loss + mse_loss(made[self.count:], noise[self.count:])
        return loss


def stepped(loss, parameters, clip, before=lambda: None, after=lambda: None):
    """A step; the first time, each gradient is held to be finite and, all together, not zero."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    checked = False

    def work():
        nonlocal checked
        loss().backward()
        if not checked:
            size = sum(p.grad.abs().sum().item() for p in parameters)
            assert 0 < size < float("inf"), size
        checked = True
        before()
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
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
    lesson = Lesson(args, unet, args.batch, 1)
    return stepped(lesson.loss, [p for p in unet.parameters() if p.requires_grad], True)


def custom_diffusion(args, unet):
    learned, processors = [], {}
    for name in unet.attn_processors:
        attention = unet.get_submodule(name.removesuffix(".processor"))
        cross = ".attn2." in name
        sizes = dict(hidden_size=attention.to_q.in_features, cross_attention_dim=attention.to_k.in_features if cross else None)
        processor = CustomDiffusionAttnProcessor2_0(train_kv=cross, train_q_out=False, **sizes).to(args.dtype)
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
