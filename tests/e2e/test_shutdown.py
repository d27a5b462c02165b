"""Ctrl-C drains; a second one does not wait."""

import time

import metrics
from raw import RawStream
from server import Server

LONG = {"prompt": "Once upon a time", "ignore_eos": True, "temperature": 0}


def test_ctrl_c_lets_a_stream_finish_and_exits_with_zero(own_server: Server) -> None:
    with RawStream(own_server.url, "/generate_stream", {**LONG, "max_tokens": 64}) as stream:
        stream.read_events(3)
        own_server.interrupt()
        # Connections are taken while it drains, or none any more if it was quick.
        metrics.wait_until(lambda: own_server.status("/readyz") != 200, "not being ready")
        received = stream.read_until(b"[DONE]")
    assert b'"finish_reason":"length"' in received
    assert own_server.process.wait(30) == 0, own_server.log_end()
    assert own_server.status("/livez") is None


def test_a_second_ctrl_c_stops_at_once(own_server: Server) -> None:
    with RawStream(own_server.url, "/generate_stream", {**LONG, "max_tokens": 1900}) as stream:
        stream.read_events(3)
        own_server.interrupt()
        metrics.wait_until(lambda: own_server.status("/readyz") != 200, "not being ready")
        assert own_server.process.poll() is None, "it must wait for the stream"
        begin = time.monotonic()
        own_server.interrupt()
        own_server.process.wait(10)
        assert time.monotonic() - begin < 5
