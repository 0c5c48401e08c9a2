"""Sends what is due. Safe to run twice; a slow receiver delays nobody but other receivers."""

import asyncio
import ssl
import time

import structlog

from service.errors import WebhookRefused
from service.webhooks.addresses import Allowance, Resolve, allowed_addresses, look_up, parse_target
from service.webhooks.calling import CallFailed, post
from service.webhooks.outbox import Message, Outbox
from service.webhooks.signing import signed_headers

log = structlog.get_logger(__name__)
AT_ONCE = 16
GONE = 410  # the receiver's word for: never again


class Courier:
    """`trust`: whose certificates are believed; None: those that this system believes."""

    def __init__(
        self,
        outbox: Outbox,
        allowance: Allowance,
        resolve: Resolve = look_up,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._outbox = outbox
        self._allowance = allowance
        self._resolve = resolve
        self._trust = trust

    def deliver_due(self) -> int:
        """One attempt at each of some that are due; how many those were."""
        messages = self._outbox.claim(AT_ONCE)
        if messages:
            asyncio.run(self._deliver_all(messages))
        return len(messages)

    async def _deliver_all(self, messages: list[Message]) -> None:
        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(self._deliver(message))

    async def _deliver(self, message: Message) -> None:
        try:
            status = await self._call(message)
        except (CallFailed, WebhookRefused) as failure:
            await asyncio.to_thread(self._outbox.failed, message, str(failure))
            log.info(
                "webhook not delivered", delivery=message.id, attempt=message.attempt, reason=str(failure)
            )
            return
        answer = f"HTTP {status}"
        if 200 <= status < 300:
            await asyncio.to_thread(self._outbox.delivered, message, answer)
            return
        await asyncio.to_thread(self._outbox.failed, message, answer, status == GONE)
        log.info("webhook not delivered", delivery=message.id, attempt=message.attempt, reason=answer)

    async def _call(self, message: Message) -> int:
        """Everything is looked at again: what was allowed, and where the name leads, may have changed."""
        target = parse_target(message.url, self._allowance)
        addresses = await asyncio.to_thread(allowed_addresses, target, self._resolve)
        headers = signed_headers(message.secret, message.id, int(time.time()), message.body)
        return await post(target, addresses, headers, message.body, self._trust)
