"""Whether the API does what its OpenAPI document says, and nothing else: schemathesis against a real server.

Each round starts an API on loopback with SQLite, a dataset and a job in it, and sends it requests made from
the document, good and bad ones, alone and in sequences. No answer may be 500 or above, of a status that is
not documented, or of another shape; the API's log may hold no traceback. Further rounds go on
with the next seed.

    python -m benchmarks.contract --requests 10000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.api_server import ApiServer, running_api, stock

HERE = Path(__file__).parent
ROUND_SECONDS = 1800
MOST_TOLD = 300  # of a line of the log: its end names the error
SIGNS_OF_A_FAULT = ("Traceback", "unforeseen error")


@dataclass(frozen=True, slots=True)
class Round:
    seed: int
    requests: int
    seconds: float
    faults: list[str]


def fuzz(server: ApiServer, seed: int, examples: int, folder: Path) -> Round:
    report = folder / "report.json"
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "contract.toml"),
        "run", f"{server.url}/openapi.json", "--header", f"Authorization: {server.headers['Authorization']}",
        "--seed", str(seed), "--max-examples", str(examples), "--continue-on-failure", "--no-color",
        "--phases", "examples,coverage,fuzzing,stateful", "--report-json-path", str(report),
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "benchmarks.contract_hooks", "CONTRACT_KEY_ID": server.key.split("_")[1]}
    started = time.monotonic()
    with (folder / "fuzzer.log").open("wb") as log:
        status = subprocess.run(
            command, check=False, cwd=HERE.parent, env={**os.environ, **hooks}, stdout=log, stderr=log,
            timeout=ROUND_SECONDS,
        ).returncode  # fmt: skip
    found = json.loads(report.read_text()) if report.exists() else {}
    faults = [*_faults(found), *_logged(server)]
    if status != 0 and not faults:
        faults = [(folder / "fuzzer.log").read_text()[-5000:]]
    return Round(seed, found["test_cases"]["generated"] if found else 0, time.monotonic() - started, faults)


def _faults(report: dict[str, Any]) -> list[str]:
    failures = [f"{each['title']}: {', '.join(each['operations'])}" for each in report.get("failures", [])]
    return failures + [str(error) for error in report.get("errors", [])]


def _logged(server: ApiServer) -> list[str]:
    lines = server.log.read_text(errors="replace").splitlines()
    return sorted({line[-MOST_TOLD:] for line in lines if any(sign in line for sign in SIGNS_OF_A_FAULT)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many")
    parser.add_argument("--examples", type=int, default=100, help="of each operation in a round")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--keep", type=Path, help="where logs and reports go; otherwise they are removed")
    asked = parser.parse_args()
    done: list[Round] = []
    with tempfile.TemporaryDirectory() as scratch:
        while sum(each.requests for each in done) < asked.requests and not any(each.faults for each in done):
            seed = asked.seed + len(done)
            folder = (asked.keep or Path(scratch)) / str(seed)
            folder.mkdir(parents=True)
            with running_api(folder) as server:
                stock(server)
                done.append(fuzz(server, seed, asked.examples, folder))
            last = done[-1]
            print(
                f"seed {seed}: {last.requests:,} requests in {last.seconds:.0f} s, {len(last.faults)} faults"
            )
    for each in done:
        for fault in each.faults:
            print(f"seed {each.seed}: {fault}")
    print(
        f"{sum(each.requests for each in done):,} requests, {sum(len(each.faults) for each in done)} faults"
    )
    return 1 if any(each.faults or not each.requests for each in done) else 0


if __name__ == "__main__":
    sys.exit(main())
