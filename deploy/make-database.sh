#!/bin/sh
# Run once by the PostgreSQL image over an empty volume: the role that owns the database and is no superuser.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$(cat "${PASSWORD_FILE:-/run/secrets/database_password}")" <<'SQL'
CREATE ROLE taskjuice LOGIN PASSWORD :'password';
CREATE DATABASE taskjuice OWNER taskjuice;
SQL
