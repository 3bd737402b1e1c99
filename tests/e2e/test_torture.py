# SPDX-License-Identifier: Apache-2.0
"""A short run of tests/torture/torture.py; `make torture` does the long one."""

import subprocess
import sys

from stack import PATIENCE, ROOT


def test_a_server_that_is_killed_again_and_again_keeps_a_true_ledger():
    done = subprocess.run([sys.executable, str(ROOT / "tests/torture/torture.py"), "--kills", "6", "--seconds", "5"],
                          capture_output=True, text=True, timeout=100 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kills: 6" in done.stdout
