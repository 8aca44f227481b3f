"""What the original's prepro.py makes of corpus.tsv, for the tests of src/dataset/.

    pip install tiktoken==0.14.0
    python make_golden.py PREPRO FOLDER

PREPRO is the original's prepro.py (microsoft/DialoGPT, not copied here), FOLDER holds GPT-2's
vocab.json and merges.txt. Its own functions run, with tiktoken in place of its tokenizer (which
gives the same ids) and a plain dictionary in place of its database. Makes, beside this script,
NAME.jsonl for each of RUNS: an example a line, with the line of the corpus that it comes from.
"""

import json
import math
import os
import sys
import types

import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

HERE = os.path.dirname(os.path.abspath(__file__))
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
RUNS = {"128": (128, False, False), "24": (24, False, False), "24.reverse": (24, True, False),
        "24.two-turn": (24, False, True), "8": (8, False, False), "24.reverse.two-turn": (24, True, True)}


class Features:
    def __init__(self, number, input_ids, position_ids, token_type_ids, lm_labels, weights):
        self.input_ids, self.token_type_ids = input_ids, token_type_ids
        self.lm_labels, self.weights = lm_labels, weights


class Tokenizer:
    def __init__(self, folder):
        ranks = data_gym_to_mergeable_bpe_ranks(os.path.join(folder, "merges.txt"),
                                                os.path.join(folder, "vocab.json"))
        encoding = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
        self.encode = encoding.encode_ordinary
        self.encoder = {"<|endoftext|>": 50256}


def original(path):
    """The module prepro.py, its imports of what is not needed here replaced by empty ones."""
    for name, contents in {"torch": {}, "tqdm": {"tqdm": None}, "lsp_model": {"GPT2Tokenizer": None},
                           "env": {"END_OF_TEXT_TOKEN": "<|endoftext|>"}, "gpt2_training": {},
                           "gpt2_training.train_utils": {"InputFeatures_train": Features}}.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(contents)
    module = types.ModuleType("prepro")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), vars(module))
    return module


def main(path, folder):
    prepro, tokenizer = original(path), Tokenizer(folder)
    for name, (longest, reverse, two_turn) in RUNS.items():
        with open(os.path.join(HERE, "corpus.tsv"), encoding="utf-8") as lines, \
                open(os.path.join(HERE, name + ".jsonl"), "w", encoding="ascii") as out:
            for number, line in enumerate(lines, 1):
                try:
                    weights, inputs = prepro._get_inputs_from_text(line, tokenizer)
                    if reverse:
                        weights, inputs = weights[::-1], inputs[::-1]
                    if two_turn:
                        weights, inputs = weights[:2], inputs[:2]
                    if len(weights) < 2:
                        continue
                    made = prepro._make_features(0, weights, inputs, tokenizer, longest)
                except Exception:
                    continue
                for feature in made:
                    # JSON has no numbers for these.
                    feature.weights = [w if math.isfinite(w) else "NaN" if math.isnan(w) else "Infinity"
                                       for w in feature.weights]
                    out.write(json.dumps({"line": number, **vars(feature)}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
