"""An address that others can reach needs TLS before it, here or at a proxy."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.client.cli import app
from service.errors import InvalidRequest
from service.listening import ANYWHERE, Listening


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_machine_alone_may_be_served_as_it_is(host: str) -> None:
    assert Listening(host, 8000).url.startswith("http://")


@pytest.mark.parametrize("host", [*ANYWHERE, "192.0.2.1", "night.example.org", "10.0.0.1"])
def test_an_address_that_others_reach_is_refused_without_tls(host: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="--tls-cert"):
        Listening(host)
    file = tmp_path / "pem"
    file.touch()
    assert Listening(host, tls_cert=file, tls_key=file).url.startswith("https://")
    assert Listening(host, behind_proxy="10.0.0.5").proxies == ["10.0.0.5"]
    for half in ({"tls_cert": file}, {"tls_key": file}, {"tls_cert": file, "tls_key": tmp_path / "none"}):
        with pytest.raises(InvalidRequest):
            Listening(host, **half)  # type: ignore[arg-type]


@pytest.mark.parametrize("proxy", ["*", "0.0.0.0/0", "::/0", "the-proxy", "10.0.0.300", "10.0.0.5,*"])
def test_a_proxy_is_named_by_its_address(proxy: str) -> None:
    with pytest.raises(InvalidRequest):
        Listening("192.0.2.1", behind_proxy=proxy)


def test_networks_of_proxies_are_listed() -> None:
    assert Listening(behind_proxy="10.0.0.5, 172.16.0.0/12").proxies == ["10.0.0.5", "172.16.0.0/12"]


def test_the_server_is_told_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "pem"
    file.touch()
    listening = Listening("192.0.2.1", 9000, file, file, "10.0.0.5", 3)
    assert listening.arguments() == [
        "--host", "192.0.2.1", "--port", "9000", "--tls-cert", str(file), "--tls-key", str(file),
        "--behind-proxy", "10.0.0.5", "--workers", "3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "url"),
    [*((host, "http://127.0.0.1:80") for host in ANYWHERE), ("::1", "http://[::1]:80")],
)
def test_the_url_is_one_that_this_machine_reaches(host: str, url: str) -> None:
    assert Listening(host, 80, behind_proxy="10.0.0.5").url == url


@pytest.mark.parametrize("command", ["up", "serve"])
def test_the_commands_refuse_before_anything_is_started(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(app, [command, "--host", ANYWHERE[0]]).exception
    assert isinstance(refused, InvalidRequest)
    assert "--behind-proxy" in refused.cure
    assert list(tmp_path.iterdir()) == []
