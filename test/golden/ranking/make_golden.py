"""Golden values of ranking: pairwise loss, gradients and training steps; rankers, their ensemble and
maximum mutual information on text.

    python make_golden.py

Made with Python 3.11, torch 2.5.1, transformers 4.57.6, safetensors 0.8.0, on one thread; everything
but the training steps in float64.  See README.md.
"""

import copy
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_num_threads(1)
torch.manual_seed(7)


def write(name, value):
    with open(os.path.join(HERE, name), "w") as file:
        json.dump(value, file, ensure_ascii=False)


# ------------------------------------------------- the pairwise loss, its gradients, and Adam's steps

def pairwise():
    folder = os.path.join(HERE, "../gpt2/tiny-trained")
    config = GPT2Config.from_pretrained(folder, embd_pdrop=0, attn_pdrop=0, resid_pdrop=0)
    weights = load_file(os.path.join(folder, "model.safetensors"))
    transformer = GPT2Model(config)
    transformer.load_state_dict(
        {k.removeprefix("transformer."): v for k, v in weights.items() if k.startswith("transformer.")})
    head = torch.nn.Linear(config.n_embd, 1, bias=False)
    torch.nn.init.normal_(head.weight, std=0.5)
    eos = config.vocab_size - 1
    rng = torch.Generator().manual_seed(3)
    words = lambda n: torch.randint(0, eos, (n,), generator=rng).tolist()
    pairs = []
    for cxt, better, worse in [(5, 3, 7), (11, 1, 2), (1, 9, 4), (20, 6, 6), (8, 2, 12)]:
        start = words(cxt) + [eos]
        pairs.append({"better": start + words(better), "worse": start + words(worse)})

    def losses(transformer, head):
        out = []
        for pair in pairs:
            logits = [head(transformer(torch.tensor([pair[k]])).last_hidden_state)[0, -1, 0] for k in ("better", "worse")]
            good, bad = (torch.exp(x) for x in logits)
            out.append(-torch.log(good / (good + bad)))   # ScorerBase.forward and Master.loss
        return torch.stack(out)

    exact, exact_head = copy.deepcopy(transformer).double().eval(), copy.deepcopy(head).double()
    found = losses(exact, exact_head)
    found.mean().backward()
    gradients = {"transformer." + k: p.grad.float() for k, p in exact.named_parameters()}
    gradients["score.weight"] = exact_head.weight.grad.float()
    save_file(gradients, os.path.join(HERE, "pair-gradients.safetensors"))

    # Master.train: torch's Adam with its defaults, and clip_grad_norm_ of 1
    model = torch.nn.ModuleList([copy.deepcopy(transformer), copy.deepcopy(head)]).double().eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    steps, norms = [], []
    for _ in range(6):
        optimizer.zero_grad()
        loss = losses(*model).mean()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1).item())
        optimizer.step()
        steps.append(loss.item())
    write("pairs.json", {
        "head": head.weight[0].tolist(), "pairs": pairs, "losses": found.tolist(),
        "steps": {"losses": steps, "norms": norms, "head": model[1].weight[0].tolist()}})


# ------------------------------------------------------------------------ models that read bytes

EOS = 256
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ORDER = PRINTABLE + [b for b in range(256) if b not in PRINTABLE]


def encode(text):
    return [ORDER.index(b) for b in text.encode()]


def bytes_model(name, ranker):
    config = GPT2Config(vocab_size=257, n_positions=96, n_embd=16, n_layer=1, n_head=2,
                        initializer_range=0.3, bos_token_id=EOS, eos_token_id=EOS)
    model = GPT2LMHeadModel(config).eval()
    tensors = {k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    head = 0.5 * torch.randn(1, config.n_embd)
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    values = config.to_dict()
    keep = ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function",
            "layer_norm_epsilon", "bos_token_id", "eos_token_id", "model_type"]
    values = {k: values[k] for k in keep}
    values["architectures"] = ["GPT2ForSequenceClassification" if ranker else "GPT2LMHeadModel"]
    if ranker:
        tensors["score.weight"] = head
        values |= {"num_labels": 1, "pad_token_id": EOS}
    save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(values, file, indent=1)
    unicode_of, extra = {b: chr(b) for b in PRINTABLE}, 0
    for b in ORDER[len(PRINTABLE):]:
        unicode_of[b] = chr(256 + extra)
        extra += 1
    vocabulary = {unicode_of[b]: i for i, b in enumerate(ORDER)} | {"<|endoftext|>": EOS}
    with open(os.path.join(folder, "vocab.json"), "w") as file:
        json.dump(vocabulary, file, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w") as file:
        file.write("#version: 0.2\n")
    return model.double(), head.double()


CONTEXTS = [
    ("I love NLP!", ["Me too!", "It is super useful.", "Here’s a textbook"]),
    ("first<|endoftext|>How are you?<|endoftext|> Fine ,  and you?", ["Not bad.", "pretty good! :)"]),
]
ENSEMBLE = [("prior", "rand", 0.5), ("prior", "machine", 0.25), ("cond", "updown", 1), ("cond", "width", -0.5)]


def text():
    weights = {}
    lines = [f"{kind}:\n" + "".join(
        f"  - name: {n}\n    wt: {w}\n    path: ranker-{n}\n" for k, n, w in ENSEMBLE if k == kind)
        for kind in ("prior", "cond")]
    with open(os.path.join(HERE, "ensemble.yml"), "w") as file:
        file.write("".join(lines))
    models = {n: bytes_model(f"ranker-{n}", True) for _, n, _ in ENSEMBLE}
    reverse, _ = bytes_model("reverse", False)
    with open(os.path.join(HERE, "responses.tsv"), "w") as file:
        for context, responses in CONTEXTS:
            file.write("\t".join([context, *responses]) + "\n")
    ranked, mmi = [], []
    with torch.no_grad():
        for context, responses in CONTEXTS:
            turns = context.split("<|endoftext|>")
            # ScorerBase.predict with max_cxt_turn = 2
            ids = [i for turn in turns[-2:] for i in encode(turn.strip()) + [EOS]]
            rows = []
            for response in responses:
                row = {}
                for name, (model, head) in models.items():
                    state = model.transformer(torch.tensor([ids + encode(response.strip())])).last_hidden_state[0, -1]
                    row[name] = torch.sigmoid(head[0] @ state).item()
                parts = {}
                for kind in ("prior", "cond"):       # JointScorer.core
                    own = [(n, w) for k, n, w in ENSEMBLE if k == kind]
                    parts[kind] = sum(row[n] * w for n, w in own) / sum(w for _, w in own)
                row["final"] = parts["prior"] * parts["cond"]
                rows.append({"text": response, "scores": row})
            ranked.append({"context": context, "responses": rows})
            # log P(source | hypothesis), the turns in reverse
            source = [i for turn in reversed(turns) for i in encode(" ".join(turn.split())) + [EOS]]
            scores = []
            for response in responses:
                start = encode(response) + [EOS]
                logp = reverse(torch.tensor([start + source])).logits[0].log_softmax(-1)
                scores.append(sum(logp[len(start) + k - 1, i].item() for k, i in enumerate(source)))
            mmi.append({"history": [t.strip() for t in turns], "responses": responses, "scores": scores})
    write("scores.json", {"ranked": ranked, "mmi": mmi})


pairwise()
text()
