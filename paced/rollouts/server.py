"""The engine ``server``: completions from servers that are running already, over HTTP, as one pool behind one queue.

One request is one completion, with every sampling field (``server_dialects.py``); a prompt's row is given when its K
are there. What fails for good is named after everything else has been given (``missing.py``), and a server that is
lost is left out while the others finish its work (``server_pool.py``). Before its first request each server is asked
what it is and tried (``server_handshake.py``).
A server keeps the weights that it was started with: what needs the trained student is refused before a run begins.
Left out: starting servers. That is a scheduler's work, and several ``base_urls`` are how several GPUs or nodes serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from paced.errors import ConfigError, MissingExtraError, check_number, did_you_mean
from paced.installed import is_installed
from paced.models.loading import load_config, load_generation_config, load_tokenizer
from paced.models.tokens import absent_ids, ends_of, vocabulary_size
from paced.records import SampledCompletion
from paced.rollouts.context import refuse_too_long
from paced.rollouts.missing import MissingCompletions
from paced.rollouts.server_dialects import DIALECTS, Reply, Terms
from paced.rollouts.server_parameters import checked_key_name, checked_urls
from paced.rollouts.server_replies import Unusable, accept
from paced.run.config import ModelConfig, SamplingConfig

if TYPE_CHECKING:
    from paced.rollouts.server_handshake import Greeting
    from paced.rollouts.server_http import Server
    from paced.rollouts.server_pool import Outbox

LOG = logging.getLogger(__name__)
NOISES = ("paced", "server")
Job = tuple[int, int]
"""Row of a prompt and column of one of its keys."""


class ServerEngine:
    """The engine ``server``: samples with servers that speak one of the dialects of ``server_dialects.py``."""

    batch_rows = 1
    takes_new_weights = False

    def __init__(
        self,
        model: ModelConfig,
        *,
        base_urls: Sequence[str] | str,
        end_of_answer: str = "",
        served_model: str = "",
        dialect: str = "openai",
        noise: str = "",
        concurrency: int = 32,
        timeout_seconds: float = 1800.0,
        attempts: int = 8,
        backoff_seconds: float = 0.5,
        context_tokens: int = 0,
        api_key_env: str = "",
    ) -> None:
        """Name the servers that will be asked; nothing is sent yet.

        Args:
            model: folder or hub name of the served model; its tokenizer and end tokens are used, its weights are not.
            base_urls: one or more, http or https, with or without ``/v1``, without user names or passwords.
            end_of_answer: text of one token that ends a completion besides the model's own; empty for none.
            served_model: the model's name at the servers; empty for the only one that they have.
            dialect: a key of :data:`~paced.rollouts.server_dialects.DIALECTS`.
            noise: ``paced``, our noise by the logits processor inside vLLM, so that completions are those of the
                engine ``hf``; ``server``, the server's own. Empty for ``paced`` where the dialect can send it; a server
                without the processor is then refused.
            concurrency: requests in flight at each server, an integer >= 1.
            timeout_seconds: deadline of one attempt at a completion, > 0.
            attempts: how often a request is sent before its server is given up, an integer >= 1.
            backoff_seconds: longest wait before the second attempt, > 0; it doubles with each, up to 30 s.
            context_tokens: prompt and completion together; 0 for what the servers say.
            api_key_env: name of the environment variable with the API key; empty for none.

        Raises:
            ValueError: an argument out of range, a URL that cannot be used, or an environment without the key.
            MissingExtraError: the packages of the extra ``server`` are not installed.
        """
        place = "server"
        self.model, self.end_of_answer, self.served_model = model, end_of_answer, served_model
        self.base_urls = checked_urls([base_urls] if isinstance(base_urls, str) else list(base_urls))
        if dialect not in DIALECTS:
            raise ValueError(
                f"{place}: dialect must be one of {', '.join(DIALECTS)}, got {dialect!r}."
                f"{did_you_mean(dialect, DIALECTS)}"
            )
        self.dialect = DIALECTS[dialect]
        if noise not in ("", *NOISES):
            raise ValueError(f"{place}: noise must be one of {', '.join(NOISES)}, got {noise!r}.")
        if noise == "paced" and not self.dialect.takes_noise:
            raise ValueError(f"{place}: dialect '{dialect}' cannot send our noise. Set noise: server.")
        self.noise: Any = noise or ("paced" if self.dialect.takes_noise else "server")
        for name, value, low in (
            ("concurrency", concurrency, 1),
            ("attempts", attempts, 1),
            ("context_tokens", context_tokens, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{place}: {name} must be an integer >= {low}, got {value!r}.")
        check_number(place, "timeout_seconds", timeout_seconds, low=0, low_open=True)
        check_number(place, "backoff_seconds", backoff_seconds, low=0, low_open=True)
        self.concurrency, self.timeout_seconds, self.attempts = concurrency, float(timeout_seconds), attempts
        self.backoff_seconds, self._asked_context = float(backoff_seconds), context_tokens
        self._key_name = checked_key_name(api_key_env)
        for package in ("httpx", "tenacity"):
            if not is_installed(package):
                raise MissingExtraError("engine: server", package, "server")
        self._greetings: dict[str, Greeting] = {}
        self._lost: dict[str, str] = {}
        self._tokenizer: Any = None
        self._active: Generator[Any, None, None] | None = None

    @property
    def gives_token_ids(self) -> bool:
        """Whether completions hold the sampled tokens, or text that was encoded again."""
        return self.dialect.gives_token_ids

    @property
    def reproducibility(self) -> str:
        """What is the same when a completion is sampled again."""
        if self.noise == "paced":
            return (
                "The noise of a completion belongs to its prompt and key; where the servers compute in float32 its "
                "text is that of the engine hf but near edges of the CDF, elsewhere it may depend on their batches."
            )
        return (
            "A completion has a seed of its own, made of its key; whether the same seed gives the same text depends on "
            "the server and its batches."
        )

    @property
    def context_tokens(self) -> int | None:
        """The parameter, or the smallest limit that the servers name; asks them when they have not been asked."""
        if self._asked_context:
            return self._asked_context
        self._greet()
        limits = [one.context_tokens for one in self._greetings.values() if one.context_tokens is not None]
        return min(limits, default=None)

    @property
    def facts(self) -> dict[str, Any]:
        """By its place in ``base_urls`` what each server said of itself and how it was tried, and which were lost."""
        places = {url: f"server {number}" for number, url in enumerate(self.base_urls, start=1)}
        return {
            "noise": self.noise,
            "servers": {
                places[url]: {key: value for key, value in dataclasses.asdict(greeting).items() if key != "url"}
                for url, greeting in self._greetings.items()
            },
            "lost": [places[url] for url in self._lost],
        }

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """(row, its K completions) as they are complete, one request a completion.

        Raises:
            ValueError: prompts that do not fit into the servers' context.
            ConfigError: no server can be reached, or one that answers is unfit.
            MissingCompletions: after all others have been given, those that could not be got.
            StopRequested: a signal came while nothing was finished; what was in flight is lost.
        """
        limit = self.context_tokens
        refuse_too_long("server", prompts, max_new_tokens=sampling.max_new_tokens, context_tokens=limit)
        self._greet()
        keys = np.asarray(keys, dtype=np.uint64)
        num_samples = keys.shape[1]
        partial: dict[int, dict[int, SampledCompletion]] = {}
        done: set[int] = set()
        reasons: dict[int, str] = {}
        self._active = results = self._ask_all(prompts, keys, self._terms(sampling))
        try:
            for (row, column), outcome in results:
                if isinstance(outcome, Unusable):
                    reasons.setdefault(row, str(outcome))
                    continue
                columns = partial.setdefault(row, {})
                columns[column] = outcome
                if len(columns) == num_samples:
                    done.add(row)
                    del partial[row]
                    yield row, [columns[one] for one in range(num_samples)]
        finally:
            results.close()
            self._active = None
        missing = [row for row in range(len(prompts)) if row not in done]
        if missing:
            lost = "; ".join(f"{url}: {reason}" for url, reason in self._lost.items())
            also = f"Lost servers: {lost}." if lost else ""
            unasked = "no server was left to ask"
            raise MissingCompletions(
                "server", {row: reasons.get(row, unasked) for row in missing}, of=len(prompts), also=also
            )

    def update(self, student: Any) -> None:
        """Refused: a server keeps the weights that it was started with.

        Raises:
            ConfigError: always; the message says what to do.
        """
        raise ConfigError(
            "server: cannot take new weights; a server keeps those that it was started with. Sample from a student "
            "that is trained with engine: hf or vllm, or start servers on the new weights and list them in a run of "
            "their own."
        )

    def close(self) -> None:
        """Cancel what is in flight and forget what the servers said."""
        if self._active is not None:
            with contextlib.suppress(ValueError):  # it is running: its own reader closes it
                self._active.close()
            self._active = None
        self._greetings, self._tokenizer = {}, None

    def _terms(self, sampling: SamplingConfig) -> Terms:
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.model)
        tokenizer = self._tokenizer
        known = vocabulary_size(tokenizer)
        rows = getattr(load_config(self.model).get_text_config(), "vocab_size", None) or known
        return Terms(
            sampling=sampling,
            ends=ends_of(load_generation_config(self.model), tokenizer, self.end_of_answer),
            end_of_answer=self.end_of_answer,
            vocab_size=known,
            unreadable=(*absent_ids(tokenizer), *range(known, rows)),
            noise=self.noise,
        )

    def _completion(self, reply: Reply, prompt: Sequence[int], terms: Terms) -> SampledCompletion:
        if self.dialect.gives_token_ids and reply.token_ids is None:
            raise Unusable(
                "the reply has no token ids. Set dialect: text to rate problems with this server; training along its "
                "rollouts needs the ids"
            )
        return accept(reply, prompt, terms, encode=lambda text: self._tokenizer.encode(text, add_special_tokens=False))

    def _server(self, url: str) -> Server:
        from paced.rollouts.server_http import Patience, Server

        key = os.environ.get(self._key_name, "") if self._key_name else ""
        patience = Patience(
            timeout_seconds=self.timeout_seconds, attempts=self.attempts, backoff_seconds=self.backoff_seconds
        )
        return Server(url, key=key, connections=self.concurrency, patience=patience)

    def _greet(self) -> None:
        """Ask every server that has not been asked or lost; when all are lost, all anew.

        Raises:
            ConfigError: one that answers is unfit, or none can be reached.
        """
        from paced.rollouts.server_handshake import Unfit, greet
        from paced.rollouts.server_http import ServerLost, Transient
        from paced.rollouts.server_pool import in_a_loop

        terms = self._terms(SamplingConfig())
        if len(self._lost) == len(self.base_urls):
            self._lost = {}
        unasked = [url for url in self.base_urls if url not in self._greetings and url not in self._lost]
        if not unasked:
            return

        async def ask(url: str) -> Greeting | Exception:
            async with self._server(url) as server:
                try:
                    return await greet(
                        server,
                        dialect=self.dialect,
                        served_model=self.served_model,
                        terms=terms,
                        accept=self._completion,
                    )
                except (Unfit, ServerLost, Transient) as error:
                    return error

        async def ask_all(outbox: Outbox[tuple[str, Greeting | Exception]]) -> None:
            for url, answer in zip(unasked, await asyncio.gather(*map(ask, unasked)), strict=True):
                outbox.put((url, answer))

        unfit: list[str] = []
        for url, answer in in_a_loop(ask_all):
            if isinstance(answer, Unfit):
                unfit.append(str(answer))
            elif isinstance(answer, Exception):
                self._leave_out(url, str(answer))
            else:
                self._greetings[url] = answer
        if unfit:
            raise ConfigError(f"server: {' '.join(unfit)}")
        if not self._greetings:
            reasons = "; ".join(self._lost.values())
            raise ConfigError(f"server: none of base_urls can be used ({reasons}). Start a server, or correct them.")

    def _ask_all(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], terms: Terms
    ) -> Generator[tuple[Job, SampledCompletion | Unusable], None, None]:
        from paced.rollouts.server_pool import in_a_loop, share

        jobs: Iterator[Job] = ((row, column) for row in range(len(prompts)) for column in range(keys.shape[1]))
        lost: dict[str, str] = {}

        async def ask(server: Server, job: Job) -> SampledCompletion:
            row, column = job
            model = self._greetings[server.url].model
            body = self.dialect.body(model, prompts[row], int(keys[row, column]), terms)
            reply = await server.post(self.dialect.path, body, self.dialect.read)
            return self._completion(reply, prompts[row], terms)

        async def work(outbox: Outbox[tuple[Job, SampledCompletion | Unusable]]) -> None:
            async with contextlib.AsyncExitStack() as open_servers:
                servers = [await open_servers.enter_async_context(self._server(url)) for url in self._greetings]
                await share(servers, jobs, ask, concurrency=self.concurrency, outbox=outbox, lost=lost)

        try:
            yield from in_a_loop(work)
        finally:
            for url, reason in lost.items():
                self._leave_out(url, reason)

    def _leave_out(self, url: str, reason: str) -> None:
        self._greetings.pop(url, None)
        self._lost[url] = reason
        LOG.warning("server: %s is left out of the pool: %s.", url, reason)
