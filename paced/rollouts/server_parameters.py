"""What a recipe says of servers, checked before anything is sent; secrets are not repeated in any message."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit


def checked_urls(urls: Sequence[str]) -> tuple[str, ...]:
    """The base URLs without ``/v1`` and closing slashes.

    Raises:
        ValueError: none, one twice, or one that is not a plain http or https address; a user name or password in it is
            not repeated in the message.

    Example:
        >>> checked_urls(["http://10.0.0.7:8000/v1/", "https://models.example"])
        ('http://10.0.0.7:8000', 'https://models.example')
    """
    rule = "server: base_urls must be one or more http:// or https:// addresses"
    checked: list[str] = []
    for number, url in enumerate(urls, start=1):
        if not isinstance(url, str):
            raise ValueError(f"{rule}, got {url!r}.")
        if "@" in url:
            raise ValueError(
                f"{rule} without user name or password, number {number} has an '@'. Put the key into an environment "
                "variable and name that in api_key_env."
            )
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port)
        except ValueError:
            usable = False
        if not usable or re.search(r"\s", url):
            raise ValueError(f"{rule}, got {url!r}.")
        if parts.query or parts.fragment:
            raise ValueError(f"{rule} without '?' or '#', number {number} has one.")
        checked.append(url.rstrip("/").removesuffix("/v1").rstrip("/"))
    if not checked:
        raise ValueError(f"{rule}, got none.")
    if len(set(checked)) < len(checked):
        raise ValueError(f"{rule}, each once, got {', '.join(checked)}.")
    return tuple(checked)


def checked_key_name(name: str) -> str:
    """The name of the environment variable that holds the API key; empty for none.

    Raises:
        ValueError: no such name, or no key there; the message repeats neither, since one may be the key itself.

    Example:
        >>> checked_key_name("sk-abc")
        Traceback (most recent call last):
        ValueError: server: api_key_env must be the name of an environment variable, not the key itself.
    """
    if not name:
        return ""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("server: api_key_env must be the name of an environment variable, not the key itself.")
    key = os.environ.get(name, "")
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError(
            "server: api_key_env must name an environment variable that holds a key of printable characters, and the "
            "one that it names does not. Export it before the run."
        )
    return name
