"""The process in which vLLM runs: JSON lines come in on stdin and go out on a descriptor.

    python -m paced.rollouts.vllm_worker SETTINGS-JSON DESCRIPTOR

It may have an interpreter of its own, since vLLM brings pins of its own. What comes in, one object a line:

- ``row``, ``prompt``, ``draws``, ``max_tokens``, ``ends``: a completion of this prompt for each draw;
- ``weights``: a folder with the weights to sample from from now on;
- ``score``: token ids, whose log-probabilities are wanted.

What goes out: ``ready`` with facts or ``refused`` with a sentence, first; then ``row``, ``sample``, ``token_ids`` and
``finish`` of each completion as it ends, ``weights``, ``scores``, and ``failed`` before the process ends on its own. It
ends when stdin does, so that no engine outlives who asked for it.
Left out: pickle, sockets, vLLM's own multiprocessing where the platform allows to leave it out.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

CPU_SETTINGS = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
"""Environment of vLLM on CPUs, unless it is set already: no binding of cores, 1 GiB of cache, one process."""


def main(settings: dict[str, Any], answers: int) -> None:
    """Start the engine and serve until stdin ends."""
    with os.fdopen(answers, "w", encoding="utf-8") as out:

        def tell(message: dict[str, Any]) -> None:
            out.write(json.dumps(message) + "\n")
            out.flush()

        try:
            engine = _start(settings)
        except Exception as error:  # whatever vLLM raises, the one who asked must see it
            tell({"refused": _one_line(error)})
            return
        tell({"ready": engine.facts})
        try:
            _serve(engine, tell)
        except Exception as error:
            tell({"failed": _one_line(error)})
            raise


class _VllmEngine:
    """vLLM's own engine, with the few calls that this process makes of it."""

    def __init__(self, llm: Any, facts: dict[str, Any]) -> None:
        self.llm, self.facts = llm, facts
        self.core = llm.llm_engine

    def add(self, message: dict[str, Any]) -> None:
        """One request for each draw, all greedy: our noise has left one token."""
        from vllm import SamplingParams

        from paced.rollouts.noise import ARGUMENT

        for sample, draw in enumerate(message["draws"]):
            params = SamplingParams(
                n=1,
                temperature=0.0,
                top_p=1.0,
                top_k=-1,
                min_p=0.0,
                repetition_penalty=1.0,
                presence_penalty=0.0,
                frequency_penalty=0.0,
                max_tokens=message["max_tokens"],
                ignore_eos=True,
                stop_token_ids=message["ends"],
                detokenize=False,
                extra_args={ARGUMENT: draw},
            )
            self.core.add_request(f"{message['row']}:{sample}", {"prompt_token_ids": message["prompt"]}, params)

    def step(self) -> list[dict[str, Any]]:
        """Decode one token of every request that runs; the completions that ended."""
        ended = []
        for output in self.core.step():
            if output.finished:
                row, sample = map(int, output.request_id.partition("-")[0].split(":"))
                (one,) = output.outputs
                ended.append(
                    {"row": row, "sample": sample, "token_ids": list(one.token_ids), "finish": one.finish_reason}
                )
        return ended

    def reload(self, folder: str) -> None:
        """Other weights, and no cache entries of the old ones."""
        self.llm.collective_rpc("reload_weights", kwargs={"weights_path": folder})
        if not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not reset its prefix cache")

    def score(self, prompt: list[int]) -> list[float]:
        """Log-probability of each token of a prompt but the first, in nats."""
        from vllm import SamplingParams

        params = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        (output,) = self.llm.generate([{"prompt_token_ids": prompt}], params, use_tqdm=False)
        rest = zip(prompt[1:], output.prompt_logprobs[1:], strict=True)
        return [float(of_token[token].logprob) for token, of_token in rest]


def _start(settings: dict[str, Any]) -> _VllmEngine:
    import torch

    if not torch.cuda.is_available():
        for name, value in CPU_SETTINGS.items():
            os.environ.setdefault(name, value)
    import vllm
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        settings["enforce_eager"] = True
        _refuse_head(settings["model"], settings.get("revision"))
    llm = vllm.LLM(
        skip_tokenizer_init=True,
        generation_config="vllm",
        logits_processors=["paced.rollouts.vllm_noise:PacedNoise"],
        disable_log_stats=True,
        trust_remote_code=False,
        **settings,
    )
    config = llm.llm_engine.vllm_config
    facts = {
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "device": current_platform.get_device_name(),
        "model_runner": 2 if getattr(config, "use_v2_model_runner", False) else 1,
        "context_tokens": int(config.model_config.max_model_len),
        "rows": int(config.scheduler_config.max_num_seqs),
    }
    return _VllmEngine(llm, facts)


def _refuse_head(model: str, revision: str | None) -> None:
    """vLLM on CPUs starts with a head size that it cannot compute, and ends at the first token."""
    from transformers import AutoConfig
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False).get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    known = CPUAttentionBackend.get_supported_head_sizes()
    if size not in known:
        raise ValueError(
            f"on CPUs vLLM computes attention heads of {', '.join(map(str, known))} dimensions, and this model's have "
            f"{size}. Choose the engine hf"
        )


def _serve(engine: _VllmEngine, tell: Any) -> None:
    messages: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            messages.put(json.loads(line))
        messages.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        running = engine.core.has_unfinished_requests()
        try:
            message = messages.get(block=not running)
        except queue.Empty:
            message = {}
        if message is None:
            return
        if "row" in message:
            engine.add(message)
            continue  # take all that has come before the next step
        if "weights" in message:
            engine.reload(message["weights"])
            tell({"weights": True})
        elif "score" in message:
            tell({"scores": engine.score(message["score"])})
        elif running:
            for completion in engine.step():
                tell(completion)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
    # Threads and children of vLLM may keep the process from ending.
    sys.stdout.flush()
    os._exit(0)
