# SPDX-License-Identifier: Apache-2.0
"""Prepaid balances and the order in which currencies pay, through the command line and the real SDK."""

import concurrent.futures
import contextlib
import json
import subprocess

import openai
import pytest

from stack import BINARY, NANO_OUTPUT, PATIENCE, Stack, entries
from test_native import Service
from test_limits import ANN, MODELS, TINY_NANO, ask, limit, limits, nano, owner, passes, refused, sdk, tiny, until

BROKE = {"error": "Insufficient USD or Diem balance to complete request. Visit https://venice.ai/settings/api to add "
                  "credits."}
NOWHERE = "01a2009a-a43c-756c-8855-2fc3b9c7e875"


@pytest.fixture
def stacks(tmp_path):
    """Makes a stack that is not started yet, with these settings."""
    made = []

    def make(**settings):
        made.append(Stack(tmp_path, demo_args=["--tokens", "10"], models=MODELS, **settings))
        made[-1].write_config()
        return made[-1]

    yield make
    for stack in made:
        stack.stop()


def topup(stack, subject, currency, amount, payment):
    return json.loads(stack.cli("balance", "topup", subject, currency, str(amount), "--id", payment, "--json").stdout)


def balance(stack, subject, currency):
    [one] = [b for b in json.loads(stack.cli("balance", "show", subject, "--json").stdout)["balances"]
             if b["currency"] == currency]
    return one


def spend_all(client):
    for _ in range(200):
        if not passes(lambda: tiny(client)):
            return
    pytest.fail("it never ran out")


def calls(stack, key):
    """Oldest first: how much in which currency."""
    return [(nano(c["usd"]), nano(c["diem"])) for c in reversed(entries(stack, key["id"])["calls"])]


# ---- balances ----


@pytest.mark.parametrize("level, words", [("org", "the organisation"), ("workspace", "the workspace"),
                                          (ANN, "the user")])
def test_a_balance_ends_and_a_top_up_acts_at_once(stacks, level, words):
    stack = stacks()
    user = owner(stack, level)
    one, two = stack.key(usd=1, user=user), stack.key(usd=1, user=user)
    topup(stack, level, "usd", "0.0001", "invoice-1")
    stack.start()
    tiny(sdk(stack, one))
    spend_all(sdk(stack, two))
    with refused(429, "insufficient_quota") as caught:
        tiny(sdk(stack, one))
    assert f"The balance of {words} is 0.0001 usd in all: " in caught.value.message
    assert "retry-after" not in caught.value.response.headers, "time does not help"
    with refused(402) as caught:
        tiny(sdk(stack, one, "/api/v1"))
    assert caught.value.response.json() == BROKE
    spent = sum(nano(entries(stack, key["id"])["key"]["usage"]["all"]["usd"]) for key in (one, two))
    shown = balance(stack, level, "usd")
    assert 10**5 - TINY_NANO < spent <= 10**5
    assert (nano(shown["paid"]), nano(shown["used"]), nano(shown["left"])) == (10**5, spent, 10**5 - spent)
    assert topup(stack, level, "usd", "0.0001", "invoice-2")["paid"] == "0.0002"
    until(lambda: passes(lambda: tiny(sdk(stack, one))), seconds=1)
    spend_all(sdk(stack, two))
    entries(stack, two["id"])  # after it the store's file is complete
    assert 2 * 10**5 - TINY_NANO < nano(balance(stack, level, "usd")["used"]) <= 2 * 10**5
    assert [t["id"] for t in balance(stack, level, "usd")["topups"]] == ["invoice-1", "invoice-2"]


def test_never_more_than_was_paid_with_16_streams(stacks):
    stack = stacks()
    key = stack.key()
    topup(stack, "org", "usd", "0.002", "invoice-1")
    stack.start()

    def stream(_):
        with contextlib.suppress(openai.APIError):
            return len(list(ask(sdk(stack, key), model="tokens=3000", stream=True)))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(stream, range(16)))
    spend_all(sdk(stack, key))
    entries(stack, key["id"])  # waits for what is not stored yet
    assert 2 * 10**6 - TINY_NANO < nano(balance(stack, "org", "usd")["used"]) <= 2 * 10**6


def test_a_stream_is_cut_at_the_end_of_the_balance(stacks):
    stack = stacks()
    key = stack.key()
    topup(stack, "org", "usd", "0.002", "invoice-1")
    stack.start()

    def stream(_):
        try:
            return len(list(ask(sdk(stack, key), model="tokens=3000", stream=True)))
        except openai.APIError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = [r for r in pool.map(stream, range(8)) if isinstance(r, str)]
    assert results and all("The balance of the organisation is 0.002 usd in all" in r for r in results)


