"""The API and its OpenAPI document agree, as far as a fuzzer finds out soon; `make contract` goes on."""

from pathlib import Path

import pytest

from benchmarks.api_server import running_api, stock
from benchmarks.contract import fuzz

EXAMPLES = 5  # of each operation, beside the values at all the limits


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_answer_is_a_surprise(tmp_path: Path) -> None:
    with running_api(tmp_path) as server:
        stock(server)
        found = fuzz(server, seed=1, examples=EXAMPLES, folder=tmp_path)
    assert found.faults == []
    assert found.requests > 1000
