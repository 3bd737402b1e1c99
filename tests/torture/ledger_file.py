# SPDX-License-Identifier: Apache-2.0
"""What the store's file says, read with plain SQL and none of Tollkey's code: limits, usage, entries, doubts.

Windows are computed here a second time, from the calendar of Python, so that a mistake in the program's own is seen.
"""

import collections
import datetime
import sqlite3
import uuid

METERS = ("usd", "diem", "vcu", "requests", "tokens")  # core/meter.h
HOUR, DAY, WEEK, MONTH, LIFETIME = 2, 3, 4, 5, 6       # core/window.h
KINDS = {HOUR: "hour", DAY: "day", WEEK: "week", MONTH: "month", LIFETIME: "lifetime"}

MONEY = ("usd", "diem", "vcu")
SLIDING, OBSERVE = 1, 2                                # core/limit.h

Limit = collections.namedtuple("Limit", "meter kind cap flags")
Entry = collections.namedtuple("Entry", "id subject held_s model flags input output due overrun")


def window_number(kind, at_s):
    if kind == LIFETIME:
        return 0
    if kind == MONTH:
        date = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
        return (date.year - 1970) * 12 + date.month - 1
    if kind == WEEK:  # from Sunday; 1970 began on a Thursday
        return int((at_s + 4 * 86400) // (7 * 86400))
    return int(at_s // {HOUR: 3600, DAY: 86400}[kind])


def nano(text):
    whole, _, part = text.partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


class LedgerFile:
    def __init__(self, path):
        self.db = sqlite3.connect(path)
        # Of a key: workspace, organisation, and its user if it has one.
        self.groups = {uuid.UUID(bytes=row[0]): tuple(uuid.UUID(bytes=part) for part in row[1:] if any(part))
                       for row in self.db.execute("SELECT id, workspace, org, user_id FROM api_key")}
        self.limits = collections.defaultdict(list)
        for subject, meter, kind, cap, flags in self.db.execute(
                "SELECT subject, meter, window_kind, cap, flags FROM subject_limit ORDER BY subject, ordinal"):
            value = nano(cap) if METERS[meter] in MONEY else int(cap)
            self.limits[uuid.UUID(bytes=subject)].append(Limit(METERS[meter], kind, value, flags))
        self.usage = {(uuid.UUID(bytes=subject), span, number): dict(zip(METERS, amounts))
                      for subject, span, number, *amounts in self.db.execute(
                          "SELECT subject, span, number, usd, diem, vcu, requests, tokens FROM usage")}
        self.entries = {}
        for row in self.db.execute(
                "SELECT id, subject, held_at_ms, model, flags, input_tokens, output_tokens,"
                " due_usd, due_diem, due_vcu, due_requests, due_tokens,"
                " overrun_usd, overrun_diem, overrun_vcu, overrun_requests, overrun_tokens FROM entry"):
            entry_id = uuid.UUID(bytes=row[0])
            assert entry_id not in self.entries, f"two entries with the id {entry_id}"
            self.entries[entry_id] = Entry(entry_id, uuid.UUID(bytes=row[1]), row[2] / 1000, *row[3:7],
                                           dict(zip(METERS, row[7:12])), dict(zip(METERS, row[12:17])))
        self.known_hours = {}
        self.leases = self.by_window("SELECT subject, meter, window_kind, number, bound FROM lease")
        self.doubts = self.by_window("SELECT subject, meter, window_kind, number, amount FROM doubt")

    def by_window(self, sql):
        found = collections.defaultdict(dict)
        for subject, meter, kind, number, amount in self.db.execute(sql):
            found[uuid.UUID(bytes=subject)][METERS[meter], kind, number] = amount
        return found

    def close(self):
        self.db.close()

    def integrity(self):
        return [row[0] for row in self.db.execute("PRAGMA integrity_check")] + [
            str(row) for row in self.db.execute("PRAGMA foreign_key_check")]

    def below(self, subject):
        """Whose usage counts against the limits of this key, user, workspace or organisation: that of the keys below, and
        what an operator has noted of the group itself, or of a workspace of the organisation."""
        workspaces = {workspace for workspace, org, *_ in self.groups.values() if org == subject}
        return {subject, *workspaces, *(key for key, groups in self.groups.items() if subject in groups)}

    def hours(self, subject, meter):
        """{hour: amount}, the finest that the store keeps."""
        keys, found = self.below(subject) | {subject}, collections.Counter()  # its own: resolved doubt of a group
        for (key, span, hour), amounts in self.usage.items():
            if span == 2 and key in keys:
                found[hour] += amounts[meter]
        return found

    def posted(self, subject, meter, kind, number):
        return sum(amount for hour, amount in self.hours(subject, meter).items()
                   if window_number(kind, hour * 3600) == number)

    def doubt(self, subject, meter, kind, number):
        """Of this much nobody knows whether it was spent: what earlier deaths left, and what is still lent."""
        at = meter, kind, number
        known = self.doubts[subject].get(at, 0)
        lent = self.leases[subject].get(at, 0) - self.posted(subject, *at)
        return max(known, lent)

    def windows(self, subject):
        """Each (limit, number) in which something was used, lent or is in doubt; of limits that bind exactly."""
        for limit in self.limits[subject]:
            if limit.flags & (SLIDING | OBSERVE):
                continue
            numbers = {window_number(limit.kind, hour * 3600) for hour in self.hours(subject, limit.meter)}
            numbers |= {number for rows in (self.leases, self.doubts) for (meter, kind, number) in rows[subject]
                        if (meter, kind) == limit[:2]}
            for number in sorted(numbers):
                yield limit, number
