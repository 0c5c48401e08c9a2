"""Uploads: in pieces that outlive lines and servers (tus), or as one plain body (`curl -T day.zip`)."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from service.access.quotas import check_upload_quota
from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here, Services
from service.api.idempotency import made_once
from service.api.refusals import UnsupportedMediaType
from service.api.tus import (
    PIECE_TYPE,
    SPEAKS_NO_OTHER_TUS,
    SPEAKS_TUS,
    TusRoute,
    capabilities,
    checksum_of,
    progress,
    size_of,
)
from service.api.views import UploadView
from service.errors import StorageQuotaExceeded
from service.jobs.records import UploadState
from service.jobs.store import new_id
from service.storage import keys
from service.uploads.incoming import refuse_closed
from service.uploads.metadata import checked_filename, parse_metadata
from service.uploads.plain import store_plain
from service.uploads.receive import ClientGone

router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=TusRoute)
WRITES = needs(Scope.DATASETS_WRITE)
Offset = Annotated[str | None, Header(alias="Upload-Offset", description="where the piece begins")]
Sum = Annotated[str | None, Header(alias="Upload-Checksum", description="of the piece: `sha256 <base64>`")]


@router.options("", status_code=204, dependencies=[WRITES])
def describe_tus(here: Here) -> Response:
    """What of tus is spoken here."""
    return Response(status_code=204, headers=capabilities(here.settings.max_upload_bytes))


@router.post(
    "", status_code=201, response_class=Response, dependencies=[WRITES, SPEAKS_TUS],
    responses={412: {}, 460: {}},
)  # fmt: skip
async def begin_upload(
    request: Request,
    here: Here,
    length: Annotated[str | None, Header(alias="Upload-Length", description="bytes in all")] = None,
    metadata: Annotated[
        str, Header(alias="Upload-Metadata", description="`filename` and, if you like, `sha256`, in base64")
    ] = "",
    checksum: Sum = None,
) -> Response:
    """Begin an upload in pieces (tus 1.0); they go to `Location`. The first may come along as the body."""
    size_bytes, described = size_of(length, "Upload-Length"), parse_metadata(metadata)
    announced, has_piece = checksum_of(checksum), _has_piece(request)
    wish = f"{size_bytes} {metadata}".encode()

    def begin() -> str:
        check_upload_quota(here.database, here.settings, here.caller.tenant, size_bytes)
        return here.uploads.create(size_bytes, described).id

    upload_id, is_new = await run_in_threadpool(made_once, request, wish, begin)
    if has_piece and is_new and size_bytes:
        await _receive(request, here, upload_id, 0, checksum=announced)
    upload = await run_in_threadpool(here.uploads.look, upload_id)
    headers = {"Location": f"/v1/uploads/{upload_id}", **progress(upload)}
    return Response(status_code=201, headers=headers if is_new else {**headers, "Idempotent-Replay": "true"})


@router.head("/{upload_id}", response_class=Response, dependencies=[WRITES, SPEAKS_NO_OTHER_TUS],
             responses={410: {}, 412: {}, 423: {}})  # fmt: skip
def get_offset(upload_id: str, here: Here) -> Response:
    """How many bytes are safely here: the next piece begins there."""
    if here.uploads.incoming.find(upload_id) is None:
        size = str(here.desk.library.upload(upload_id).size_bytes)
        return Response(headers={"Upload-Offset": size, "Upload-Length": size})
    upload = here.uploads.look(upload_id)
    headers = {"Upload-Length": str(upload.size_bytes), "Cache-Control": "no-store", **progress(upload)}
    return Response(headers=headers | ({"Upload-Metadata": upload.metadata} if upload.metadata else {}))


@router.patch(
    "/{upload_id}", status_code=204, response_class=Response, dependencies=[WRITES, SPEAKS_TUS],
    responses={403: {}, 410: {}, 412: {}, 423: {}, 460: {}},
)  # fmt: skip
async def add_piece(
    request: Request, upload_id: str, here: Here, offset: Offset = None, checksum: Sum = None
) -> Response:
    """Add a piece. With a checksum it counts as a whole; without one, as far as it came."""
    if not _has_piece(request):
        raise _not_a_piece()
    start, announced = size_of(offset, "Upload-Offset"), checksum_of(checksum)
    await _receive(request, here, upload_id, start, checksum=announced)
    return Response(status_code=204, headers=progress(await run_in_threadpool(here.uploads.look, upload_id)))


@router.delete("/{upload_id}", status_code=204, dependencies=[WRITES, SPEAKS_NO_OTHER_TUS],
               responses={409: {}, 410: {}, 412: {}})  # fmt: skip
def remove_upload(upload_id: str, here: Here) -> Response:
    """Give an upload up, or remove a complete one that no job works on."""
    here.uploads.terminate(upload_id)
    return Response(status_code=204)


@router.post("/{upload_id}", include_in_schema=False, dependencies=[WRITES, SPEAKS_TUS])
async def override_method(
    request: Request,
    upload_id: str,
    here: Here,
    method: Annotated[str, Header(alias="X-HTTP-Method-Override")] = "",
    offset: Offset = None,
    checksum: Sum = None,
) -> Response:
    """For clients behind proxies that let only GET and POST through, as tus asks for."""
    if method == "PATCH":
        return await add_piece(request, upload_id, here, offset, checksum)
    if method == "DELETE":
        return await run_in_threadpool(remove_upload, upload_id, here)
    raise HTTPException(405)


@router.put("", status_code=201, dependencies=[WRITES])
async def put_upload(
    request: Request,
    here: Here,
    filename: Annotated[str, Query(max_length=200, description="what to call it")] = "upload.zip",
) -> UploadView:
    """Store the request's body. Nothing is kept of a body that breaks off."""
    return await _receive_plain(request, here, filename)


