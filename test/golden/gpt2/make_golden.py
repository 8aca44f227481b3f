"""Make the golden reference values that the tests of `dialogpt` compare with.

Everything here is computed by PyTorch and by the real `transformers` GPT-2, from
fixed seeds, in float64 (the reference) and once more in float32 (to show how far
honest float32 arithmetic strays).  Files made, beside this script by default:

  tiny/                               a Hugging Face GPT-2 checkpoint, 2 layers, 24 wide
  gradients.json                      a ragged batch: logits, loss, perplexity, with and
                                      without token types
  gradients.safetensors               d loss / d parameter, without token types
  gradients-token-types.safetensors   the same with token types (wte[token_type_ids] added)
  ten-steps.json                      losses of short training runs, several Adam variants
  ten-steps-<variant>.safetensors     the parameters after ten steps
  five-steps-accumulated-<variant>.safetensors
  tiny-trained/                       the same model after 80 training steps on those batches,
                                      so that its continuations vary and end
  greedy.json                         greedy continuations and log-probabilities of both

Made with Python 3.11, torch 2.5.1, transformers 4.57, safetensors, numpy 2.2 (the
exact versions are in README.md and in each JSON file under "made_with").

    python make_golden.py [output folder]
"""

import copy
import json
import math
import os
import platform
import sys

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

VOCAB, POSITIONS, EOS = 211, 48, 210
IGNORE = -1            # the label DialoGPT gives to positions that are not trained on
LEARNING_RATE, DECAY, MAX_NORM = 1e-3, 0.01, 1.0
BETA1, BETA2 = 0.9, 0.999

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


# ---------------------------------------------------------------- writing

def short(x, digits=9):
    """Numbers with a fixed count of significant digits, recursively."""
    if isinstance(x, dict):
        return {k: short(v, digits) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [short(v, digits) for v in x]
    if isinstance(x, torch.Tensor):
        return short(x.tolist(), digits)
    if isinstance(x, float):
        return float(f"{x:.{digits}g}")
    return x


def write_json(path, value):
    value = {"made_with": {"python": platform.python_version(),
                           "torch": torch.__version__,
                           "transformers": transformers.__version__}, **value}
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, separators=(",", ":"), allow_nan=False)
        f.write("\n")


def write_tensors(path, tensors):
    save_file({k: v.detach().float().contiguous().clone() for k, v in tensors.items()},
              path, metadata={"format": "pt"})


def parameters_of(model):
    """Name to tensor; the tied head appears once, as transformer.wte.weight."""
    return dict(model.named_parameters())


def worst_differences(a, b):
    """Largest absolute difference of each tensor between two models."""
    b = parameters_of(b)
    return {n: (p.double() - b[n].double()).abs().max().item()
            for n, p in parameters_of(a).items()}


# ---------------------------------------------------------------- the model

def tiny_model():
    config = GPT2Config(vocab_size=VOCAB, n_positions=POSITIONS, n_embd=24, n_layer=2,
                        n_head=3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                        bos_token_id=EOS, eos_token_id=EOS)
    config._attn_implementation = "eager"
    model = GPT2LMHeadModel(config)
    rng = torch.Generator().manual_seed(1234)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=rng)
            if name.endswith(".bias"):
                p.copy_(0.05 * noise)
            elif ".ln_" in name:
                p.copy_(1 + 0.1 * noise)
            else:
                p.copy_(0.08 * noise)
    return model.eval()


def at(model, dtype):
    return copy.deepcopy(model).to(dtype)


# ---------------------------------------------------------------- dialogues

