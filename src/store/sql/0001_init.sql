-- SPDX-License-Identifier: Apache-2.0
--
-- The first schema. Ids are 16-byte UUIDs of version 7, so that a b-tree over them grows at its end.
-- Times are milliseconds of UTC since 1970, 0 where "never" is meant. Meters and window kinds are the
-- numbers of core/meter.h and core/window.h. STRICT, so that a number that left 64 bits cannot slip in
-- as a float.

-- Small named settings. Names with a ':' are the store's own; callers cannot write them.
CREATE TABLE meta (
        name TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE org (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        name TEXT NOT NULL,
        created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- No column of what belongs to an organisation is a foreign key: it may be stored on another shard. Who is
-- removed stays a row, because what they used does; their slug or address is free again. (user is a word of
-- SQL's, so a user is an org_user here.)
CREATE TABLE workspace (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        org BLOB NOT NULL CHECK (length(org) = 16),
        slug TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        removed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX workspace_by_slug ON workspace (org, slug) WHERE removed_ms = 0;
CREATE INDEX workspace_by_age ON workspace (org, created_ms, id) WHERE removed_ms = 0;

CREATE TABLE org_user (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        org BLOB NOT NULL CHECK (length(org) = 16),
        email TEXT NOT NULL,
        first_name TEXT NOT NULL,
        last_name TEXT NOT NULL,
        role INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        removed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX org_user_by_email ON org_user (org, email) WHERE removed_ms = 0;
-- With the role, so that they are counted by it without their rows.
CREATE INDEX org_user_by_age ON org_user (org, created_ms, id, role) WHERE removed_ms = 0;

-- A user of all zeros is none: the key is nobody's.
CREATE TABLE api_key (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        org BLOB NOT NULL CHECK (length(org) = 16),
        workspace BLOB NOT NULL CHECK (length(workspace) = 16),
        user_id BLOB NOT NULL CHECK (length(user_id) = 16),
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        last6 TEXT NOT NULL,
        description TEXT NOT NULL,
        kind INTEGER NOT NULL,
        privacy INTEGER NOT NULL,
        period INTEGER NOT NULL,
        scopes BLOB NOT NULL CHECK (length(scopes) = 32),
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        last_used_ms INTEGER NOT NULL,
        revoked_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The key list is a walk of this index, newest first, from the key after which a page begins. Revoked
-- keys are not in it, and expired ones are passed over without reading their rows.
CREATE INDEX api_key_by_age ON api_key (org, created_ms, id, expires_ms, kind, revoked_ms) WHERE revoked_ms = 0;
-- The same of one workspace. Both have the kind, so that a page counts and skips without reading a row, and revoked_ms,
-- for which the planner would read it nevertheless.
CREATE INDEX api_key_by_place ON api_key (org, workspace, created_ms, id, kind, revoked_ms) WHERE revoked_ms = 0;

-- What only management reads of a key. A key may have none.
CREATE TABLE api_key_profile (
        key_id BLOB NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
        updated_ms INTEGER NOT NULL,
        reset_ms INTEGER NOT NULL,
        no_override INTEGER NOT NULL,
        name TEXT NOT NULL,
        about TEXT NOT NULL,
        config TEXT NOT NULL,
        emails TEXT NOT NULL,
        metadata TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What an organisation, workspace or user used is the sum over all of its keys, also the revoked ones.
CREATE INDEX api_key_by_org ON api_key (org);
CREATE INDEX api_key_by_workspace ON api_key (workspace);
CREATE INDEX api_key_by_user ON api_key (user_id);

-- The limits of a key, user, workspace or organisation. cap and alert ('0': none) are decimal text in the units
-- that people use ("5", "0.01"), because they may exceed 63 bits. Of window base_number the first
-- base is forgiven. flags are those of core/limit.h.
CREATE TABLE subject_limit (
        subject BLOB NOT NULL CHECK (length(subject) = 16),
        ordinal INTEGER NOT NULL,
        meter INTEGER NOT NULL,
        window_kind INTEGER NOT NULL,
        window_days INTEGER NOT NULL,
        window_anchor INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        cap TEXT NOT NULL,
        alert TEXT NOT NULL,
        base_number INTEGER NOT NULL,
        base INTEGER NOT NULL,
        PRIMARY KEY (subject, ordinal)
) STRICT, WITHOUT ROWID;

-- What was paid in advance: appended to, never changed. The id is the payer's, so that a payment which is
-- reported twice counts once. The cap of a balance is the sum of its rows, kept beside them in subject_limit.
CREATE TABLE topup (
        id TEXT NOT NULL PRIMARY KEY,
        subject BLOB NOT NULL CHECK (length(subject) = 16),
        meter INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX topup_by_subject ON topup (subject, at_ms, id);

CREATE TRIGGER topup_is_final BEFORE UPDATE ON topup
BEGIN
        SELECT RAISE(ABORT, 'a top-up is never changed');
END;

-- What a subject used, at three spans: 0 the total (number 0), 1 the days, 2 the hours, both numbered from
-- 1970. All meters of a span lie in one row, since a post adds to most of them at once.
CREATE TABLE usage (
        subject BLOB NOT NULL,
        span INTEGER NOT NULL,
        number INTEGER NOT NULL,
        usd INTEGER NOT NULL,
        diem INTEGER NOT NULL,
        vcu INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        PRIMARY KEY (subject, span, number)
) STRICT, WITHOUT ROWID;

-- The audit trail: appended to, never changed.
CREATE TABLE entry (
        id BLOB NOT NULL PRIMARY KEY,
        org BLOB NOT NULL,
        subject BLOB NOT NULL,
        held_at_ms INTEGER NOT NULL,
        posted_at_ms INTEGER NOT NULL,
        model TEXT NOT NULL,
        flags INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        due_usd INTEGER NOT NULL,
        due_diem INTEGER NOT NULL,
        due_vcu INTEGER NOT NULL,
        due_requests INTEGER NOT NULL,
        due_tokens INTEGER NOT NULL,
        overrun_usd INTEGER NOT NULL,
        overrun_diem INTEGER NOT NULL,
        overrun_vcu INTEGER NOT NULL,
        overrun_requests INTEGER NOT NULL,
        overrun_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_by_subject ON entry (subject, posted_at_ms, id);
CREATE INDEX entry_by_org ON entry (org, posted_at_ms, id);

CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry
BEGIN
        SELECT RAISE(ABORT, 'an entry of the ledger is never changed');
END;

CREATE TABLE lease (
        subject BLOB NOT NULL,
        meter INTEGER NOT NULL,
        window_kind INTEGER NOT NULL,
        window_days INTEGER NOT NULL,
        window_anchor INTEGER NOT NULL,
        number INTEGER NOT NULL,
        bound INTEGER NOT NULL,
        PRIMARY KEY (subject, meter, window_kind, window_days, window_anchor, number)
) STRICT, WITHOUT ROWID;

-- What a crash left open: of this much it is not known whether it was spent, so it counts as if it were,
-- until its window ends or an operator says.
CREATE TABLE doubt (
        subject BLOB NOT NULL CHECK (length(subject) = 16),
        meter INTEGER NOT NULL,
        window_kind INTEGER NOT NULL,
        window_days INTEGER NOT NULL,
        window_anchor INTEGER NOT NULL,
        number INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        since_ms INTEGER NOT NULL,
        PRIMARY KEY (subject, meter, window_kind, window_days, window_anchor, number)
) STRICT, WITHOUT ROWID;

-- What limits were reached: written once each, in the transaction of the post that reached them, and at the
-- same time the list of what is still to be told. limit_alert is the threshold. A status is one of core/alert.h,
-- 0 while it waits until next_ms.
CREATE TABLE alert (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        org BLOB NOT NULL CHECK (length(org) = 16),
        subject BLOB NOT NULL CHECK (length(subject) = 16),
        subject_kind INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        meter INTEGER NOT NULL,
        window_kind INTEGER NOT NULL,
        window_days INTEGER NOT NULL,
        window_anchor INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        cap TEXT NOT NULL,
        limit_alert TEXT NOT NULL,
        number INTEGER NOT NULL,
        posted INTEGER NOT NULL,
        held INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        webhook_status INTEGER NOT NULL,
        webhook_tries INTEGER NOT NULL,
        webhook_next_ms INTEGER NOT NULL,
        webhook_ended_ms INTEGER NOT NULL,
        webhook_error TEXT NOT NULL,
        email_status INTEGER NOT NULL,
        email_tries INTEGER NOT NULL,
        email_next_ms INTEGER NOT NULL,
        email_ended_ms INTEGER NOT NULL,
        email_error TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_by_org ON alert (org, at_ms, id);
CREATE INDEX alert_by_webhook ON alert (webhook_next_ms, id) WHERE webhook_status = 0;
CREATE INDEX alert_by_email ON alert (email_next_ms, id) WHERE email_status = 0;

-- Which key, user, workspace or organisation changed, in the order of the commits; AUTOINCREMENT, so that no
-- number is ever used twice.
CREATE TABLE change (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        subject BLOB NOT NULL
) STRICT;

-- Who changed what: one row for each change that somebody made to keys, limits, balances, people and the like,
-- written with the change. kind is that of the actor (store/audit.h); an id of all zeros is none. Appended to,
-- never changed, and removed by its age alone: nothing from audit_kept on can be deleted.
CREATE TABLE audit (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        org BLOB NOT NULL CHECK (length(org) = 16),
        workspace BLOB NOT NULL CHECK (length(workspace) = 16),
        at_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        actor BLOB NOT NULL CHECK (length(actor) = 16),
        actor_name TEXT NOT NULL,
        action TEXT NOT NULL,
        resource_type TEXT NOT NULL,
        resource BLOB NOT NULL CHECK (length(resource) = 16),
        method TEXT NOT NULL,
        uri TEXT NOT NULL,
        request_id TEXT NOT NULL,
        client TEXT NOT NULL,
        status INTEGER NOT NULL,
        before_json TEXT NOT NULL,
        after_json TEXT NOT NULL
) STRICT;

-- A page of the log is a walk of one of these, newest first, whatever it is filtered by: what a filter may name
-- and few rows have leads an index of its own.
CREATE INDEX audit_by_time ON audit (at_ms, id);
CREATE INDEX audit_by_org ON audit (org, at_ms, id);
CREATE INDEX audit_by_workspace ON audit (org, workspace, at_ms, id);
CREATE INDEX audit_by_actor ON audit (org, actor, at_ms, id);
CREATE INDEX audit_by_resource ON audit (org, resource, at_ms, id);
CREATE INDEX audit_by_type ON audit (org, resource_type, at_ms, id);
CREATE INDEX audit_by_action ON audit (org, action, at_ms, id);
CREATE INDEX audit_by_client ON audit (org, client, at_ms, id);
CREATE INDEX audit_by_uri ON audit (org, uri, at_ms, id);
CREATE INDEX audit_by_request ON audit (org, request_id, at_ms, id);

-- One row, when records were ever removed: those of before this were too old.
CREATE TABLE audit_kept (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        from_ms INTEGER NOT NULL
) STRICT;

CREATE TRIGGER audit_is_final BEFORE UPDATE ON audit
BEGIN
        SELECT RAISE(ABORT, 'a record of the audit log is never changed');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN OLD.at_ms >= coalesce((SELECT from_ms FROM audit_kept WHERE one = 1), 0)
BEGIN
        SELECT RAISE(ABORT, 'a record of the audit log is kept until it is old enough');
END;