@router.put("/{filename}", status_code=201, include_in_schema=False, dependencies=[WRITES])
async def put_named_upload(
    request: Request, here: Here, filename: Annotated[str, Path(max_length=200)]
) -> UploadView:
    """`curl -T day.zip http://…/v1/uploads/` puts the file's name behind the slash."""
    return await _receive_plain(request, here, filename)


@router.get("/{upload_id}", dependencies=[needs(Scope.DATASETS_READ)], responses={410: {}})
def get_upload(upload_id: str, here: Here) -> UploadView:
    """A complete upload, or how far one is that comes in pieces."""
    if here.uploads.incoming.find(upload_id) in (None, UploadState.COMPLETE):
        return UploadView.of(here.desk.library.upload(upload_id))
    upload = here.uploads.incoming.get(upload_id)
    if upload.state is not UploadState.CORRUPT:
        refuse_closed(upload)
    return UploadView.of_incoming(upload)


async def _receive(request: Request, here: Services, upload_id: str, start: int, **more: object) -> None:
    length = request.headers.get("content-length")
    length_bytes = None if length is None else size_of(length, "Content-Length")
    try:
        await here.uploads.receiver.receive(upload_id, start, _chunks(request), length_bytes, **more)  # type: ignore[arg-type]
    except ClientGone:
        raise ClientDisconnect from None


async def _receive_plain(request: Request, here: Services, filename: str) -> UploadView:
    announced = size_of(request.headers.get("content-length", "0"), "Content-Length")
    filename, upload_id = checked_filename(filename), new_id("up")

    def check_room(size_bytes: int) -> None:
        check_upload_quota(here.database, here.settings, here.caller.tenant, size_bytes)

    await run_in_threadpool(check_room, announced)
    await run_in_threadpool(here.uploads.refuse_full_disk, announced)
    size_bytes, sha256 = await store_plain(
        here.store, keys.upload(upload_id), request.stream(), here.settings.max_upload_bytes, check_room
    )
    add, most_bytes = here.desk.library.add_upload, here.settings.max_stored_bytes
    try:
        upload = await run_in_threadpool(add, upload_id, filename, size_bytes, sha256, most_bytes)
    except StorageQuotaExceeded:  # others came in at the same time
        await run_in_threadpool(here.store.delete, keys.upload(upload_id))
        raise
    return UploadView.of(upload)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ClientGone from None


def _has_piece(request: Request) -> bool:
    """Raises:
    UnsupportedMediaType: there is a body, but it does not say that it is a piece.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == PIECE_TYPE:
        return True
    if int(request.headers.get("content-length", "0")) or "transfer-encoding" in request.headers:
        raise _not_a_piece()
    return False


def _not_a_piece() -> UnsupportedMediaType:
    return UnsupportedMediaType(
        "The body must be a piece of the upload.", f"Say so: Content-Type: {PIECE_TYPE}."
    )
