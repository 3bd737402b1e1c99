# SPDX-License-Identifier: Apache-2.0
"""One call as a client sees it, over a plain socket: what it asked for, what it got, how it ended.

An SDK would hide what matters here: how many tokens had arrived when the connection broke, and whether it was the
server that broke it. A call ends in exactly one of these ways:

    done     the whole answer arrived            refused  an error of 4xx: nothing is charged
    cut      the server ended it, in-band        failed   an error of 5xx
    broken   the provider failed, in-band        left     this client left on purpose
    lost     the connection broke                unsent   nobody listened
"""

import asyncio
import dataclasses
import json
import socket
import struct
import time
import uuid

ENDS = ("done", "cut", "broken", "refused", "failed", "left", "lost", "unsent")
WORDS = ("blue", "corn", "door", "east", "fish", "gold", "hill", "iron", "jump", "kind", "lamp", "moon")


@dataclasses.dataclass
class Call:
    """What is sent is set by the maker, the rest by perform()."""
    user: str                # the provider's truth is counted under it
    key: object
    path: str = "/v1/chat/completions"
    model: str = "paced"
    stream: bool = True
    max_tokens: int | None = None
    words: int = 5
    leave_after_s: float | None = None       # leaves then
    leave_after_tokens: int | None = None    # or then
    leave_by_reset: bool = False
    nap_s: float = 0                         # reads slowly

    began_s: float = 0                       # wall clock: decides the window of a call that left no entry
    ended_at: float = 0                      # monotonic
    ended_s: float = 0
    killed: bool = False                     # its server was, later
    id: uuid.UUID | None = None              # also that of its entry in the ledger
    durable: bool = False                    # a write that was acknowledged later says that it is in the store
    status: int | None = None
    received: int = 0                        # tokens of a stream that arrived
    end: str | None = None
    text: str = ""                           # of an error, for the report

    def body(self):
        words = " ".join(WORDS[i % len(WORDS)] for i in range(self.words))
        body = {"model": self.model, "user": self.user}
        if self.path.endswith("/embeddings"):
            return {**body, "input": words}
        if self.path.endswith("/chat/completions"):
            body["messages"] = [{"role": "user", "content": words}]
        else:
            body["prompt"] = words
        if self.stream:
            body["stream"] = True
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        return body


def request_bytes(method, path, secret, body):
    data = json.dumps(body).encode()
    return (f"{method} {path} HTTP/1.1\r\nHost: torture\r\nAuthorization: Bearer {secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
            ).encode() + data


async def read_head(reader):
    """(status, headers)"""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), headers


class Chunks:
    """The payload of a chunked body, as its pieces arrive."""

    def __init__(self):
        self.raw = b""
        self.left = 0       # bytes of the open chunk that are still to come
        self.over = False

    def feed(self, data):
        self.raw += data
        out = b""
        while not self.over:
            if self.left > 0:
                piece, self.raw = self.raw[:self.left], self.raw[self.left:]
                self.left -= len(piece)
                out += piece
                if self.left > 0 or len(self.raw) < 2:
                    break
            if self.raw.startswith(b"\r\n"):
                self.raw = self.raw[2:]
            line, newline, rest = self.raw.partition(b"\r\n")
            if not newline:
                break
            self.left, self.raw = int(line, 16), rest
            self.over = self.left == 0
        return out


async def read_stream(reader, call):
    chunks, text = Chunks(), b""
    while not chunks.over:
        data = await reader.read(65536)
        if not data:
            call.end = "lost"
            return
        text += chunks.feed(data)
        *events, text = text.split(b"\n\n")
        for event in events:
            if event.startswith(b'data: {"error"'):
                call.text = event.decode()
                call.end = "broken" if b"limit" not in event else "cut"
            elif event == b"data: [DONE]":
                call.end = call.end or "done"
            elif b'"content":"' in event and b'"role"' not in event or b'"text":"' in event:
                call.received += 1
        if call.leave_after_tokens is not None and call.received >= call.leave_after_tokens and not call.end:
            call.end = "left"
            return
        if call.nap_s:
            await asyncio.sleep(call.nap_s)
    call.end = call.end or "lost"


async def read_answer(reader, call):
    call.status, headers = await read_head(reader)
    call.id = uuid.UUID(headers["x-request-id"])
    if headers.get("transfer-encoding") == "chunked" and call.stream and call.status == 200:
        await read_stream(reader, call)
        return
    body = await reader.readexactly(int(headers["content-length"]))
    if call.status == 200:
        call.end = "done"
    else:
        call.end, call.text = "refused" if call.status < 500 else "failed", body.decode()


async def perform(server, secret, call):
    """server: (host, port). Never raises for what the server or the network does."""
    call.began_s = time.time()
    try:
        reader, writer = await asyncio.open_connection(*server, limit=1 << 22 if not call.nap_s else 1 << 12)
    except OSError:
        call.end, call.ended_at, call.ended_s = "unsent", time.monotonic(), time.time()
        return
    try:
        writer.write(request_bytes("POST", call.path, secret, call.body()))
        async with asyncio.timeout(call.leave_after_s):
            await read_answer(reader, call)
    except TimeoutError:
        call.end = "left"
    except (OSError, asyncio.IncompleteReadError):
        call.end = "lost"
    finally:
        call.ended_at, call.ended_s = time.monotonic(), time.time()
        if call.leave_by_reset and call.end == "left":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        writer.close()


async def ask(server, method, path, secret, body):
    """A management call: its status, or None when the connection broke before the answer."""
    try:
        reader, writer = await asyncio.open_connection(*server)
    except OSError:
        return None
    try:
        writer.write(request_bytes(method, path, secret, body))
        status, headers = await read_head(reader)
        await reader.readexactly(int(headers["content-length"]))
        return status
    except (OSError, asyncio.IncompleteReadError):
        return None
    finally:
        writer.close()
