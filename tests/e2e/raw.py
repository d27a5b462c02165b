"""A client on a raw socket: it sees single chunks, disconnects in the middle, or never reads."""

import json
import socket


class RawStream:
    """One streaming request on a connection of its own."""

    def __init__(self, url: str, path: str, body: dict, receive_buffer: int | None = None):
        host, _, port = url.removeprefix("http://").partition(":")
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        self.socket.connect((host, int(port)))
        payload = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        self.socket.sendall(f"{head}content-length: {len(payload)}\r\n\r\n".encode() + payload)
        self.received = b""

    def read_events(self, count: int) -> int:
        """Reads until at least `count` events have arrived; returns how many have."""
        while self.received.count(b"data: ") < count:
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"the connection ended: {self.received[-500:]!r}")
            self.received += data
        return self.received.count(b"data: ")

    def read_until(self, marker: bytes) -> bytes:
        while marker not in self.received:
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"the connection ended: {self.received[-500:]!r}")
            self.received += data
        return self.received

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "RawStream":
        return self

    def __exit__(self, *_) -> None:
        self.close()
