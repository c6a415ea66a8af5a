-- The tables are the owner's, who makes them by `fhirserver db upgrade`; that also grants the others their rights.
ALTER DATABASE :"DBNAME" OWNER TO fhir_owner;
-- The migrations say IF NOT EXISTS, which Citus allows nobody but the extension's owner.
SET ROLE fhir_owner;
CREATE EXTENSION pg_trgm;
RESET ROLE;

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO fhir_app, fhir_readonly, fhir_monitor, fhir_backup;
