"""A TCP relay: a load balancer, or a network link that can fail."""

import asyncio
import contextlib
import threading


class Relay:
    """Listens on a free port and connects each client to the next of `ports` that accepts the
    connection, in turn. With `check`, an HTTP path, each port is checked ten times a second,
    and gets new connections only while it answers with 200."""

    def __init__(self, *ports: int, check: str | None = None):
        self.ports, self.turn, self.check = ports, 0, check
        self.unhealthy: set[int] = set()
        self.pairs: set[asyncio.Task] = set()
        self.checks: list[asyncio.Task] = []
        self.loop = asyncio.new_event_loop()
        self.flowing = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.call(self.listen())
        self.port = self.server.sockets[0].getsockname()[1]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def listen(self) -> asyncio.Server:
        self.flowing.set()
        if self.check:
            self.checks = [asyncio.create_task(self.keep_checking(port)) for port in self.ports]
        return await asyncio.start_server(self.serve, "127.0.0.1", 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.pairs.add(task)
        sockets = [writer]
        try:
            await self.flowing.wait()
            if upstream := await self.connect():
                sockets.append(upstream[1])
                await asyncio.gather(self.pump(reader, upstream[1]), self.pump(upstream[0], writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.pairs.discard(task)
            for socket in sockets:
                socket.transport.abort()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self.turn += 1
        turned = [self.ports[(self.turn + offset) % len(self.ports)] for offset in range(len(self.ports))]
        # Unhealthy ports come last: they are tried only if no healthy one accepts.
        for port in sorted(turned, key=lambda port: port in self.unhealthy):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def keep_checking(self, port: int) -> None:
        while True:
            if await self.is_healthy(port):
                self.unhealthy.discard(port)
            else:
                self.unhealthy.add(port)
            await asyncio.sleep(0.1)

    async def is_healthy(self, port: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        try:
            writer.write(f"GET {self.check} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in await asyncio.wait_for(reader.readline(), 2)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.flowing.wait()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    def hang(self) -> None:
        """Holds back all data; connections stay open."""
        self.loop.call_soon_threadsafe(self.flowing.clear)

    def heal(self) -> None:
        """Delivers what was held back."""
        self.loop.call_soon_threadsafe(self.flowing.set)

    def cut(self) -> None:
        """Breaks every connection; new ones are accepted."""
        self.call(self.break_all())

    async def break_all(self) -> None:
        for pair in list(self.pairs):
            pair.cancel()

    def close(self) -> None:
        self.call(self.shut())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()

    async def shut(self) -> None:
        self.server.close()
        for check in self.checks:
            check.cancel()
        await self.break_all()
        await asyncio.gather(*self.checks, *self.pairs, return_exceptions=True)
