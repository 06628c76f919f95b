"""SQL that keeps record versions. Changed only by a new migration, never in place."""

FUNCTIONS = """
CREATE FUNCTION tracker_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  -- One instant for a whole recorded batch; else the clock, which runs on inside a transaction.
  SELECT coalesce(nullif(current_setting('tracker.recorded_at', true), '')::timestamptz, clock_timestamp())
$$;
CREATE FUNCTION tracker_actor() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('tracker.actor', true), ''), 'database role ' || session_user)
$$;
CREATE FUNCTION tracker_reason() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(current_setting('tracker.reason', true), '')
$$;
CREATE FUNCTION tracker_batch() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(current_setting('tracker.batch', true), '')
$$;
"""

DROP_FUNCTIONS = """
DROP FUNCTION tracker_batch();
DROP FUNCTION tracker_reason();
DROP FUNCTION tracker_actor();
DROP FUNCTION tracker_now();
"""

TRIGGERS = """
CREATE FUNCTION tracker_keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  at timestamptz;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.id <> OLD.id THEN
      RAISE EXCEPTION 'the id of a % record cannot change (% to %)', TG_TABLE_NAME, OLD.id, NEW.id;
    END IF;
    -- The version columns are this function's alone. With them put back, an update that changes nothing is seen as such
    -- and leaves no trace: loading a file twice must not make versions.
    NEW.version := OLD.version;
    NEW.recorded_at := OLD.recorded_at;
    NEW.recorded_by := OLD.recorded_by;
    NEW.recorded_reason := OLD.recorded_reason;
    NEW.recorded_batch := OLD.recorded_batch;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN OLD;
    END IF;
  END IF;
  -- A clock set back must not make a version end before it began.
  at := greatest(tracker_now(), OLD.recorded_at);
  INSERT INTO tracker_recordversion (table_name, object_id, version, recorded_at, superseded_at, superseded_by,
                                     superseded_reason, superseded_batch, operation, "row")
  VALUES (TG_TABLE_NAME, OLD.id, OLD.version, OLD.recorded_at, at, tracker_actor(), tracker_reason(), tracker_batch(),
          lower(TG_OP), to_jsonb(OLD));
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  NEW.version := OLD.version + 1;
  NEW.recorded_at := at;
  NEW.recorded_by := tracker_actor();
  NEW.recorded_reason := tracker_reason();
  NEW.recorded_batch := tracker_batch();
  RETURN NEW;
END $$;

CREATE FUNCTION tracker_keep_all_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format(
    'INSERT INTO tracker_recordversion (table_name, object_id, version, recorded_at, superseded_at, superseded_by,
       superseded_reason, superseded_batch, operation, "row")
     SELECT %L, t.id, t.version, t.recorded_at, greatest(tracker_now(), t.recorded_at), tracker_actor(), tracker_reason(),
       tracker_batch(), ''truncate'', to_jsonb(t) FROM %I t', TG_TABLE_NAME, TG_TABLE_NAME);
  RETURN NULL;
END $$;

CREATE FUNCTION tracker_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tracker_recordversion
  FOR EACH ROW EXECUTE FUNCTION tracker_refuse_change();

CREATE FUNCTION tracker_refuse_finished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT status FROM tracker_reconciliationrun WHERE id = OLD.run_id) = 'finished' THEN
    RAISE EXCEPTION 'findings of a finished run are never changed or deleted' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER finished_is_final BEFORE UPDATE OR DELETE ON tracker_finding
  FOR EACH ROW EXECUTE FUNCTION tracker_refuse_finished();
"""

DROP_TRIGGERS = """
DROP TRIGGER finished_is_final ON tracker_finding;
DROP FUNCTION tracker_refuse_finished();
DROP TRIGGER append_only ON tracker_recordversion;
DROP FUNCTION tracker_refuse_change();
DROP FUNCTION tracker_keep_all_versions();
DROP FUNCTION tracker_keep_version();
"""


def keep_versions(table: str) -> str:
    """Statements that make the database keep the versions of ``table``."""
    return f"""
CREATE TRIGGER keep_version BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION tracker_keep_version();
CREATE TRIGGER keep_all_versions BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION tracker_keep_all_versions();
"""


def forget_versions(table: str) -> str:
    return f"DROP TRIGGER keep_all_versions ON {table}; DROP TRIGGER keep_version ON {table};"
