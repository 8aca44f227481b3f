"""Writes schedules.json: learning rates of the original's own functions.

    python make_schedules.py ORIGINAL > schedules.json

ORIGINAL is a checkout of the original project. Its files import torch and a pinned library, so
only the functions are taken out of their source: `set_lr` of gpt2_training/train_utils.py, and
what it calls of lsp_model/optim.py.
"""

import ast
import json
import sys
from pathlib import Path
from types import SimpleNamespace

STEPS = 100_000
FILES = {
    "lsp_model/optim.py": {"warmup_linear", "noam_decay", "noamwd_decay"},
    "gpt2_training/train_utils.py": {"set_lr"},
}
CASES = [
    {"learning_rate": 1e-5, "warmup_steps": 16000, "warmup_proportion": 0.1, "n_embd": 768},
    {"learning_rate": 3e-4, "warmup_steps": 4000, "warmup_proportion": 0.002, "n_embd": 1280},
]


def original(root):
    names = {}
    for file, wanted in FILES.items():
        tree = ast.parse((Path(root) / file).read_text())
        tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in wanted]
        exec(compile(tree, file, "exec"), names)
    return names["set_lr"]


def main():
    set_lr = original(sys.argv[1])
    results = []
    for case in CASES:
        warm = [case["warmup_steps"], int(case["warmup_proportion"] * STEPS), 500, 1500]
        steps = {s for w in warm for s in range(w - 3, w + 3)} | set(range(0, STEPS, 397))
        steps = sorted(steps | {1, 2, STEPS - 2, STEPS - 1})
        for schedule in ["noam", "noamwd", "BERT", "None"]:
            optimizer = SimpleNamespace(param_groups=[{}])
            rates = []
            for step in range(STEPS):
                set_lr(optimizer, step, schedule, case["learning_rate"], case["warmup_steps"],
                       case["warmup_proportion"], case["n_embd"], STEPS)
                rates.append(optimizer.param_groups[0]["lr"])
            results.append({**case, "schedule": schedule, "sum": sum(rates),
                            "weighted_sum": sum(i * r for i, r in enumerate(rates)),
                            "steps": steps, "rates": [rates[s] for s in steps]})
    json.dump({"total_steps": STEPS, "cases": results}, sys.stdout, separators=(",", ":"))
    print()


main()
