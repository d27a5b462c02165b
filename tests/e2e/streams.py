"""Reads many streams concurrently, each to its end."""

import asyncio
import json
from collections.abc import Callable

import httpx


class Reader:
    """Reads one stream to its end."""

    def __init__(self, number: int, model: str, tokens: int):
        self.number, self.model, self.tokens = number, model, tokens
        self.text, self.done, self.usage, self.errors = "", 0, None, []

    async def read(self, client: httpx.AsyncClient) -> "Reader":
        body = {"model": self.model, "prompt": f"prompt {self.number}", "max_tokens": self.tokens, "temperature": 0}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        async with client.stream("POST", "/v1/completions", json=body) as response:
            if response.status_code != 200:
                self.errors.append((response.status_code, (await response.aread()).decode()))
                return self
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    self.add_event(line.removeprefix("data: "))
        return self

    def add_event(self, data: str) -> None:
        if data == "[DONE]":
            self.done += 1
            return
        chunk = json.loads(data)
        if "error" in chunk:
            self.errors.append(chunk["error"])
        self.usage = chunk.get("usage") or self.usage
        self.text += "".join(choice["text"] for choice in chunk.get("choices", []))

    def result(self) -> tuple:
        return self.text, self.done, self.usage, self.errors


async def read_all(
    url: str, model: str, streams: int, tokens: int, halfway: Callable[[], object] | None = None
) -> list[tuple]:
    """The result of each stream. `halfway` is called once half of the streams have text."""
    limits = httpx.Limits(max_connections=2 * streams)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        readers = [Reader(number, model, tokens) for number in range(streams)]
        tasks = [asyncio.create_task(reader.read(client)) for reader in readers]
        if halfway:
            while sum(bool(reader.text) for reader in readers) < streams / 2:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(halfway)
        return [reader.result() for reader in await asyncio.gather(*tasks)]
