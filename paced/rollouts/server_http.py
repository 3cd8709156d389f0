"""One server over HTTP: each request has a deadline, and a failure is of one of three kinds.

A failure that may pass (:class:`Transient`: the connection, 408, 429, 5xx, half a reply) is tried again with
exponential backoff and full jitter, after what ``Retry-After`` asks; one that belongs to the request (``Unusable``:
400 and its like) is not; one that belongs to the server (:class:`ServerLost`: a wrong key, no such model or endpoint,
no answer after all attempts) ends its part in the pool. The API key is in the client's headers and nowhere else.
"""

from __future__ import annotations

import asyncio
import datetime
import email.utils
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx
import msgspec
import tenacity

from paced.rollouts.server_replies import Unusable

LARGEST_REPLY = 64 << 20
"""Bytes; a completion of 100,000 tokens takes about 2 MB."""
LONGEST_QUESTION = 30.0
"""Seconds that a question about the server itself may take."""
LONGEST_BACKOFF = 30.0
"""Seconds; what ``Retry-After`` asks may be longer."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Hosts that no proxy of the environment is used for."""
Result = TypeVar("Result")


class Transient(Exception):  # noqa: N818 - named by what it is
    """A failure that may pass."""

    def __init__(self, reason: str, *, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds
        """What the server asked to wait."""


class ServerLost(Exception):  # noqa: N818 - named by what happened
    """This server is of no use to any request."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for."""

    timeout_seconds: float
    """Deadline of one attempt, from sending to the last byte."""
    attempts: int
    """How often a request is sent before its server is given up."""
    backoff_seconds: float
    """Mean wait before the second attempt is half of this; it doubles with each."""


class Server:
    """One base URL; an async context manager that holds its connections."""

    def __init__(self, url: str, *, key: str = "", connections: int, patience: Patience) -> None:
        self.url, self.patience, self._key = url, patience, key
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=None,  # the deadline is over the whole attempt
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            mounts={f"all://{host}": None for host in LOOPBACK},
        )

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *error: object) -> None:
        await _whole(self._client.aclose())

    async def get(self, path: str) -> Any:
        """The JSON at a path; attempts and failures as :meth:`post`."""
        return await self._retried(partial(self._send, "GET", path, None))

    async def post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], Result]) -> Result:
        """What ``read`` makes of the JSON reply to ``body``.

        Raises:
            Transient: the last of all attempts failed in a way that may pass.
            Unusable: the server refuses this request.
            ServerLost: it refuses every request.
        """

        async def once() -> Result:
            reply = await self._send("POST", path, body)
            try:
                return read(reply)
            except (LookupError, TypeError, AttributeError) as error:
                raise Transient(f"{self.url} sent a reply of another form ({type(error).__name__}: {error})") from error

        return await self._retried(once)

    async def alive(self) -> bool:
        """Whether it answers anything at all."""
        try:
            await self._send("GET", "/v1/models", None)
        except (Transient, ServerLost):
            return False
        except Unusable:
            pass
        return True

    async def _retried(self, call: Callable[[], Awaitable[Result]]) -> Result:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.patience.attempts),
            wait=_Wait(self.patience.backoff_seconds),
            retry=tenacity.retry_if_exception_type(Transient),
            reraise=True,
        )
        return await retrying(call)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        limit = self.patience.timeout_seconds
        if body is None:
            limit = min(limit, LONGEST_QUESTION)
        try:
            async with (
                asyncio.timeout(limit),
                self._client.stream(method, path, json=body) as response,
            ):
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > LARGEST_REPLY:
                        raise Transient(f"{self.url} sent more than {LARGEST_REPLY >> 20} MiB")
        except TimeoutError as error:
            raise Transient(f"{self.url} gave no whole reply within {limit:g} s") from error
        except httpx.RequestError as error:
            reason = self._redacted(str(error)) or type(error).__name__
            raise Transient(f"{self.url} could not be reached or broke off ({reason})") from None
        status = response.status_code
        if status == 200:
            try:
                return msgspec.json.decode(bytes(content))
            except msgspec.DecodeError as error:
                raise Transient(f"{self.url} sent a reply that is not JSON ({error})") from error
        raise self._failure(status, f"{self.url} answered {status} ({self._said(bytes(content))})", response.headers)

    def _failure(self, status: int, reason: str, headers: httpx.Headers) -> Exception:
        if status in (408, 429) or status >= 500:
            wait = seconds_to_wait(headers.get("retry-after", ""))
            if wait > self.patience.timeout_seconds:
                return ServerLost(f"{reason} and asks to wait {wait:,.0f} s, longer than timeout_seconds")
            return Transient(reason, wait_seconds=wait)
        if status in (401, 403, 404, 405) or status < 400:
            return ServerLost(reason)
        return Unusable(reason)

    def _said(self, content: bytes) -> str:
        """The server's own words in a line, without the key."""
        text = content.decode("utf-8", errors="replace")
        try:
            error = msgspec.json.decode(content).get("error")
            text = str(error.get("message", error) if isinstance(error, Mapping) else error or text)
        except (msgspec.DecodeError, AttributeError):
            pass
        line = " ".join(self._redacted(text)[:1000].split())
        line = "".join(character for character in line if character.isprintable())
        return f"{line[:200]}…" if len(line) > 200 else line or "no words"

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


async def _whole(closing: Coroutine[Any, Any, None]) -> None:
    """Await ``closing`` to its end; a cancellation that comes meanwhile is raised after it.

    httpx closes one connection after another, and those that a cancellation finds still open would stay so.
    """
    task = asyncio.create_task(closing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


class _Wait(tenacity.wait.wait_base):
    """Full jitter over an exponentially growing interval, and at least what the server asked for."""

    def __init__(self, first_seconds: float) -> None:
        self._jitter = tenacity.wait_random_exponential(multiplier=first_seconds, max=LONGEST_BACKOFF)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        outcome = retry_state.outcome
        error = outcome.exception() if outcome is not None else None
        asked = error.wait_seconds if isinstance(error, Transient) else 0.0
        return asked + self._jitter(retry_state)


def seconds_to_wait(header: str) -> float:
    """The seconds of a ``Retry-After`` header, a number or a date; 0 where there is none that can be read.

    Example:
        >>> seconds_to_wait("2"), seconds_to_wait(""), seconds_to_wait("soon")
        (2.0, 0.0, 0.0)
    """
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(header)
        except (ValueError, TypeError):
            return 0.0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        seconds = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
    return seconds if 0 < seconds < float("inf") else 0.0
