"""Ctrl-C drains the server; a second one stops it immediately."""

import time

import metrics
from raw import RawStream
from server import Server

LONG = {"prompt": "Once upon a time", "ignore_eos": True, "temperature": 0}


def test_ctrl_c_lets_a_stream_finish_and_exits_with_zero(own_server: Server) -> None:
    with RawStream(own_server.url, "/generate_stream", {**LONG, "max_tokens": 64}) as stream:
        stream.read_events(3)
        own_server.interrupt()
        # While it drains, `/readyz` fails; once it has drained, connections are refused.
        metrics.wait_until(lambda: own_server.status("/readyz") != 200, "the server is not ready")
        received = stream.read_until(b"[DONE]")
    assert b'"finish_reason":"length"' in received
    assert own_server.process.wait(30) == 0, own_server.log_end()
    assert own_server.status("/livez") is None


def test_a_second_ctrl_c_stops_the_server_immediately(own_server: Server) -> None:
    with RawStream(own_server.url, "/generate_stream", {**LONG, "max_tokens": 1900}) as stream:
        stream.read_events(3)
        own_server.interrupt()
        metrics.wait_until(lambda: own_server.status("/readyz") != 200, "the server is not ready")
        assert own_server.process.poll() is None, "the server must wait for the stream"
        started = time.monotonic()
        own_server.interrupt()
        own_server.process.wait(10)
        assert time.monotonic() - started < 5