def test_a_balance_survives_a_restart_and_a_crash(stacks):
    stack = stacks()
    key = stack.key()
    topup(stack, "org", "usd", "0.0002", "invoice-1")
    stack.start()
    while nano(entries(stack, key["id"])["key"]["usage"]["all"]["usd"]) < 10**5:
        tiny(sdk(stack, key))
    before = balance(stack, "org", "usd")
    stack.server.stop()
    assert balance(stack, "org", "usd") == before
    stack.start()
    tiny(sdk(stack, key))
    entries(stack, key["id"])
    stack.server.kill()
    stack.start()
    spend_all(sdk(stack, key))
    entries(stack, key["id"])
    assert 1.7 * 10**5 < nano(balance(stack, "org", "usd")["used"]) <= 2 * 10**5


# ---- currencies ----


def test_diem_pays_first_and_then_usd(stacks):
    stack = stacks(spend_order=["diem", "usd"])
    key = stack.key()
    topup(stack, "org", "diem", "0.0001", "gift")
    topup(stack, "org", "usd", "0.0001", "invoice-1")
    stack.start()
    spend_all(sdk(stack, key))
    paid = calls(stack, key)
    assert all((usd == 0) != (diem == 0) for usd, diem in paid), "each call is charged in one currency"
    assert paid[0][1] > 0 and max(usd for usd, _ in paid) > 0
    for currency in ("usd", "diem"):
        assert 10**5 - TINY_NANO < nano(balance(stack, "org", currency)["used"]) <= 10**5
        assert nano(entries(stack, key["id"])["key"]["usage"]["all"][currency]) == nano(
            balance(stack, "org", currency)["used"])
    with refused(429, "insufficient_quota") as caught:
        tiny(sdk(stack, key))
    assert "The balance of the organisation is 0.0001 usd in all" in caught.value.message
    with refused(402) as caught:
        tiny(sdk(stack, key, "/api/v1"))
    assert caught.value.response.json() == BROKE
    topup(stack, "org", "diem", "0.0001", "another-gift")
    until(lambda: passes(lambda: tiny(sdk(stack, key))), seconds=1)
    assert calls(stack, key)[-1][0] == 0


def test_usd_alone_pays_when_nothing_is_said(stacks):
    stack = stacks()
    key = stack.key(usd=0)
    topup(stack, "org", "diem", "5", "gift")
    stack.start()
    with refused(402) as caught:
        tiny(sdk(stack, key, "/api/v1"))
    assert caught.value.response.json()["error"].startswith("API key USD spend limit exceeded.")


def test_a_key_out_of_usd_goes_on_in_diem(stacks):
    """The documented case: a USD limit of 0 is no obstacle while Diem covers the call."""
    stack = stacks(spend_order=["usd", "diem"])
    key = stack.key(usd=0)
    limit(stack, key["id"], "diem", "day", "0.00001")
    stack.start()
    spend_all(sdk(stack, key))
    assert all(usd == 0 and diem > 0 for usd, diem in calls(stack, key))
    with refused(402) as caught:
        tiny(sdk(stack, key, "/api/v1"))
    assert caught.value.response.json()["error"].startswith("API key DIEM spend limit exceeded.")


def test_no_answer_is_cut_short_while_another_currency_can_pay(stacks):
    stack = stacks(spend_order=["diem", "usd"])
    key = stack.key()
    topup(stack, "org", "diem", "0.00005", "gift")  # some tokens of output
    topup(stack, "org", "usd", "1", "invoice-1")
    stack.start()
    client = sdk(stack, key)
    assert ask(client, model="tokens=3000").usage.completion_tokens == 3000
    assert len(list(ask(client, model="tokens=3000", stream=True))) >= 3000
    assert all(usd >= 3000 * NANO_OUTPUT and diem == 0 for usd, diem in calls(stack, key))
    tiny(client)  # this it can pay
    assert calls(stack, key)[-1][0] == 0


def test_a_part_is_better_than_nothing(stacks):
    stack = stacks(spend_order=["diem", "usd"])
    key = stack.key(usd=0)
    topup(stack, "org", "diem", "0.00005", "gift")
    stack.start()
    answer = ask(sdk(stack, key), model="tokens=3000")
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens > 10
    [(usd, diem)] = calls(stack, key)
    assert usd == 0 and 0 < diem <= 5 * 10**4


def test_a_rate_refuses_in_every_currency(stacks):
    stack = stacks(spend_order=["diem", "usd"])
    key = stack.key()
    limit(stack, key["id"], "requests", "lifetime", 1)
    topup(stack, "org", "diem", "1", "gift")
    topup(stack, "org", "usd", "1", "invoice-1")
    stack.start()
    tiny(sdk(stack, key))
    with refused(429, "rate_limit_exceeded"):
        tiny(sdk(stack, key))
    entries(stack, key["id"])
    assert [shown["used"] for shown in limits(stack, key["id"])] == [1]


