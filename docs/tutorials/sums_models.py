"""Write sums.jsonl, and two small models to try commands on: a student that has half learnt sums, and its teacher."""

import itertools
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sums = [(f"{a}+{b}=", str(a + b)) for a, b in itertools.product(range(10), repeat=2)]
lines = [json.dumps({"problem_id": text, "problem": text, "answer": total}) for text, total in sums]
Path("sums.jsonl").write_text("\n".join(lines) + "\n")

symbols = {symbol: number for number, symbol in enumerate(["<end>", *"0123456789+="])}
core = Tokenizer(models.WordLevel(symbols, unk_token="<end>"))
core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
core.decoder = decoders.Fuse()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")

torch.manual_seed(0)
sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}
model = LlamaForCausalLM(
    LlamaConfig(vocab_size=13, max_position_embeddings=16, eos_token_id=0, bos_token_id=None, **sizes)
)
rows = [tokenizer(text + total + "<end>")["input_ids"] for text, total in sums]
tokens = torch.tensor([row + [0] * (7 - len(row)) for row in rows])  # [100, 7]
optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
# The student sees small sums more often than large ones; the teacher is the same model, trained on with all alike.
for name, num_steps, decay in (("student", 150, 0.8), ("teacher", 150, 1.0)):
    odds = torch.tensor([decay ** int(total) for _, total in sums])  # [100]
    for _ in range(num_steps):
        batch = tokens[torch.multinomial(odds, 32, replacement=True)]  # [32, 7]
        loss = model(input_ids=batch, labels=batch.where(torch.arange(7) >= 4, -100)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(name)
    tokenizer.save_pretrained(name)
