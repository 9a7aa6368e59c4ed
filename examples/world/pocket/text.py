"""The tokenizer and the text encoder, which learns to tell what captions say. `python text.py OUT`."""

import argparse
import json
import random
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from captions import FACTS, facts, loosened
from common import DEVICE, Run, pictures

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
# CLIP's words: letters, single digits, and runs of other signs.
WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
MERGES = 500


def tokenizer(folder, captions):
    """Learns byte pairs and writes them as CLIP's files: the bytes, the bytes that end words, what they merge to."""
    whole = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    split = pre_tokenizers.Split(Regex(WORDS), "removed", invert=True)
    whole.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole.train_from_iterator(
        (c.lower() for c in captions),
        trainers.BpeTrainer(
            vocab_size=2 * len(alphabet) + MERGES,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            min_frequency=10,
            show_progress=False,
        ),
    )
    merges = [tuple(m) for m in json.loads(whole.to_str())["model"]["merges"]]
    tokens = alphabet + [a + "</w>" for a in alphabet] + [a + b for a, b in merges] + [BEGIN, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {token: n for n, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, indent=0) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    special = {"bos_token": BEGIN, "eos_token": END, "pad_token": END, "unk_token": END}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True} | special
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


def config(vocabulary):
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
        projection_dim=128,
    )


def tokens(tokenize, captions):
    """[n, 77], filled up with the end's token."""
    return tokenize(captions, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids


class Reader(torch.nn.Module):
    """The encoder, with what tells the facts from a hidden state: the end's, which saw all words."""

    def __init__(self, encoder, sizes):
        super().__init__()
        self.encoder = encoder
        self.heads = torch.nn.ModuleList(torch.nn.Linear(128, size) for size in sizes)

    def forward(self, ids, places):
        states = self.encoder(ids).last_hidden_state
        state = states[torch.arange(len(ids), device=ids.device), places]
        return [head(state) for head in self.heads]


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=Path)
    words.add_argument("--samples", type=int, default=50_000)
    given = words.parse_args()
    torch.manual_seed(0)
    draw = random.Random(0)
    # The pictures are not looked at here.
    told = [(t["caption"], t) for t, _, _ in pictures(0, 20_000, side=8)]
    tokenize = tokenizer(given.out / "tokenizer", [loosened(c, draw) for c, _ in told])
    answers = [facts(truth, caption) for caption, truth in told]
    known = [sorted({a[n] for a in answers} - {None}) for n in range(len(FACTS))]
    classes = [{None: 0} | {word: n + 1 for n, word in enumerate(one)} for one in known]
    encoder = CLIPTextModel(config(len(tokenize)))
    reader = Reader(encoder, [len(c) for c in classes]).to(DEVICE)
    print(f"{len(tokenize)} tokens, {sum(p.numel() for p in encoder.parameters())} parameters", flush=True)

    def batches(size=64):
        while True:
            chosen = [draw.randrange(len(told)) for _ in range(size)]
            blank = [draw.random() < 0.03 for _ in chosen]
            ids = tokens(tokenize, ["" if b else loosened(told[n][0], draw) for n, b in zip(chosen, blank)])
            targets = [[0 if b else c[a] for c, a in zip(classes, answers[n])] for n, b in zip(chosen, blank)]
            # The end or what it is filled up with: the pictures' network sees those, too.
            ends = (ids == tokenize.eos_token_id).int().argmax(1)
            places = torch.tensor([draw.choice((int(e), draw.randrange(int(e), 77))) for e in ends])
            yield ids.to(DEVICE), places.to(DEVICE), torch.tensor(targets, device=DEVICE)

    def loss_of(batch):
        ids, places, targets = batch
        seen = reader(ids, places)
        loss = sum(torch.nn.functional.cross_entropy(s, t) for s, t in zip(seen, targets.T))
        right = torch.stack([s.argmax(1) == t for s, t in zip(seen, targets.T)]).float().mean()
        return loss, {"right": right}

    def save(run):
        prefix = "encoder."
        encoder.load_state_dict({k.removeprefix(prefix): v for k, v in run.average.values.items() if k.startswith(prefix)})
        encoder.save_pretrained(given.out / "text_encoder")

    run = Run(given.out, reader, 1e-3)
    run.train(batches(), loss_of, given.samples, every=50, report=save)


if __name__ == "__main__":
    main()
