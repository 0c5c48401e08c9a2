"""Memory of the API while a large upload comes in, and what has to be sent again when it is killed meanwhile.

A real server (`python -m service.server`) takes a file that exists only as a rule, over loopback, as one
piece of tus: first in peace, then with SIGKILL five times in its midst, each time going on from the offset
that it tells when it is back. What counts is how far its peak (VmHWM) rises above what it holds after a first
small upload; how much was sent twice, with what lay in the buffers of the line; and whether the SHA-256 is
right.

    python -m benchmarks.upload_memory --gigabytes 2
"""

import argparse
import hashlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks.api_server import ApiServer, running_api
from benchmarks.record import write_record

BLOCK_BYTES = 1 << 20
MEMORY_AIM_MB = 32
RESENT_AIM_MB = 64
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


@dataclass(slots=True)
class File:
    """So many blocks that differ from each other; nothing of it lies anywhere."""

    blocks: int
    filling: bytes = field(default=bytes(range(256)) * (BLOCK_BYTES // 256))

    @property
    def size_bytes(self) -> int:
        return self.blocks * BLOCK_BYTES

    def from_offset(self, offset: int) -> Iterator[bytes]:
        first, inside = divmod(offset, BLOCK_BYTES)
        for number in range(first, self.blocks):
            block = number.to_bytes(8, "big") + self.filling[8:]
            yield block[inside:] if number == first else block

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for block in self.from_offset(0):
            digest.update(block)
        return digest.hexdigest()


class Upload:
    def __init__(self, server: ApiServer, file: File) -> None:
        self._server = server
        self._file = file
        self._path = ""
        self.sent_bytes = 0

    def begin(self) -> None:
        headers = {**TUS, "Upload-Length": str(self._file.size_bytes)}
        self._path = self._ask("POST", "/v1/uploads", headers).headers["Location"]

    def offset(self) -> int:
        return int(self._ask("HEAD", self._path, TUS).headers["Upload-Offset"])

    def send(self, offset: int, kill_at: int | None = None) -> None:
        """All from there on; the server is killed when so much of the file has left."""
        count = self._file.size_bytes - offset
        headers = {**PIECE, "Upload-Offset": str(offset), "Content-Length": str(count)}
        content = self._counted(offset, kill_at)
        self._ask("PATCH", self._path, headers, content=content)

    def sha256(self) -> str:
        return str(self._ask("GET", self._path, {}).json()["sha256"])

    def remove(self) -> None:
        self._ask("DELETE", self._path, TUS)

    def _counted(self, offset: int, kill_at: int | None) -> Iterator[bytes]:
        position = offset
        for block in self._file.from_offset(offset):
            if kill_at is not None and position >= kill_at:
                self._server.end(subprocess.Popen.kill)
            yield block
            position += len(block)
            self.sent_bytes += len(block)

    def _ask(self, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
        response = httpx.request(
            method, self._server.url + path, headers={**headers, **self._server.headers}, timeout=300, **more
        )
        return response.raise_for_status()


def warm_up(server: ApiServer) -> float:
    """What the server holds once it has taken a small upload, in MB; its peak begins anew."""
    small = Upload(server, File(4))
    small.begin()
    small.send(0)
    small.remove()
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    return peak_mb(server)


def in_peace(server: ApiServer, file: File) -> dict[str, Any]:
    before = warm_up(server)
    upload, started = Upload(server, file), time.perf_counter()
    upload.begin()
    upload.send(0)
    seconds = time.perf_counter() - started
    found = {
        "seconds": seconds,
        "mb_per_second": file.size_bytes / 1e6 / seconds,
        "before_mb": before,
        "growth_mb": peak_mb(server) - before,
        "is_right": upload.sha256() == file.sha256(),
    }
    upload.remove()
    return found


def with_kills(server: ApiServer, file: File, kills: int) -> dict[str, Any]:
    upload, offset = Upload(server, file), 0
    upload.begin()
    for number in range(1, kills + 1):
        try:
            upload.send(offset, kill_at=file.size_bytes * number // (kills + 1))
        except httpx.TransportError:
            server.start()
            offset = upload.offset()
    before = warm_up(server)
    upload.send(offset)
    found = {
        "kills": kills,
        "sent_again_mb": (upload.sent_bytes - file.size_bytes) / 1e6,
        "growth_mb": peak_mb(server) - before,
        "is_right": upload.sha256() == file.sha256(),
    }
    upload.remove()
    return found


def peak_mb(server: ApiServer) -> float:
    """VmHWM: the most memory the process had resident since it was last asked to forget."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the server keeps what comes; it is emptied again")
    arguments = parser.parse_args()
    file = File(max(1, round(arguments.gigabytes * 1e9 / BLOCK_BYTES)))
    with (
        tempfile.TemporaryDirectory(prefix="nightshift-uploads-", dir=arguments.folder) as folder,
        running_api(Path(folder)) as server,
    ):
        peace = in_peace(server, file)
        killed = with_kills(server, file, arguments.kills)
    per_kill = killed["sent_again_mb"] / max(1, arguments.kills)
    print(
        f"{file.size_bytes / 1e9:.2f} GB in {peace['seconds']:.1f} s ({peace['mb_per_second']:.0f} MB/s): "
        f"memory rose by {peace['growth_mb']:.1f} MB from {peace['before_mb']:.0f} MB "
        f"(aim {MEMORY_AIM_MB} MB), SHA-256 {'right' if peace['is_right'] else 'WRONG'}\n"
        f"killed {arguments.kills} times: {killed['sent_again_mb']:.1f} MB sent again, {per_kill:.1f} MB "
        f"a kill (aim {RESENT_AIM_MB} MB), memory rose by {killed['growth_mb']:.1f} MB, "
        f"SHA-256 {'right' if killed['is_right'] else 'WRONG'}"
    )
    found = {"size_bytes": file.size_bytes, "in_peace": peace, "with_kills": killed}
    write_record("upload-memory", torch.device("cpu"), found)


if __name__ == "__main__":
    main()
