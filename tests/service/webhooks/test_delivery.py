"""What a receiver gets, and what happens when it answers badly or not at all."""

import json
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from shutil import which

import pytest
from sqlalchemy import update

from service.jobs.tables import webhook_deliveries
from service.webhooks import calling
from service.webhooks.addresses import Allowance
from service.webhooks.delivery import Courier
from service.webhooks.records import DeliveryState
from service.webhooks.signing import signature
from tests.service.webhooks.receivers import HOST, Canary, Post, Receiver, serve, to_loopback


def deliver(post: Post, receiver: Receiver) -> int:
    return Courier(post.outbox, receiver.allowance, to_loopback).deliver_due()


def test_the_receiver_gets_a_signed_message_and_is_not_told_again(post: Post, receiver: Receiver) -> None:
    webhook = post.store.create(receiver.url)
    job_id = post.end_job()
    assert (deliver(post, receiver), deliver(post, receiver)) == (1, 0)
    ((path, headers, body),) = receiver.requests
    assert path == "/in?from=night"
    assert headers["host"] == f"{HOST}:{receiver.port}"
    assert headers["content-type"] == "application/json"
    told = json.loads(body)
    assert told["data"]["id"] == job_id
    assert told["data"]["error_code"] == "empty-dataset"
    signed = signature(webhook.secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
    delivery = post.delivery(webhook.id)
    assert (delivery.state, delivery.attempts, delivery.last_answer) == (
        DeliveryState.DELIVERED,
        1,
        "HTTP 204",
    )


def test_it_is_sent_again_with_the_same_id_and_body_until_it_is_taken(post: Post, receiver: Receiver) -> None:
    webhook = post.store.create(receiver.url)
    post.end_job()
    receiver.statuses = [500, 302, 200]
    for answer in ("HTTP 500", "HTTP 302", "HTTP 200"):
        with post.database.writing() as connection:
            connection.execute(update(webhook_deliveries).values(due_at=0.0))
        deliver(post, receiver)
        assert post.delivery(webhook.id).last_answer == answer
    assert post.delivery(webhook.id).state is DeliveryState.DELIVERED
    assert len({(headers["webhook-id"], body) for _, headers, body in receiver.requests}) == 1


def test_a_receiver_that_is_gone_is_left_alone(post: Post, receiver: Receiver) -> None:
    webhook = post.store.create(receiver.url)
    post.end_job()
    receiver.statuses = [410]
    deliver(post, receiver)
    assert post.delivery(webhook.id).state is DeliveryState.GIVEN_UP


def test_a_redirect_is_not_followed(post: Post, receiver: Receiver, canary: Canary) -> None:
    webhook = post.store.create(receiver.url)
    post.end_job()
    receiver.statuses, receiver.headers = [307], {"Location": f"http://127.0.0.1:{canary.port}/"}
    deliver(post, receiver)
    assert post.delivery(webhook.id).last_answer == "HTTP 307"
    assert canary.connections() == 0


def test_the_name_is_looked_up_once_and_that_address_is_called(post: Post, receiver: Receiver) -> None:
    post.store.create(receiver.url)
    post.end_job()
    asked = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.99"]

    Courier(post.outbox, receiver.allowance, rebinding).deliver_due()
    assert (asked, len(receiver.requests)) == ([HOST], 1)


def test_a_name_that_came_to_point_inside_is_not_called(post: Post, canary: Canary) -> None:
    webhook = post.store.create(f"https://hooks.example.com:{canary.port}/")  # public when it was made
    post.end_job()
    Courier(post.outbox, Allowance(), to_loopback).deliver_due()
    assert "public" in str(post.delivery(webhook.id).last_answer)
    assert canary.connections() == 0


def test_a_receiver_that_never_answers_costs_its_time_and_no_more(
    post: Post, receiver: Receiver, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "CALL_SECONDS", 0.3)
    slow = post.store.create(f"http://{HOST}:{canary.port}/")  # the connection is made, and then nothing
    quick = post.store.create(receiver.url)
    post.end_job()
    assert deliver(post, receiver) == 2
    assert post.delivery(quick.id).state is DeliveryState.DELIVERED
    assert (post.delivery(slow.id).state, post.delivery(slow.id).attempts) == (DeliveryState.PENDING, 1)
    assert str(post.delivery(slow.id).last_answer).startswith("no answer within")


def test_a_receiver_that_drips_bytes_is_cut_off_too(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "CALL_SECONDS", 0.5)
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.05):
                try:
                    connection.sendall(b"X-Drip: 1\r\n")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    webhook = post.store.create(f"http://{HOST}:{listener.getsockname()[1]}/")
    post.end_job()
    try:
        Courier(post.outbox, Allowance(frozenset({HOST}), frozenset({HOST})), to_loopback).deliver_due()
    finally:
        done.set()
        thread.join()
        listener.close()
    assert str(post.delivery(webhook.id).last_answer).startswith("no answer within")


@pytest.mark.parametrize(
    "answer", [b"", b"\x00" * 500, b"HTTP/1.1 999999 no\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"]
)
def test_what_is_no_http_is_a_failure_whose_words_are_ours(post: Post, answer: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def babble() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=babble, daemon=True)
    thread.start()
    webhook = post.store.create(f"http://{HOST}:{listener.getsockname()[1]}/")
    post.end_job()
    Courier(post.outbox, Allowance(frozenset({HOST}), frozenset({HOST})), to_loopback).deliver_due()
    thread.join()
    listener.close()
    assert post.delivery(webhook.id).last_answer == "the connection failed"


@pytest.mark.skipif(which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize(("name", "state"), [(HOST, "delivered"), ("other.test", "pending")])
def test_the_certificate_must_be_that_of_the_name_though_an_address_is_called(
    post: Post, tmp_path: Path, name: str, state: str
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    receiver = Receiver()
    server = serve(receiver)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    server.socket = server_side.wrap_socket(server.socket, server_side=True)
    webhook = post.store.create(f"https://{HOST}:{receiver.port}/")
    post.end_job()
    trust = ssl.create_default_context(cafile=str(certificate))
    Courier(post.outbox, Allowance(frozenset({HOST})), to_loopback, trust).deliver_due()
    server.shutdown()
    server.server_close()
    delivery = post.delivery(webhook.id)
    assert delivery.state == state
    assert delivery.last_answer == ("HTTP 204" if state == "delivered" else "the certificate or TLS failed")
