"""Posting of webhooks, with answers judged as strictly as Xero does."""

import asyncio
import time
from dataclasses import dataclass

import aiohttp

from xero.sandbox.config import Config

NOT_2XX = "Response not 2XX"
HAS_BODY = "Response contains a body"
NOT_401 = "Response to incorrectly signed payload not 401"
HAS_COOKIE = "Response contains a cookie"


@dataclass(frozen=True)
class Attempt:
    """A delivery attempt.

    `status` is None if no answer came; `milliseconds` are until it did; `problem` is None if Xero
    would accept it.
    """

    status: int | None
    milliseconds: float
    problem: str | None


class Sender:
    """A client that keeps its connections open between deliveries."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # shorter than servers keep idle connections, so that none dies under a delivery
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1.5),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def post(self, url: str, body: bytes, signature: str, *, forged: bool = False) -> Attempt:
        """Post a webhook. With `forged` the signature is wrong on purpose, and only 401 is
        accepted.
        """
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "x-xero-signature": signature,
            "User-Agent": "Xero-Webhook",
        }
        timeout = aiohttp.ClientTimeout(total=self._config.webhook_timeout_seconds)
        start = time.perf_counter()
        try:
            async with self._open().post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                has_body = bool(await response.content.read(1))
                problem = _problem(response, has_body, forged)
                return Attempt(response.status, _since(start), problem)
        except TimeoutError:
            seconds = self._config.webhook_timeout_seconds
            return Attempt(None, _since(start), f"No response within {seconds:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(None, _since(start), f"No response: {type(error).__name__} {error}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)


def _since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 2)


def _problem(response: aiohttp.ClientResponse, has_body: bool, forged: bool) -> str | None:
    if forged and response.status != 401:
        return NOT_401
    if not forged and not 200 <= response.status < 300:
        return NOT_2XX
    if has_body:
        return HAS_BODY
    return HAS_COOKIE if "Set-Cookie" in response.headers else None
