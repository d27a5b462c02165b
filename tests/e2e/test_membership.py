"""Gateways and workers that find each other by etcd, and what they do when it is away."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cluster import LEASE_SECONDS, Cluster, Etcd, until
from relay import Relay

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


class Traffic:
    """Clients that ask one URL after the other without a pause, on a connection for each
    request, until the end of the `with`."""

    def __init__(self, urls: list[str], clients: int = 12):
        self.urls, self.over = urls, threading.Event()
        self.answered, self.failures = 0, []
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(clients)]

    def ask(self, number: int) -> None:
        body = {"model": "m", "prompt": f"client {number}", "max_tokens": TOKENS, "temperature": 0}
        while not self.over.is_set():
            number += 1
            try:
                answer = httpx.post(f"{self.urls[number % len(self.urls)]}/v1/completions", json=body, timeout=60)
                tokens = answer.json().get("usage", {}).get("completion_tokens")
                if (answer.status_code, tokens) == (200, TOKENS):
                    self.answered += 1
                    continue
                self.failures.append(f"{answer.status_code}: {answer.text}")
            except (httpx.HTTPError, ValueError) as error:
                self.failures.append(repr(error))

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(90)
        if any(thread.is_alive() for thread in self.threads):
            self.failures.append("a request never ended")

    def goes_on(self, requests: int = 24, seconds: float = 30) -> None:
        """Waits for so many further answers."""
        goal = self.answered + requests
        until(f"{requests} more answers", lambda: self.answered >= goal or bool(self.failures), seconds)
        assert not self.failures, self.failures[:3]


def test_workers_come_and_go(cluster: Cluster, etcd: Etcd) -> None:
    assert sorted(etcd.keys("nodes")) == ["w0", "w1", "w2"]
    with Traffic(cluster.urls) as traffic:
        traffic.goes_on()
        cluster.workers.append(cluster.worker(3))
        cluster.wait_until_serving(4)
        leaver = cluster.workers.pop(0)
        leaver.send_signal(signal.SIGTERM)
        assert leaver.wait(30) == 0
        assert sorted(etcd.keys("nodes")) == ["w1", "w2", "w3"]
        for gateway in range(2):
            until("the one that left is seen", lambda: cluster.serving(gateway) == {"w1.m", "w2.m", "w3.m"}, 10)
        # The same worker again, as after an upgrade.
        cluster.workers.append(cluster.worker(0))
        cluster.wait_until_serving(4)
        traffic.goes_on()
    assert not traffic.failures, traffic.failures[:3]


def test_a_worker_that_dies_is_no_member_when_its_lease_has_ended(cluster: Cluster, etcd: Etcd) -> None:
    cluster.workers[0].kill()
    assert cluster.workers[0].wait() == -signal.SIGKILL
    until("its record ends", lambda: sorted(etcd.keys("nodes")) == ["w1", "w2"], LEASE_SECONDS + 5)


def test_nothing_fails_while_etcd_is_away(cluster: Cluster, etcd: Etcd) -> None:
    away = float(os.environ.get("HOSTLER_ETCD_AWAY_SECONDS", 3 * LEASE_SECONDS))
    with Traffic(cluster.urls) as traffic:
        traffic.goes_on()
        etcd.kill()
        begun = time.monotonic()
        traffic.goes_on()
        # One dies, and none but its own connections can tell: nothing goes there any more.
        cluster.workers[0].kill()
        for gateway in range(2):
            until("it is routed around", lambda: cluster.serving(gateway) == {"w1.m", "w2.m"}, 2)
        # One comes, and cannot say so yet.
        cluster.workers.append(cluster.worker(3))
        claim = httpx.post(f"{cluster.url}/admin/claims", json={"model": "m", "ttl_seconds": 5})
        assert claim.status_code == 503 and "etcd" in claim.json()["error"]["message"], claim.text
        until("etcd was away for as long as it shall be", lambda: time.monotonic() - begun > away, away + 1)
        traffic.goes_on()
        etcd.start()
        for gateway in range(2):
            until("the view is right", lambda: cluster.serving(gateway) == {"w1.m", "w2.m", "w3.m"}, 10)
        until("the records are right", lambda: sorted(etcd.keys("nodes")) == ["w1", "w2", "w3"], 10)
        claim = httpx.post(f"{cluster.url}/admin/claims", json={"model": "m", "ttl_seconds": 5})
        assert claim.status_code == 201, claim.text
        traffic.goes_on()
    assert not traffic.failures, traffic.failures[:3]


def test_an_etcd_that_has_forgotten_everything_is_told_again(cluster: Cluster, etcd: Etcd) -> None:
    with Traffic(cluster.urls) as traffic:
        etcd.kill()
        etcd.folder = etcd.folder / "new"
        etcd.folder.mkdir()
        etcd.start()
        until("they say again that they are there", lambda: sorted(etcd.keys("nodes")) == ["w0", "w1", "w2"], 10)
        traffic.goes_on()
        assert all(len(cluster.serving(gateway)) == 3 for gateway in range(2))
    assert not traffic.failures, traffic.failures[:3]


def test_a_rolling_restart_fails_no_request(cluster: Cluster) -> None:
    balancer = Relay(*(int(url.rpartition(":")[2]) for url in cluster.urls), check="/readyz")
    try:
        with Traffic([f"http://127.0.0.1:{balancer.port}"]) as traffic:
            for number, worker in enumerate(cluster.workers):
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(60) == 0
                cluster.workers[number] = cluster.worker(number)
                cluster.wait_until_serving()
                traffic.goes_on()
            for number, gateway in enumerate(cluster.gateways):
                gateway.send_signal(signal.SIGTERM)
                assert gateway.wait(60) == 0
                cluster.gateways[number] = cluster.start_gateway(number)
                cluster.wait_until_serving()
                traffic.goes_on()
        assert not traffic.failures, traffic.failures[:3]
    finally:
        balancer.close()


def test_the_claim_of_a_gateway_that_is_killed_ends(cluster: Cluster, etcd: Etcd) -> None:
    ttl = 2
    claim = httpx.post(f"{cluster.urls[0]}/admin/claims", json={"model": "m", "ttl_seconds": ttl})
    assert claim.status_code == 201, claim.text
    claimed = claim.json()["scheduler"]
    assert etcd.keys("claims")
    until("the other gateway sees it", lambda: claimed not in cluster.serving(1), 5)
    cluster.gateways[0].kill()
    until("its scheduler serves again", lambda: claimed in cluster.serving(1), ttl + 5)
    until("its record ends", lambda: not etcd.keys("claims"), LEASE_SECONDS + 5)
    again = httpx.post(f"{cluster.urls[1]}/admin/claims", json={"scheduler": claimed, "ttl_seconds": ttl})
    assert again.status_code == 201, again.text


def test_a_claim_outlives_the_restart_of_its_gateway(cluster: Cluster) -> None:
    claim = httpx.post(f"{cluster.urls[0]}/admin/claims", json={"model": "m", "ttl_seconds": 60})
    assert claim.status_code == 201, claim.text
    cluster.gateways[0].send_signal(signal.SIGTERM)
    assert cluster.gateways[0].wait(60) == 0
    cluster.gateways[0] = cluster.start_gateway(0)
    until("all its schedulers are known again", lambda: len(cluster.known(0)) == 3, 30)
    token = claim.json()["token"]
    beat = httpx.post(f"{cluster.urls[0]}/admin/claims/{token}/heartbeat")
    assert beat.status_code == 200, beat.text
    ended = httpx.delete(f"{cluster.urls[0]}/admin/claims/{token}")
    assert ended.status_code in (200, 204), ended.text
    cluster.wait_until_serving()


def test_of_two_gateways_that_claim_at_once_one_wins(tmp_path: Path, etcd: Etcd) -> None:
    cluster = make_cluster(tmp_path, etcd, workers=2)
    try:
        with ThreadPoolExecutor(2) as pool:
            for _ in range(20):
                claims = list(pool.map(lambda url: httpx.post(f"{url}/admin/claims", json={"model": "m"}), cluster.urls))
                codes = sorted(claim.status_code for claim in claims)
                # min_serving is 1, so that one of the two schedulers goes on.
                assert codes == [201, 503], [claim.text for claim in claims]
                for url, claim in zip(cluster.urls, claims, strict=True):
                    if claim.status_code == 201:
                        ended = httpx.delete(f"{url}/admin/claims/{claim.json()['token']}")
                        assert ended.status_code in (200, 204), ended.text
                cluster.wait_until_serving()
                until("the record is gone", lambda: not etcd.keys("claims"), 5)
    finally:
        cluster.kill()
