"""Writes the reference checkpoints of this folder. See README.md for the versions.

    python make.py [FOLDER]
"""

import collections
import json
import os
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else HERE


def path(*parts):
    full = os.path.join(OUT, *parts)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def randomise(model, seed):
    """Values large enough that a wrong name, shape or transposition changes the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
            if ".ln_" in name and name.endswith("weight"):
                parameter.add_(1.0)


def tiny(**changes):
    return GPT2Config(
        vocab_size=61, n_positions=16, n_embd=16, n_layer=2, n_head=2,
        bos_token_id=60, eos_token_id=60, **changes,
    )


IDS = [[3, 1, 4, 1, 5, 9, 2, 6], [53, 58, 9, 7, 60, 0, 31, 2]]


def logits(model):
    with torch.no_grad():
        return model.eval().double()(torch.tensor(IDS)).logits.reshape(-1).tolist()


def sum_and_head(state):
    """What the tests compare without running a model: every tensor's shape and a checksum."""
    return {
        name: {
            "shape": list(value.shape),
            "sum": value.double().sum().item(),
            "first": value.double().reshape(-1)[:3].tolist(),
        }
        for name, value in state.items()
    }


expected = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
expected["ids"] = IDS

model = GPT2LMHeadModel(tiny())
randomise(model, 1)
state = model.state_dict()
expected["tensors"] = sum_and_head(state)

# As transformers saves it today: model.safetensors without the tied head.
for name, dtype in [("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)]:
    copy = GPT2LMHeadModel(tiny())
    copy.load_state_dict(state)
    copy = copy.to(dtype)
    copy.save_pretrained(path(f"safetensors-{name}", "x")[:-2])
    expected[f"logits-{name}"] = logits(copy)

# In several files, with an index.
sharded = GPT2LMHeadModel(tiny())
sharded.load_state_dict(state)
sharded.save_pretrained(path("safetensors-sharded", "x")[:-2], max_shard_size="12KB")
sharded.save_pretrained(
    path("bin-sharded", "x")[:-2], max_shard_size="20KB", safe_serialization=False
)
# PyTorch files of transformers: the head shares the storage of the embedding.
sharded.save_pretrained(path("bin", "x")[:-2], safe_serialization=False)

# The first GPT-2 files on the hub: no "transformer." prefix, causal masks saved as buffers.
buffers = collections.OrderedDict()
for name, value in state.items():
    if name == "lm_head.weight":
        continue
    name = name.removeprefix("transformer.")
    if name.endswith("ln_1.weight"):
        block = name.split(".")[1]
        buffers[f"h.{block}.attn.bias"] = torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16)
        buffers[f"h.{block}.attn.masked_bias"] = torch.tensor(-1e4)
    buffers[name] = value.clone()
save_file(buffers, path("buffers", "model.safetensors"), metadata={"format": "pt"})
shutil.copy(path("bin", "config.json"), path("buffers", "config.json"))

# The original project's files: LSP_train.py saves a dict of fp16 tensors, each with a storage of
# its own, under the names of pytorch_pretrained_bert's GPT-2.
original = {
    name.replace("lm_head.weight", "lm_head.decoder.weight"): value.half().clone()
    for name, value in state.items()
}
torch.save(original, path("small_ft.pkl"), _use_new_zipfile_serialization=False)
torch.save(original, path("small_ft.zip.pkl"))
torch.save(
    {"module." + name: value for name, value in original.items()}, path("module.pkl"),
    _use_new_zipfile_serialization=False,
)
torch.save(
    {name.removeprefix("transformer."): value for name, value in original.items()
     if not name.startswith("lm_head")},
    path("transformer-only.pkl"), _use_new_zipfile_serialization=False,
)

# Files of weights are looked at with the config.json beside them.
shutil.copy(path("bin", "config.json"), path("config.json"))

# DialogRPT.
ranker = GPT2ForSequenceClassification(tiny(num_labels=1, pad_token_id=60))
ranker.load_state_dict({n: v for n, v in state.items() if n != "lm_head.weight"}, strict=False)
with torch.no_grad():
    ranker.score.weight.copy_(torch.linspace(-1, 1, 16).view(1, 16))
torch.save(ranker.state_dict(), path("updown.pth"))
expected["scores"] = logits(ranker)

# Every way in which torch.save can lay tensors out.
base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 4
layouts = {
    "whole": base,
    "transposed": base.t(),
    "rows": base[1:3],
    "columns": base[:, 1::2],
    "cube": base.reshape(2, 3, 4).permute(2, 0, 1),
    "half": base.half(),
    "half-transposed": base.half().t(),
    "brain": base.bfloat16(),
    "double": base.double(),
    "long": torch.arange(5),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(base[0].clone()),
    "absent": None,
}
for protocol in [2, 3, 4, 5]:
    torch.save(layouts, path(f"layouts-zip-{protocol}.pt"), pickle_protocol=protocol)
    torch.save(
        layouts, path(f"layouts-legacy-{protocol}.pt"), pickle_protocol=protocol,
        _use_new_zipfile_serialization=False,
    )
expected["layouts"] = {
    name: {"shape": list(value.shape), "values": value.double().reshape(-1).tolist()}
    for name, value in layouts.items() if value is not None
}
# Small ones, to be damaged: most of their bytes are structure.
few = {name: layouts[name] for name in ["whole", "transposed", "brain", "half"]}
torch.save(few, path("fuzz-zip.pt"))
torch.save(few, path("fuzz-legacy.pt"), _use_new_zipfile_serialization=False)
save_file(
    {name: layouts[name] for name in ["whole", "brain", "half", "long", "scalar", "empty"]},
    path("layouts.safetensors"), metadata={"format": "pt"},
)
nested = {"epoch": 3, "lr": 0.5, "state_dict": collections.OrderedDict(weight=base), "best": None}
torch.save(nested, path("nested.pt"))


class Python2(collections.OrderedDict):
    """Pickled as Python 2 pickled an OrderedDict: with a list of pairs."""

    def __reduce__(self):
        return collections.OrderedDict, ([[name, value] for name, value in self.items()],)


torch.save(Python2(weight=base), path("python2.pt"), _use_new_zipfile_serialization=False)


# What must be refused by name.
class Runs:
    def __reduce__(self):
        return os.system, ("touch executed",)


torch.save({"weight": base, "evil": Runs()}, path("evil-zip.pt"))
torch.save(
    {"weight": base, "evil": Runs()}, path("evil-legacy.pt"), _use_new_zipfile_serialization=False
)
torch.save(torch.nn.Linear(2, 2), path("module-object.pt"))

json.dump(expected, open(path("expected.json"), "w"), indent=1)
