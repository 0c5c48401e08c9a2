"""However a URL is spelled and wherever its name leads: nothing inside the network is ever connected to."""

import socket

import pytest
from sqlalchemy import insert, update

from service.errors import WebhookRefused
from service.jobs.database import database_now
from service.jobs.tables import webhook_deliveries, webhooks
from service.webhooks.addresses import Allowance, allowed_addresses, parse_target
from service.webhooks.delivery import Courier
from service.webhooks.records import DeliveryState
from service.webhooks.signing import new_secret
from tests.service.webhooks.receivers import Canary, Post, Receiver, to_loopback, words

LOOPBACK_NUMBERS = words("""
    127.0.0.1 127.1 127.0.1 127.00.00.01 0127.0.0.1 0177.0.0.1 0177.0.0.01 0x7f.0.0.1 0x7f.1 0x7f000001
    0X7F000001 2130706433 017700000001 00000017700000001 0x7F.0x0.0x0.0x1 127.0x1 0x7f.0.1 127.0.0.1. 127.1.
    2130706433. 127.0.0.53 127.255.255.254 127.0.0.0x1 0 0.0.0.0 0x0 00 0.0 1.0.0.127.in-addr.arpa
    4294967296 127.0.0.1.1 %31%32%37.0.0.1 127%2e0%2e0%2e1 127。0。0。1 ①②⑦.0.0.1 １２７.０.０.１
    127․0․0․1 127.0.0.1%00.example.com
""")
LOOPBACK_SIX = words("""
    [::1] [::] [0:0:0:0:0:0:0:1] [0000::0001] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:7f00:0001]
    [::127.0.0.1] [::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
    [2002:7f00:1::1] [::1%lo] [::1%25lo] [fe80::1] [fe80::1%25lo] [::ffff:0:127.0.0.1] [::FFFF:127.1]
    [::1].example.com [::1]x [[::1]] ::1 [::1
""")
NAMES = words("""
    localhost LOCALHOST LocalHost localhost. localhost.localdomain a.localhost ip6-localhost ip6-loopback
    loopback.example.com 127.0.0.1.nip.example localtest.example example.com. metadata
    metadata.google.internal instance-data kubernetes.default.svc redis postgres host.docker.internal _gateway
    broadcasthost hooks.example.com xn--localhost-.example
""")
# <H> is the host and port of something inside.
AROUND_THE_HOST = words(r"""
    https://hooks.example.com@<H>/ https://<H>@hooks.example.com/ https://hooks.example.com:443@<H>/
    https://hooks.example.com%40<H>/ https://hooks.example.com\@<H>/ https://<H>\@hooks.example.com/
    https://<H>#@hooks.example.com/ https://<H>?@hooks.example.com/ https://hooks.example.com#@<H>/
    https://hooks.example.com/@<H>/ https://hooks.example.com/\<H>/ https:\\<H>/ https:<H>/ https:/<H>/
    https:///<H>/ https://<TAB><H>/ https://<H><TAB>/ https://<H><LF>/ <LF>https://<H>/ https://<H>/<LF>
    https://hooks.example.com<CR><LF>Host:<H>/ https://hooks.example.com/<CR><LF>Host:<H> https://[<H>]/
    https://<H>%2f@hooks.example.com/ https://<H>%23.hooks.example.com/ https://<H>%00.hooks.example.com/
    https://<H>;hooks.example.com/ https://<H>,hooks.example.com/ https://hooks.example.com,<H>/
    http://<H>/ HTTP://<H>/ hTTps://<H>/ //<H>/ <H> ftp://<H>/ file:///etc/passwd file://<H>/etc/passwd
    gopher://<H>/_GET dict://<H>/ unix:///run/docker.sock http+unix://%2Frun%2Fdocker.sock/ s3://<H>/bucket
    zip::https://<H>/a.zip simplecache::https://<H>/ jar:https://<H>/a!/ https+http://<H>/
    javascript:fetch('https://<H>/') data:text/plain,<H>
""")
SPELLINGS = [
    *(f"https://{host}:<PORT>/" for host in (*LOOPBACK_NUMBERS, *LOOPBACK_SIX, *NAMES)),
    *(each.replace("<H>", "127.0.0.1:<PORT>") for each in AROUND_THE_HOST),
]


