-- The table of backends that a balancer reads with `balancer.source` (docs/postgres.md), and the triggers that tell it of
-- changes. Run it as the owner of the database; running it again changes nothing.
--   psql -d DATABASE -f upstream_servers.sql

CREATE TABLE IF NOT EXISTS upstream_servers (
  server_id            UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  pool_name            VARCHAR(128) NOT NULL,
  ip_address           VARCHAR(45) NOT NULL,
  port                 INT NOT NULL,
  weight               INT NOT NULL DEFAULT 1,
  is_backup            BOOLEAN NOT NULL DEFAULT FALSE,
  health_status        VARCHAR(32) NOT NULL, -- 'HEALTHY', 'UNHEALTHY', 'DRAINING'
  consecutive_failures INT NOT NULL DEFAULT 0,
  last_checked_at      TIMESTAMPTZ,
  created_at           TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_upstream_routing ON upstream_servers (pool_name, health_status);

-- One notification a transaction, however many rows it changes: equal ones fold.
CREATE OR REPLACE FUNCTION rhumb_notify_upstream_servers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('rhumb_upstream_servers', '');
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER rhumb_upstream_servers_rows
  AFTER INSERT OR DELETE OR TRUNCATE ON upstream_servers
  FOR EACH STATEMENT EXECUTE FUNCTION rhumb_notify_upstream_servers();

-- What balancers write back themselves is not told: they would hear of their own voice.
CREATE OR REPLACE TRIGGER rhumb_upstream_servers_changes
  AFTER UPDATE ON upstream_servers
  FOR EACH ROW
  WHEN (
    (OLD.server_id, OLD.pool_name, OLD.ip_address, OLD.port, OLD.weight, OLD.is_backup)
      IS DISTINCT FROM (NEW.server_id, NEW.pool_name, NEW.ip_address, NEW.port, NEW.weight, NEW.is_backup)
    OR (OLD.health_status IN ('HEALTHY', 'UNHEALTHY')) IS DISTINCT FROM (NEW.health_status IN ('HEALTHY', 'UNHEALTHY'))
    OR (OLD.health_status = 'DRAINING') IS DISTINCT FROM (NEW.health_status = 'DRAINING')
  )
  EXECUTE FUNCTION rhumb_notify_upstream_servers();
