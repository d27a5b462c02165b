"""A client that never reads slows other clients no more than one that reads."""

import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import metrics
from raw import RawStream
from server import Server

READERS = 3
TOKENS = 64

# The share of their rate that three clients must keep when the fourth does not read.
RATIO_MIN = 0.9

# Other work on the machine can halve the rate of a phase. So each phase is compared with the
# one just before it, and the median of these ratios counts. While the median is too low, more
# phases follow: noise averages out, and a real loss remains.
PHASES_MIN = 3
PHASES_MAX = 20


def reader(url: str) -> int:
    """Reads a stream to its end and returns its number of tokens."""
    body = {"prompt": "Once upon a time", "max_tokens": TOKENS, "ignore_eos": True, "temperature": 0}
    with httpx.stream("POST", f"{url}/generate_stream", json=body, timeout=120) as response:
        events = [line for line in response.iter_lines() if line.startswith("data: {")]
    assert "finish_reason" in json.loads(events[-1].removeprefix("data: "))
    return len(events) - 1


def phase(url: str, fourth_reads: bool) -> float:
    """Tokens per second of three readers alongside a fourth client."""
    metrics.wait_idle(url)
    body = {
        "messages": [{"role": "user", "content": "Tell me a long story."}],
        "max_tokens": 1900,
        "ignore_eos": True,
        "stream": True,
    }
    stopped = threading.Event()
    with RawStream(url, "/v1/chat/completions", body, receive_buffer=4096) as fourth:

        def read() -> None:
            while not stopped.is_set():
                fourth.socket.recv(65536)

        thread = threading.Thread(target=read)
        if fourth_reads:
            thread.start()
        metrics.wait_until(lambda: metrics.running(url) == 1, "the fourth client's request")
        started = time.monotonic()
        with ThreadPoolExecutor(READERS) as pool:
            tokens = sum(pool.map(reader, [url] * READERS))
        rate = tokens / (time.monotonic() - started)
        assert metrics.running(url) == 1, "the fourth request must last for the whole phase"
        stopped.set()
        if fourth_reads:
            thread.join()
    return rate


def test_a_client_that_never_reads_does_not_slow_others(server: Server, description: dict) -> None:
    if description["driving"]["max_sequences"] <= READERS:
        pytest.skip("this engine runs too few sequences at once")
    phase(server.url, fourth_reads=True)
    reading, stalled = [], []
    ratio = 0.0
    while len(stalled) < PHASES_MIN or (ratio < RATIO_MIN and len(stalled) < PHASES_MAX):
        reading.append(phase(server.url, fourth_reads=True))
        stalled.append(phase(server.url, fourth_reads=False))
        ratio = statistics.median(without / with_reader for without, with_reader in zip(stalled, reading))
    print(f"fourth client reads: {reading} tokens/s; does not read: {stalled}; ratio {ratio:.3f}")
    assert ratio >= RATIO_MIN, (reading, stalled)