def spelled(spelling: str, port: int) -> str:
    for mark, text in (("<PORT>", str(port)), ("<TAB>", "\t"), ("<CR>", "\r"), ("<LF>", "\n")):
        spelling = spelling.replace(mark, text)
    return spelling


def credulous(host: str, port: int) -> list[str]:
    """A resolver at its worst: it takes any spelling of an address, and every name leads to this machine."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ["127.0.0.1", "::1"]
    return [str(entry[4][0]) for entry in found]


def add_unchecked(post: Post, url: str) -> None:
    """A webhook as if it had once been allowed."""
    with post.database.writing() as connection:
        row = {"id": f"wh-{abs(hash(url))}"[:20], "tenant": "local", "url": url, "secret": new_secret()}
        connection.execute(insert(webhooks).values(created_at=database_now(), **row))


def test_there_are_enough_spellings_to_mean_something() -> None:
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 120


def test_no_spelling_of_an_inner_address_is_taken_at_creation(canary: Canary) -> None:
    for spelling in SPELLINGS:
        with pytest.raises(WebhookRefused):
            allowed_addresses(parse_target(spelled(spelling, canary.port), Allowance()), credulous)
    assert canary.connections() == 0


def test_no_spelling_of_an_inner_address_is_connected_to_when_a_delivery_is_due(
    post: Post, canary: Canary
) -> None:
    for spelling in SPELLINGS:
        add_unchecked(post, spelled(spelling, canary.port))
    post.end_job()
    courier = Courier(post.outbox, Allowance(), credulous)
    sent = 0
    while due := courier.deliver_due():
        sent += due
    assert sent == len(SPELLINGS)
    assert canary.connections() == 0
    assert {each.state for hook in post.store.webhooks() for each in post.store.deliveries(hook.id, 9)} == {
        DeliveryState.PENDING
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_inside(post: Post, receiver: Receiver, canary: Canary, status: int) -> None:
    post.store.create(receiver.url)
    for location in (
        f"http://127.0.0.1:{canary.port}/",
        f"//127.0.0.1:{canary.port}/",
        f"https://[::1]:{canary.port}/",
    ):
        post.end_job()
        receiver.statuses, receiver.headers = [status], {"Location": location}
        Courier(post.outbox, receiver.allowance, to_loopback).deliver_due()
    assert len(receiver.requests) == 3
    assert canary.connections() == 0


def test_a_name_whose_answers_change_is_never_connected_to_inside(post: Post, canary: Canary) -> None:
    """DNS rebinding: public when it was allowed, inside when it is called; or both in one answer."""
    answers = [["93.184.215.14"], ["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"]]
    target = parse_target(f"https://rebind.example.com:{canary.port}/", Allowance())
    assert allowed_addresses(target, lambda _host, _port: answers[0]) == answers[0]
    webhook = post.store.create(target.url)
    post.end_job()
    for answer in answers[1:]:
        with post.database.writing() as connection:
            connection.execute(update(webhook_deliveries).values(due_at=0.0))
        Courier(post.outbox, Allowance(), lambda _host, _port, answer=answer: answer).deliver_due()
    assert post.delivery(webhook.id).attempts == 3
    assert canary.connections() == 0


def test_the_canary_would_have_noticed(post: Post, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.webhooks.calling.CALL_SECONDS", 0.2)
    post.store.create(f"https://localhost:{canary.port}/")
    post.end_job()
    Courier(post.outbox, Allowance(frozenset({"localhost"})), to_loopback).deliver_due()
    assert canary.connections() == 1
