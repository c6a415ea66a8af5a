-- Of each node. Citus has to be created before what it is to spread to other nodes.
CREATE EXTENSION citus;
CREATE EXTENSION pg_stat_statements;
