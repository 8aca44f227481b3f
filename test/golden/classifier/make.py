"""A tiny text classifier as transformers.js reads it: the labels `safe` and `toxic`, of which the
second grows with each word `awful`.

    pip install onnx==1.19 numpy
    python make.py
"""

import json
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = ["[PAD]", "[UNK]", "awful"]
WEIGHTS = np.array([[0, 0], [0.1, -0.1], [-2, 6]], dtype=np.float32)

ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
graph = helper.make_graph(
    [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["present"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["present", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["logits"], keepdims=0),
    ],
    "classifier", [ids, mask], [logits],
    [numpy_helper.from_array(WEIGHTS, "table"),
     numpy_helper.from_array(np.array([-1]), "last"),
     numpy_helper.from_array(np.array([1]), "tokens")])
os.makedirs(os.path.join(HERE, "onnx"), exist_ok=True)
save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
           os.path.join(HERE, "onnx/model.onnx"))

FILES = {
    "config.json": {
        "model_type": "bert", "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "safe", "1": "toxic"}, "label2id": {"safe": 0, "toxic": 1},
        "vocab_size": 3},
    "tokenizer_config.json": {
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "model_max_length": 512},
    "tokenizer.json": {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": w, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, w in enumerate(WORDS[:2])],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(WORDS)}, "unk_token": "[UNK]"}}}
for name, value in FILES.items():
    with open(os.path.join(HERE, name), "w") as file:
        json.dump(value, file, indent=1)
