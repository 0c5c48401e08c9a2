"""Uploads: one plain body, streamed to the store while it comes in (`curl -T day.zip`)."""

import errno
import hashlib
import shutil
from contextlib import ExitStack
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from service.api.dependencies import Here, Services
from service.api.views import UploadView
from service.errors import NoSpaceLeft, UploadTooLarge
from service.jobs.store import new_id
from service.storage import keys

router = APIRouter(prefix="/uploads", tags=["uploads"])
BUFFER_BYTES = 4 << 20


class _Sink:
    """Where an upload's bytes go: hashed and stored in blocks, away from the event loop."""

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        self._file = file
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()
        self._buffer = bytearray()
        self.size_bytes = 0

    async def add(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        if self.size_bytes > self._limit_bytes:
            raise UploadTooLarge(self._limit_bytes)
        self._buffer += chunk
        if len(self._buffer) >= BUFFER_BYTES:
            await self.flush()

    async def flush(self) -> None:
        block, self._buffer = bytes(self._buffer), bytearray()
        await run_in_threadpool(self._write, block)

    def _write(self, block: bytes) -> None:
        self._digest.update(block)
        try:
            self._file.write(block)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise NoSpaceLeft from None
            raise

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@router.put("", status_code=201)
async def put_upload(
    request: Request,
    here: Here,
    filename: Annotated[str, Query(max_length=200, description="what to call it")] = "upload.zip",
) -> UploadView:
    """Store the request's body. Nothing is kept of a body that breaks off."""
    return await _receive(request, here, filename)


@router.put("/{filename}", status_code=201, include_in_schema=False)
async def put_named_upload(
    request: Request, here: Here, filename: Annotated[str, Path(max_length=200)]
) -> UploadView:
    """`curl -T day.zip http://…/v1/uploads/` puts the file's name behind the slash."""
    return await _receive(request, here, filename)


@router.get("/{upload_id}")
def get_upload(upload_id: str, here: Here) -> UploadView:
    return UploadView.of(here.desk.library.upload(upload_id))


async def _receive(request: Request, here: Services, filename: str) -> UploadView:
    limit_bytes = here.settings.max_upload_bytes
    if int(request.headers.get("content-length", "0")) > limit_bytes:
        raise UploadTooLarge(limit_bytes)
    _refuse_full_disk(here, int(request.headers.get("content-length", "0")))
    upload_id = new_id("up")
    with ExitStack() as stack:
        file = stack.enter_context(here.store.writing(keys.upload(upload_id)))
        sink = _Sink(file, limit_bytes)
        async for chunk in request.stream():
            await sink.add(chunk)
        await sink.flush()
    upload = await run_in_threadpool(
        here.desk.library.add_upload, upload_id, filename, sink.size_bytes, sink.sha256
    )
    return UploadView.of(upload)


def _refuse_full_disk(here: Services, size_bytes: int) -> None:
    if here.settings.store_url:
        return
    if shutil.disk_usage(here.settings.data_dir).free < size_bytes:
        raise NoSpaceLeft
