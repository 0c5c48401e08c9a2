"""Signatures that every Standard Webhooks library accepts."""

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from service.webhooks.signing import new_secret, signature, signed_headers


def test_the_convention_s_own_example_is_signed_as_it_says() -> None:
    found = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(max_size=200), st.integers(0, 2**33))
def test_a_receiver_can_check_what_was_signed(body: bytes, timestamp: int) -> None:
    secret = new_secret()
    headers = signed_headers(secret, "wh-1-job-1", timestamp, body)
    version, _, given_mac = headers["webhook-signature"].partition(",")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    assert version == "v1"
    assert base64.b64decode(given_mac) == hmac.new(key, content, hashlib.sha256).digest()


def test_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(base64.b64decode(each.removeprefix("whsec_"))) == 32 for each in made)
