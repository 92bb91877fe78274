"""Composite foreign keys keep a ledger's rows in its workspace; triggers keep the tallies of invoices and payments.

A tally changes in the statement that changes the documents, so no writer can forget it. Bodies are stored apart
(toast_tuple_target), so that lists read small rows.
"""

from django.db import migrations

TABLES = ("invoice", "contact", "payment", "account", "item", "ledger")


def wall(table: str) -> str:
    return (
        f"ALTER TABLE xero_{table} ADD CONSTRAINT {table}_connection_in_workspace"
        " FOREIGN KEY (connection_id, workspace_id) REFERENCES connections_connection (id, workspace_id)"
        " DEFERRABLE INITIALLY DEFERRED;"
    )


def no_wall(table: str) -> str:
    return f"ALTER TABLE xero_{table} DROP CONSTRAINT {table}_connection_in_workspace;"


def apart(table: str) -> str:
    return f"ALTER TABLE xero_{table} SET (toast_tuple_target = 256);"


def no_apart(table: str) -> str:
    return f"ALTER TABLE xero_{table} RESET (toast_tuple_target);"


# The columns that a tally sums, per table.
SUMS = {
    "invoice": ("total", "amount_paid", "amount_due"),
    "payment": ("amount", "0", "0"),
}


def signed(table: str, rows: str, sign: str) -> str:
    total, paid, due = SUMS[table]
    return (
        f"SELECT connection_id, type, status, currency, {sign}1 AS documents, {sign}{total} AS total,"
        f" {sign}{paid} AS paid, {sign}{due} AS due FROM {rows}"
    )


def tallies(table: str) -> str:
    changed = f"{signed(table, 'old_rows', '-')} UNION ALL {signed(table, 'new_rows', '+')}"
    add = f"""
        INSERT INTO xero_tally AS t (connection_id, kind, type, status, currency, documents, total, paid, due)
        SELECT connection_id, '{table}', type, status, currency, sum(documents), sum(total), sum(paid), sum(due)
          FROM (%s) AS d
         GROUP BY connection_id, type, status, currency
        HAVING sum(documents) <> 0 OR sum(total) <> 0 OR sum(paid) <> 0 OR sum(due) <> 0
         ORDER BY connection_id, type, status, currency
        ON CONFLICT (connection_id, kind, type, status, currency) DO UPDATE
           SET documents = t.documents + excluded.documents, total = t.total + excluded.total,
               paid = t.paid + excluded.paid, due = t.due + excluded.due;
    """
    total, paid, due = SUMS[table]
    return f"""
    CREATE FUNCTION xero_{table}_tally_insert() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {add % signed(table, "new_rows", "+")} RETURN NULL; END $$;
    CREATE FUNCTION xero_{table}_tally_update() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {add % changed} RETURN NULL; END $$;
    CREATE FUNCTION xero_{table}_tally_delete() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE xero_tally t
           SET documents = t.documents - d.documents, total = t.total - d.total, paid = t.paid - d.paid,
               due = t.due - d.due
          FROM (SELECT connection_id, type, status, currency, count(*) AS documents, sum({total}) AS total,
                       sum({paid}) AS paid, sum({due}) AS due
                  FROM old_rows GROUP BY connection_id, type, status, currency) AS d
         WHERE t.connection_id = d.connection_id AND t.kind = '{table}' AND t.type = d.type
           AND t.status = d.status AND t.currency = d.currency;
        RETURN NULL;
    END $$;
    CREATE TRIGGER {table}_tally_insert AFTER INSERT ON xero_{table} REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION xero_{table}_tally_insert();
    CREATE TRIGGER {table}_tally_update AFTER UPDATE ON xero_{table}
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION xero_{table}_tally_update();
    CREATE TRIGGER {table}_tally_delete AFTER DELETE ON xero_{table} REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION xero_{table}_tally_delete();
    """


def no_tallies(table: str) -> str:
    return "".join(
        f"DROP TRIGGER {table}_tally_{event} ON xero_{table}; DROP FUNCTION xero_{table}_tally_{event}();"
        for event in ("insert", "update", "delete")
    )


class Migration(migrations.Migration):
    dependencies = [("xero", "0001_ledger"), ("connections", "0003_walls")]
    operations = [
        migrations.RunSQL("".join(map(wall, TABLES)), "".join(map(no_wall, TABLES))),
        migrations.RunSQL(
            "".join(map(apart, ("invoice", "payment", "contact"))),
            "".join(map(no_apart, ("invoice", "payment", "contact"))),
        ),
        migrations.RunSQL("".join(map(tallies, SUMS)), "".join(map(no_tallies, SUMS))),
    ]