# ---- charges of other services ----


def nano_of(number):
    return round(number * 10**9)


def of_model(output):
    return {"model": "tokens=3000", "input_tokens": 0, "output_tokens": output}


def test_what_the_catalogue_prices_is_paid_in_the_spend_order(stacks):
    """As for a proxied call: whole in one currency, from the first that can; then a part of what it can."""
    stack = stacks(spend_order=["diem", "usd"])
    key = stack.key()
    topup(stack, "org", "diem", f"{100 * NANO_OUTPUT / 1e9:.9f}", "gift")
    topup(stack, "org", "usd", f"{1000 * NANO_OUTPUT / 1e9:.9f}", "invoice-1")
    stack.start()
    service = Service(stack)
    held = service.must_authorize(key, "a", **of_model(60))["held"]
    assert (held["usd"], nano_of(held["diem"]), held["tokens"]) == (0, 60 * NANO_OUTPUT, 60)
    status, body = service.authorize(key, "a", **of_model(60))
    assert (status, body.get("replayed")) == (200, True)
    held = service.must_authorize(key, "b", **of_model(60))["held"]
    assert (nano_of(held["usd"]), "diem" in held) == (60 * NANO_OUTPUT, False), "no hold is of two currencies"
    for name, output in (("a", 50), ("b", 40)):
        for repeated in (False, True):
            status, body = service.call("POST", f"/v1/holds/{name}/post", of_model(output))
            assert (status, body.get("replayed", False)) == (200, repeated), body
    due = service.get("a")[1]["hold"]["due"]
    assert (due["usd"], nano_of(due["diem"])) == (0, 50 * NANO_OUTPUT)
    assert sorted(calls(stack, key)) == [(0, 50 * NANO_OUTPUT), (40 * NANO_OUTPUT, 0)]
    part = service.must_authorize(key, "c", **of_model(2000), least={"usd": 10 * NANO_OUTPUT / 1e9, "tokens": 1})["held"]
    assert (part["usd"], nano_of(part["diem"])) == (0, 50 * NANO_OUTPUT), "the first currency that has enough"
    # What the caller priced is charged in the currency that it named.
    assert nano_of(service.must_authorize(key, "d", cost={"usd": 0.0001})["held"]["usd"]) == 10**5


def test_a_balance_that_is_used_up_has_a_verdict_of_its_own(stacks):
    stack = stacks()
    key = stack.key(usd=1)
    topup(stack, "org", "usd", "0.5", "invoice-1")
    stack.start()
    service = Service(stack)
    status, body = service.authorize(key, "a", cost={"usd": 0.6})
    assert (status, body["verdict"]) == (200, "balance")
    refusal = body["refusal"]
    assert (refusal["subject"], refusal["balance"], refusal["left"]) == ("organisation", True, 0.5)
    assert refusal["turns_at"] is None and refusal["retry_after"] is None
    assert service.authorize(key, "a", cost={"usd": 1.1})[1]["verdict"] == "balance"
    topup(stack, "org", "usd", "1", "invoice-2")
    until(lambda: service.authorize(key, "a", cost={"usd": 1.1})[1]["verdict"] == "cap", seconds=1)


# ---- the command line ----


@pytest.fixture
def quiet(tmp_path):
    """A store without any server."""
    (tmp_path / "tollkey.yaml").write_text(f"store: sqlite:{tmp_path}/t.db\n")

    def run(*args, code=0):
        done = subprocess.run([BINARY, *args, "--config", str(tmp_path / "tollkey.yaml")], capture_output=True,
                              text=True, timeout=60 * PATIENCE)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return done

    run("key", "create", "--kind", "inference", "--description", "x")
    return run


def shown(quiet, *subject):
    return json.loads(quiet("balance", "show", *subject, "--json").stdout)["balances"]


def test_a_payment_counts_once(quiet):
    first = json.loads(quiet("balance", "topup", "org", "usd", "10.50", "--id", "inv-1", "--json").stdout)
    assert first == {"id": "inv-1", "amount": "10.5", "repeated": False, "subject": "org", "currency": "usd",
                     "paid": "10.5", "used": "0", "left": "10.5"}
    again = json.loads(quiet("balance", "topup", "org", "usd", "10.5", "--id", "inv-1", "--json").stdout)
    assert again == {**first, "repeated": True}
    assert "was added before" in quiet("balance", "topup", "org", "usd", "10.5", "--id", "inv-1").stdout
    for other in (["org", "usd", "10.6"], ["org", "diem", "10.5"], ["workspace", "usd", "10.5"]):
        assert "stands for another top-up" in quiet("balance", "topup", *other, "--id", "inv-1", code=1).stderr
    [one] = shown(quiet)
    assert one.items() >= {"subject": "org", "currency": "usd", "paid": "10.5", "left": "10.5"}.items()
    assert [(t["id"], t["amount"]) for t in one["topups"]] == [("inv-1", "10.5")]