def dialogue(turn_lengths, weights, rng):
    """One training example, built as the original's preprocessing builds it.

    The turns are joined by EOS and the last EOS is left off the inputs.  label[t] is
    the token after position t where that token belongs to a turn (its EOS included)
    whose weight is not 0, and which is not the first turn; otherwise -1.  The token
    type is the turn's number; the EOS between two turns counts to the later one.
    What follows the last label is cut off.
    """
    turns = [torch.randint(1, EOS, (n,), generator=rng).tolist() for n in turn_lengths]
    ids = [t for turn in turns for t in turn + [EOS]][:-1]
    labels, types = [], []
    for i, (turn, weight) in enumerate(zip(turns, weights)):
        if i == 0:
            labels += [IGNORE] * len(turn)
            types += [0] * len(turn)
        else:
            labels += turn + [EOS] if weight != 0 else [IGNORE] * (len(turn) + 1)
            types += [i] * (len(turn) + 1)
    n = max(t for t, label in enumerate(labels) if label != IGNORE) + 1
    return {"turn_lengths": turn_lengths, "turn_weights": weights, "length": n,
            "input_ids": ids[:n], "labels": labels[:n], "token_type_ids": types[:n]}


def batch_of(rows):
    """Right padding up to a multiple of 8: ids, types and positions with 0, labels with -1."""
    width = max(8 * math.ceil(r["length"] / 8) for r in rows)

    def pad(values, filler):
        return values + [filler] * (width - len(values))

    return {"width": width,
            "lengths": [r["length"] for r in rows],
            "input_ids": torch.tensor([pad(r["input_ids"], 0) for r in rows]),
            "labels": torch.tensor([pad(r["labels"], IGNORE) for r in rows]),
            "position_ids": torch.tensor([pad(list(range(r["length"])), 0) for r in rows]),
            "token_type_ids": torch.tensor([pad(r["token_type_ids"], 0) for r in rows])}


def losses(model, batch, token_types=False):
    """What the original's model reports: see README.md for the formulas."""
    logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"],
                   token_type_ids=batch["token_type_ids"] if token_types else None,
                   use_cache=False).logits
    labels = batch["labels"]
    each = F.cross_entropy(logits.reshape(-1, logits.size(-1)), labels.reshape(-1),
                           ignore_index=IGNORE, reduction="none").view(labels.shape)
    count = (labels != IGNORE).sum(1)
    row_loss = each.sum(1) / count
    return {"logits": logits, "label_counts": count,
            "loss": each.sum() / count.sum(),
            "ppl": row_loss.mean().exp(),
            "row_loss": row_loss, "row_ppl": row_loss.exp()}


# ---------------------------------------------------------------- 3. gradients

def make_gradients(out, tiny, rows):
    batch = batch_of(rows)
    cases = {}
    for case, token_types in [("plain", False), ("token_types", True)]:
        results, models = {}, {}
        for dtype in (torch.float64, torch.float32):
            model = models[dtype] = at(tiny, dtype)
            results[dtype] = losses(model, batch, token_types)
            results[dtype]["loss"].backward()
        r64, r32 = results[torch.float64], results[torch.float32]
        grads = {n: p.grad for n, p in parameters_of(models[torch.float64]).items()}
        grads32 = {n: p.grad for n, p in parameters_of(models[torch.float32]).items()}
        # Padding to the right must not be seen by the real positions.
        for i, r in enumerate(rows):
            alone = losses(at(tiny, torch.float64), batch_of([r]), token_types)["logits"]
            n = r["length"]
            assert (alone[0, :n] - r64["logits"][i, :n]).abs().max() < 1e-12

        name = "gradients.safetensors" if case == "plain" else "gradients-token-types.safetensors"
        write_tensors(os.path.join(out, name), grads)
        scalars = ("loss", "ppl", "row_loss", "row_ppl")
        cases[case] = {
            "uses_token_type_ids": token_types,
            "gradients_file": name,
            "float64": short({k: r64[k] for k in scalars}, 12),
            "float32": short({k: r32[k] for k in scalars}),
            "label_counts": r64["label_counts"].tolist(),
            "logits_float64": [short(r64["logits"][i, :r["length"]], 8)
                               for i, r in enumerate(rows)],
            "float32_largest_logit_error": short(max(
                (r64["logits"][i, :r["length"]] - r32["logits"][i, :r["length"]]).abs().max().item()
                for i, r in enumerate(rows)), 3),
            "gradient_norm_float64": short(
                math.sqrt(sum(g.square().sum().item() for g in grads.values()))),
            "float32_largest_gradient_error": short(
                {n: (g - grads32[n].double()).abs().max().item() for n, g in grads.items()}, 3),
            "gradient_largest_absolute": short(
                {n: g.abs().max().item() for n, g in grads.items()}, 6),
        }
    write_json(os.path.join(out, "gradients.json"), {
        "about": "rows are unpadded; padded_width is what the batch was padded to; labels -1 are ignored",
        "rows": rows, "padded_width": batch["width"], **cases})


