# SPDX-License-Identifier: Apache-2.0
"""What a killed server leaves open: shown, resolved by a word of the operator, and spendable again.

A cap stays a cap all the way: what is posted and what is in doubt is never more than it.
"""

import concurrent.futures
import contextlib
import json
import sqlite3
import subprocess
import time
from decimal import Decimal

import httpx
import openai
import pytest

from stack import BINARY, NANO_OUTPUT, PATIENCE, PRICE, Stack, entries

STREAMS = 4
MODELS = [{"id": name, "provider": "demo", "upstream_id": "demo-small" + pace, "max_output_tokens": 4096, "price": PRICE}
          for name, pace in (("fast", "+delay=0"), ("slow", "+delay=20"))]


def sdk(stack, key):
    return openai.OpenAI(base_url=stack.url + "/v1", api_key=key, max_retries=0, timeout=60 * PATIENCE)


def ask(stack, key, model="fast", **more):
    return sdk(stack, key).chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Say hello, please"}], **more)


def doubts(stack, subject=None):
    listed = json.loads(stack.cli("ledger", "doubt", "--json").stdout)["doubts"]
    return [d for d in listed if subject in (None, d["subject"])]


def posted(stack, key):
    return Decimal(entries(stack, key["id"])["key"]["usage"]["all"]["usd"])


def kill_amid_streams(stack, key):
    """All streams have said something and none has ended when the server dies."""
    with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
        begun = [concurrent.futures.Future() for _ in range(STREAMS)]

        def stream(started):
            try:
                for _ in ask(stack, key["key"], model="slow", stream=True, max_tokens=400, user=key["id"]):
                    if not started.done():
                        started.set_result(True)
                return "ended"
            except (openai.APIError, httpx.HTTPError) as e:
                if not started.done():
                    started.set_exception(e)
                return "broken"

        running = [pool.submit(stream, started) for started in begun]
        for started in begun:
            assert started.result(30 * PATIENCE)
        stack.server.kill()
        assert {r.result(30 * PATIENCE) for r in running} == {"broken"}


def resolve(stack, doubt, spent, *more, check=True):
    return stack.cli("ledger", "resolve", doubt["subject"], "--meter", doubt["meter"], "--window", doubt["window"],
                     "--spent", str(spent), *more, check=check)


def spend_all(stack, key):
    """To the last token that the key affords; what is then posted."""
    for _ in range(60):
        try:
            ask(stack, key["key"], max_tokens=400)
        except openai.RateLimitError:
            break
    else:
        pytest.fail("the cap was never reached")
    return posted(stack, key)


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path, demo_args=["--tokens", "400"], models=MODELS).start()
    yield stack
    stack.stop()


def test_a_killed_server_leaves_a_doubt_that_a_word_resolves(stack):
    cap = Decimal("0.001")  # 1,666 tokens
    key = stack.key(usd=cap, period="month", description="in doubt")
    kill_amid_streams(stack, key)
    assert doubts(stack) == []  # nobody has looked yet
    stack.start()
    [doubt] = doubts(stack, key["id"])
    amount = Decimal(doubt["amount"])
    # What the provider produced for the streams is covered, except what was still on its way to the server.
    produced = stack.truth()["users"][key["id"]]["completion_tokens"]
    assert (produced - STREAMS * 8) * NANO_OUTPUT <= (amount + posted(stack, key)) * 10**9 <= cap * 10**9
    assert (doubt["description"], doubt["meter"], doubt["window"]) == ("in doubt", "usd", "month")
    assert doubt["since"] and doubt["turns_at"].endswith("-01T00:00:00.000Z")
    text = stack.cli("ledger", "doubt").stdout
    assert key["id"] in text and "in doubt" in text and doubt["amount"] in text

    # It counts: what is left is the cap less what is posted and in doubt.
    assert spend_all(stack, key) <= cap - amount
    # More than is in doubt cannot have been spent, and a refused word changes nothing.
    refused = resolve(stack, doubt, amount + Decimal("0.000000001"), check=False)
    assert refused.returncode == 1 and f"only {doubt['amount']} usd is in doubt" in refused.stderr
    assert doubts(stack, key["id"]) == [doubt]

    # The word, beside the running server, which hears of it within a second.
    before = posted(stack, key)
    said = json.loads(resolve(stack, doubt, 0, "--json").stdout)
    assert (said["amount"], said["spent"], said["freed"]) == (doubt["amount"], "0", doubt["amount"])
    assert doubts(stack, key["id"]) == []
    deadline = time.monotonic() + 20 * PATIENCE
    while True:
        try:
            ask(stack, key["key"], max_tokens=1)
            break
        except openai.RateLimitError:
            assert time.monotonic() < deadline, "the resolved amount is still not free"
    used = spend_all(stack, key)
    assert before < used <= cap
    assert cap - used < Decimal("0.0001")  # all of it could be spent
    again = resolve(stack, doubt, 0, check=False)
    assert again.returncode == 1 and "nothing of" in again.stderr


