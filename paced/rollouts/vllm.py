"""The engine ``vllm``: vLLM with our own noise, in processes of its own, one for each GPU behind one queue.

A request carries its key, so completions do not depend on which process sampled them, in which batch or order, or how
often it was begun; in float32 they are those of the engine ``hf``. A process that dies gives its prompts back to the
queue; when the last one dies the error names its log.
Left out: vLLM's data parallelism (its offline interface refuses it), sleep mode, sending weights over NCCL.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paced.errors import ConfigError, check_number
from paced.installed import is_installed
from paced.models.loading import context_limit, load_config, load_generation_config, load_model, load_tokenizer, locate
from paced.models.tokens import absent_ids, ends_of, vocabulary_size
from paced.records import FinishReason, SampledCompletion
from paced.rollouts.context import refuse_too_long
from paced.rollouts.noise import Draw
from paced.rollouts.vllm_process import Message, VllmProcess
from paced.run.config import ModelConfig, SamplingConfig

PYTHON_VARIABLE = "PACED_VLLM_PYTHON"
"""Environment variable with the interpreter that has vLLM, where a recipe names none."""
ROWS_IN_FLIGHT = 2
"""Prompts handed to a process, in units of what it decodes side by side: it never waits, and little is lost with it."""
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.15}
"""Largest mean difference of log-probs, in nats a token, between new weights here and in vLLM: rounding is an order of
magnitude below, an old head four above (0.6)."""
SCORED_TOKENS = 16


class VllmEngine:
    """Samples with vLLM; processes start at the first prompt and end with this object or with this process."""

    batch_rows = 1
    gives_token_ids = takes_new_weights = True
    reproducibility = (
        "With our noise inside vLLM a completion follows from its prompt, key and settings: in float32 it is that of "
        "the engine hf, but where a uniform falls within about 1e-6 of an edge of the CDF; in bfloat16 the noise is "
        "the same, and the text may depend on what vLLM decodes beside it."
    )

    def __init__(
        self,
        model: ModelConfig,
        *,
        end_of_answer: str = "",
        python: str = "",
        num_engines: int = 1,
        tensor_parallel: int = 1,
        gpu_memory_fraction: float = 0.9,
        max_context_tokens: int = 0,
        prefix_caching: bool = True,
        eager: bool = False,
    ) -> None:
        """Name the model and how vLLM is to run it.

        Args:
            model: folder or hub name, and type of the weights.
            end_of_answer: text of one token that ends a completion besides the model's own; empty for none.
            python: interpreter that has vLLM; empty for ``$PACED_VLLM_PYTHON``, or this one.
            num_engines: processes, >= 1, each with a copy of the model on GPUs of its own.
            tensor_parallel: GPUs of each, >= 1.
            gpu_memory_fraction: of a GPU's memory, in (0, 1].
            max_context_tokens: prompt and completion together; 0 for what the model was made for.
            prefix_caching: keep the keys and values of prompts that begin alike.
            eager: no CUDA graphs; always so on CPUs.

        Raises:
            ValueError: a parameter out of range.
        """
        for name, value in (("num_engines", num_engines), ("tensor_parallel", tensor_parallel)):
            check_number("vllm", name, value, low=1)
        check_number("vllm", "gpu_memory_fraction", gpu_memory_fraction, low=0, high=1, low_open=True)
        check_number("vllm", "max_context_tokens", max_context_tokens, low=0)
        self.model, self.end_of_answer, self.python = model, end_of_answer, python
        self.num_engines, self.max_context_tokens = int(num_engines), int(max_context_tokens)
        self.settings = {
            "dtype": model.dtype,
            "tensor_parallel_size": int(tensor_parallel),
            "gpu_memory_utilization": float(gpu_memory_fraction),
            "enable_prefix_caching": bool(prefix_caching),
            "enforce_eager": bool(eager),
        }
        self._pool: list[VllmProcess] = []
        self._facts: dict[str, Any] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._open = False
        self._unproved: Any = None
        """New weights that vLLM has not been held against yet."""

    @property
    def context_tokens(self) -> int | None:
        """As set, or positions of the model's configuration."""
        return self.max_context_tokens or context_limit(load_config(self.model))

    @property
    def facts(self) -> dict[str, Any]:
        """Versions and device of the first process, once it has started."""
        return dict(self._facts)

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """(row, its K completions) as prompts finish, in any order.

        Raises:
            RuntimeError: an earlier call is not finished; every process has died.
        """
        self._refuse_open("sample")
        refuse_too_long("vllm", prompts, max_new_tokens=sampling.max_new_tokens, context_tokens=self.context_tokens)
        tokenizer = load_tokenizer(self.model)
        size, absent = vocabulary_size(tokenizer), absent_ids(tokenizer)
        ends = ends_of(load_generation_config(self.model), tokenizer, self.end_of_answer)
        self._start()
        self._open = True
        requests = deque(
            {
                "row": row,
                "prompt": list(prompts[row]),
                "draws": [
                    Draw(int(key), sampling.sampling_temperature, sampling.top_p, size, absent).as_list()
                    for key in keys[row]
                ],
                "max_tokens": sampling.max_new_tokens,
                "ends": list(ends),
            }
            for row in sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
        )
        try:
            yield from self._deal(requests, keys.shape[1])
        finally:
            self._open = False
            if any(process.in_flight for process in self._pool):  # given up in the middle: what runs there is of no use
                self._stop()

    def update(self, student: Any) -> None:
        """Sample from ``student``: a folder, or a module of this process, whose weights are written to a folder first.

        A model whose head is its embedding gets new processes: vLLM keeps the old head when such weights are loaded
        again (0.6 nats a token off, in silence). New weights are held against ``student`` before the next completion.

        Raises:
            ValueError: a module that is sharded over ranks.
            RuntimeError: a call of :meth:`sample` is not finished.
        """
        self._refuse_open("update")
        if isinstance(student, (str, Path)):
            folder, self._unproved = str(student), str(student)
        else:
            folder, self._unproved = self._write(student), student
        self.model = dataclasses.replace(self.model, path=folder, revision="")
        if not self._pool:
            return
        if load_config(self.model).get_text_config().tie_word_embeddings:
            self._stop()
            return
        try:
            for process in self._pool:
                process.ask({"weights": folder}, "weights")
        except RuntimeError:
            self._stop()  # the others have other weights, or vLLM's broken ones
            raise

    def close(self) -> None:
        """End the processes and remove what was written for them."""
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _refuse_open(self, call: str) -> None:
        if self._open:
            raise RuntimeError(
                f"vllm: {call} must wait until the rows of an earlier call of sample are all taken. Take or close them."
            )

    def _start(self) -> None:
        """Processes that run the model as it is now, proved where it is new."""
        if not self._pool:
            settings = self.settings | {"model": locate(self.model), "max_model_len": self.context_tokens}
            if self.model.revision:
                settings["revision"] = self.model.revision
            python = interpreter(self.python)
            gpus = _gpus_of_each(self.num_engines, int(self.settings["tensor_parallel_size"]))
            self._pool = [VllmProcess(python, settings, index, gpus[index]) for index in range(self.num_engines)]
            try:
                facts = [process.wait_until_ready() for process in self._pool]
            except BaseException:
                self._stop()
                raise
            self._facts = facts[0]
        if self._unproved is not None:
            self._prove(self._unproved)
            self._unproved = None

    def _stop(self) -> None:
        for process in self._pool:
            process.end()
        self._pool = []

    def _write(self, student: Any) -> str:
        if any(type(parameter).__name__ == "DTensor" for parameter in student.parameters()):
            raise ValueError(
                "vllm: takes new weights from a module that one process holds whole, got one sharded over ranks. "
                "Choose the engine hf for rollouts during a sharded training."
            )
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="paced-vllm-")
        folder = Path(self._folder.name) / "student"
        shutil.rmtree(folder, ignore_errors=True)
        student.save_pretrained(folder)
        load_tokenizer(self.model).save_pretrained(folder)
        return str(folder)

    def _prove(self, student: Any) -> None:
        """Hold log-probs of one prompt in every process against the student itself.

        Raises:
            RuntimeError: they differ by more than rounding.
        """
        import torch

        module = load_model(self.model) if isinstance(student, str) else student
        size = min(vocabulary_size(load_tokenizer(self.model)), module.get_input_embeddings().num_embeddings)
        prompt = [(7 * place) % size for place in range(1, SCORED_TOKENS + 1)]
        was_training = module.training
        module.eval()
        with torch.no_grad():
            logits = module(torch.tensor([prompt], device=module.device)).logits[0, :-1].float()  # [T - 1, V]
        module.train(was_training)
        ours = torch.log_softmax(logits, dim=-1).gather(-1, torch.tensor(prompt[1:], device=logits.device)[:, None])
        for process in self._pool:
            theirs = process.ask({"score": prompt}, "scores")["scores"]
            off = float(np.abs(np.array(theirs) - ours[:, 0].cpu().numpy()).mean())
            if not off <= TOLERANCE[self.model.dtype]:
                self._stop()
                raise RuntimeError(
                    f"vllm: new weights must give the student's log-probs within {TOLERANCE[self.model.dtype]} nats a "
                    f"token, got {off:.3g} off. vLLM does not compute this model as transformers does; choose the "
                    "engine hf."
                )

    def _deal(self, requests: deque[Message], num_samples: int) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """Hand out prompts, take back those of processes that died, give rows as they are complete."""
        events: queue.Queue[tuple[VllmProcess, Message | None]] = queue.Queue()
        for process in self._pool:
            process.listen(events)
        unfinished = len(requests)
        while unfinished:
            for process in [one for one in self._pool if one.alive]:
                most = max(1, ROWS_IN_FLIGHT * process.rows // num_samples)
                while requests and len(process.in_flight) < most:
                    process.send(requests.popleft())
            if not any(process.alive for process in self._pool):
                told, count = process.last_words(), len(self._pool)
                self._stop()
                raise RuntimeError(f"vllm: the last of {count} processes has ended. {told}")
            process, message = events.get()
            if message is None:  # it has ended, and all it said before has been taken
                requests.extendleft(request for request, _ in process.in_flight.values())
                process.end()
                continue
            if "row" not in message or message["row"] not in process.in_flight:
                continue
            request, completions = process.in_flight[message["row"]]
            finish: FinishReason = "stop" if message["token_ids"][-1] in request["ends"] else "length"
            completions[message["sample"]] = SampledCompletion(tuple(message["token_ids"]), finish)
            if len(completions) == num_samples:
                del process.in_flight[message["row"]]
                unfinished -= 1
                yield message["row"], [completions[sample] for sample in range(num_samples)]
        self._pool = [process for process in self._pool if process.alive]


def interpreter(python: str = "") -> str:
    """The interpreter that has vLLM.

    Args:
        python: as a recipe names it; empty for ``$PACED_VLLM_PYTHON``, or this one.

    Raises:
        ConfigError: there is none.
    """
    chosen = python or os.environ.get(PYTHON_VARIABLE, "")
    if chosen:
        if shutil.which(chosen) is None:
            raise ConfigError(f"vllm: the interpreter must be a program, got {chosen!r}. Set engine.parameters.python.")
        return chosen
    if not is_installed("vllm"):
        raise ConfigError(
            "vllm: needs an interpreter that has vLLM. Run `make vllm` in a clone, or make an environment of its own, "
            f'pip install "paced[vllm]" there; set engine.parameters.python or {PYTHON_VARIABLE} to its python.'
        )
    return sys.executable


def is_there(python: str = "") -> bool:
    """Whether there is an interpreter that is said to have vLLM."""
    try:
        interpreter(python)
    except ConfigError:
        return False
    return True


def _gpus_of_each(num_engines: int, tensor_parallel: int) -> list[str]:
    """``CUDA_VISIBLE_DEVICES`` of each process: consecutive parts of what this process sees; empty without GPUs."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    gpus = [one for one in visible.split(",") if one] or [str(index) for index in range(torch.cuda.device_count())]
    if not torch.cuda.is_available():
        return [""] * num_engines
    if num_engines * tensor_parallel > len(gpus):
        raise ConfigError(
            f"vllm: num_engines x tensor_parallel must be at most the {len(gpus)} GPUs that there are, got "
            f"{num_engines} x {tensor_parallel}."
        )
    return [",".join(gpus[first : first + tensor_parallel]) for first in range(0, len(gpus), tensor_parallel)]
