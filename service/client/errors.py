"""What can go wrong between a client and its server."""

import httpx

from service.api.views import JobView
from service.errors import NightshiftError


class ApiError(NightshiftError):
    """The server refused; `code` and the message are its own."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class KeyRefused(ApiError):
    """The server does not know the key, or not any more."""

    def __init__(self, url: str) -> None:
        cure = "Give a valid one with --key or NIGHTSHIFT_KEY; `nightshift up` makes one for this machine."
        super().__init__(401, "unauthorized", f"The server at {url} refuses the API key. {cure}")


class ServerUnreachable(NightshiftError):
    code = "server-unreachable"

    def __init__(self, url: str) -> None:
        super().__init__(f"No Nightshift server answers at {url}.", "Start one with: nightshift up")


class JobFailed(NightshiftError):
    """A job that was waited for ended without success."""

    def __init__(self, job: JobView) -> None:
        reason = job.error.message if job.error else f"it was {job.state}"
        super().__init__(f"Job {job.id} did not succeed: {reason}")
        self.code = job.error.code if job.error else str(job.state)
        self.job = job


def api_error(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
        return ApiError(response.status_code, problem["code"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        return ApiError(response.status_code, "http-error", f"The server answered {response.status_code}.")
