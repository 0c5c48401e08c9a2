"""Celery's configuration: a folder or Redis carries the messages, and nothing else is asked of either.

Measured with Celery 5.7: an acknowledgement that waits for the end of a task brings it back again and again
once the task outlasts the visibility timeout, and no setting closes the gap between a message's being read
and its being noted as read. So a message is acknowledged at once, and what is lost with it SQL brings back.
"""

from typing import Any

import structlog
from celery import Celery

from service.jobs.job import EVERYDAY_QUEUES, SHARDS
from service.settings import Settings

log = structlog.get_logger(__name__)

# Beyond the longest shard of seconds. A training outlasts it, but by then its message was acknowledged.
VISIBILITY_TIMEOUT_SECONDS = 3600
# A connection that died without a word is noticed within a minute.
REDIS = {
    "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
    "health_check_interval": 15,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "retry_on_timeout": True,
}
# Whoever hands in a job waits so long for the doorbell at most; the reconciler rings again.
SENDER = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.3}
# It waits for no message, so that a broker that has accepted its connection and says nothing is not there.
IMPATIENT = {**SENDER, "socket_timeout": 1, "socket_connect_timeout": 1, "retry_on_timeout": False}


def make_celery(settings: Settings, is_sender: bool = False) -> Celery:
    """One Celery configuration for those who send and those who run."""
    celery = Celery("nightshift", broker=settings.broker, set_as_current=False)
    celery.conf.update(
        task_default_queue=SHARDS,
        # For a worker that is not told which ones to listen to.
        task_queues={name: {"exchange": name, "routing_key": name} for name in EVERYDAY_QUEUES},
        task_ignore_result=True,  # results are rows in SQL
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=_is_redis(settings),  # a busy worker shall not hold another one's message
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # a broker may be away for long: workers wait for it
        task_publish_retry_policy=SENDER,
        broker_transport_options={**_transport_options(settings), **(IMPATIENT if is_sender else {})},
    )
    return celery


def warn_of_eviction(settings: Settings) -> str | None:
    """A Redis that makes room by forgetting loses whole queues without a word. Nothing is lost for good, as
    SQL knows what is to be done; but work stands still until the reconciler has rung again, so it is said
    loudly. Returns the policy if it is such a one.
    """
    if not _is_redis(settings):
        return None
    import redis  # noqa: PLC0415 - only those who have one need its client

    client = redis.Redis.from_url(settings.broker, socket_timeout=5.0, socket_connect_timeout=5.0)
    try:
        policy = str(client.info("memory").get("maxmemory_policy", ""))
    except redis.RedisError as error:
        log.warning("broker not checked", error=str(error))
        return None
    finally:
        client.close()
    if not policy.startswith("allkeys-"):
        return None
    log.error("the broker forgets messages when it is full", maxmemory_policy=policy, wanted="noeviction")
    return policy


def _is_redis(settings: Settings) -> bool:
    return settings.broker.startswith(("redis:", "rediss:"))


def _transport_options(settings: Settings) -> dict[str, Any]:
    if not settings.broker.startswith("filesystem:"):
        return dict(REDIS) if _is_redis(settings) else {"visibility_timeout": VISIBILITY_TIMEOUT_SECONDS}
    folders = {name: settings.broker_folder / name for name in ("messages", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.1,
    }
