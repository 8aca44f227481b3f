"""Probabilities of the next token by transformers' logits processors, for test/decoding/.

    pip install torch==2.5.1 transformers==4.57.6
    python make_golden.py

Makes cases.json: logits, options, and the tokens that may be drawn with their probabilities.
"""

import json
import os

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

SETTINGS = [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.3, 5, 1.0), (1.0, 3, 1.0), (1.0, 1, 1.0), (1.0, 1000, 1.0),
            (1.0, 0, 0.9), (1.0, 0, 0.5), (0.5, 0, 0.3), (0.7, 40, 0.95), (1.0, 4, 0.6), (2.0, 7, 0.01)]


def warped(logits, temperature, top_k, top_p):
    steps = LogitsProcessorList()
    if temperature != 1.0:
        steps.append(TemperatureLogitsWarper(temperature))
    if top_k > 0:
        steps.append(TopKLogitsWarper(top_k))
    if top_p < 1.0:
        steps.append(TopPLogitsWarper(top_p))
    return steps(None, logits[None])[0].double().softmax(-1)


def main():
    made = torch.Generator().manual_seed(7)
    lists = [torch.randn(n, generator=made) * 2 for n in (4, 12, 60, 200)]
    tied = torch.tensor([1.0, 3.0, 2.0, 3.0, 2.0, 2.0, 0.0, -1.0, 2.0, 0.5])
    forbidden = lists[1].clone()
    forbidden[[0, 3]] = -torch.inf
    cases = []
    for logits in [*lists, tied, forbidden]:
        for setting in SETTINGS:
            # Where logits are equal, top-p of transformers keeps those that a sort happens to
            # put last; that is no meaning to copy, so ties are compared without it.
            if logits is tied and setting[2] < 1:
                continue
            share = warped(logits, *setting)
            kept = [[i, float(f"{p:.9g}")] for i, p in enumerate(share.tolist()) if p > 0]
            cases.append({"logits": [None if x == -torch.inf else float(f"{x:.9g}") for x in logits.tolist()],
                          "temperature": setting[0], "topK": setting[1], "topP": setting[2], "kept": kept})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


main()
