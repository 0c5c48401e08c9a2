"""The whole of it on real servers; see docs/reliability.md for what each run is to show.

python -m benchmarks.nemesis --frames 10000 --kills 100 --seeds 5              R1, R5, R11
python -m benchmarks.nemesis --frames 10000 --kills 100 --seeds 5 --poison 2   R2
python -m benchmarks.nemesis --bad-line --kills 20                             R3
python -m benchmarks.nemesis --faults flush --every 10 --kills 20              R4
python -m benchmarks.nemesis --faults freeze --kills 20                        R6
python -m benchmarks.nemesis --frames 1000 --cancels 200                       R10
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import SecretStr

from benchmarks.nemesis.cancels import run_cancels
from benchmarks.nemesis.faults import KILLS, Fault, Plan
from benchmarks.nemesis.grounds import Wish, prepared
from benchmarks.nemesis.report import table, take_back_line, to_json
from benchmarks.nemesis.trial import Trial, run_trial
from benchmarks.record import write_record
from service.settings import Settings
from tests.servers.ceph import CephServer
from tests.servers.postgres import PostgresServer
from tests.servers.programs import free_port
from tests.servers.redis import RedisServer


def main() -> None:
    arguments = _arguments()
    if arguments.faults == "kills":
        name, weights = "R2" if arguments.poison else "R1", dict(KILLS)
    else:
        fault = Fault(arguments.faults)
        name, weights = {Fault.FLUSH: "R4", Fault.FREEZE: "R6"}.get(fault, str(fault)), {fault: 1.0}
    wish = Wish(arguments.frames, arguments.poison, arguments.workers, arguments.reconcilers, arguments.lease)
    trials: list[Trial] = []
    direct: Settings | None = None
    with ExitStack() as stack:
        if arguments.bad_line:
            name = "R3"
            wish, direct = behind_a_bad_line(wish, stack.enter_context(CephServer()), arguments)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nightshift-nemesis-"))
        redis = stack.enter_context(RedisServer())
        postgres = stack.enter_context(PostgresServer())
        database_url = postgres.new_database()
        grounds = stack.enter_context(prepared(wish, Path(folder), redis, database_url, direct))
        print(f"undisturbed: {grounds.quiet_seconds:.1f} s", file=sys.stderr)
        if arguments.cancels:
            print(run_cancels(grounds, arguments.cancels, arguments.first_seed))
            return
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            trials.append(run_trial(grounds, Plan(weights, arguments.every, seed), arguments.kills))
            print(table(name, wish.frames, trials[-1:]).splitlines()[-1], file=sys.stderr)
    print(table(name, wish.frames, trials))
    print(take_back_line(trials, wish.lease_seconds))
    facts = {"quiet_seconds": grounds.quiet_seconds, "lease_seconds": wish.lease_seconds}
    write_record(f"nemesis-{name}", torch.device("cpu"), to_json(name, wish.frames, trials, **facts))
    sys.exit(not all(trial.is_clean for trial in trials))


def behind_a_bad_line(wish: Wish, ceph: CephServer, arguments: argparse.Namespace) -> tuple[Wish, Settings]:
    """The cluster goes to the store through a proxy that fails; the checker goes there directly."""
    url, port = f"s3://{ceph.new_bucket()}/store", free_port()
    proxy = ["benchmarks.nemesis.proxy", str(port), str(ceph.port)]
    proxy += [str(arguments.first_seed), str(arguments.stall)]
    wish = replace(
        wish, store_url=url, s3_endpoint_url=f"http://127.0.0.1:{port}",
        s3_key=ceph.key, s3_secret=ceph.secret, extra={"proxy": proxy},
    )  # fmt: skip
    direct = Settings(
        store_url=url, s3_endpoint_url=ceph.endpoint_url, s3_key=ceph.key, s3_secret=SecretStr(ceph.secret)
    )
    return wish, direct


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100, help="faults of each seed, at least")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=1.5, help="seconds between two faults, on average")
    parser.add_argument("--poison", type=int, default=0, help="images that end whoever reads them")
    parser.add_argument("--faults", choices=["kills", *Fault], default="kills")
    parser.add_argument("--cancels", type=int, default=0, help="only cancel so many jobs at random times")
    parser.add_argument("--bad-line", action="store_true", help="the store: S3, behind a proxy that fails")
    parser.add_argument("--stall", type=int, default=30, help="seconds, of the requests that stall")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--reconcilers", type=int, default=2)
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
