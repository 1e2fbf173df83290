"""What an administrator of PostgreSQL runs once: tables that only grow, and two roles with few rights."""

from __future__ import annotations

SCHEMA = "privsynth_ledger"
FORMAT = 1  # of the tables; a change that older versions would misread takes the next number
# Bytes that a text of an event may take: four for each of the characters of the longest name, and a mebibyte of
# payload, which is room for thousands of runs that `accept-restored` names (own).
LIMITS = {"time": 64, "run_id": 800, "dataset": 800, "kind": 16, "payload": 1 << 20, "prev_hash": 64, "hash": 64}

_BOUNDS = ",\n    ".join(f"CHECK (octet_length({name}) <= {most})" for name, most in LIMITS.items())

DEFINITION = f"""\
-- The shared ledger of privsynth, format {FORMAT}. Run it once, as the role that will own it and that no analyst is in:
-- docs/ledger.md says how.
BEGIN;
SET LOCAL search_path = pg_catalog;
CREATE SCHEMA {SCHEMA};
REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC;

CREATE TABLE {SCHEMA}.events (
    seq bigint PRIMARY KEY CHECK (seq >= 1),
    time text NOT NULL,
    run_id text NOT NULL,
    dataset text NOT NULL,
    kind text NOT NULL,
    epsilon_units bigint NOT NULL CHECK (epsilon_units >= 0),
    delta_units bigint NOT NULL CHECK (delta_units >= 0),
    payload text NOT NULL CHECK (json_typeof(CAST(payload AS json)) = 'object'),
    prev_hash text NOT NULL CHECK (prev_hash ~ '^[0-9a-f]*$'),
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{{64}}$'),
    {_BOUNDS}
);
-- A run reserves once.
CREATE UNIQUE INDEX reservations ON {SCHEMA}.events (run_id) WHERE kind = 'reserved';

-- Has no rows: whoever appends an event locks it, which takes the right to UPDATE it.
CREATE TABLE {SCHEMA}.turn (nobody boolean CHECK (false));

CREATE VIEW {SCHEMA}.format AS SELECT {FORMAT} AS format;

CREATE FUNCTION {SCHEMA}.only_grow() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';
    ELSIF NEW.seq <= (SELECT coalesce(max(seq), 0) FROM {SCHEMA}.events) THEN
        RAISE EXCEPTION 'events are appended at the end' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER events_at_the_end BEFORE INSERT ON {SCHEMA}.events
    FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.only_grow();
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON {SCHEMA}.events
    FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.only_grow();
CREATE TRIGGER events_all_stay BEFORE TRUNCATE ON {SCHEMA}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.only_grow();
-- Also where a session plays the part of a replica.
ALTER TABLE {SCHEMA}.events ENABLE ALWAYS TRIGGER events_at_the_end;
ALTER TABLE {SCHEMA}.events ENABLE ALWAYS TRIGGER events_stay;
ALTER TABLE {SCHEMA}.events ENABLE ALWAYS TRIGGER events_all_stay;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'privsynth_analyst') THEN
        CREATE ROLE privsynth_analyst NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'privsynth_auditor') THEN
        CREATE ROLE privsynth_auditor NOLOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA {SCHEMA} TO privsynth_analyst, privsynth_auditor;
GRANT SELECT ON {SCHEMA}.events, {SCHEMA}.format TO privsynth_analyst, privsynth_auditor;
GRANT INSERT ON {SCHEMA}.events TO privsynth_analyst;
GRANT UPDATE ON {SCHEMA}.turn TO privsynth_analyst;
COMMIT;
"""
