"""A plain PyTorch training loop on the CPU, for `npm run bench -- train --peer PYTHON`.

It does what DialoGPT's LSP_train.py does with a batch: rows padded to a multiple of 8, every
position through the head, the mean cross entropy over the labels that are not -1, gradients, and
the original's Adam (each tensor clipped to norm 1, no bias correction), written in PyTorch's
multi-tensor operations. There is no dropout, as in the original.

The batches come as JSON lines, one list of {"input_ids": [...], "labels": [...]} each. Each number
on standard input asks for one step on that batch (counted from 0) and is answered by one line of
JSON, so that steps can alternate with those of what is measured beside it.
"""

import argparse
import json
import math
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, time_steps, width = x.shape
        by_head = self.c_attn(self.ln_1(x)).view(rows, time_steps, 3, self.heads, -1)
        queries, keys, values = by_head.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.c_proj(seen.transpose(1, 2).reshape(rows, time_steps, width))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary, positions, width, layers, heads):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.ln_f(x), self.wte.weight)


class OriginalAdam:
    def __init__(self, parameters, rate=1e-5, epsilon=1e-6, decay=0.01, largest_norm=1.0):
        self.weights = list(parameters)
        self.first = [torch.zeros_like(weight) for weight in self.weights]
        self.second = [torch.zeros_like(weight) for weight in self.weights]
        self.rate, self.epsilon, self.decay, self.largest = rate, epsilon, decay, largest_norm

    @torch.no_grad()
    def step(self):
        gradients = [weight.grad for weight in self.weights]
        norms = torch._foreach_norm(gradients)
        scales = [(self.largest / (norm + 1e-6)).clamp(max=1.0) for norm in norms]
        torch._foreach_mul_(gradients, scales)
        torch._foreach_lerp_(self.first, gradients, 0.1)
        torch._foreach_mul_(self.second, 0.999)
        torch._foreach_addcmul_(self.second, gradients, gradients, value=0.001)
        roots = torch._foreach_sqrt(self.second)
        torch._foreach_add_(roots, self.epsilon)
        torch._foreach_mul_(self.weights, 1 - self.rate * self.decay)
        torch._foreach_addcdiv_(self.weights, self.first, roots, value=-self.rate)


class FusedAdamW:
    def __init__(self, parameters):
        self.weights = list(parameters)
        self.inner = torch.optim.AdamW(self.weights, lr=1e-5, weight_decay=0.01, fused=True)

    def step(self):
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.inner.step()


def collate(rows):
    width = 8 * math.ceil(max(len(row["input_ids"]) for row in rows) / 8)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -1)
    for place, row in enumerate(rows):
        ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        labels[place, : len(row["labels"])] = torch.tensor(row["labels"])
    return ids, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("batches", help="JSON lines, one batch each")
    parser.add_argument("--shape", type=int, nargs=5, default=[50257, 1024, 768, 12, 12],
                        metavar=("VOCABULARY", "POSITIONS", "WIDTH", "LAYERS", "HEADS"))
    parser.add_argument("--adam", choices=["original", "fused"], default="fused")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    with open(arguments.batches, encoding="utf-8") as file:
        batches = [collate(json.loads(line)) for line in file]
    model = Gpt2(*arguments.shape).train()
    adam = (FusedAdamW if arguments.adam == "fused" else OriginalAdam)(model.parameters())
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        ids, labels = batches[int(line)]
        used = time.process_time()
        began = time.perf_counter()
        logits = model(ids)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)
        loss.backward()
        del logits
        computed = time.perf_counter()
        adam.step()
        for weight in adam.weights:
            weight.grad = None
        ended = time.perf_counter()
        print(json.dumps({
            "seconds": ended - began,
            "adam_seconds": ended - computed,
            "processor_seconds": time.process_time() - used,
            "padded_tokens": ids.numel(),
            "loss": loss.item(),
            "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }), flush=True)


if __name__ == "__main__":
    main()
