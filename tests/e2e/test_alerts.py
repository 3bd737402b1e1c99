# SPDX-License-Identifier: Apache-2.0
"""Alerts as who is responsible gets them: from a webhook that verifies, refuses, hangs and comes back, and by mail.

The other side counts what arrives by id, as the manual tells receivers to do; nothing here depends on how long a
pause is, only on what arrives in the end.
"""

import collections
import contextlib
import email
import email.policy
import http.server
import json
import socket
import threading
import time

import pytest
from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

from stack import PATIENCE, Stack

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def until(what, found):
    """Waits for `found` to return something that is true, and returns it."""
    deadline = time.monotonic() + 30 * PATIENCE
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not in time: {what}")


class Hook:
    """A receiver. It answers with the statuses in turn, and from then on with 204; None: it never answers."""

    def __init__(self, *statuses, port=0):
        self.answers = collections.deque(statuses)
        self.tries = []  # (status, id, message), each verified
        self.wrong = []
        self.hanging = threading.Event()
        self.over = threading.Event()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                hook.take(self)

            do_GET = do_POST

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?from=tollkey"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def take(self, request):
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        try:
            assert request.path == "/hook?from=tollkey" and request.command == "POST"
            assert request.headers["content-type"] == "application/json"
            message = Webhook(SECRET).verify(body, dict(request.headers.items()))
            assert message["data"]["id"] == request.headers["webhook-id"]
        except Exception as error:  # whatever it is, the test has to see it
            self.wrong.append(repr(error))
            message = {"data": {"id": None}}
        status = self.answers.popleft() if self.answers else 204
        if status is None:
            self.hanging.set()
            self.over.wait(60 * PATIENCE)
            return
        request.send_response(status)
        if status == 302:
            request.send_header("location", "/elsewhere")
        request.send_header("content-length", "0")
        request.end_headers()
        self.tries.append((status, request.headers["webhook-id"], message))

    def taken(self):
        """The messages that were taken, each id once."""
        assert not self.wrong, self.wrong
        return {id: message for status, id, message in list(self.tries) if status < 300}

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@contextlib.contextmanager
def hook_of(*statuses, port=0):
    hook = Hook(*statuses, port=port)
    try:
        yield hook
    finally:
        hook.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def webhook(url):
    return {"alerts": {"retry_ms": 20, "webhook": {"url": url, "secret": SECRET}}}


@pytest.fixture
def stacks(tmp_path):
    """Makes stacks that are not started, and stops them in the end."""
    made = []

    def make(**settings):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Stack(folder, demo_args=["--tokens", "10"], **settings))
        made[-1].write_config()
        return made[-1]

    yield make
    for stack in made:
        stack.stop()


def limited(stack, cap=3, alert=2, description="a key of the tests", flags=()):
    """A key with a limit on its requests of the month."""
    key = stack.key(description=description)
    args = ["--meter", "requests", "--window", "month", "--cap", str(cap), *flags]
    stack.cli("limit", "set", key["id"], *args, *(["--alert", str(alert)] if alert else []))
    return key


def call(stack, key, times=1):
    with stack.caller(key["key"]) as caller:
        return [caller.post("/v1/completions", json={"model": "demo-small", "prompt": "x", "max_tokens": 10}).status_code
                for _ in range(times)]


def alerts(stack):
    return json.loads(stack.cli("alert", "list", "--json").stdout)["alerts"]


def settled(stack, count):
    """The alerts, when there are so many and nobody waits for any."""
    def found():
        seen = alerts(stack)
        assert len(seen) <= count, seen
        done = all(a[c]["status"] != "waiting" for a in seen for c in ("webhook", "email"))
        return seen if len(seen) == count and done else None
    return until(f"{count} alerts", found)


# ---- the webhook ----


