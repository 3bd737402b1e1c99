# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: one running pair of server and demo upstream, and an admin of it.

Tests that need a server of their own build a stack.Stack themselves.
"""

import pytest

from stack import PRICE, Stack
from venice import Venice

MODELS = [
    {"id": "demo-small", "provider": "demo", "max_output_tokens": 4096, "context_tokens": 32768, "price": PRICE},
    {"id": "demo-embed", "provider": "demo", "type": "embedding", "price": {"input": 0.02}},
    {"id": "demo-anonymous", "provider": "demo", "upstream_id": "demo-small", "privacy": "anonymized",
     "max_output_tokens": 4096,
     "price": {"input": 1, "output": 2, "cache_write": 1.25,
               "long_context": {"above": 1000, "input": 2, "output": 4}}},
]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long and no threads of ours; left out under TSan")


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A server that many tests use at once: leave nothing in it that another test would trip over."""
    running = Stack(tmp_path_factory.mktemp("shared"), models=MODELS)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def venice(shared):
    """The Venice API with an admin key; each answer is held against the documented schema."""
    with Venice(shared.url, shared.key("admin", description="the tests")["key"]) as api:
        yield api
