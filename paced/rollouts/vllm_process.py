"""One process of the engine ``vllm``, as who uses it sees it: what it was given and has not finished, and what it says.

The other side is ``vllm_worker.py``. What a process says is read by a thread of its own and put into a queue, so that
several of them can be waited for at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

import paced
from paced.errors import ConfigError
from paced.records import SampledCompletion

Message = dict[str, Any]
"""One line of JSON, either way."""


class VllmProcess:
    """One vLLM process: what it was given and has not finished, and what it says."""

    def __init__(self, python: str, settings: dict[str, Any], index: int, gpus: str) -> None:
        self.in_flight: dict[int, tuple[Message, dict[int, SampledCompletion]]] = {}
        self.alive, self.rows = True, 1
        self.log = tempfile.NamedTemporaryFile(prefix=f"paced-vllm-{index}-", suffix=".log", delete=False)  # noqa: SIM115
        answers, theirs = os.pipe()
        own = str(Path(paced.__file__).parent.parent)
        paths = [own, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "VLLM_NO_USAGE_STATS": "1"}
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = gpus
        self.process = subprocess.Popen(
            [python, "-m", "paced.rollouts.vllm_worker", json.dumps(settings), str(theirs)],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs],
            env=environment,
            start_new_session=True,  # a Ctrl-C of the terminal is for us; it ends when we close its stdin
            text=True,
        )
        os.close(theirs)
        self._messages: queue.Queue[Message | None] = queue.Queue()
        self._events: queue.Queue[tuple[VllmProcess, Message | None]] | None = None
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._read, args=(os.fdopen(answers, encoding="utf-8"),), daemon=True).start()

    def wait_until_ready(self) -> Message:
        """Facts of the engine, once it can sample.

        Raises:
            ConfigError: vLLM refuses the model or its settings.
            RuntimeError: the process ended.
        """
        message = self._messages.get()
        if message is None:
            raise RuntimeError(f"vllm: the process ended before it could sample. {self.last_words()}")
        if "refused" in message:
            raise ConfigError(f"vllm: {message['refused'].rstrip('.')}. Its log: {self.log.name}")
        facts: Message = message["ready"]
        self.rows = facts["rows"]
        return facts

    def ask(self, message: Message, name: str) -> Message:
        """Send a question and wait for the answer that has this name; nothing else may be in flight.

        Raises:
            RuntimeError: the process ended instead.
        """
        self.send(message)
        while (answer := self._messages.get()) is not None:
            if name in answer:
                return answer
            if "failed" in answer:
                break
        self.end()
        raise RuntimeError(f"vllm: the process ended when asked for {name}. {self.last_words()}")

    def send(self, message: Message) -> None:
        """Send a message; one that asks for completions is kept until they are there."""
        if "row" in message:
            self.in_flight[message["row"]] = (message, {})
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end is told by its answers
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def listen(self, events: queue.Queue[tuple[VllmProcess, Message | None]]) -> None:
        """Let what it says from now on go to ``events``, None for its end."""
        with self._lock:
            self._events = events
            if self._ended:  # since the last call: its end was told to nobody
                events.put((self, None))

    def last_words(self) -> str:
        """How it ended, and where its log is."""
        code = self.process.poll()
        if code is not None and code < 0:
            return f"It was killed by {signal.Signals(-code).name}. Its log: {self.log.name}"
        lines = Path(self.log.name).read_text(errors="replace").strip().splitlines()
        told = next(
            (line.strip() for line in reversed(lines) if "Error" in line), lines[-1] if lines else "It said nothing"
        )
        return f"{told[-300:].rstrip('.')}. Its log: {self.log.name}"

    def end(self) -> None:
        """End it with its children: stdin is closed, and what has not ended in ten seconds is killed.

        The log of a process that ended on its own is kept, as an error names it.
        """
        on_its_own = self.process.poll() is not None
        self.alive = False
        self.in_flight.clear()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # it leads a session of its own
        self.process.wait()
        self.log.close()
        if not on_its_own:
            Path(self.log.name).unlink(missing_ok=True)

    def _read(self, answers: IO[str]) -> None:
        with answers:
            for line in answers:
                self._put(json.loads(line) if line.endswith("\n") else None)
        self._put(None)

    def _put(self, message: Message | None) -> None:
        with self._lock:
            self._ended = self._ended or message is None
            if self._events is not None and (message is None or "row" in message):
                self._events.put((self, message))
            if message is None or "row" not in message:  # the end is for whoever waits: for rows, or for an answer
                self._messages.put(message)
