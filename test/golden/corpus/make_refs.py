"""What the original makes of odd conversations and ids, for test/corpus/multi-references.test.ts.

    python make_refs.py CREATE_MULTIREF

CREATE_MULTIREF is the original's reddit_extractor/src/create-multiref.py (microsoft/DialoGPT, not
copied here); the plain references are its output after the Makefile's sed. Writes refs-* beside
this script: Python's and our white space, straight and curly quotation marks, numbers before bars,
keys that are not there, keys that come twice.
"""

import gzip
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PIECES = ["hello", "\u201cquoted\u201d", "5|6", "12|", "a b", "\x85", "\x1c", "\u00e9", "\U0001f602", "|",
          "- 3|x", "EOS", "\u2028", "  two", "0.0", "\u201d"]


def main(script):
    random.seed(5)
    path = lambda name: os.path.join(HERE, "refs-" + name)
    text = lambda: " ".join(random.choice(PIECES) for _ in range(random.randint(1, 5)))
    contexts = [text() for _ in range(40)]
    keys = []
    lines = []
    for number in range(200):
        key = "t3_%x,t1_%x,t1_%x" % (number % 17, number, number)
        keys.append(key)
        end = random.choice(["", " ", "\x1d", "\r"])
        lines.append(key + "\t" + random.choice(contexts) + "\t" + text() + "x" + end + "\n")
    lines.append(keys[3] + "\tlater\twins\n")
    with open(path("data.tsv.gz"), "wb") as file:
        file.write(gzip.compress("".join(lines).encode("utf-8"), mtime=0))
    with open(path("ids.txt"), "w", newline="") as file:
        for _ in range(80):
            cells = ["%d,%s" % (random.randint(0, 99), random.choice(keys + ["t3_no,t1_no,t1_no"]))
                     for _ in range(random.randint(1, 8))]
            file.write("\t".join(["multiref"] + cells) + random.choice(["", "\r", " "]) + "\n")
    subprocess.run([sys.executable, script, "--data", path("data.tsv.gz"), "--testids", path("ids.txt"),
                    "--out", path("scored.txt")], stderr=subprocess.DEVNULL, check=True)
    with open(path("scored.txt"), "rb") as file:
        plain = subprocess.run(["sed", "s/[0-9]\\+|//g"], stdin=file, capture_output=True, check=True)
    with open(path("plain.txt"), "wb") as file:
        file.write(plain.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
