"""A client that never reads costs the others no more than one that reads."""

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

# What three clients must keep of their rate when the fourth does not read.
KEPT = 0.9

# Other work on the machine makes a phase slower, by half at times, and one lucky phase
# says nothing: so each is compared with the one just before it, and the median of these
# ratios counts. There are more of them while neighbours disturb. A loss that is real
# stays, however many there are.
PHASES_MIN = 3
PHASES_MAX = 20


def reader(url: str) -> int:
    """Reads a whole stream; how many tokens it had."""
    body = {"prompt": "Once upon a time", "max_tokens": TOKENS, "ignore_eos": True, "temperature": 0}
    with httpx.stream("POST", f"{url}/generate_stream", json=body, timeout=120) as response:
        events = [line for line in response.iter_lines() if line.startswith("data: {")]
    assert "finish_reason" in json.loads(events[-1].removeprefix("data: "))
    return len(events) - 1


def phase(url: str, fourth_reads: bool) -> float:
    """Tokens a second of three readers beside a fourth client."""
    metrics.wait_idle(url)
    body = {
        "messages": [{"role": "user", "content": "Tell me a long story."}],
        "max_tokens": 1900,
        "ignore_eos": True,
        "stream": True,
    }
    over = threading.Event()
    with RawStream(url, "/v1/chat/completions", body, receive_buffer=4096) as fourth:

        def read() -> None:
            while not over.is_set():
                fourth.socket.recv(65536)

        thread = threading.Thread(target=read)
        if fourth_reads:
            thread.start()
        metrics.wait_until(lambda: metrics.running(url) == 1, "the fourth client's request")
        begin = time.monotonic()
        with ThreadPoolExecutor(READERS) as pool:
            tokens = sum(pool.map(reader, [url] * READERS))
        rate = tokens / (time.monotonic() - begin)
        assert metrics.running(url) == 1, "the fourth request must last for the whole phase"
        over.set()
        if fourth_reads:
            thread.join()
    return rate


def test_a_client_that_never_reads_slows_nobody(server: Server, description: dict) -> None:
    if description["driving"]["max_sequences"] <= READERS:
        pytest.skip("this engine runs too few sequences at once for anyone to be beside another")
    phase(server.url, fourth_reads=True)
    reading, stalled = [], []
    ratio = 0.0
    while len(stalled) < PHASES_MIN or (ratio < KEPT and len(stalled) < PHASES_MAX):
        reading.append(phase(server.url, fourth_reads=True))
        stalled.append(phase(server.url, fourth_reads=False))
        ratio = statistics.median(mute / loud for mute, loud in zip(stalled, reading))
    print(f"beside a reader: {reading} tokens/s; beside one that never reads: {stalled}; ratio {ratio:.3f}")
    assert ratio >= KEPT, (reading, stalled)
