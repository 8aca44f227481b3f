"""Golden values of direct preference optimization: losses, gradients and steps of Adam.

    python make_golden.py

Made with Python 3.11, torch 2.5.1, transformers 4.57.6, safetensors 0.8.0, on one thread, in float64
but for the steps.  See README.md.
"""

import copy
import json
import math
import os

import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "../gpt2/tiny-trained")
BETA, ALPHA, STEPS, RATE = 0.3, 0.5, 6, 1e-3

torch.set_num_threads(1)
torch.manual_seed(11)

config = GPT2Config.from_pretrained(FOLDER, embd_pdrop=0, attn_pdrop=0, resid_pdrop=0)
model = GPT2LMHeadModel(config)
model.load_state_dict(load_file(os.path.join(FOLDER, "model.safetensors")), strict=False)
model.tie_weights()
eos = config.vocab_size - 1
rng = torch.Generator().manual_seed(5)


def words(count):
    return torch.randint(0, eos, (count,), generator=rng).tolist()


pairs = []
for context, better, worse in [(5, 3, 7), (11, 1, 2), (1, 9, 4), (20, 6, 6), (8, 2, 12)]:
    before = words(context) + [eos]
    pairs.append({"better": before + words(better), "worse": before + words(worse), "start": len(before)})


def response_loss(network, sequence, start):
    """The negative log-likelihood of each token of the response and of the end of text after it."""
    ids = torch.tensor([sequence + [eos]])
    log_probabilities = torch.log_softmax(network(ids[:, :-1]).logits[0], -1)
    rows = torch.arange(start - 1, len(sequence))
    return -log_probabilities[rows, ids[0, 1:][rows]]


def losses(network, reference):
    preference, likelihood = [], []
    for pair in pairs:
        own = [response_loss(network, pair[side], pair["start"]) for side in ("better", "worse")]
        with torch.no_grad():
            known = [response_loss(reference, pair[side], pair["start"]).sum() for side in ("better", "worse")]
        gains = [before - now.sum() for before, now in zip(known, own)]
        preference.append(-torch.nn.functional.logsigmoid(BETA * (gains[0] - gains[1])))
        likelihood.append(own[0].mean())
    return torch.stack(preference), torch.stack(likelihood)


def moved(network):
    """Weights a little away from the reference, so that the gains are not nothing."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for index, parameter in enumerate(other.parameters()):
            parameter.mul_(1 + 0.02 * math.sin(index + 1))
    return other


reference = copy.deepcopy(model).double().eval()
exact = moved(reference)
preference, likelihood = losses(exact, reference)
(preference.mean() + ALPHA * likelihood.mean()).backward()
gradients = {name: parameter.grad.float() for name, parameter in exact.named_parameters()}
save_file(gradients, os.path.join(HERE, "gradients.safetensors"))
responses = [[float(response_loss(reference, pair[side], pair["start"]).sum()) for side in ("better", "worse")] for pair in pairs]

trained = copy.deepcopy(model).eval()
start = copy.deepcopy(model).eval()
adam = torch.optim.Adam(trained.parameters(), lr=RATE)
steps = {"losses": [], "norms": []}
for step in range(STEPS):
    progress = (step + 1) / STEPS
    rate = progress / 0.1 if progress <= 0.1 else 0.5 * (1 + math.cos(math.pi * min((progress - 0.1) / 0.9, 1)))
    adam.param_groups[0]["lr"] = RATE * rate
    adam.zero_grad()
    found, likelihood_now = losses(trained, start)
    (found.mean() + ALPHA * likelihood_now.mean()).backward()
    steps["losses"].append(float(found.mean()))
    steps["norms"].append(float(torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)))
    adam.step()

with open(os.path.join(HERE, "pairs.json"), "w") as file:
    json.dump({
        "beta": BETA, "rpoAlpha": ALPHA, "learningRate": RATE, "pairs": pairs, "responses": responses,
        "losses": preference.tolist(), "steps": steps,
    }, file)
