"""Opens a dataset with pandas, DuckDB and Hugging Face datasets and compares what they read.

    pip install pandas==3.1.1 pyarrow==26.0.1 duckdb==2.0.0 datasets==5.2.0
    dialogpt data build --corpus corpus/starter.tsv --out FOLDER --validation 0.1
    dialogpt data inspect FOLDER --json > EXAMPLES
    python check_parquet.py FOLDER EXAMPLES

EXAMPLES is what `data inspect` prints for the split `train`; its labels must be those that follow
from the columns.
"""

import glob
import json
import os
import sys

import datasets
import duckdb
import pandas
import pyarrow
import pyarrow.parquet

COLUMNS = ["conversation", "input_length", "turn_count", "token_ids", "turn_lengths", "turn_weights"]


def rows_of_pandas(paths):
    frame = pandas.concat([pandas.read_parquet(path) for path in paths])
    return [{name: value.tolist() if hasattr(value, "tolist") else value for name, value in row.items()}
            for row in frame.to_dict("records")]


def rows_of_duckdb(pattern):
    query = f"select {', '.join(COLUMNS)} from read_parquet('{pattern}') order by conversation"
    return [dict(zip(COLUMNS, row)) for row in duckdb.sql(query).fetchall()]


def rows_of_datasets(pattern):
    loaded = datasets.load_dataset("parquet", data_files={"train": pattern}, split="train")
    return list(loaded)


def example(row, end_of_text):
    """The original's features of a row (prepro.py, `_make_feature`), without padding."""
    ids, labels, weights, types, start, learnt = [], [], [], [], 0, 0
    for turn, (length, weight) in enumerate(zip(row["turn_lengths"], row["turn_weights"])):
        tokens = row["token_ids"][start:start + length]
        start += length
        if turn > 0:
            ids.append(end_of_text)
        ids += tokens
        weight = weight if turn > 0 else 0.0
        nexts = tokens if turn == 0 else tokens + [end_of_text]
        labels += [t if weight else -1 for t in nexts]
        weights += [weight] * len(nexts)
        types += [turn] * len(nexts)
        learnt = len(labels) if weight else learnt
    return {"input_ids": ids[:learnt], "lm_labels": labels[:learnt], "weights": weights[:learnt],
            "token_type_ids": types[:learnt]}


def main(folder, examples):
    with open(os.path.join(folder, "dataset.json"), encoding="utf-8") as file:
        described = json.load(file)
    pattern = os.path.join(folder, "train-*.parquet")
    rows = rows_of_pandas(sorted(glob.glob(pattern)))
    for name, others in (("duckdb", rows_of_duckdb(pattern)), ("datasets", rows_of_datasets(pattern))):
        key = lambda row: (row["conversation"], row["token_ids"])
        assert sorted(others, key=key) == sorted(rows, key=key), name
    assert len(rows) == described["splits"]["train"]["examples"]
    with open(examples, encoding="ascii") as lines:
        for row, line in zip(rows, lines, strict=True):
            expected = json.loads(line)
            expected.pop("conv_id")
            assert example(row, described["endOfText"]) == expected, row["conversation"]
            assert row["input_length"] == len(row["token_ids"]) + row["turn_count"] - 1
    print(f"{len(rows)} rows agree: pandas {pandas.__version__}, pyarrow {pyarrow.__version__}, "
          f"duckdb {duckdb.__version__}, datasets {datasets.__version__}")


if __name__ == "__main__":
    main(*sys.argv[1:])
