#!/usr/bin/env python3
"""Writes what transformers' CLIPTokenizer makes of tricky texts: goldens/tokenizer/.

    pip install -r requirements.txt
    tokens.py bpe_simple_vocab_16e6.txt [OUT] [--random N]

The vocabulary is OpenAI's published file, which Repose's own tokenizer ships. texts.json has the texts with their tokens,
whole vocabulary ("ids") and its first merges only ("small", for tokenizers that come with a checkpoint; the folder has that
vocabulary in a checkpoint's form). `--random` adds made-up texts, for a comparison by hand with
`REPOSE_TEXTS=OUT/texts.json cargo test -p repose tokens_equal`.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from transformers import CLIPTokenizer

SMALL = 300

TEXTS = r"""
a photo of a cat
A Photo OF A CAT, 4K!!!
it's they're I've you'll he'd I'm don't IT'S THEY'RE rock'n'roll o'clock 'tis 'sup' ''s
1234 3.14159 1,000,000 2nd 1/2 x2 2x 1024x1024 50% -7 1e-5 ½ ² Ⅷ ٣ ९ ①
(word:1.2) [less] {a|b} <tag> \(literal\) __wild__ #hash @at $5 ^_^ ~ ` | \
hello,world;foo:bar.baz?qux!…—–“quoted” ‘single’ «guillemets» „low“
naïve café façade über Ångström São Paulo Łódź Dvořák Þór œuvre ﬁ ﬂ ǅ
cafe\u0301 e\u0301 A\u030a \u0344 \u1e9b\u0323 \uac00 \u1100\u1161 a\u0328\u0301 q\u0307\u0323
İstanbul IŞIK ıssız ẞ straße ΌΣΟΣ Σίσυφος ΣΑΣ ὈΔΥΣΣΕΎΣ Ǆ
Привет мир ПРИВЕТ Ёлка український
你好世界 漢字かな交じり文 カタカナ ﾊﾝｶｸ 한국어 안녕하세요 繁體中文,逗號 。「」、
你好hello世界123測試
שלום עולם مرحبا بالعالم ١٢٣ हिन्दी देवनागरी ไทย ภาษา தமிழ் ქართული հայերեն አማርኛ
😀 😃😄 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇯🇵🇩🇪 ❤️ ☺️ ©️ ™ 1️⃣ 🫠 🐈‍⬛
cat😀dog 😀cat don😀t
&amp; &lt;b&gt; &#39; &quot;x&quot; &nbsp; <br/> <b>bold</b>
http://example.com/path?x=1&y=2#frag user@example.com C:\\dir\\file.txt /usr/bin
supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis
donaudampfschifffahrtsgesellschaftskapitänsmütze
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!! ------------------------------ ................ ======
\t tab\tseparated\u00a0nbsp\u2003em\u3000ideographic\u2028line\u2029para\u200bzero\ufeffbom
\r\nlines\r\nof\n\ntext\x0b\x0cend
\x00 nul\x00inside \x01\x02\x1f \x7f \x80\x9f \x85nel
\u202eright to left\u202c \u200d \u200e soft\u00adhyphen
<|startoftext|>
<|endoftext|>
a<|startoftext|>b<|endoftext|>c
<|STARTOFTEXT|> <|EndOfText|> <|endoftext <|endoftext| endoftext|> <|other|> <||>
x<|endoftext|><|endoftext|> y !<|endoftext|>! 'S<|startoftext|>'s
<start_of_text>hi<end_of_text> <|<|endoftext|>|>
masterpiece, best quality, (ultra-detailed:1.3), 1girl, solo, long_hair, blue eyes, looking_at_viewer
a portrait of sks person, studio lighting, 85mm f/1.4, ISO-100
trending on artstation , by greg rutkowski and alphonse mucha
<cat-toy> <my-embedding> embedding:easynegative
𝒻𝒶𝓃𝒸𝓎 𝔣𝔯𝔞𝔨𝔱𝔲𝔯 ｆｕｌｌｗｉｄｔｈ ＦＵＬＬ Ⓒⓘⓡⓒⓛⓔ ᴀʙᴄ ꜱᴍᴀʟʟ
\u0130 \u0049\u0307 \u00df \u1e9e \u01c5 \ua7ae \U00010400 \U0001e900
\ufffd \uffff \U0010ffff \ue000 \U000f0000
a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307 z̷̢̛a̴l̸g̶o̵
I 'LL we'Ve she'RE 'T 'M 'D can''t it’s don’t I’m
"""


def texts(count):
    found = [line.encode("raw_unicode_escape").decode("unicode_escape") if "\\" in line and "C:" not in line
             and "literal" not in line and "wild" not in line else line for line in TEXTS.strip("\n").split("\n")]
    found += ["", " ", "\n", "\\", "'", "''", "'s", "<|"]
    made = random.Random(7)
    words = "a the cat dog's running 3d 1990s don't café 東京 😀 <|endoftext|> , . ! ... -- ( ) : ; é ß İ Σ".split()
    for _ in range(60):
        found.append(made.choice(["", " ", "  "]).join(made.choice(words) for _ in range(made.randint(1, 12))))
    ranges = [(0, 0x7F), (0x80, 0x24F), (0x250, 0x1FFF), (0x2000, 0x2FFF), (0x3000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF)]
    for _ in range(100 + count):
        low, high = made.choice(ranges)
        found.append("".join(chr(made.randint(low, high)) for _ in range(made.randint(1, 12))))
    for _ in range(40 + count):
        letters = "abcdefghijklmnopqrstuvwxyz"
        found.append("".join(made.choice(letters) for _ in range(made.randint(1, 40))))
    return found


def tokenizer(lines, merges):
    """OpenAI's file lists merges after a header; numbers go to bytes, bytes that end a word, merges, special tokens."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    signs = [chr(b) for b in printable] + [chr(256 + n) for n in range(len(others))]
    pairs = [tuple(line.split()) for line in lines[1 : 1 + merges]]
    names = signs + [s + "</w>" for s in signs] + ["".join(pair) for pair in pairs] + ["<|startoftext|>", "<|endoftext|>"]
    vocab = {name: number for number, name in enumerate(names)}
    return CLIPTokenizer(vocab=vocab, merges=pairs), vocab, pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent / "goldens" / "tokenizer")
    parser.add_argument("--random", type=int, default=0)
    args = parser.parse_args()
    lines = args.vocabulary.read_text(encoding="utf-8").split("\n")
    whole, _, _ = tokenizer(lines, 49152 - 256 - 2)
    small, vocab, pairs = tokenizer(lines, SMALL)
    args.out.mkdir(parents=True, exist_ok=True)
    of = lambda tokens, text: tokens(text, add_special_tokens=False)["input_ids"]
    cases = [json.dumps(dict(text=t, ids=of(whole, t), small=of(small, t))) for t in dict.fromkeys(texts(args.random))]
    (args.out / "texts.json").write_text("[\n" + ",\n".join(cases) + "\n]\n")
    (args.out / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False) + "\n", encoding="utf-8")
    merges = "".join(f"{a} {b}\n" for a, b in pairs)
    (args.out / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    (args.out / "tokenizer_config.json").write_text(json.dumps(dict(pad_token="!", tokenizer_class="CLIPTokenizer")) + "\n")


if __name__ == "__main__":
    main()