def test_balances_side_by_side(quiet):
    assert shown(quiet) == []
    for subject, currency, amount, payment in (("org", "usd", "1", "a"), ("workspace", "usd", "2", "b"),
                                               ("org", "diem", "3", "c"), ("org", "usd", "0.000000001", "d")):
        quiet("balance", "topup", subject, currency, amount, "--id", payment)
    assert [(b["subject"], b["currency"], b["paid"]) for b in shown(quiet)] == [
        ("org", "usd", "1.000000001"), ("org", "diem", "3"), ("workspace", "usd", "2")]
    assert [b["paid"] for b in shown(quiet, "workspace")] == ["2"]
    listed = json.loads(quiet("limit", "list", "org", "--json").stdout)["limits"]
    assert [(l["meter"], l["window"], l["cap"], l["balance"]) for l in listed] == [
        ("usd", "lifetime", "1.000000001", True), ("diem", "lifetime", "3", True)]
    table = quiet("balance", "show").stdout
    assert "PAID" in table and "1.000000001" in table and table.count("usd") >= 4


def test_limits_and_balances_do_not_touch_each_other(quiet):
    quiet("balance", "topup", "org", "usd", "1", "--id", "a")
    quiet("limit", "set", "org", "--meter", "usd", "--window", "day", "--cap", "5")
    quiet("limit", "set", "org", "--meter", "diem", "--window", "lifetime", "--cap", "5")
    for args in (["set", "org", "--meter", "usd", "--window", "lifetime", "--cap", "9"],
                 ["drop", "org", "--meter", "usd", "--window", "lifetime"]):
        assert "only 'tollkey balance topup' changes" in quiet("limit", *args, code=1).stderr
    refusal = quiet("balance", "topup", "org", "diem", "1", "--id", "b", code=1).stderr
    assert "tollkey limit drop org --meter diem --window lifetime" in refusal
    quiet("limit", "drop", "org", "--meter", "diem", "--window", "lifetime")
    quiet("balance", "topup", "org", "diem", "1", "--id", "b")
    quiet("limit", "drop", "org", "--meter", "usd", "--window", "day")
    assert [b["paid"] for b in shown(quiet)] == ["1", "1"]


@pytest.mark.parametrize("args, code, words", [
    (["org", "eur", "1", "--id", "x"], 2, "expects usd or diem"),
    (["org", "vcu", "1", "--id", "x"], 2, "expects usd or diem"),
    (["org", "tokens", "1", "--id", "x"], 2, "expects usd or diem"),
    (["org", "usd", "0", "--id", "x"], 2, "no amount to pay"),
    (["org", "usd", "-1", "--id", "x"], 2, "no amount to pay"),
    (["org", "usd", "five", "--id", "x"], 2, "no amount to pay"),
    (["org", "usd", "9223372037", "--id", "x"], 2, "no amount to pay"),
    (["org", "usd", "0.0000000001", "--id", "x"], 2, "no amount to pay"),
    (["org", "usd", "1", "--id", "a b"], 2, "without spaces"),
    (["org", "usd", "1", "--id", ""], 2, "1 to 64 printable"),
    (["org", "usd", "1", "--id", "x" * 65], 2, "1 to 64 printable"),
    (["org", "usd", "1", "--id", "gr\u00fc\u00df"], 2, "1 to 64 printable"),
    (["org", "usd", "1"], 2, "needs --id ID"),
    (["org", "usd", "--id", "x"], 2, "not complete"),
    (["org", "usd", "1", "2", "--id", "x"], 2, "not understood"),
    ([NOWHERE, "usd", "1", "--id", "x"], 2, "a key has no balance"),
    (["nobody", "usd", "1", "--id", "x"], 2, "expects org, workspace"),
])
def test_what_cannot_be_paid(quiet, args, code, words):
    done = quiet("balance", "topup", *args, code=code)
    assert words in done.stderr and done.stdout == ""
    assert shown(quiet) == []


def test_more_than_can_be_counted(quiet):
    quiet("balance", "topup", "org", "usd", "9223372036", "--id", "a")
    assert "more than can be counted" in quiet("balance", "topup", "org", "usd", "1", "--id", "b", code=1).stderr
    assert [b["paid"] for b in shown(quiet)] == ["9223372036"]
