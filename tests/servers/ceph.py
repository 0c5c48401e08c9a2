"""A real S3 server: Ceph's object gateway over one monitor, one manager and one store in memory.

No mock will do: those at hand take wrong secrets, expired links and parts of any size.
"""

import signal
import subprocess
import urllib.error
import urllib.request
import uuid
from itertools import count
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import get_session
from pydantic import SecretStr

from service.settings import Settings
from tests.servers.programs import Program, Server, find_program, free_port

PACKAGES = {
    "ceph": "ceph-common",
    "monmaptool": "ceph-common",
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "ceph-mgr": "ceph-mgr",
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
}
CONFIG = """
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
# One monitor has nobody to wait for: with this a cluster starts in a second instead of ten.
paxos propose interval = 0.05
paxos min wait = 0.01
[mon.a]
host = localhost
mon data = {folder}/mon
[osd.0]
host = localhost
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {size_bytes}
[client.rgw.a]
# Without authentication the gateway would insist on a secure connection to the monitor, for ever.
ms mon client mode = crc
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {folder}/rgw
rgw enable usage log = false
rgw dns name = localhost
"""


class CephServer(Server):
    """`stop` and `start` stop and start the gateway alone: what is stored stays."""

    key = "testkey"
    secret = "testsecret123"  # noqa: S105 - of a store that lives as long as the test

    def __init__(self, size_bytes: int = 8 * 2**30) -> None:
        self._binaries = {name: find_program(name, package) for name, package in PACKAGES.items()}
        super().__init__()
        self.port, self._mon_port = free_port(), free_port()
        self._numbers = count(1)
        self._size_bytes = size_bytes
        self._cluster: list[Program] = []
        self._gateway: Program | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the gateway."""
        assert self._gateway is not None, "it is stopped"
        return self._gateway.pid

    def start(self) -> None:
        is_new = not self._cluster
        if is_new:
            self._start_cluster()
        self._gateway = self._run("radosgw", "-f", "-n", "client.rgw.a")
        self._gateway.wait_until(self.answers)
        if is_new:
            user = ["--uid=test", "--display-name=test", f"--access-key={self.key}"]
            self._do("radosgw-admin", "user", "create", *user, f"--secret-key={self.secret}")

    def stop(self) -> None:
        if self._gateway is not None:
            self._gateway.stop()
            self._gateway = None

    def close(self) -> None:
        # What it stored is not wanted, and a gateway waits long for a store that has ended before it.
        for program in (self._gateway, *reversed(self._cluster)):
            if program is not None:
                program.stop(signal.SIGKILL)
        self._gateway = None
        super().close()

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint_url, timeout=5).close()  # noqa: S310 - our own address
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def client(self) -> BaseClient:
        """botocore's, for what a test sets up or looks at behind the store's back."""
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        return get_session().create_client(
            "s3", endpoint_url=self.endpoint_url, aws_access_key_id=self.key, region_name="us-east-1",
            aws_secret_access_key=self.secret, config=config,
        )  # fmt: skip

    def new_bucket(self) -> str:
        name = f"test-{next(self._numbers)}"
        self.client().create_bucket(Bucket=name)  # type: ignore[attr-defined]
        return name

    def _start_cluster(self) -> None:
        fsid, config = str(uuid.uuid4()), self.folder / "ceph.conf"
        facts = {"fsid": fsid, "folder": self.folder, "port": self.port, "mon_port": self._mon_port}
        config.write_text(CONFIG.format(**facts, size_bytes=self._size_bytes))
        for name in ("mon", "osd", "mgr", "rgw"):
            (self.folder / name).mkdir()
        address, monmap = f"[v2:127.0.0.1:{self._mon_port}]", str(self.folder / "monmap")
        self._do("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, monmap)
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._cluster.append(self._run("ceph-mon", "-f", "-i", "a"))
        osd = str(uuid.uuid4())
        self._do("ceph", "osd", "new", osd, "0")
        self._do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._cluster.append(self._run("ceph-osd", "-f", "-i", "0"))
        self._cluster.append(self._run("ceph-mgr", "-f", "-i", "x", "--mgr-data", str(self.folder / "mgr")))

    def _run(self, name: str, *arguments: str) -> Program:
        command = [self._binaries[name], "-c", str(self.folder / "ceph.conf"), *arguments]
        return Program(command, self.folder / f"{name}.out")

    def _do(self, name: str, *arguments: str) -> None:
        # monmaptool is the one of them that does not read the configuration.
        config = [] if name == "monmaptool" else ["-c", str(self.folder / "ceph.conf")]
        subprocess.run(
            [self._binaries[name], *config, *arguments],
            check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip


def s3_settings(server: CephServer, data_dir: Path, **more: Any) -> Settings:
    """Those of a service whose store is a new bucket, below a prefix."""
    return Settings(
        data_dir=data_dir, store_url=f"s3://{server.new_bucket()}/night/shift", s3_key=server.key,
        s3_secret=SecretStr(server.secret), s3_endpoint_url=server.endpoint_url, **more,
    )  # fmt: skip
