"""A cluster on real servers is shot at while it works: nothing is lost or done twice, nobody falsely accused.

This is the small form of `python -m benchmarks.nemesis`, with the same faults and the same checker.
"""

from pathlib import Path

import pytest

from benchmarks.nemesis.faults import KILLS, Plan
from benchmarks.nemesis.grounds import Wish, prepared
from benchmarks.nemesis.trial import run_trial
from tests.servers.fixtures import PostgresServer, RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.timeout(400)]
FRAMES, FAULTS, POISONED = 1_000, 20, 2


def test_a_cluster_under_fire_loses_nothing_and_leaves_out_only_what_is_poisoned(
    redis_server: RedisServer, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    wish = Wish(FRAMES, poison=POISONED)
    with prepared(wish, tmp_path, redis_server, postgres_server.new_database()) as grounds:
        trial = run_trial(grounds, Plan(KILLS, seconds=0.8, seed=7), FAULTS)
    assert sum(trial.faults.values()) >= FAULTS
    assert set(trial.faults) == set(map(str, KILLS)), "each kind was done"
    for verdict in trial.verdicts:
        assert verdict.faults == []
        assert (verdict.lost, verdict.double, verdict.fenced_out, verdict.unexplained) == (0, 0, 0, 0)
        assert (verdict.quarantined, verdict.falsely_accused) == (POISONED, 0)
        assert verdict.objects_hashed == 2 * (FRAMES - POISONED)
