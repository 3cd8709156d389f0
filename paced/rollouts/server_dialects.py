"""How each kind of server is asked for one completion, and what its reply says.

Every sampling field is sent in every request: a server takes those that are left out from the model's
``generation_config.json`` (with the temperature alone, a folder's ``top_k`` stays: 18 different first tokens instead
of 125). What was sent back is judged in ``server_replies.py``, the same for all.
Left out: chat endpoints. A prompt is token ids, cut by the same template and tokenizer that the trainer uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from paced.rollouts.noise import ARGUMENT, Draw
from paced.run.config import SamplingConfig
from paced.run.seeds import splitmix64

Noise = Literal["paced", "server"]
"""Whose random numbers: ours inside the server (``vllm_noise.py``), or the server's own, from a seed of the key."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What all requests of one call have in common."""

    sampling: SamplingConfig
    """Temperature, nucleus mass, limit."""
    ends: tuple[int, ...]
    """Tokens that end a completion."""
    end_of_answer: str
    """The recipe's own end as text, for servers that know no token ids; empty for none."""
    vocab_size: int
    """Of the tokenizer: ids from here on are padding rows of the head."""
    unreadable: tuple[int, ...]
    """Rows of the head that no token has: gaps of the tokenizer and padding rows."""
    noise: Noise
    """Whose random numbers."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One completion as a server describes it."""

    finish: str
    """Its own word for how it ended."""
    token_ids: Sequence[int] | None = None
    """Tokens of the completion; None from a server that gives text only."""
    text: str = ""
    """Text of the completion, where there are no ids."""
    matched: int | None = None
    """The token that ended it, where the server names it."""
    prompt_ids: Sequence[int] | None = None
    """The prompt as the server read it, where it says so."""
    num_tokens: int | None = None
    """Tokens of the completion by the server's own count."""
    fingerprint: str = ""
    """A hash of the server's configuration, where it gives one."""


@dataclass(frozen=True)
class Dialect:
    """One way to ask for a completion."""

    path: str
    """Where requests go, below the base URL."""
    body: Callable[[str, Sequence[int], int, Terms], dict[str, Any]]
    """(served model, prompt, key, terms) -> the request."""
    read: Callable[[Any], Reply]
    """The reply; raises KeyError, IndexError, TypeError, AttributeError where it has another form."""
    gives_token_ids: bool
    """Whether replies hold the sampled tokens; text encoded again need not give the same."""
    takes_noise: bool
    """Whether our own noise can be sent."""


def server_seed(key: int) -> int:
    """The seed of a sample for a server's own generator: a hash below 2^63, since neighbouring seeds give vLLM equal
    samples.

    Example:
        >>> 0 <= server_seed(2**64 - 1) < 2**63
        True
    """
    return int(splitmix64(key)) >> 1


def _common(key: int, terms: Terms) -> dict[str, Any]:
    """Fields that all servers call alike. With our noise the server is asked for its most probable token: the logits
    processor has left one."""
    ours = terms.noise == "paced"
    fields = {
        "n": 1,
        "temperature": 0.0 if ours else terms.sampling.sampling_temperature,
        "top_p": 1.0 if ours else terms.sampling.top_p,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop_token_ids": list(terms.ends),
    }
    if not ours and terms.unreadable:
        fields["logit_bias"] = {str(token): -100.0 for token in terms.unreadable}
    return fields


def _noise(key: int, terms: Terms) -> dict[str, Any]:
    sampling, size = terms.sampling, terms.vocab_size
    absent = tuple(one for one in terms.unreadable if one < size)
    return {ARGUMENT: Draw(key, sampling.sampling_temperature, sampling.top_p, size, absent).as_list()}


def _openai(model: str, prompt: Sequence[int], key: int, terms: Terms) -> dict[str, Any]:
    body = _common(key, terms) | {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": terms.sampling.max_new_tokens,
        "ignore_eos": True,  # the ends are ours, in stop_token_ids
        "stream": False,
        "return_token_ids": True,
    }
    return body | ({"vllm_xargs": _noise(key, terms)} if terms.noise == "paced" else {"seed": server_seed(key)})


def _text(model: str, prompt: Sequence[int], key: int, terms: Terms) -> dict[str, Any]:
    body = _common(key, terms) | {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": terms.sampling.max_new_tokens,
        "stream": False,
        "seed": server_seed(key),
    }
    return body | ({"stop": [terms.end_of_answer]} if terms.end_of_answer else {})


def _vllm(model: str, prompt: Sequence[int], key: int, terms: Terms) -> dict[str, Any]:
    sampling = _common(key, terms) | {
        "max_tokens": terms.sampling.max_new_tokens,
        "ignore_eos": True,
        "detokenize": False,
    }
    sampling |= {"extra_args": _noise(key, terms)} if terms.noise == "paced" else {"seed": server_seed(key)}
    return {"model": model, "token_ids": list(prompt), "sampling_params": sampling, "stream": False}


def _sglang(model: str, prompt: Sequence[int], key: int, terms: Terms) -> dict[str, Any]:
    sampling = _common(key, terms) | {
        "max_new_tokens": terms.sampling.max_new_tokens,
        "ignore_eos": False,  # true would also ignore stop_token_ids
        "skip_special_tokens": False,
        "sampling_seed": server_seed(key),
    }
    return {"input_ids": list(prompt), "sampling_params": sampling, "stream": False}


def _read_openai(reply: Any) -> Reply:
    choice = reply["choices"][0]
    return Reply(
        finish=choice["finish_reason"],
        token_ids=choice.get("token_ids"),
        text=choice["text"],
        matched=choice.get("stop_reason"),
        prompt_ids=choice.get("prompt_token_ids"),
        num_tokens=(reply.get("usage") or {}).get("completion_tokens"),
        fingerprint=str(reply.get("system_fingerprint") or ""),
    )


def _read_text(reply: Any) -> Reply:
    full = _read_openai(reply)
    return Reply(finish=full.finish, text=full.text, num_tokens=full.num_tokens, fingerprint=full.fingerprint)


def _read_vllm(reply: Any) -> Reply:
    choice = reply["choices"][0]
    return Reply(finish=choice["finish_reason"], token_ids=list(choice["token_ids"]), matched=choice.get("stop_reason"))


def _read_sglang(reply: Any) -> Reply:
    finish = reply["meta_info"]["finish_reason"]
    return Reply(finish=finish["type"], token_ids=list(reply["output_ids"]), matched=finish.get("matched"))


DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect("/v1/completions", _openai, _read_openai, gives_token_ids=True, takes_noise=True),
    "vllm": Dialect("/inference/v1/generate", _vllm, _read_vllm, gives_token_ids=True, takes_noise=True),
    "sglang": Dialect("/generate", _sglang, _read_sglang, gives_token_ids=True, takes_noise=False),
    "text": Dialect("/v1/completions", _text, _read_text, gives_token_ids=False, takes_noise=False),
}
"""``dialect`` in a recipe -> how a server is asked: openai, the completions endpoint with vLLM's fields for token ids;
vllm, its endpoint for tokens alone (``--enable-scale-out``); sglang, its own endpoint; text, the completions endpoint
of any server, which gives text only."""
