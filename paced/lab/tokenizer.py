"""One token for each character: the lab's alphabet, its tokenizer, and the direct map between text and ids.

The tokenizer is an ordinary ``PreTrainedTokenizerFast`` with a chat template (the message, then ``=`` as the
generation prompt), saved beside the model, so that nothing downstream knows it is a toy. A character outside the
alphabet is an error: there is no unknown token to hide it.
"""

from __future__ import annotations

from typing import Any

from paced.lab.task import DIGITS, OPERATORS, STYLES

PAD, EOS = "<pad>", "<eos>"
SYMBOLS = (PAD, EOS, *DIGITS, *OPERATORS, *"CRS", "=", "#", *STYLES)
"""The vocabulary; a token's id is its place here."""
IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}
PAD_ID, EOS_ID = IDS[PAD], IDS[EOS]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}={% endif %}"
)


def build_tokenizer() -> Any:
    """The lab's tokenizer, a ``PreTrainedTokenizerFast``.

    Example:
        >>> build_tokenizer().encode("C3ab=") == [IDS[symbol] for symbol in "C3ab="]
        True
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel(dict(IDS)))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=EOS, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