# ---------------------------------------------------------------- 4. training

def is_decayed(name):
    """The original's grouping: no decay where the name holds 'bias' or 'ln'."""
    return not any(part in name for part in ("bias", "ln"))


def clip(grads, max_norm):
    """Scale the given gradients together so that their common norm is at most max_norm."""
    norm = torch.sqrt(sum(g.square().sum() for g in grads))
    factor = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    for g in grads:
        g.mul_(factor)
    return norm.item()


# Each variant: how gradients are clipped, whether the moments are bias corrected, the
# epsilon (always added outside the root), which tensors decay, and whether the decay is
# part of the update (from the old value) or a second step (from the new value).
VARIANTS = {
    "original": dict(clipping="tensor", bias_correction=False, eps=1e-6,
                     decay="all", decay_after=False),
    "original_fp16_rule": dict(clipping="group", bias_correction=False, eps=1e-8,
                               decay="named", decay_after=False),
    "bias_corrected": dict(clipping="tensor", bias_correction=True, eps=1e-8,
                           decay="named", decay_after=True),
    "global_clip": dict(clipping="global", bias_correction=True, eps=1e-8,
                        decay="named", decay_after=True),
}


class Adam:
    def __init__(self, model, clipping, bias_correction, eps, decay, decay_after):
        self.named = list(model.named_parameters())
        self.m = {n: torch.zeros_like(p) for n, p in self.named}
        self.v = {n: torch.zeros_like(p) for n, p in self.named}
        self.t = 0
        self.clipping, self.bias_correction, self.eps = clipping, bias_correction, eps
        self.decay, self.decay_after = decay, decay_after

    def clip_all(self):
        grads = {n: p.grad for n, p in self.named}
        global_norm = math.sqrt(sum(g.square().sum().item() for g in grads.values()))
        tensor_norm = max(g.norm().item() for g in grads.values())
        if self.clipping == "tensor":
            groups = [[g] for g in grads.values()]
        elif self.clipping == "group":
            groups = [[g for n, g in grads.items() if is_decayed(n)],
                      [g for n, g in grads.items() if not is_decayed(n)]]
        else:
            groups = [list(grads.values())]
        for group in groups:
            clip(group, MAX_NORM)
        return {"global_norm": global_norm, "largest_tensor_norm": tensor_norm}

    @torch.no_grad()
    def step(self):
        norms = self.clip_all()
        self.t += 1
        size = LEARNING_RATE
        if self.bias_correction:
            size *= math.sqrt(1 - BETA2 ** self.t) / (1 - BETA1 ** self.t)
        for n, p in self.named:
            m, v, g = self.m[n], self.v[n], p.grad
            m.mul_(BETA1).add_(g, alpha=1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            update = size * m / (v.sqrt() + self.eps)
            decays = self.decay == "all" or (self.decay == "named" and is_decayed(n))
            if decays and not self.decay_after:
                update += LEARNING_RATE * DECAY * p
            p.sub_(update)
            if decays and self.decay_after:
                p.sub_(LEARNING_RATE * DECAY * p)
            p.grad = None
        return norms


def check_against_torch(tiny, batches):
    """global_clip without decay must be what torch.optim.Adam and clip_grad_norm_ do.

    torch adds epsilon after the correction of v, so a vanishing epsilon is used; the
    attention's key biases are left out, as their true gradient is 0 and Adam makes a
    step of pure rounding noise out of it.
    """
    mine, theirs = at(tiny, torch.float64), at(tiny, torch.float64)
    adam = Adam(mine, "global", True, 1e-30, "none", False)
    other = torch.optim.Adam(theirs.parameters(), lr=LEARNING_RATE, eps=1e-30)
    for i in range(3):
        losses(mine, batches[i % 2])["loss"].backward()
        adam.step()
        other.zero_grad()
        losses(theirs, batches[i % 2])["loss"].backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), MAX_NORM)
        other.step()
    theirs = parameters_of(theirs)
    for n, p in mine.named_parameters():
        difference = (p - theirs[n]).abs()
        if n.endswith("c_attn.bias"):
            width = p.numel() // 3
            difference = torch.cat([difference[:width], difference[2 * width:]])
        assert difference.max() < 1e-9, (n, difference.max())


