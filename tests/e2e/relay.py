"""A TCP relay, which stands for the network: a balancer, or a link that can fail."""

import asyncio
import contextlib
import threading


class Relay:
    """Listens on a port of its own, and connects each client to the next of `ports` that
    takes the connection, in turn. With `check`, a path of HTTP, each is asked there ten
    times a second, and gets nobody new while it does not answer with 200."""

    def __init__(self, *ports: int, check: str | None = None):
        self.ports, self.turn, self.check = ports, 0, check
        self.unfit: set[int] = set()
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
        ends = [writer]
        try:
            await self.flowing.wait()
            if upstream := await self.connect():
                ends.append(upstream[1])
                await asyncio.gather(self.pump(reader, upstream[1]), self.pump(upstream[0], writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.pairs.discard(task)
            for end in ends:
                end.transport.abort()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self.turn += 1
        turned = [self.ports[(self.turn + offset) % len(self.ports)] for offset in range(len(self.ports))]
        # Those that are not fit last of all: they are better than nobody.
        for port in sorted(turned, key=lambda port: port in self.unfit):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def keep_checking(self, port: int) -> None:
        while True:
            if await self.is_fit(port):
                self.unfit.discard(port)
            else:
                self.unfit.add(port)
            await asyncio.sleep(0.1)

    async def is_fit(self, port: int) -> bool:
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
        """Nothing comes through any more, and nobody is told."""
        self.loop.call_soon_threadsafe(self.flowing.clear)

    def heal(self) -> None:
        """What was held back comes through."""
        self.loop.call_soon_threadsafe(self.flowing.set)

    def cut(self) -> None:
        """Every connection breaks; new ones are taken."""
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
