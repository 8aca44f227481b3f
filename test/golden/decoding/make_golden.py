"""Make the golden values for the tests of decoding.

    python make_golden.py new     # with transformers 4.57.6: searches, processors, scores
    python make_golden.py old     # with transformers 4.49.0: diverse beams, contrastive search
    python make_golden.py together      # with 4.57.6: several options at a time
    python make_golden.py old-together  # with 4.49.0: the same

All read the checkpoints in ../gpt2 and write `searches.json` and `scores.json`,
`deprecated-searches.json`, `searches-together.json` or `deprecated-searches-together.json` beside
this script.  See README.md.
"""

import json
import os
import platform
import sys

import torch
import transformers
from transformers import GPT2LMHeadModel
from transformers.generation import logits_process as processors

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = {name: GPT2LMHeadModel.from_pretrained(os.path.join(HERE, "..", "gpt2", name)).eval()
          for name in ("tiny", "tiny-trained")}
EOS = 210

torch.set_num_threads(1)


def made_with():
    return {"python": platform.python_version(), "torch": torch.__version__,
            "transformers": transformers.__version__}


def write(name, value):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        json.dump({"made_with": made_with(), **value}, f, separators=(",", ":"))
        f.write("\n")


def prompts():
    rng = torch.Generator().manual_seed(11)
    made = [torch.randint(1, EOS, (n - 1,), generator=rng).tolist() + [EOS] for n in (2, 12)]
    with open(os.path.join(HERE, "..", "gpt2", "greedy.json"), encoding="utf-8") as f:
        learnt = [case["prompt"] for case in json.load(f)["cases"]["tiny-trained"][:2]]
    return made + learnt


def search(name, prompt, **options):
    model = MODELS[name]
    x = torch.tensor([prompt])
    options.setdefault("max_new_tokens", 16)
    if "max_length" in options:
        del options["max_new_tokens"]
    with torch.no_grad():
        out = model.generate(x, attention_mask=torch.ones_like(x), do_sample=False, eos_token_id=EOS,
                             pad_token_id=EOS, return_dict_in_generate=True, output_scores=True,
                             **options)
    rows = []
    for row in out.sequences[:, len(prompt):].tolist():
        end = row.index(EOS) if EOS in row else len(row)
        rows.append({"tokens": row[:end], "ended": end < len(row)})
    scores = getattr(out, "sequences_scores", None)
    if scores is not None:
        for row, score in zip(rows, scores.tolist()):
            row["score"] = round(score, 7)
    return {"model": name, "prompt": prompt, "options": options, "generations": rows}


def new():
    cases = []
    variants = [dict(), dict(min_new_tokens=6), dict(min_length=15), dict(max_length=22),
                dict(repetition_penalty=1.4), dict(repetition_penalty=0.8), dict(no_repeat_ngram_size=2),
                dict(no_repeat_ngram_size=1), dict(no_repeat_ngram_size=3)]
    for beams in (2, 5, 10):
        variants += [dict(num_beams=beams, num_return_sequences=beams, **more) for more in (
            {}, dict(length_penalty=0.0), dict(length_penalty=-1.0), dict(length_penalty=2.5),
            dict(early_stopping=True), dict(early_stopping="never"),
            dict(early_stopping="never", length_penalty=2.0), dict(early_stopping=True, length_penalty=0.5),
            dict(min_new_tokens=4), dict(no_repeat_ngram_size=2), dict(repetition_penalty=1.3),
            dict(no_repeat_ngram_size=3, early_stopping=True, min_new_tokens=3))]
    for name in MODELS:
        for prompt in prompts():
            for options in variants:
                if options.get("max_length", 99) <= len(prompt):
                    continue
                cases.append(search(name, prompt, **options))
            first = cases[-len(variants)]["generations"][0]["tokens"]
            bad = [[first[0]], first[1:3]] if len(first) > 2 else [[first[0]]] if first else [[7]]
            cases.append(search(name, prompt, bad_words_ids=bad))
            cases.append(search(name, prompt, bad_words_ids=bad, num_beams=5, num_return_sequences=3))
    write("searches.json", {"about": "generations without the prompt and the end of text", "cases": cases})

    rng = torch.Generator().manual_seed(3)
    warped = []
    for temperature, top_k, top_p, min_p, typical_p in [
            (1.0, 0, 1.0, 0.0, 1.0), (0.7, 40, 1.0, 0.0, 1.0), (1.3, 0, 0.9, 0.0, 1.0),
            (1.0, 10, 0.5, 0.0, 1.0), (1.0, 0, 1.0, 0.1, 1.0), (0.8, 0, 1.0, 0.0, 0.9),
            (1.0, 0, 1.0, 0.0, 0.2), (0.9, 50, 0.95, 0.02, 0.8), (2.0, 5, 0.3, 0.5, 0.5)]:
        logits = 3 * torch.randn(1, 60, generator=rng)
        logits[0, :5] = -float("inf")
        steps = [processors.TemperatureLogitsWarper(temperature)]
        if top_k > 0:
            steps.append(processors.TopKLogitsWarper(top_k))
        if top_p < 1:
            steps.append(processors.TopPLogitsWarper(top_p))
        if min_p > 0:
            steps.append(processors.MinPLogitsWarper(min_p))
        if typical_p < 1:
            steps.append(processors.TypicalLogitsWarper(typical_p))
        out = logits
        for step in steps:
            out = step(None, out)
        p = out.softmax(-1)[0]
        warped.append({
            "options": {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
                        "typical_p": typical_p},
            "logits": [None if v == -float("inf") else v for v in logits[0].tolist()],
            "probabilities": {str(i): v for i, v in enumerate(p.tolist()) if v > 0}})

    head = 0.5 * torch.randn(24, generator=rng)
    scored, ranked = [], []
    model = MODELS["tiny-trained"].double()
    with torch.no_grad():
        for length, start in [(9, 4), (20, 1), (3, 2), (15, 14)]:
            ids = torch.randint(0, EOS + 1, (length,), generator=rng)
            logp = model(ids[None]).logits[0].log_softmax(-1)
            total = sum(logp[t - 1, ids[t]].item() for t in range(start, length))
            scored.append({"ids": ids.tolist(), "from": start, "log_probability": total})
            state = model.transformer(ids[None]).last_hidden_state[0, -1]
            ranked.append({"ids": ids.tolist(), "score": torch.sigmoid(state @ head.double()).item()})
    write("scores.json", {"warped": warped, "scored": scored, "head": head.tolist(), "ranked": ranked})