def test_each_limit_is_told_of_once_and_signed(stacks):
    with hook_of() as hook:
        stack = stacks(**webhook(hook.url))
        key = limited(stack)
        stack.start()
        assert call(stack, key, 6) == [200, 200, 200, 429, 429, 429]
        full, threshold = settled(stack, 2)
        taken = until("both", lambda: len(hook.taken()) == 2 and hook.taken())
        assert {full["id"], threshold["id"]} == set(taken)
        assert (threshold["kind"], threshold["posted"], threshold["alert"]) == ("threshold", 2, 2)
        assert (full["kind"], full["posted"], full["cap"]) == ("exhausted", 3, 3)
        for alert in (full, threshold):
            assert alert["subject"] == key["id"] and alert["name"] == "a key of the tests"
            assert (alert["webhook"]["status"], alert["webhook"]["tries"]) == ("delivered", 1)
            assert alert["email"]["status"] == "unwanted"
        message = taken[threshold["id"]]
        assert message["type"] == "limit.threshold"
        data = message["data"]
        assert data["subject"] == {"kind": "key", "id": key["id"], "name": "a key of the tests"}
        assert data["limit"] == {"meter": "requests", "window": "month", "cap": 3, "alert": 2, "sliding": False,
                                 "observe": False, "balance": False}
        assert (data["posted"], data["test"]) == (2, False) and data["window_ends_at"] > data["at"]
        rows = stack.cli("alert", "list").stdout.splitlines()
        assert len(rows) == 3 and rows[1].split()[1] == "exhausted" and rows[2].split()[-2:] == ["delivered", "unwanted"]
        assert len(json.loads(stack.cli("alert", "list", "--limit", "1", "--json").stdout)["alerts"]) == 1


def test_what_fails_is_tried_again_under_the_same_id(stacks):
    with hook_of(500, 302, 404, 503) as hook:
        stack = stacks(**webhook(hook.url))
        key = limited(stack, cap=10)
        stack.start()
        call(stack, key, 3)
        [alert] = settled(stack, 1)
        assert (alert["webhook"]["status"], alert["webhook"]["tries"]) == ("delivered", 5)
        assert [(status, id) for status, id, _ in hook.tries] == [
            (status, alert["id"]) for status in (500, 302, 404, 503, 204)]
        assert not hook.wrong  # which would say that the redirect was followed
        assert any("level=warn" in line and "HTTP 500" in line for line in stack.server.log)


def test_who_is_gone_is_told_nothing_more(stacks):
    with hook_of(410) as hook:
        stack = stacks(**webhook(hook.url))
        key = limited(stack, cap=10)
        stack.start()
        call(stack, key, 3)
        [alert] = settled(stack, 1)
        assert (alert["webhook"]["status"], alert["webhook"]["error"]) == ("failed", "HTTP 410")
        assert len(hook.tries) == 1
        assert any("level=error" in line and alert["id"] in line for line in stack.server.log)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_end_between_crossing_and_delivery_loses_nothing(stacks, end):
    port = free_port()
    stack = stacks(**webhook(f"http://127.0.0.1:{port}/hook?from=tollkey"))
    key = limited(stack)
    stack.start()
    assert call(stack, key, 4) == [200, 200, 200, 429]
    waiting = until("both", lambda: len(alerts(stack)) == 2 and alerts(stack))
    assert {a["webhook"]["status"] for a in waiting} == {"waiting"}
    until("a try", lambda: any(a["webhook"]["error"] for a in alerts(stack)))
    getattr(stack.server, end)()
    with hook_of(port=port) as hook:
        stack.start()
        after = settled(stack, 2)
        assert {a["id"] for a in after} == {a["id"] for a in waiting} == set(hook.taken())
        assert call(stack, key, 2) == [429, 429]
        getattr(stack.server, end)()
        stack.start()
        assert call(stack, key, 2) == [429, 429]
        assert {a["id"] for a in settled(stack, 2)} == {a["id"] for a in waiting}
        until("the last", lambda: len(hook.taken()) == 2)


def test_a_webhook_that_hangs_holds_up_no_call_and_no_stop(stacks):
    with hook_of(None) as hook:
        stack = stacks(**webhook(hook.url))
        key = limited(stack, cap=100)
        stack.start()
        call(stack, key, 2)
        assert hook.hanging.wait(30 * PATIENCE)
        assert call(stack, key, 20) == [200] * 20  # all of them while it hangs
        assert not hook.tries
        stack.server.stop()
        assert not hook.tries and not hook.over.is_set()
        stack.start()  # it was interrupted, so it is sent again
        [alert] = settled(stack, 1)
        assert set(hook.taken()) == {alert["id"]}


