"""Useful tokens a second of the engines ``hf`` and ``vllm`` and ``server`` against what one would write without them.

    OMP_NUM_THREADS=1 python benchmarks/engines.py --vllm-python .venv/vllm/bin/python

Contenders sample the same K completions of the same prompts by the same model in float32, interleaved in one run, each
with one thread; wall seconds, best of the repeats:

- *generate*: transformers' ``model.generate(num_return_sequences=K)``, one prompt after another;
- *hf*, *vllm*: these engines;
- *LLM.generate*: vLLM alone in a process like ours, with its own noise, all prompts at once;
- *server*: the engine with 32 requests in flight at a vLLM server on loopback;
- *bare client*: the same requests to the same server by an ``httpx`` client that checks nothing.

Overhead: wall seconds of ``Sampler.rate`` with the engine ``hf`` (keys, file, grading) against the engine alone.
The gate: ``vllm`` and ``server`` give the texts of ``hf`` in at least 99 % of the completions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import torch
import transformers
from machine import head, load, versus

from paced.models.loading import load_model, load_tokenizer
from paced.records import Problem
from paced.rollouts.engine import Engine, make_engine
from paced.rollouts.noise import Draw
from paced.rollouts.sampler import Sampler
from paced.run.config import GradingConfig, ModelConfig, PromptsConfig, SamplingConfig
from paced.run.schema import Choice
from paced.run.seeds import sample_keys

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from engines_setup import VLLM_ENVIRONMENT, vllm_server
from tiny_models import byte_tokenizer

EOS, CONCURRENCY = 0, 32
SIZES = {128: 2, 256: 4}
"""Hidden size -> layers of the models that are sampled."""

RATIOS = (
    ("vllm", "LLM.generate"), ("vllm", "hf"), ("vllm", "generate"), ("hf", "generate"), ("server", "bare client"),
)  # fmt: skip

BARE = """
import json, sys, time
from vllm import LLM, SamplingParams
if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    llm = LLM(job["model"], dtype="float32", enforce_eager=True, skip_tokenizer_init=True, generation_config="vllm",
              disable_log_stats=True, max_model_len=job["context"])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        params = SamplingParams(n=job["K"], temperature=1.0, max_tokens=job["limit"], ignore_eos=True,
                                stop_token_ids=[0], detokenize=False)
        start = time.perf_counter()
        out = llm.generate([{"prompt_token_ids": ids} for ids in job["prompts"]], params, use_tqdm=False)
        seconds = time.perf_counter() - start
        useful = sum(len(one.token_ids) for of_prompt in out for one in of_prompt.outputs)
        print(json.dumps([useful, seconds]), flush=True)
"""


def write_model(folder: Path, hidden: int, layers: int) -> Path:
    """A Qwen3 with random weights, to which all 260 tokens are nearly alike: half its completions reach 192 tokens."""
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=260, hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=layers,
        num_attention_heads=hidden // 32, num_key_value_heads=max(1, hidden // 64), head_dim=32,
        max_position_embeddings=512, tie_word_embeddings=False, eos_token_id=EOS, bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = transformers.Qwen3ForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.1)
    model.save_pretrained(folder)
    byte_tokenizer(chat=False).save_pretrained(folder)
    return folder


def make_prompts(count: int) -> list[list[int]]:
    """Prompts of 8 to 64 tokens."""
    numbers = torch.Generator().manual_seed(0)
    lengths = torch.randint(8, 65, (count,), generator=numbers).tolist()
    return [torch.randint(4, 260, (length,), generator=numbers).tolist() for length in lengths]


def useful_of(engine: Engine, prompts: list[list[int]], keys: Any, sampling: SamplingConfig) -> tuple[int, Any]:
    """Tokens sampled, and the completions."""
    rows = dict(engine.sample(prompts, keys, sampling))
    return sum(len(one.token_ids) for of_prompt in rows.values() for one in of_prompt), rows


def by_generate(model: Any, prompts: list[list[int]], K: int, limit: int) -> int:
    """Tokens of the common loop."""
    useful = 0
    for prompt in prompts:
        ids = torch.tensor([prompt])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), num_return_sequences=K, do_sample=True, temperature=1.0, top_k=0,
            top_p=1.0, max_new_tokens=limit, eos_token_id=EOS, pad_token_id=EOS,
        )[:, len(prompt) :]  # fmt: skip
        ended = out == EOS
        useful += int(torch.where(ended.any(-1), ended.int().argmax(-1) + 1, out.shape[1]).sum())
    return useful


async def by_bare_client(url: str, prompts: list[list[int]], keys: Any, limit: int) -> int:
    """Tokens by a client that sends what our engine sends and checks nothing."""
    gate = asyncio.Semaphore(CONCURRENCY)
    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=CONCURRENCY)) as client:

        async def one(prompt: list[int], key: int) -> int:
            body = {
                "model": "tiny", "prompt": prompt, "max_tokens": limit, "temperature": 0, "ignore_eos": True,
                "stop_token_ids": [EOS], "return_token_ids": True,
                "vllm_xargs": {"paced": Draw(key, 1.0, 1.0, 260).as_list()},
            }  # fmt: skip
            async with gate:
                reply = await client.post(f"{url}/v1/completions", json=body)
            return len(reply.json()["choices"][0]["token_ids"])

        pairs = [(prompt, int(key)) for prompt, row in zip(prompts, keys, strict=True) for key in row]
        return sum(await asyncio.gather(*(one(prompt, key) for prompt, key in pairs)))


class Bare:
    """vLLM alone in a process of its own, asked again and again."""

    def __init__(self, python: str, job: dict[str, Any]) -> None:
        file = Path(tempfile.mkdtemp()) / "bare.py"
        file.write_text(BARE)
        self.process = subprocess.Popen(
            [python, str(file), json.dumps(job)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=os.environ | VLLM_ENVIRONMENT,
        )  # fmt: skip
        self._answer()

    def __call__(self) -> tuple[int, float]:
        """Useful tokens and seconds of one call of ``LLM.generate``."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        useful, seconds = self._answer()
        return int(useful), float(seconds)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:  # vLLM logs on stdout as well
            if line.startswith(("[", '"ready"')):
                try:
                    return json.loads(line)
                except json.JSONDecodeError:
                    continue
        raise RuntimeError("vLLM ended")


