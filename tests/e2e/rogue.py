# SPDX-License-Identifier: Apache-2.0
"""A provider on a raw socket, for what the demo upstream is too well built to do.

Each behaviour is a function that gets a Visit: the connection with one request on it, whose head was read and whose
body was not. It writes whatever bytes it likes; the connection is closed when it returns. Which one serves a request is
the first part of its path, so that one Rogue stands for many providers.
"""

import json
import socket
import threading


class Visit:
    def __init__(self, sock, head, rest, rogue):
        self.sock, self.head, self._rest, self.rogue = sock, head, rest, rogue
        self.headers = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            self.headers[name.strip().lower().decode()] = value.strip().decode()

    def body(self):
        """Reads it, and keeps what it said for the test that asks Rogue.seen."""
        length = int(self.headers.get("content-length", 0))
        while len(self._rest) < length:
            piece = self.sock.recv(65536)
            if not piece:
                raise ConnectionError("the request broke off")
            self._rest += piece
        asked = json.loads(self._rest)
        self.rogue.seen.append(asked)
        return asked

    def send(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece)

    def reply(self, body, status=b"200 OK", kind=b"application/json", more=b""):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send(b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n"
                  % (status, kind, len(body), more), body)

    def begin_stream(self):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")

    def event(self, data):
        self.send(b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n")

    def until_gone(self):
        """Waits until the other end has closed; true when it did so within the test's patience."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass


def chunk(text=None, finish=None, index=0):
    delta = {} if text is None else {"content": text}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def usage_of(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def usage_chunk(prompt, completion):
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
            "usage": usage_of(prompt, completion)}


def answer(text, prompt, completion):
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage_of(prompt, completion),
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}


class Rogue:
    def __init__(self, behaviours, patience=1):
        self.behaviours = dict(behaviours)
        self.patience = patience
        self.seen = []  # the bodies of requests that were read
        self.faults = []  # a behaviour that failed other than by the peer's leaving
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def provider(self, name, **more):
        """Its entry in the configuration."""
        return {"base_url": f"{self.url}/{name}/v1", "api_key": "rogue-secret", **more}

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            sock.settimeout(60 * self.patience)
            data = b""
            try:
                while b"\r\n\r\n" not in data:
                    piece = sock.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, _, rest = data.partition(b"\r\n\r\n")
                name = head.split(b" ")[1].split(b"/")[1].decode()
                self.behaviours[name](Visit(sock, head, rest, self))
            except OSError:
                pass  # the other end has had enough, which is its right
            except Exception as fault:  # noqa: BLE001 - told to the test
                self.faults.append(fault)