def train(tiny, dtype, variant, batches, steps, accumulate=None):
    """Returns the model and the record.  accumulate: None, or the factor on each of the
    losses of batch A and batch B, whose gradients are summed before every step."""
    model = at(tiny, dtype)
    adam = Adam(model, **VARIANTS[variant])
    record = {"loss_before_step": [], "norms_before_clipping": []}

    def loss_of(batch):
        return losses(model, batch)["loss"]

    for i in range(steps):
        if accumulate is None:
            loss = loss_of(batches[i % 2])
            loss.backward()
            record["loss_before_step"].append(loss.item())
        else:
            pair = []
            for batch in batches:
                loss = loss_of(batch)
                (loss * accumulate).backward()
                pair.append(loss.item())
            record["loss_before_step"].append(pair)
        record["norms_before_clipping"].append(adam.step())
    with torch.no_grad():
        record["loss_after_last_step"] = [loss_of(b).item() for b in batches]
    return model, record


def make_training(out, tiny, rows_a, rows_b):
    batches = [batch_of(rows_a), batch_of(rows_b)]
    check_against_torch(tiny, batches)
    runs = [("ten-steps-" + v.replace("_", "-"), v, 10, None) for v in VARIANTS]
    runs += [("five-steps-accumulated-global-clip", "global_clip", 5, 0.5),
             ("five-steps-accumulated-original", "original", 5, 1.0)]
    records = {}
    for name, variant, steps, accumulate in runs:
        model64, r64 = train(tiny, torch.float64, variant, batches, steps, accumulate)
        model32, r32 = train(tiny, torch.float32, variant, batches, steps, accumulate)
        write_tensors(os.path.join(out, name + ".safetensors"), parameters_of(model64))
        records[name] = {
            "variant": variant, "steps": steps,
            "batches": ("A and B summed in every step" if accumulate
                        else "A, B, A, B, ... one a step"),
            "loss_factor": accumulate or 1.0,
            "parameters_file": name + ".safetensors",
            "float64": short(r64, 10), "float32": short(r32, 9),
            "float32_largest_parameter_error": short(worst_differences(model64, model32), 3),
        }
    write_json(os.path.join(out, "ten-steps.json"), {
        "about": "loss_after_last_step is [loss of batch A, loss of batch B]; no token types; dropout 0",
        "learning_rate": LEARNING_RATE, "beta1": BETA1, "beta2": BETA2,
        "weight_decay": DECAY, "max_grad_norm": MAX_NORM,
        "decayed_parameters_when_named": [n for n, _ in tiny.named_parameters() if is_decayed(n)],
        "variants": VARIANTS, "batch_a": rows_a, "batch_b": rows_b, "runs": records})


# ---------------------------------------------------------------- 5. greedy

@torch.no_grad()
def token_logprobs(model, ids):
    """log p(ids[t] | ids[:t]) for t = 1 ..."""
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    logp = logits.log_softmax(-1)
    return [logp[t - 1, ids[t]].item() for t in range(1, len(ids))]


