"""What a server is and whether it samples as it is told, asked once before it gets any work.

A server accepts fields that it does not know in silence, so what it does is measured on 32 first tokens. With our noise
at temperature 100, where every model is nearly uniform, they must be nearly all different: a ``top_k`` or greedy
default that had its way gives 20 or 1. With the server's own noise the temperature is 2, the largest that servers take,
so only greedy ones are refused and the number is kept. That our noise is known shows from a request that it must
refuse: a server without the processor answers it.
Left out: /server_info, which only vLLM's development mode has.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paced.records import SampledCompletion
from paced.rollouts.noise import ARGUMENT
from paced.rollouts.server_dialects import Dialect, Reply, Terms
from paced.rollouts.server_http import Server, ServerLost
from paced.rollouts.server_replies import Unusable
from paced.run.config import SamplingConfig

NUM_PROBES = 32
TRIAL_TEMPERATURE = {"paced": 100.0, "server": 2.0}
"""By whose noise it is; vLLM and OpenAI's own servers refuse a temperature over 2."""
SHARE_DIFFERENT = 0.7
"""Of the different tokens that a uniform distribution over the vocabulary would give on average."""


class Unfit(Exception):  # noqa: N818 - named by what the server is
    """A server that answers but cannot do this work; the sentence says why and what to change."""


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What one server said of itself and how it was tried."""

    url: str
    """Its base URL."""
    model: str
    """The name under which it serves the model."""
    context_tokens: int | None
    """Prompt and completion together; None where it does not say."""
    version: str
    """Of the server's software; empty where it does not say."""
    fingerprint: str
    """A hash of its configuration; empty where it gives none."""
    confirmed: str
    """How its sampling was tried, and what that gave."""


async def greet(
    server: Server,
    *,
    dialect: Dialect,
    served_model: str,
    terms: Terms,
    accept: Callable[[Reply, tuple[int, ...], Terms], SampledCompletion],
) -> Greeting:
    """Ask a server for its model, version and limit, and try its sampling.

    Args:
        server: to be asked.
        dialect: how.
        served_model: the name to ask for; empty for the only one that it has.
        terms: those of the run's requests; the trial has other sampling settings.
        accept: makes a completion of a reply.

    Raises:
        Unfit: another model, no processor for our noise, or sampling that does not follow the request.
        ServerLost, Transient: it cannot be asked.
    """
    entry = _pick(server.url, await server.get("/v1/models"), served_model)
    prompt = (terms.ends[0],)
    temperature = TRIAL_TEMPERATURE[terms.noise]
    trial = dataclasses.replace(
        terms, sampling=SamplingConfig(num_samples=NUM_PROBES, sampling_temperature=temperature, max_new_tokens=1)
    )
    if terms.noise == "paced":
        await _refuse_without_noise(server, dialect, str(entry["id"]), prompt, trial)

    async def probe(key: int) -> tuple[str, str]:
        body = dialect.body(str(entry["id"]), prompt, key, trial)
        reply = await server.post(dialect.path, body, dialect.read)
        token = str(accept(reply, prompt, trial).token_ids) if dialect.gives_token_ids else reply.text
        return token, reply.fingerprint

    outcomes = await asyncio.gather(*map(probe, range(1, NUM_PROBES + 1)), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Unusable):
            raise Unfit(f"{server.url} refuses a trial request, or answers otherwise than asked ({outcome}).")
        if isinstance(outcome, BaseException):
            raise outcome
    answers = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    size = terms.vocab_size
    expected = size * (1 - (1 - 1 / size) ** NUM_PROBES)
    needed = SHARE_DIFFERENT * expected if terms.noise == "paced" else min(2.0, expected)
    different = len({token for token, _ in answers})
    if different < needed:
        raise Unfit(
            f"{server.url} does not sample as it is told: of {NUM_PROBES} first tokens at temperature {temperature:g} "
            f"{needed:.0f} or more must be different, got {different}. Start it with neutral sampling defaults (vLLM: "
            "--generation-config vllm)."
        )
    limit = entry.get("max_model_len")
    return Greeting(
        url=server.url,
        model=str(entry["id"]),
        context_tokens=limit if isinstance(limit, int) and limit > 0 else None,
        version=await _version(server),
        fingerprint=next((fingerprint for _, fingerprint in answers if fingerprint), ""),
        confirmed=f"{different} different of {NUM_PROBES} first tokens at temperature {temperature:g}, "
        f"{expected:.0f} if uniform; "
        + ("our noise is validated there" if terms.noise == "paced" else "noise is the server's own"),
    )


def _pick(url: str, listing: Any, served_model: str) -> dict[str, Any]:
    """The entry of the served model."""
    data = listing.get("data") if isinstance(listing, dict) else None
    entries = [entry for entry in data or [] if isinstance(entry, dict) and entry.get("id")]
    names = [str(entry["id"]) for entry in entries]
    if served_model and served_model in names:
        return entries[names.index(served_model)]
    shown = ", ".join(names) or "none"
    if served_model:
        raise Unfit(f"{url} must serve the model '{served_model}', it serves {shown}. Set served_model to one of them.")
    if len(entries) != 1:
        raise Unfit(f"{url} must serve one model, it serves {shown}. Set served_model to one of them.")
    return entries[0]


async def _refuse_without_noise(
    server: Server, dialect: Dialect, model: str, prompt: tuple[int, ...], terms: Terms
) -> None:
    body = dialect.body(model, prompt, 1, terms)
    _spoil(body)
    try:
        await server.post(dialect.path, body, lambda reply: reply)
    except Unusable:
        return  # its processor refuses arguments that it cannot use
    raise Unfit(
        f"{server.url} does not know our noise (it took arguments that the logits processor refuses), so each prompt "
        "would get K equal completions. Start it with --logits-processors paced.rollouts.vllm_noise:PacedNoise, or set "
        "noise: server to take its own random numbers."
    )


def _spoil(body: dict[str, Any]) -> None:
    """Leave the noise's key alone, without the settings that belong to it."""
    holder = body if "vllm_xargs" in body else body["sampling_params"]
    holder["vllm_xargs" if "vllm_xargs" in body else "extra_args"] = {ARGUMENT: [1]}


async def _version(server: Server) -> str:
    try:
        answer = await server.get("/version")
    except (ServerLost, Unusable):
        return ""
    return str(answer.get("version", "")) if isinstance(answer, dict) else ""