def test_what_was_spent_becomes_usage(stack):
    cap = Decimal("0.001")
    key = stack.key(usd=cap, period="lifetime")
    kill_amid_streams(stack, key)
    stack.start()
    before = posted(stack, key)
    [doubt] = doubts(stack, key["id"])
    assert doubt["turns_at"] is None
    spent = Decimal(doubt["amount"]) / 2
    spent = spent.quantize(Decimal("0.000000001"))
    out = resolve(stack, doubt, format(spent, "f")).stdout
    assert out.startswith(f"of {doubt['amount']} usd in doubt, ") and "is free again" in out
    shown = entries(stack, key["id"])["key"]["usage"]
    assert Decimal(shown["all"]["usd"]) == Decimal(shown["today"]["usd"]) == before + spent
    assert doubts(stack, key["id"]) == []
    # The next kill, and the one after it, do not bring it back.
    for _ in range(2):
        stack.server.kill()
        stack.start()
        assert sum(Decimal(d["amount"]) for d in doubts(stack, key["id"])) == 0
        assert posted(stack, key) == before + spent
    assert spend_all(stack, key) <= cap


def test_killed_again_and_again_the_cap_is_a_cap(stack):
    cap = Decimal("0.004")
    key = stack.key(usd=cap, period="month")
    for _ in range(3):
        with contextlib.suppress(openai.RateLimitError):
            kill_amid_streams(stack, key)
        if stack.server.child.poll() is None:
            stack.server.kill()
        stack.start()
        in_doubt = sum(Decimal(d["amount"]) for d in doubts(stack, key["id"]))
        assert 0 < posted(stack, key) + in_doubt <= cap
    assert spend_all(stack, key) + in_doubt <= cap


def test_a_clean_stop_leaves_nothing_open(stack):
    key = stack.key(usd=1)
    ask(stack, key["key"], max_tokens=5)
    stack.server.stop()
    with contextlib.closing(sqlite3.connect(stack.folder / "tollkey.db")) as db:
        assert db.execute("SELECT (SELECT count(*) FROM lease), (SELECT count(*) FROM doubt)").fetchone() == (0, 0)
    stack.start()
    assert doubts(stack) == []
    assert "nothing is in doubt" in stack.cli("ledger", "doubt").stderr


def remote(stack, admin, *args, check=True):
    """The command line through the server: it needs no configuration and no file."""
    done = subprocess.run([BINARY, "ledger", *args, "--url", stack.url, "--key-stdin"], input=admin["key"] + "\n",
                          capture_output=True, text=True, timeout=60 * PATIENCE)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def test_the_api_shows_a_doubt_and_takes_a_word(stack):
    """As at the command line; and what is free again is free before the answer comes."""
    cap = Decimal("0.01")
    key, admin = stack.key(usd=cap, period="month", description="in doubt"), stack.key("admin")
    kill_amid_streams(stack, key)
    stack.start()
    [known] = doubts(stack, key["id"])
    api = stack.caller(admin["key"])
    page = api.get("/v1/ledger/doubts", params={"subject": key["id"]}).json(parse_float=Decimal)
    [doubt] = page["doubts"]
    assert page["next"] is None
    assert (doubt["subject"], doubt["subject_id"], doubt["description"]) == ("key", key["id"], "in doubt")
    assert (doubt["meter"], doubt["window"], doubt["number"]) == ("usd", "month", known["number"])
    assert (doubt["since"], doubt["turns_at"]) == (known["since"], known["turns_at"])
    assert doubt["amount"] == Decimal(known["amount"])
    assert stack.caller(key["key"]).get("/v1/ledger/doubts").status_code == 403

    before, used = posted(stack, key), spend_all(stack, key)
    assert used <= cap - doubt["amount"]
    path = f"/v1/ledger/doubts/{doubt['id']}/resolve"
    word = {"id": "bill-1", "spent": format(doubt["amount"] / 2, ".9f")}
    assert api.post(path, json={"id": "bill-0", "spent": "1"}).status_code == 400
    said = api.post(path, json=word)
    assert said.status_code == 200 and "replayed" not in said.json()
    ask(stack, key["key"], max_tokens=1)  # at once, and not within a second
    for _ in range(2):
        assert api.post(path, json=word).json()["replayed"] is True
        stack.server.stop()
        stack.start()
        api = stack.caller(admin["key"])
    assert api.post(path, json={**word, "spent": 0}).status_code == 409
    assert api.post(path, json={**word, "id": "bill-2"}).status_code == 404
    assert doubts(stack, key["id"]) == []
    assert before + Decimal(word["spent"]) < posted(stack, key)
    assert cap - Decimal("0.0001") < spend_all(stack, key) <= cap


def test_the_command_line_works_through_a_server(stack):
    key, admin = stack.key(usd=1, period="lifetime", description="in doubt"), stack.key("admin")
    kill_amid_streams(stack, key)
    stack.start()
    on_store = [json.loads(stack.cli("ledger", "doubt", "--json").stdout), stack.cli("ledger", "doubt").stdout]
    assert [json.loads(remote(stack, admin, "doubt", "--json").stdout), remote(stack, admin, "doubt").stdout] == on_store
    [doubt] = doubts(stack, key["id"])
    word = ["resolve", key["id"], "--meter", "usd", "--window", "lifetime", "--spent"]
    refused = remote(stack, admin, *word, "2", check=False)
    assert refused.returncode == 1 and f"only {doubt['amount']} usd is in doubt" in refused.stderr
    said = json.loads(remote(stack, admin, *word, "0", "--json").stdout)
    assert said == {**doubt, "spent": "0", "freed": doubt["amount"]}
    again = remote(stack, admin, *word, "0", check=False)
    assert again.returncode == 1 and "nothing of" in again.stderr
    assert remote(stack, admin, "resolve", "nobody", *word[2:], "0", check=False).returncode == 2
    refused = remote(stack, key, "doubt", check=False)
    assert refused.returncode == 1 and "403" in refused.stderr and "right" in refused.stderr
    assert "nothing is in doubt" in remote(stack, admin, "doubt").stderr