def overhead(engine: Engine, folder: Path, prompts: list[list[int]], sampling: SamplingConfig) -> float:
    """Seconds of keys, file and grading, as a share of those of sampling."""
    tokenizer = load_tokenizer(ModelConfig(path=str(folder)))
    problems = [
        Problem(problem_id=str(row), problem=tokenizer.decode(ids), answer="1") for row, ids in enumerate(prompts)
    ]
    sampler = Sampler(
        engine, tokenizer, reader="student", prompts=PromptsConfig(use_chat_template=False), run_seed=1, progress=None
    )
    rendered = sampler.prompts(problems)
    keys = sample_keys(
        run_seed=1, stage=1, problem_ids=[one.problem_id for one in problems], num_samples=sampling.num_samples
    )
    alone, whole = float("inf"), float("inf")
    for _ in range(3):
        start = time.process_time()
        useful_of(engine, [list(prompt.token_ids) for prompt in rendered], keys, sampling)
        alone = min(alone, time.process_time() - start)
        with tempfile.TemporaryDirectory() as made:
            start = time.process_time()
            sampler.rate(
                problems,
                grading=GradingConfig(),
                sampling=sampling,
                draw=1,
                file=Path(made) / "r.jsonl",
                prompts=rendered,
            )
            whole = min(whole, time.process_time() - start)
    return whole / alone - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", required=True, help="interpreter with vLLM (make vllm)")
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--num-samples", type=int, default=8)
    parser.add_argument("--limit", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hidden", type=int, choices=list(SIZES), help="only this model")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    K, limit = arguments.num_samples, arguments.limit
    sampling = SamplingConfig(num_samples=K, max_new_tokens=limit)
    prompts = make_prompts(arguments.problems)
    keys = sample_keys(run_seed=1, stage=1, problem_ids=[str(row) for row in range(len(prompts))], num_samples=K)
    print(
        f"{head('torch', 'transformers')}; {len(prompts)} problems, K {K}, limit {limit}, medians of "
        f"{arguments.repeats} interleaved repeats"
    )
    for hidden, layers in SIZES.items():
        if arguments.hidden not in (None, hidden):
            continue
        folder = write_model(Path(tempfile.mkdtemp()) / f"d{hidden}", hidden, layers)
        model = ModelConfig(path=str(folder))
        hf = make_engine(Choice("hf"), model)
        vllm = make_engine(Choice("vllm", {"python": arguments.vllm_python}), model)
        url = vllm_server(str(folder))
        server = make_engine(Choice("server", {"base_urls": (url,), "concurrency": CONCURRENCY}), model)
        bare = Bare(
            arguments.vllm_python, {"model": str(folder), "prompts": prompts, "K": K, "limit": limit, "context": 512}
        )
        loaded = load_model(model)
        ours = useful_of(hf, prompts, keys, sampling)[1]
        for engine in (vllm, server):
            theirs = useful_of(engine, prompts, keys, sampling)[1]
            same = sum(one == other for row in ours for one, other in zip(ours[row], theirs[row], strict=True))
            assert same >= 0.99 * len(prompts) * K, f"{type(engine).__name__}: {same} equal completions"
        contenders: dict[str, Callable[[], Any]] = {
            "generate": lambda loaded=loaded: by_generate(loaded, prompts, K, limit),
            "hf": lambda hf=hf: useful_of(hf, prompts, keys, sampling)[0],
            "LLM.generate": bare,
            "vllm": lambda vllm=vllm: useful_of(vllm, prompts, keys, sampling)[0],
            "bare client": lambda url=url: asyncio.run(by_bare_client(url, prompts, keys, limit)),
            "server": lambda server=server: useful_of(server, prompts, keys, sampling)[0],
        }
        taken: dict[str, list[float]] = {name: [] for name in contenders}  # seconds for each useful token
        for _ in range(arguments.repeats):
            for name, contender in contenders.items():
                start = time.perf_counter()
                outcome = contender()
                useful, seconds = outcome if isinstance(outcome, tuple) else (outcome, time.perf_counter() - start)
                taken[name].append(seconds / useful)
        print(f"\nd {hidden}, {layers} layers, useful tokens a second")
        print("\n".join(f"  {name:14} {1 / statistics.median(one):10,.0f}" for name, one in taken.items()))
        for one, other in (
            ("vllm", "LLM.generate"),
            ("vllm", "hf"),
            ("vllm", "generate"),
            ("hf", "generate"),
            ("server", "bare client"),
        ):
            print(f"  {one} / {other}: {versus(taken[other], taken[one])}")
        print(
            f"  keys, file and grading beside hf's sampling: {100 * overhead(hf, folder, prompts, sampling):.1f} %",
            flush=True,
        )
        print(f"  at the end: {load()}")
        for engine in (vllm, server):
            engine.close()
        bare.process.kill()


if __name__ == "__main__":
    main()
