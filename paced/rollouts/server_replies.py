"""Whether a server's reply is the completion that was asked for, and its form as every engine gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from paced.records import SampledCompletion
from paced.rollouts.server_dialects import Reply, Terms


class Unusable(Exception):  # noqa: N818 - named by what came
    """A reply or refusal that would be the same if the request were sent again; the sentence says why."""


def accept(
    reply: Reply, prompt: Sequence[int], terms: Terms, *, encode: Callable[[str], Sequence[int]]
) -> SampledCompletion:
    """The completion of a reply.

    Args:
        reply: as the dialect read it.
        prompt: the token ids that were sent.
        terms: what was asked for.
        encode: text -> token ids, for replies of text alone.

    Raises:
        Unusable: another prompt was read, the completion ended in another way than by one of the ends or the limit,
            was cut before the limit, continues after its end, or has tokens that the tokenizer does not know.
    """
    if reply.prompt_ids is not None and list(reply.prompt_ids) != list(prompt):
        raise Unusable(f"the server read another prompt, of {len(reply.prompt_ids)} tokens instead of {len(prompt)}")
    if reply.finish not in ("stop", "length"):
        raise Unusable(f"the completion ended with {reply.finish!r}")
    limit = terms.sampling.max_new_tokens
    if reply.token_ids is None:
        ids = tuple(encode(reply.text))
        if reply.finish == "stop":
            return SampledCompletion((*ids, terms.ends[0]), "stop")
        _refuse_cut(limit if reply.num_tokens is None else reply.num_tokens, limit)
        # Cut and without text (special tokens only): a completion has a token, and this one is left out of texts.
        return SampledCompletion(ids or terms.ends[:1], "length")
    ids = tuple(reply.token_ids)
    strange = [one for one in ids if type(one) is not int or not 0 <= one < terms.vocab_size]
    if strange:
        raise Unusable(f"the completion has the token {strange[0]!r}, which the tokenizer does not know")
    ended = bool(ids) and ids[-1] in terms.ends
    if reply.finish == "stop" and not ended and reply.matched in terms.ends:
        ids, ended = (*ids, int(reply.matched)), True  # some leave out the token that ended it
    if reply.finish == "stop" and not ended:
        raise Unusable(f"the completion ended with {reply.matched!r}, which is none of the tokens that end it")
    if any(one in terms.ends for one in ids[:-1]):
        raise Unusable("the completion continues after a token that ends it")
    if len(ids) > limit:
        raise Unusable(f"the completion has {len(ids):,} tokens where {limit:,} were the limit")
    if not ended:
        _refuse_cut(len(ids), limit)
    return SampledCompletion(ids, "stop" if ended else "length")


def _refuse_cut(num_tokens: int, limit: int) -> None:
    """A server whose context is full says ``length`` as well, and a pass rate would measure its context."""
    if num_tokens < limit:
        raise Unusable(f"the server cut the completion at {num_tokens:,} of {limit:,} tokens: its context is too short")
