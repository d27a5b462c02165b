"""Gateways and workers that discover each other through etcd, with and without etcd outages."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest

from cluster import LEASE_SECONDS, Cluster, Etcd, free_port, until
from relay import Relay
from traffic import Traffic

TOKENS = 25


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    etcd = Etcd(tmp_path)
    try:
        yield etcd
    finally:
        etcd.kill()


def make_cluster(folder: Path, etcd: Etcd, workers: int) -> Cluster:
    cluster = Cluster(Path(os.environ["HOSTLER_BIN"]), folder, workers, gateways=2, etcd=etcd)
    try:
        cluster.wait_until_serving()
    except BaseException:
        cluster.kill()
        raise
    return cluster


@pytest.fixture
def cluster(tmp_path: Path, etcd: Etcd) -> Iterator[Cluster]:
    cluster = make_cluster(tmp_path, etcd, workers=3)
    try:
        yield cluster
    finally:
        cluster.kill()


class Completions(Traffic):
    """Clients that send completions to the URLs in turn, each request on its own connection.
    Every answer must be complete."""

    def __init__(self, urls: list[str], clients: int = 12):
        super().__init__(90)
        self.urls, self.answered = urls, 0
        for number in range(clients):
            self.repeat(partial(self.send, number, count(number)))

    def send(self, client: int, turns: Iterator[int]) -> None:
        body = {"model": "m", "prompt": f"client {client}", "max_tokens": TOKENS, "temperature": 0}
        url = self.urls[next(turns) % len(self.urls)]
        try:
            answer = httpx.post(f"{url}/v1/completions", json=body, timeout=60)
            tokens = answer.json().get("usage", {}).get("completion_tokens")
            if (answer.status_code, tokens) == (200, TOKENS):
                self.answered += 1
            else:
                self.fail(f"{answer.status_code}: {answer.text}")
        except (httpx.HTTPError, ValueError) as error:
            self.fail(repr(error))

    def wait_for_answers(self, answers: int = 24, seconds: float = 30) -> None:
        """Waits until so many further requests are answered."""
        goal = self.answered + answers
        until(f"{answers} more answers", lambda: self.answered >= goal or bool(self.failures), seconds)
        assert not self.failures, self.failures[:3]


def test_workers_join_and_leave(cluster: Cluster, etcd: Etcd) -> None:
    assert sorted(etcd.keys("nodes")) == ["w0", "w1", "w2"]
    with Completions(cluster.urls) as traffic:
        traffic.wait_for_answers()
        cluster.workers.append(cluster.worker(3))
        cluster.wait_until_serving(4)
        leaving = cluster.workers.pop(0)
        leaving.send_signal(signal.SIGTERM)
        assert leaving.wait(30) == 0
        assert sorted(etcd.keys("nodes")) == ["w1", "w2", "w3"]
        for gateway in range(2):
            until("the gateway sees that the worker left", lambda: cluster.serving(gateway) == {"w1.m", "w2.m", "w3.m"}, 10)
        # The same worker joins again, as after an upgrade.
        cluster.workers.append(cluster.worker(0))
        cluster.wait_until_serving(4)
        traffic.wait_for_answers()
    assert not traffic.failures, traffic.failures[:3]


def test_the_record_of_a_killed_worker_expires_with_its_lease(cluster: Cluster, etcd: Etcd) -> None:
    cluster.workers[0].kill()
    assert cluster.workers[0].wait() == -signal.SIGKILL
    until("its record is gone", lambda: sorted(etcd.keys("nodes")) == ["w1", "w2"], LEASE_SECONDS + 5)


def test_no_request_fails_during_an_etcd_outage(cluster: Cluster, etcd: Etcd) -> None:
    away = float(os.environ.get("HOSTLER_ETCD_AWAY_SECONDS", 3 * LEASE_SECONDS))
    with Completions(cluster.urls) as traffic:
        traffic.wait_for_answers()
        etcd.kill()
        started = time.monotonic()
        traffic.wait_for_answers()
        # A worker dies. The gateways notice by their own connections and stop using it.
        cluster.workers[0].kill()
        for gateway in range(2):
            until("the gateway avoids it", lambda: cluster.serving(gateway) == {"w1.m", "w2.m"}, 2)
        # A worker starts, and cannot register yet.
        cluster.workers.append(cluster.worker(3))
        claim = httpx.post(f"{cluster.url}/admin/claims", json={"model": "m", "ttl_seconds": 5})
        assert claim.status_code == 503 and "etcd" in claim.json()["error"]["message"], claim.text
        until("the outage has lasted long enough", lambda: time.monotonic() - started > away, away + 1)
        traffic.wait_for_answers()
        etcd.start()
        for gateway in range(2):
            until("the gateway sees the three workers", lambda: cluster.serving(gateway) == {"w1.m", "w2.m", "w3.m"}, 10)
        until("etcd has the three workers", lambda: sorted(etcd.keys("nodes")) == ["w1", "w2", "w3"], 10)
        claim = httpx.post(f"{cluster.url}/admin/claims", json={"model": "m", "ttl_seconds": 5})
        assert claim.status_code == 201, claim.text
        traffic.wait_for_answers()
    assert not traffic.failures, traffic.failures[:3]


def test_workers_register_again_with_an_empty_etcd(cluster: Cluster, etcd: Etcd) -> None:
    with Completions(cluster.urls) as traffic:
        etcd.kill()
        etcd.folder = etcd.folder / "new"
        etcd.folder.mkdir()
        etcd.start()
        until("all workers have registered again", lambda: sorted(etcd.keys("nodes")) == ["w0", "w1", "w2"], 10)
        traffic.wait_for_answers()
        assert all(len(cluster.serving(gateway)) == 3 for gateway in range(2))
    assert not traffic.failures, traffic.failures[:3]


def test_a_record_that_was_deleted_or_overwritten_is_restored_by_its_worker(cluster: Cluster, etcd: Etcd) -> None:
    before = etcd.record("nodes/w0")
    for destroy in (etcd.delete, lambda key: etcd.put(key, "{}"), lambda key: etcd.put(key, '{"endpoint": "http://127.0.0.1:9"}')):
        destroy("nodes/w0")
        until("the record is restored", lambda: etcd.record("nodes/w0") == before, LEASE_SECONDS + 5)
    # The record hangs on the worker's lease again.
    cluster.workers[0].kill()
    until("its record is gone", lambda: etcd.record("nodes/w0") is None, LEASE_SECONDS + 5)


def test_a_second_worker_of_a_living_name_exits_and_names_the_holder(cluster: Cluster, etcd: Etcd) -> None:
    holder = etcd.record("nodes/w0")
    port = cluster.ports[0]
    cluster.ports[0] = free_port()
    second = cluster.worker(0)
    assert second.wait(LEASE_SECONDS + 30) == 2
    log = (cluster.folder / "w0.log").read_text()
    assert f"another worker at {holder['endpoint']} has the name w0" in log, log[-2000:]
    assert etcd.record("nodes/w0") == holder
    cluster.wait_until_serving()
    cluster.ports[0] = port


def test_a_killed_worker_takes_its_name_over_when_it_starts_again(cluster: Cluster, etcd: Etcd) -> None:
    before = etcd.record("nodes/w0")
    cluster.workers[0].kill()
    cluster.workers[0].wait()
    cluster.workers[0] = cluster.worker(0)
    until("it has the name", lambda: (etcd.record("nodes/w0") or before)["instance"] != before["instance"], 30)
    cluster.wait_until_serving()
    # It keeps it when the lease of the killed process ends.
    after = etcd.record("nodes/w0")
    time.sleep(LEASE_SECONDS + 1)
    assert etcd.record("nodes/w0") == after


def test_a_rolling_restart_fails_no_request(cluster: Cluster) -> None:
    balancer = Relay(*(int(url.rpartition(":")[2]) for url in cluster.urls), check="/readyz")
    try:
        with Completions([f"http://127.0.0.1:{balancer.port}"]) as traffic:
            for number, worker in enumerate(cluster.workers):
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(60) == 0
                cluster.workers[number] = cluster.worker(number)
                cluster.wait_until_serving()
                traffic.wait_for_answers()
            for number, gateway in enumerate(cluster.gateways):
                gateway.send_signal(signal.SIGTERM)
                assert gateway.wait(60) == 0
                cluster.gateways[number] = cluster.start_gateway(number)
                cluster.wait_until_serving()
                traffic.wait_for_answers()
        assert not traffic.failures, traffic.failures[:3]
    finally:
        balancer.close()


def test_the_claim_of_a_killed_gateway_ends(cluster: Cluster, etcd: Etcd) -> None:
    ttl = 2
    claim = httpx.post(f"{cluster.urls[0]}/admin/claims", json={"model": "m", "ttl_seconds": ttl})
    assert claim.status_code == 201, claim.text
    claimed = claim.json()["scheduler"]
    assert etcd.keys("claims")
    until("the other gateway sees the claim", lambda: claimed not in cluster.serving(1), 5)
    cluster.gateways[0].kill()
    until("its scheduler serves again", lambda: claimed in cluster.serving(1), ttl + 5)
    until("its record is gone", lambda: not etcd.keys("claims"), LEASE_SECONDS + 5)
    again = httpx.post(f"{cluster.urls[1]}/admin/claims", json={"scheduler": claimed, "ttl_seconds": ttl})
    assert again.status_code == 201, again.text


def test_a_claim_survives_a_restart_of_its_gateway(cluster: Cluster) -> None:
    claim = httpx.post(f"{cluster.urls[0]}/admin/claims", json={"model": "m", "ttl_seconds": 60})
    assert claim.status_code == 201, claim.text
    cluster.gateways[0].send_signal(signal.SIGTERM)
    assert cluster.gateways[0].wait(60) == 0
    cluster.gateways[0] = cluster.start_gateway(0)
    until("the gateway knows all schedulers again", lambda: len(cluster.known(0)) == 3, 30)
    token = claim.json()["token"]
    beat = httpx.post(f"{cluster.urls[0]}/admin/claims/{token}/heartbeat")
    assert beat.status_code == 200, beat.text
    ended = httpx.delete(f"{cluster.urls[0]}/admin/claims/{token}")
    assert ended.status_code in (200, 204), ended.text
    cluster.wait_until_serving()


def test_only_one_of_two_concurrent_claims_is_granted(tmp_path: Path, etcd: Etcd) -> None:
    cluster = make_cluster(tmp_path, etcd, workers=2)
    try:
        with ThreadPoolExecutor(2) as pool:
            for _ in range(20):
                claims = list(pool.map(lambda url: httpx.post(f"{url}/admin/claims", json={"model": "m"}), cluster.urls))
                codes = sorted(claim.status_code for claim in claims)
                # min_serving is 1, so one of the two schedulers must keep serving.
                assert codes == [201, 503], [claim.text for claim in claims]
                for url, claim in zip(cluster.urls, claims, strict=True):
                    if claim.status_code == 201:
                        ended = httpx.delete(f"{url}/admin/claims/{claim.json()['token']}")
                        assert ended.status_code in (200, 204), ended.text
                cluster.wait_until_serving()
                until("the record is gone", lambda: not etcd.keys("claims"), 5)
    finally:
        cluster.kill()
