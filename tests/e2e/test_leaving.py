# SPDX-License-Identifier: Apache-2.0
"""Clients that leave in the middle, or read slowly, pay for what the provider produced for them.

Goal: nobody gets out of the bill, or past a cap, by the way in which he goes. The provider's own count is the truth.
"""

import json
import socket
import struct
import time

import pytest

from stack import NANO_INPUT, NANO_OUTPUT, PATIENCE, PRICE, Stack, entries

MESSAGES = [{"role": "user", "content": "Say hello, please"}]
# Eight answers at once, a token of each every millisecond: fast enough to fill the buffers of a client that does not
# read (some megabytes) within seconds, at a pace all the same.
FLOOD = {"model": "flood", "n": 8, "stream": True, "messages": MESSAGES}
# More than the server reads before it waits for its client; the buffers between it and the provider hold the rest.
UNREAD = 18000
# What the provider may produce from when its connection is broken off until it notices.
LAG = int(1500 * PATIENCE)


def model(name, fault, output):
    return {"id": name, "provider": "demo", "upstream_id": f"demo-small+{fault}", "max_output_tokens": output,
            "price": PRICE}


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path, models=[model("paced", "delay=10+tokens=100", 4096),
                                    model("flood", "delay=1+tokens=1000000", 20000)]).start()
    yield stack
    stack.stop()


def send(stack, key, user, path="/v1/chat/completions", **body):
    """A client that has sent its request and reads nothing."""
    host, port = stack.url.removeprefix("http://").split(":")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((host, int(port)))
    data = json.dumps({"user": user, **body}).encode()
    s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key['key']}\r\n"
              f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    return s


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def wait_for(seen, what):
    deadline = time.monotonic() + 60 * PATIENCE
    while not (found := seen()):
        assert time.monotonic() < deadline, what
    return found


def truth(stack, user):
    return stack.truth()["users"].get(user, {"completion_tokens": 0, "running": 0})


def only_entry(stack, key):
    return wait_for(lambda: entries(stack, key["id"])["calls"], "the call was never posted")[0]


def usd_nano(text):
    whole, _, part = str(text).partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "close"])
def test_whoever_does_not_wait_for_a_whole_answer_pays_for_it(stack, leave):
    key = stack.key(usd=1)
    s = send(stack, key, "whole", model="paced", messages=MESSAGES)
    wait_for(lambda: truth(stack, "whole")["completion_tokens"] > 3, "the provider never began")
    leave(s)
    entry = only_entry(stack, key)
    assert entry["output_tokens"] == truth(stack, "whole")["completion_tokens"] == 100
    assert usd_nano(entry["usd"]) == entry["input_tokens"] * NANO_INPUT + 100 * NANO_OUTPUT


def test_a_stop_does_not_forget_an_answer_that_nobody_waits_for(stack):
    """How much of it had been produced when the server stopped is not known, so it pays for all that it held."""
    key = stack.key(usd=1)
    s = send(stack, key, "stop", model="paced", messages=MESSAGES, max_tokens=90)
    wait_for(lambda: truth(stack, "stop")["completion_tokens"] > 3, "the provider never began")
    reset(s)
    stack.server.stop()
    wait_for(lambda: not truth(stack, "stop")["running"], "the provider never ended")
    stack.start()
    entry = only_entry(stack, key)
    assert usd_nano(entry["usd"]) >= 90 * NANO_OUTPUT and truth(stack, "stop")["completion_tokens"] <= 90


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "close"])
def test_a_slow_reader_that_leaves_pays_for_what_it_did_not_read(stack, leave):
    """While the client does not read, the server stops reading, too; the provider goes on into the buffers."""
    key = stack.key(usd=1)
    s = send(stack, key, "slow", max_tokens=20000, **FLOOD)
    wait_for(lambda: truth(stack, "slow")["completion_tokens"] > UNREAD, "the provider waits, too: small buffers")
    leave(s)
    entry = only_entry(stack, key)
    wait_for(lambda: not truth(stack, "slow")["running"], "the provider was not told")
    produced = truth(stack, "slow")["completion_tokens"]
    assert produced - LAG <= entry["output_tokens"] <= produced * 5 // 4  # without a report, bytes are counted, too
    assert {"client_gone", "estimated"} == set(entry["flags"])


def test_slow_readers_do_not_run_past_a_cap_together(stack):
    """Each was told that it may use all that was left. What a provider that is not read may produce is held first."""
    cap = 30000 * NANO_OUTPUT
    key = stack.key(usd=cap / 10**9, period="lifetime")
    users = ["one", "two", "three", "four"]
    clients = [send(stack, key, user, max_tokens=20000, **FLOOD) for user in users]

    def running():
        return [user for user in users if truth(stack, user)["running"]]
    wait_for(lambda: len(running()) <= 1 and sum(truth(stack, user)["completion_tokens"] for user in users) > 1000,
             "several providers run on, unread")
    for s in clients:
        reset(s)
    wait_for(lambda: len(entries(stack, key["id"])["calls"]) == 4 and not running(), "some calls were never posted")
    used = usd_nano(entries(stack, key["id"])["key"]["usage"]["all"]["usd"])
    produced = sum(truth(stack, user)["completion_tokens"] for user in users)
    assert used <= cap and produced * NANO_OUTPUT <= cap + len(users) * LAG * NANO_OUTPUT