def old():
    cases = []
    for name in MODELS:
        for prompt in prompts():
            for beams, groups, penalty, more in [
                    (4, 2, 0.5, {}), (6, 3, 1.0, {}), (6, 6, 0.3, {}), (4, 2, 5.0, dict(early_stopping=True)),
                    (6, 2, 0.7, dict(length_penalty=2.0, early_stopping="never")),
                    (4, 4, 0.8, dict(no_repeat_ngram_size=2)), (6, 3, 0.2, dict(length_penalty=0.0))]:
                cases.append(search(name, prompt, num_beams=beams, num_beam_groups=groups,
                                    diversity_penalty=penalty, num_return_sequences=beams, **more))
            for top_k, alpha, more in [(4, 0.6, {}), (8, 0.3, {}), (5, 0.9, dict(no_repeat_ngram_size=2)),
                                       (4, 0.5, dict(min_new_tokens=5))]:
                cases.append(search(name, prompt, top_k=top_k, penalty_alpha=alpha, **more))
    write("deprecated-searches.json", {"cases": cases})


BAD = [[7], [31, 8], [5, 6, 7], [EOS]]


def together():
    variants = [
        dict(repetition_penalty=1.2, no_repeat_ngram_size=3, min_new_tokens=5, bad_words_ids=BAD),
        dict(repetition_penalty=0.7, no_repeat_ngram_size=2, max_length=20, min_length=14),
        dict(num_beams=3, bad_words_ids=BAD, repetition_penalty=1.5, min_new_tokens=3),
        dict(num_beams=4, num_return_sequences=2, length_penalty=-2.0, early_stopping="never",
             no_repeat_ngram_size=1),
        dict(num_beams=5, num_return_sequences=3, length_penalty=0.3, early_stopping=True,
             repetition_penalty=1.1, no_repeat_ngram_size=2, min_new_tokens=8, bad_words_ids=BAD),
        dict(num_beams=10, num_return_sequences=10, max_length=21, min_length=16, length_penalty=3.0,
             bad_words_ids=BAD[1:3]),
        dict(num_beams=2, max_new_tokens=1), dict(num_beams=5, max_new_tokens=2, min_new_tokens=2),
        dict(num_beams=7, num_return_sequences=7, max_new_tokens=30, no_repeat_ngram_size=3)]
    write("searches-together.json", {"cases": every(variants)})


def old_together():
    variants = [
        dict(num_beams=6, num_beam_groups=2, diversity_penalty=1.5, num_return_sequences=4,
             repetition_penalty=1.3, no_repeat_ngram_size=2),
        dict(num_beams=4, num_beam_groups=4, diversity_penalty=0.1, num_return_sequences=4,
             bad_words_ids=BAD, min_new_tokens=4, length_penalty=-1.0),
        dict(num_beams=9, num_beam_groups=3, diversity_penalty=2.0, num_return_sequences=2,
             early_stopping=True, max_length=19, min_length=15),
        dict(num_beams=8, num_beam_groups=2, diversity_penalty=0.4, num_return_sequences=8,
             length_penalty=1.7, max_new_tokens=3),
        dict(top_k=6, penalty_alpha=0.7, repetition_penalty=1.4, min_new_tokens=6),
        dict(top_k=3, penalty_alpha=0.2, bad_words_ids=BAD, no_repeat_ngram_size=1),
        dict(top_k=10, penalty_alpha=1.0, max_length=18), dict(top_k=2, penalty_alpha=0.5,
             repetition_penalty=0.8, max_new_tokens=25)]
    write("deprecated-searches-together.json", {"cases": every(variants)})


def every(variants):
    return [search(name, prompt, **options) for name in MODELS for prompt in prompts()
            for options in variants if options.get("max_length", 99) > len(prompt)]


if __name__ == "__main__":
    {"new": new, "old": old, "together": together, "old-together": old_together}[sys.argv[1]]()
