-- Who may do what; README.md has the table. Passwords come from the environment and have no default.
\getenv owner_password FHIR_OWNER_PASSWORD
\getenv app_password FHIR_APP_PASSWORD
\getenv readonly_password FHIR_READONLY_PASSWORD
\getenv monitor_password FHIR_MONITOR_PASSWORD
\getenv backup_password FHIR_BACKUP_PASSWORD

CREATE ROLE fhir_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE fhir_app LOGIN PASSWORD :'app_password';
CREATE ROLE fhir_readonly LOGIN PASSWORD :'readonly_password';
CREATE ROLE fhir_monitor LOGIN PASSWORD :'monitor_password' CONNECTION LIMIT 10;
CREATE ROLE fhir_backup LOGIN REPLICATION PASSWORD :'backup_password' CONNECTION LIMIT 10;

GRANT pg_monitor TO fhir_monitor;
ALTER ROLE fhir_readonly SET default_transaction_read_only = on;
ALTER ROLE fhir_readonly SET statement_timeout = '5min';
