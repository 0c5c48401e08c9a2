"""An upload in pieces (tus 1.0) that outlives broken lines, servers that restart, and this very process.

Own code, not tuspy: that wants a file to seek in, and a folder is sent as a zip that is made on the way.
"""

import base64
import hashlib
import random
import secrets
import time
import urllib.parse
from collections.abc import Callable, Iterator

import httpx

from service.client.folder import UploadSource
from service.client.remembered import RememberedUpload
from service.errors import NightshiftError

PIECE_BYTES = 64 << 20
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
# So long without a byte more, and we give up; the upload can still be taken up again later.
PATIENCE_SECONDS = 180.0
LONGEST_PAUSE_SECONDS = 15.0
# Somebody else is at it, or the server is overloaded, away or about to be: that passes.
PASSING = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504})
GONE = frozenset({404, 410, 422})


class SourceChanged(NightshiftError):
    code = "source-changed"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has changed while it was sent.", "Upload it again.")


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class ResumableUpload:
    """One source on its way to one server. `advance` is told of bytes that were sent, or have to be again."""

    def __init__(
        self,
        http: httpx.Client,
        source: UploadSource,
        advance: Callable[[int], None],
        pause: Callable[[float], None],
    ) -> None:
        self._http = http
        self._source = source
        self._tape = SourceTape(source)
        self._memory = RememberedUpload(str(http.base_url), source)
        self._advance = advance
        self._shown_bytes = 0
        self._patience = Patience(pause)

    def send(self) -> str:
        """The upload's id.

        Raises:
            Refused: by the server, for good.
            httpx.TransportError: it cannot be reached.
            SourceChanged: what arrived is not what is here now.
        """
        known = self._known_path()
        path = known or self._begin()
        offset = self._offset(path) if known else 0
        while offset < self._source.size_bytes:
            offset = self._send_piece(path, offset)
        upload_id = path.rpartition("/")[2]
        self._memory.forget()
        self._compare(upload_id)
        return upload_id

    def _begin(self) -> str:
        name = base64.b64encode(self._source.filename.encode()).decode()
        headers = {
            **TUS,
            "Upload-Length": str(self._source.size_bytes),
            "Upload-Metadata": f"filename {name}",
            "Idempotency-Key": secrets.token_hex(16),  # asked again, it does not begin a second one
        }
        response = self._patience.ask(lambda: self._call("POST", "/v1/uploads", headers), is_first=True)
        path = urllib.parse.urlsplit(response.headers["Location"]).path
        self._memory.remember(path)
        return path

    def _known_path(self) -> str | None:
        """Of an upload of the same source that was begun before and is still there."""
        path = self._memory.path
        if path is None:
            return None
        try:
            self._patience.ask(lambda: self._call("HEAD", path, TUS), is_first=True)
        except Refused as refusal:
            if refusal.response.status_code not in GONE:
                raise
            self._memory.forget()
            return None
        return path

    def _offset(self, path: str) -> int:
        response = self._patience.ask(lambda: self._call("HEAD", path, TUS))
        offset = int(response.headers["Upload-Offset"])
        self._show(offset)
        return offset

    def _send_piece(self, path: str, offset: int) -> int:
        """How far the upload is now; after a failure the server is asked, when it answers again."""
        count = min(PIECE_BYTES, self._source.size_bytes - offset)
        headers = {**PIECE, "Upload-Offset": str(offset), "Content-Length": str(count)}
        try:
            response = self._call("PATCH", path, headers, self._shown(self._tape.take(offset, count)))
        except (httpx.TransportError, Refused) as error:
            self._patience.wait_after(error)
            reached = self._offset(path)
            if reached > offset:
                self._patience.renew()
            return reached
        self._patience.renew()
        return int(response.headers["Upload-Offset"])

    def _shown(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            yield block
            self._show(self._shown_bytes + len(block))

    def _show(self, position: int) -> None:
        if position != self._shown_bytes:
            self._advance(position - self._shown_bytes)
            self._shown_bytes = position

    def _compare(self, upload_id: str) -> None:
        """What arrived with what was read here; a key that may not read goes without."""
        response = self._http.get(f"/v1/uploads/{upload_id}")
        if not response.is_success or self._tape.sha256() == response.json()["sha256"]:
            return
        self._http.delete(f"/v1/uploads/{upload_id}", headers=TUS)
        raise SourceChanged(self._source.filename)

    def _call(
        self, method: str, path: str, headers: dict[str, str], content: Iterator[bytes] | None = None
    ) -> httpx.Response:
        response = self._http.request(method, path, headers=headers, content=content)
        if response.is_error:
            raise Refused(response)
        return response


class Patience:
    """How long something is tried that fails. It begins anew with every byte that gets through."""

    def __init__(self, pause: Callable[[float], None]) -> None:
        self._pause = pause
        self.renew()

    def renew(self) -> None:
        self._failures = 0
        self._since = time.monotonic()

    def ask(self, question: Callable[[], httpx.Response], *, is_first: bool = False) -> httpx.Response:
        """`is_first`: nothing has been sent yet, so a server that is not there is said so at once."""
        while True:
            try:
                return question()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if is_first:
                    raise
                self.wait_after(error)
            except (httpx.TransportError, Refused) as error:
                self.wait_after(error)

    def wait_after(self, error: httpx.TransportError | Refused) -> None:
        """Raises it when it will not pass, or has not for too long."""
        is_passing = not isinstance(error, Refused) or error.response.status_code in PASSING
        if not is_passing or time.monotonic() - self._since > PATIENCE_SECONDS:
            raise error
        self._pause(self._seconds(error))
        self._failures += 1

    def _seconds(self, error: httpx.TransportError | Refused) -> float:
        """Longer each time, and not the same for all clients of a server that comes back."""
        asked = error.response.headers.get("Retry-After", "") if isinstance(error, Refused) else ""
        if asked.isdigit():
            return min(float(asked), LONGEST_PAUSE_SECONDS)
        return min(float(2**self._failures) / 2, LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311


class SourceTape:
    """A source read forwards and summed up on the way. What an earlier process has sent is read, too: only so
    is it known whether the server has the same."""

    def __init__(self, source: UploadSource) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self._summed_bytes = 0
        self._position = 0
        self._blocks = source.chunks()
        self._left = b""

    def take(self, start: int, count: int) -> Iterator[bytes]:
        """Raises:
        SourceChanged: there is less than there was.
        """
        self._go_to(start)
        while count > 0:
            block = self._next(count)
            count -= len(block)
            yield block

    def sha256(self) -> str:
        """Of the whole source, read as far as that is still to be done."""
        self._go_to(self._source.size_bytes)
        return self._digest.hexdigest()

    def _go_to(self, start: int) -> None:
        if start < self._position:  # the server has less than was sent
            self._blocks, self._left, self._position = self._source.chunks(start), b"", start
        while self._position < start:
            self._next(start - self._position)

    def _next(self, most_bytes: int) -> bytes:
        block = self._left or next(self._blocks, b"")
        if not block:
            raise SourceChanged(self._source.filename)
        block, self._left = block[:most_bytes], block[most_bytes:]
        self._position += len(block)
        unsummed = self._position - self._summed_bytes
        if unsummed > 0:
            self._digest.update(block[-unsummed:])
            self._summed_bytes = self._position
        return block
