"""Token ids by the reference tokenizers, for the tests of src/tokenizer/ to compare with.

    pip install tiktoken==0.14.0 transformers==4.57.6 tokenizers==0.22.2
    python make_golden.py FOLDER   # of GPT-2's vocab.json and merges.txt

Makes, beside this script:

  gpt2.json      tricky texts and their ids by tiktoken, equal to those of transformers' GPT2Tokenizer
  trained.json   a small vocabulary that Hugging Face's trainer learns of training-text.txt, and
                 the ids of texts under it
"""

import json
import os
import random
import sys
import tempfile

import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "a", " a", "  a", "a ", "a  ", "a   b", "a\n b", "a \n b",
    "Hello, world!", "hello   world  again ", "does money buy happiness ?",
    "don't you're we've I'm they'll he'd it's", "DON'T YOU'RE WE'VE I'M THEY'LL HE'D IT'S",
    "Don'T It'S i'M", "''s 's's '' 'tis 'twas rock'n'roll y'all'd've", "don\u2019t \u2018quoted\u2019 \u201cdouble\u201d",
    "0 1 12 123 1234 12345 3.14159 1,000,000 1e-9 0x7F", "\u0661\u0662\u0663 \u0967\u0968 \u00bd \u2167 \u2460 x\u00b2",
    "\u00a0", "a\u00a0b", "a \u00a0 b", "\u00a0\u00a0x", "\u0085", "a\u0085b", "a \u0085", "\u0085\u0085x", "x\u0085 y",
    "\u3000", "a\u3000b", "\u3000\u3000\u4e16\u754c", "\u2002\u2003\u2009 x", "\u2028x\u2029y", "\u202f\u205fz", "\u1680q",
    "\ufeff", "\ufeffhello", "a \ufeff b", "a\ufeffb", "\u200b", "a\u200bb", "\u180ex \u180e", "\u001c\u001d\u001e\u001f", "a \u001c b",
    "\x00", "a\x00b", "\x7f\x80\x9f", "\x0b\x0c", "\t\ttabs\tand spaces \t mixed\t ",
    "\U0001f600", "\U0001f600\U0001f600 \U0001f600", "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f44d\U0001f3fd nice", "\u2764\ufe0f \u2764", "\U0001f1eb\U0001f1f7\U0001f1ef\U0001f1f5", "#\ufe0f\u20e3 1\ufe0f\u20e3",
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u3053\u3093\u306b\u3061\u306f \u4e16\u754c", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\U00020000\U0002a6d6",
    "e\u0301 e\u0301\u0302 \u00e9", "Z\u0351\u036ba\u0346l\u0354go\u0321", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "na\u00efve caf\u00e9 Stra\u00dfe \u0130stanbul \ufb01n",
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext|><|endoftext|>", "<|endoftext", "|endoftext|>",
    "http://example.com/a?b=c&d=%20#e", "user@example.com", "C:\\path\\to", "if (a<=b) { return a[0]+=1; }", "snake_case camelCase kebab-case",
    "!!!??? ... -- --- ***", "$100 50% 20\u00b0C \u20ac5 \u00a36", "(^_^) :-) ;P <3 \u00af\\_(\u30c4)_/\u00af",
    "antidisestablishmentarianism", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "hahahahahahahaha", "SolidGoldMagikarp",
    "EOS", "a EOS b", "__url__ __unk__ _NAME_", "\u0120\u010a\u0100 \u0143", "\ufffd", "\ufffe\uffff", "\U0010ffff",
    "line one\nline two\r\nline three\rline four\n\n\nend", "   leading and trailing   ", "a" + " " * 30 + "b", "\n" * 20, "x\n\n\n y",
    "\ud83d", "a\ud83db", "\udc00", "\ud83d\ud83d\ude00", "\ude00\ud83d", "\ud800 \udfff", "\ud83d" * 3,
]

ALPHABET = ("ab'stm LDd09\n\t .,!\u00a0\u0085\u3000\ufeff\u00e9\u0301\u4e16\u0416\u0663\u00bd_-\u200d\U0001f600\U0001f3fd\u2028\u001c"
            "\ud83d\ude00")


def well_formed(text):
    """Halves of surrogate pairs as U+FFFD; whole pairs as the character they stand for."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def texts():
    made = random.Random(20180301)
    return TEXTS + ["".join(made.choice(ALPHABET) for _ in range(made.randint(2, 24))) for _ in range(300)]


def main(folder):
    vocab, merges = (os.path.join(folder, name) for name in ("vocab.json", "merges.txt"))
    reference = tiktoken.Encoding("gpt2", pat_str=PATTERN, special_tokens={"<|endoftext|>": 50256},
                                  mergeable_ranks=data_gym_to_mergeable_bpe_ranks(merges, vocab))
    other = GPT2Tokenizer(vocab, merges)
    cases = []
    for text in texts():
        plain = well_formed(text)
        ids = reference.encode_ordinary(plain)
        theirs = other.convert_tokens_to_ids(other._tokenize(plain))
        if ids != theirs:
            print("tiktoken and transformers differ, left out:", ascii(text))
            continue
        cases.append([text, ids])
    save("gpt2.json", {"tiktoken": tiktoken.__version__, "cases": cases})

    with open(os.path.join(HERE, "training-text.txt"), encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=399, min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    with tempfile.TemporaryDirectory() as folder:
        made.model.save(folder)
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as file:
            learnt = file.read().split("\n")[1:-1]
        other = GPT2Tokenizer(*(os.path.join(folder, name) for name in ("vocab.json", "merges.txt")))
        cases = [[text, other.convert_tokens_to_ids(other._tokenize(well_formed(text)))]
                 for text in lines + texts()]
        for text, ids in cases:
            assert made.encode(well_formed(text)).ids == ids or any(c in text for c in "\u001c\ufeff\u0085\ud83d\ude00"), text
    save("trained.json", {"merges": learnt, "cases": cases})


def save(name, value):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
