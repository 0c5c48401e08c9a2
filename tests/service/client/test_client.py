"""The client turns what a server says into results or one clear error."""

from collections.abc import Callable

import httpx
import pytest

from service.client.client import ApiError, Client, JobFailed, ServerUnreachable
from service.client.options import parse_pairs
from service.client.progress import duration
from service.errors import InvalidRequest, NightshiftError

JOB = {
    "id": "job-1", "kind": "translation", "state": "running", "dataset_id": "ds-1", "result_id": "ds-2",
    "parent_id": None, "error": None, "spec": {}, "outcome": {}, "created_at": "2026-01-01T00:00:00Z",
    "started_at": None, "finished_at": None,
    "progress": {
        "frames_total": 4, "frames_done": 1, "frames_failed": 0, "images_per_second": 2.0, "seconds_left": 1.5
    },
}  # fmt: skip


def client(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://server", httpx.MockTransport(answer))


def test_a_problem_becomes_an_error_with_its_code_and_sentence() -> None:
    problem = {"code": "not-found", "detail": "There is no job 'x'.", "status": 404}
    with client(lambda _: httpx.Response(404, json=problem)) as server, pytest.raises(ApiError) as error:
        server.job("x")
    assert (error.value.code, error.value.status, str(error.value)) == ("not-found", 404, problem["detail"])


def test_an_answer_that_is_no_problem_document_is_still_one_sentence() -> None:
    with (
        client(lambda _: httpx.Response(502, text="<html>")) as server,
        pytest.raises(ApiError, match="answered 502"),
    ):
        server.job("x")


def test_no_server_is_said_with_the_cure() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with client(refuse) as server:
        assert not server.is_ready()
        with pytest.raises(ServerUnreachable, match="nightshift up"):
            server.job("x")


def test_a_connection_that_breaks_is_an_error_to_try_again() -> None:
    def break_off(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    with client(break_off) as server, pytest.raises(NightshiftError, match="Try again"):
        server.job("x")


def test_following_a_job_yields_each_change_once_and_ends_with_it() -> None:
    answers = [
        httpx.Response(200, json=JOB, headers={"ETag": '"1"'}),
        httpx.Response(304, headers={"ETag": '"1"'}),
        httpx.Response(
            200,
            json={**JOB, "state": "succeeded", "finished_at": "2026-01-01T00:00:09Z"},
            headers={"ETag": '"2"'},
        ),
    ]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["If-None-Match"])
        return answers[len(asked) - 1]

    with client(answer) as server:
        assert [job.state for job in server.follow("job-1")] == ["running", "succeeded"]
    assert asked == ["", '"1"', '"1"']


def test_waiting_for_a_job_that_fails_raises_with_its_reason() -> None:
    failed = {
        **JOB, "state": "failed", "finished_at": "2026-01-01T00:00:09Z",
        "error": {"code": "error-budget", "message": "9 of 10 images failed"},
    }  # fmt: skip

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=failed, headers={"ETag": '"1"'})

    with client(answer) as server, pytest.raises(JobFailed, match="9 of 10 images failed") as error:
        server.wait(server.job("job-1"))
    assert error.value.code == "error-budget"


def test_pages_are_followed_to_the_last() -> None:
    pages = {None: ([JOB], "next"), "next": ([{**JOB, "id": "job-2"}], None)}

    def answer(request: httpx.Request) -> httpx.Response:
        items, cursor = pages[request.url.params.get("cursor")]
        return httpx.Response(200, json={"items": items, "next_cursor": cursor})

    with client(answer) as server:
        assert [job.id for job in server.jobs()] == ["job-1", "job-2"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600 * 5 + 120, "5 h 2 min")]
)
def test_durations_are_read_by_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_category_pairs_are_parsed_or_explained() -> None:
    assert parse_pairs(["van=car", "tram=train"]) == {"van": "car", "tram": "train"}
    with pytest.raises(InvalidRequest, match="--map-category"):
        parse_pairs(["van"])
