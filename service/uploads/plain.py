"""An upload in one plain body: hashed and stored in blocks while it comes in, kept whole or not at all."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

from anyio.to_thread import run_sync

from service.errors import NoSpaceLeft, UploadTooLarge
from service.storage.object_store import ObjectStore
from service.storage.outages import FULL

BLOCK_BYTES = 4 << 20


async def store_plain(
    store: ObjectStore,
    key: str,
    chunks: AsyncIterator[bytes],
    limit_bytes: int,
    check_size: Callable[[int], None],
) -> tuple[int, str]:
    """Size and SHA-256. `check_size` may still refuse it once its size is known.

    Raises:
        UploadTooLarge: more than `limit_bytes` came.
        NoSpaceLeft: the disk is full.
    """
    digest, size_bytes, buffer = hashlib.sha256(), 0, bytearray()
    with ExitStack() as stack:
        file = await run_sync(stack.enter_context, store.writing(key))

        def write(block: bytes) -> None:
            digest.update(block)
            try:
                file.write(block)
            except OSError as error:
                if error.errno in FULL:
                    raise NoSpaceLeft from None
                raise

        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise UploadTooLarge(limit_bytes)
            buffer += chunk
            if len(buffer) >= BLOCK_BYTES:
                await run_sync(write, bytes(buffer))
                buffer.clear()
        await run_sync(write, bytes(buffer))
        await run_sync(check_size, size_bytes)
        await run_sync(stack.pop_all().close)  # it is synced now, which may take a while
    return size_bytes, digest.hexdigest()
