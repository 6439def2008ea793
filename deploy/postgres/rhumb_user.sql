-- The user of balancers: it reads the table and writes three columns of it, and nothing else.
--   psql -d DATABASE -v password="$(openssl rand -hex 24)" -f rhumb_user.sql

CREATE ROLE rhumb LOGIN PASSWORD :'password' CONNECTION LIMIT 50;
SELECT format('GRANT CONNECT ON DATABASE %I TO rhumb', current_database()) \gexec
GRANT USAGE ON SCHEMA public TO rhumb;
GRANT SELECT ON upstream_servers TO rhumb;
GRANT UPDATE (health_status, consecutive_failures, last_checked_at) ON upstream_servers TO rhumb;