def test_what_was_not_wanted_then_is_not_sent_later(stacks):
    stack = stacks()
    key = limited(stack)
    stack.start()
    call(stack, key, 2)
    [old] = settled(stack, 1)
    assert {old["webhook"]["status"], old["email"]["status"]} == {"unwanted"}
    stack.server.stop()
    with hook_of() as hook:
        stack.settings.update(webhook(hook.url))
        stack.start()
        call(stack, key, 1)
        new, still = settled(stack, 2)
        assert still == old and new["kind"] == "exhausted"
        assert set(hook.taken()) == {new["id"]}


def test_money_is_listed_as_text(stacks):
    stack = stacks()
    key = stack.key()
    stack.cli("limit", "set", key["id"], "--meter", "usd", "--window", "day", "--cap", "5", "--alert", "0.000000001")
    stack.start()
    call(stack, key, 1)
    [alert] = settled(stack, 1)
    assert (alert["cap"], alert["alert"], alert["held"]) == ("5", "0.000000001", "0")
    assert float(alert["posted"]) > 0


def test_what_only_observes_is_told_of(stacks):
    with hook_of() as hook:
        stack = stacks(**webhook(hook.url))
        key = limited(stack, cap=2, alert=None, flags=["--observe"])
        stack.start()
        assert call(stack, key, 5) == [200] * 5
        [alert] = settled(stack, 1)
        assert alert["kind"] == "observed" and alert["alert"] is None
        assert hook.taken()[alert["id"]]["type"] == "limit.observed"


# ---- e-mail ----


class Mailbox:
    def __init__(self):
        self.mails = []
        self.refusals = 0

    async def handle_DATA(self, server, session, envelope):
        if self.refusals:
            self.refusals -= 1
            return "451 not now"
        self.mails.append((envelope.mail_from, envelope.rcpt_tos,
                           email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 OK"


@pytest.fixture
def mailbox():
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


def mail(box, **more):
    return {"smtp_url": f"smtp://127.0.0.1:{box.port}", "tls": "none", "from": "tollkey@example.com",
            "to": "ops@example.com, finance@example.com", **more}


def test_a_mail_for_each_alert(stacks, mailbox):
    mailbox.refusals = 1
    stack = stacks(alerts={"retry_ms": 20, "email": mail(mailbox)})
    key = limited(stack, cap=10, description="Größe: 7€ =?x?q?y?=")
    stack.start()
    call(stack, key, 2)
    [alert] = settled(stack, 1)
    assert (alert["email"]["status"], alert["email"]["tries"]) == ("delivered", 2)
    assert alert["webhook"]["status"] == "unwanted"
    [(sender, to, message)] = mailbox.mails
    assert sender == "tollkey@example.com" and to == ["ops@example.com", "finance@example.com"]
    assert [a.addr_spec for a in message["to"].addresses] == to
    assert message["from"].addresses[0].addr_spec == sender
    assert message["subject"] == ('[Tollkey] The key "Größe: 7€ =?x?q?y?=" has used 2 requests of its limit of '
                                  "10 requests (month)")
    assert message["message-id"] == f"<{alert['id']}@example.com>"
    assert message["date"].datetime.tzinfo and message["auto-submitted"] == "auto-generated"
    text = message.get_content()
    assert "Größe: 7€" in text and alert["id"] in text and key["id"] in text and key["key"] not in text


def test_a_mail_server_without_tls_gets_no_mail(stacks, mailbox):
    stack = stacks(alerts={"email": mail(mailbox, tls="required")})
    done = stack.cli("alert", "test", check=False)
    assert done.returncode == 1 and done.stdout.startswith("email: failed: ") and not mailbox.mails


# ---- the test by hand ----


def test_a_test_goes_through_every_channel(stacks, mailbox):
    with hook_of() as hook:
        stack = stacks(alerts={**webhook(hook.url)["alerts"], "email": mail(mailbox)})
        assert stack.cli("alert", "test").stdout == "webhook: delivered\nemail: delivered\n"
        [message] = hook.taken().values()
        assert message["type"] == "alert.test" and message["data"]["test"] is True
        assert mailbox.mails[0][2]["subject"].startswith("[Tollkey] Test: ")
        hook.answers.append(503)
        done = stack.cli("alert", "test", "--json", check=False)
        assert done.returncode == 1
        assert json.loads(done.stdout) == {"webhook": {"delivered": False, "error": "HTTP 503"},
                                           "email": {"delivered": True, "error": None}}


def test_a_test_without_a_channel_says_so(stacks):
    done = stacks().cli("alert", "test", check=False)
    assert done.returncode == 1 and "no channel is configured" in done.stderr