def greedy_case(model, model32, prompt):
    x = torch.tensor([prompt])
    made = [m.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=20,
                       do_sample=False, num_beams=1, eos_token_id=EOS,
                       pad_token_id=EOS)[0, len(prompt):].tolist()
            for m in (model, model32)]
    assert made[0] == made[1], "float32 chose other tokens: a near tie, take another prompt"
    whole, n = prompt + made[0], len(prompt)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([whole]), use_cache=False).logits[0]
    choices = logits[n - 1:-1]
    assert choices.argmax(-1).tolist() == made[0]
    top = choices.topk(2, -1).values
    logp = token_logprobs(model, whole)
    return {"prompt": prompt,
            "continuation": made[0],
            "ended_by_eos": made[0][-1] == EOS,
            "smallest_lead_of_first_over_second_logit": short((top[:, 0] - top[:, 1]).min().item(), 4),
            "last_prompt_logits": short(logits[n - 1], 9),
            "prompt_token_logprobs": short(logp[:n - 1], 10),
            "prompt_logprob_sum": short(sum(logp[:n - 1], 0.0), 10),
            "continuation_token_logprobs": short(logp[n - 1:], 10),
            "continuation_logprob_sum": short(sum(logp[n - 1:]), 10)}


def make_greedy(out, tiny, trained, rows):
    """Random prompts for tiny/; for tiny-trained/ also contexts that it has learnt."""
    rng = torch.Generator().manual_seed(77)
    prompts = [torch.randint(1, EOS, (n - 1,), generator=rng).tolist() + [EOS]
               for n in (1, 4, 9, 15, 24)]
    contexts = []
    for row in rows:
        ends = [t for t, token in enumerate(row["input_ids"]) if token == EOS]
        contexts.append(row["input_ids"][:ends[len(ends) // 2] + 1])
    cases = {}
    for name, model, chosen in [("tiny", tiny, prompts),
                                ("tiny-trained", trained, contexts + prompts[1:4])]:
        pair = at(model, torch.float64), at(model, torch.float32)
        cases[name] = [greedy_case(*pair, prompt) for prompt in chosen]
    write_json(os.path.join(out, "greedy.json"), {
        "about": "prompt_token_logprobs[i] is log p(prompt[i+1] | prompt[0..i]), natural log; "
                 "float64; no token types; the continuation holds the EOS where it ended by one",
        "max_new_tokens": 20, "eos_token_id": EOS, "cases": cases})


# ----------------------------------------------------------------

def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    os.makedirs(out, exist_ok=True)
    tiny = tiny_model()
    tiny.save_pretrained(os.path.join(out, "tiny"), safe_serialization=True)

    rng = torch.Generator().manual_seed(5)
    rows_a = [dialogue([5, 4, 6], [1.0, 1.0, 1.0], rng),
              dialogue([7, 1], [0.0, 1.0], rng),
              dialogue([4, 3, 6, 7], [1.0, 0.0, 1.0, 0.5], rng),
              dialogue([2, 2, 3], [1.0, 1.0, 0.0], rng)]
    assert [r["length"] for r in rows_a] == [17, 9, 23, 5]
    rows_b = [dialogue([3, 8], [0.0, 1.0], rng),
              dialogue([6, 5, 2, 3], [1.0, 1.0, 1.0, 1.0], rng),
              dialogue([1, 4], [1.0, 1.0], rng),
              dialogue([10, 4, 5], [1.0, 0.0, 1.0], rng)]
    make_gradients(out, tiny, rows_a)
    make_training(out, tiny, rows_a, rows_b)
    trained, _ = train(tiny, torch.float64, "original", [batch_of(rows_a), batch_of(rows_b)], 80)
    trained = trained.float()
    trained.save_pretrained(os.path.join(out, "tiny-trained"), safe_serialization=True)
    make_greedy(out, tiny, trained, rows_a[:3] + rows_b[:3])


if __name__ == "__main__":
    main()
