# SPDX-License-Identifier: Apache-2.0
"""An operator who says what was spent of a doubt, by `tollkey ledger`, beside a running server or without one.

This one knows the truth: of what a window has in doubt, so much was spent as the provider counts beyond the posts. So
after his word truth <= posted + in doubt still holds, and what was not spent is free again.
"""

import collections
import json
import uuid

from audit import amount
from ledger_file import HOUR, KINDS, MONEY, nano

USER = "ann@example.com"  # the only one; some keys are hers
KIND_OF = {name: kind for kind, name in KINDS.items()}


class Resolver:
    def __init__(self, stack):
        self.stack = stack
        self.needs = {}                       # (subject, meter, kind, number) -> really spent, and not posted
        self.spent = collections.Counter()    # (subject, meter) -> said so: usage without an entry
        self.words = 0

    def learn(self, ledger, rows):
        """From an audit at a moment when nothing ran."""
        self.groups = ledger.groups
        own = [self.groups[row.subject] for row in rows if row.subject in self.groups]
        [(self.workspace, self.org)] = {groups[:2] for groups in own}
        self.users = {user for groups in own for user in groups[2:]}
        # A word on one window is noted in one hour, and moves what is in doubt in others: by the hour it may be wrong.
        by_hour = {row.subject for row in rows if row.limit.kind == HOUR}
        self.needs = {(row.subject, row.limit.meter, row.limit.kind, row.number): max(0, row.truth - row.posted)
                      for row in rows if row.subject not in by_hour}

    def listed(self):
        """What the command line shows: [(subject, word, meter, window, number, amount)]"""
        names = {"workspace": self.workspace, "org": self.org, **{USER: user for user in self.users}}
        doubts = json.loads(self.stack.cli("ledger", "doubt", "--json").stdout)["doubts"]
        return [(names.get(d["subject"]) or uuid.UUID(d["subject"]), d["subject"], d["meter"], d["window"],
                 d["number"], d["amount"]) for d in doubts]

    def known(self):
        """Those of which the truth is known."""
        return self.needs and [doubt for doubt in self.listed()
                if (doubt[0], doubt[2], KIND_OF[doubt[3]], doubt[4]) in self.needs]

    def resolve(self, doubt):
        subject, word, meter, window, number, shown = doubt
        in_doubt = to_int(meter, shown)
        spent = min(in_doubt, self.needs.pop((subject, meter, KIND_OF[window], number)))
        said = json.loads(self.stack.cli("ledger", "resolve", word, "--meter", meter, "--window", window, "--number",
                                         str(number), "--spent", amount(meter, spent), "--json").stdout)
        assert (to_int(meter, said["spent"]), to_int(meter, said["freed"])) == (spent, in_doubt - spent), said
        self.spent[subject, meter] += spent
        self.words += 1
        above = {subject, self.org, *self.groups.get(subject, ())}
        for at in self.needs:  # posted there as well now
            if at[0] in above and at[1] == meter:
                self.needs[at] = max(0, self.needs[at] - spent)

    def resolve_some(self, rng, count):
        while count > 0 and (known := self.known()):
            self.resolve(rng.choice(known))
            count -= 1

    def resolve_all(self):
        while known := self.known():
            self.resolve(known[0])


def to_int(meter, shown):
    return nano(shown) if meter in MONEY else shown
