"""Makes adapters for ../gpt2/tiny with the real PEFT, their logits and their gradients.

    pip install torch==2.5.1 transformers==4.57.6 peft==0.21.2
    python make_golden.py

`expected.json`: two rows of ids; for each adapter the logits of each row's last place and, where
each token's label is the next one, the gradient of the sum of all losses.
"""
import json
import os

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2LMHeadModel

torch.manual_seed(7)
torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
base = os.path.join(here, '..', 'gpt2', 'tiny')
# Of the tiny model's 211 tokens.
ids = [[3, 17, 120, 44, 9, 201, 33, 60], [5, 99, 14, 14, 180, 2, 77, 101]]


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids)).logits


def numbers(tensor):
    return [float(f'{x:.7g}') for x in tensor.flatten().tolist()]


def make(name, **options):
    model = GPT2LMHeadModel.from_pretrained(base).eval()
    plain = logits(model)
    peft = get_peft_model(model, LoraConfig(task_type='CAUSAL_LM', fan_in_fan_out=True, **options)).eval()
    initial = float((logits(peft) - plain).abs().max())
    assert initial == 0, initial
    for key, value in peft.named_parameters():
        if 'lora_B' in key:
            torch.nn.init.normal_(value, std=0.3)
    adapted = logits(peft)
    assert (adapted - plain).abs().max() > 0.1
    out = os.path.join(here, name)
    peft.save_pretrained(out)
    os.remove(os.path.join(out, 'README.md'))
    path = os.path.join(out, 'adapter_config.json')
    config = json.load(open(path))
    config['base_model_name_or_path'] = '../../gpt2/tiny'
    json.dump(config, open(path, 'w'), indent=2)
    open(path, 'a').write('\n')
    inputs = torch.tensor(ids)
    peft.zero_grad()
    result = peft(input_ids=inputs).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(result.flatten(0, 1), inputs[:, 1:].flatten(), reduction='sum')
    loss.backward()
    gradients = {key.replace('.default', ''): numbers(value.grad) for key, value in peft.named_parameters()
                 if value.requires_grad}
    return {'logits': numbers(adapted[:, -1]), 'loss': loss.item(), 'gradients': gradients}


result = {'ids': ids}
result['c_attn'] = make('c_attn', r=4)
result['all-rslora'] = make('all-rslora', r=3, lora_alpha=5, use_rslora=True, lora_dropout=0.1,
                            target_modules=['c_attn', 'c_proj', 'c_fc'])
with open(os.path.join(here, 'expected.json'), 'w') as file:
    json.dump(result, file)
    file.write('\n')
