"""The statements of the rate limits' budgets (xero/api/rate_limits.py), one round trip each."""

from taskjuice.queue.commits import QUICK

# `n.now` is one reading of the clock. A window that has ended is rolled on; what is in flight may
# count in the new one. Nobody waits for the disk: should PostgreSQL crash, the last half second of
# counting is learnt again from headers.
_QUICK = f"{QUICK} AS quick"
_IN_FLIGHT = "(SELECT count(*) FROM unnest(b.slots) s WHERE s > n.now)"
_ROLLED = """CASE WHEN b.{0}_ends <= n.now THEN %({0})s * interval '1 second'
    * (1 + floor(extract(epoch FROM n.now - b.{0}_ends) / %({0})s)) ELSE interval '0' END"""
TAKE_SLOT = f"""
UPDATE connections_budget b
   SET minute_used = CASE WHEN b.minute_ends <= n.now THEN {_IN_FLIGHT} + 1 ELSE b.minute_used + 1 END,
       minute_ends = b.minute_ends + {_ROLLED.format("minute")},
       minute_seen = b.minute_seen + {_ROLLED.format("minute")},
       day_used = CASE WHEN b.day_ends <= n.now THEN {_IN_FLIGHT} + 1 ELSE b.day_used + 1 END,
       day_ends = b.day_ends + {_ROLLED.format("day")},
       day_seen = b.day_seen + {_ROLLED.format("day")},
       slots = ARRAY(SELECT s FROM unnest(b.slots) s WHERE s > n.now) || (n.now + %(lease)s * interval '1 second'),
       parked_until = NULL, parked_why = ''
  FROM (SELECT clock_timestamp() AS now, {_QUICK}) n
 WHERE b.provider = %(provider)s AND b.tenant_id = %(tenant)s AND n.quick = 'off'
   AND (b.parked_until IS NULL OR b.parked_until <= n.now)
   AND NOT EXISTS (SELECT FROM connections_budget a
                    WHERE a.provider = %(provider)s AND a.tenant_id = %(app)s AND a.parked_until > n.now)
   AND {_IN_FLIGHT} < %(slots)s
   AND (b.minute_ends <= n.now OR b.minute_used < %(quick)s
        OR (b.minute_used < %(minute_share)s AND n.now >= b.minute_seen + (b.minute_ends - b.minute_seen) / 2))
   AND (b.day_ends <= n.now OR b.day_used < %(day_share)s
        OR (b.day_used < %(day_limit)s AND b.day_seen < n.now - %(day_probe)s * interval '1 second'))
RETURNING n.now, b.minute_used, b.minute_ends, b.day_used, b.day_ends, b.slots[cardinality(b.slots)],
          cardinality(b.slots) - 1
"""  # noqa: S608 - made of the constants above

# A new window although the one we knew may not end yet: what we believed was wrong (a raised limit,
# a clock that was set, a limit reset early), and all that is left of it is that a window began at
# some time up to now.
_SEEN = """CASE WHEN b.{0}_seen > clock_timestamp() THEN clock_timestamp()
                                ELSE b.{0}_seen + %({0})s * interval '1 second' END"""
# Corrections hold only for the window in which the place was taken.
RETURN_SLOT = f"""
UPDATE connections_budget b
   SET slots = array_remove(b.slots, %(slot)s),
       minute_used = CASE WHEN b.minute_ends <> %(minute_ends)s THEN b.minute_used
                          WHEN %(minute_reset)s THEN %(minute_counted)s + cardinality(b.slots) - 1
                          ELSE greatest(b.minute_used - %(uncounted)s, %(minute_counted)s) END,
       minute_seen = CASE WHEN b.minute_ends <> %(minute_ends)s THEN b.minute_seen
                          WHEN %(minute_reset)s THEN {_SEEN.format("minute")}
                          WHEN %(minute_counted)s > 0 THEN greatest(b.minute_seen, %(taken_at)s)
                          ELSE b.minute_seen END,
       minute_ends = CASE WHEN %(minute_reset)s AND b.minute_ends = %(minute_ends)s
                          THEN clock_timestamp() + %(minute)s * interval '1 second' ELSE b.minute_ends END,
       day_used = CASE WHEN b.day_ends <> %(day_ends)s THEN b.day_used
                       WHEN %(day_reset)s THEN %(day_counted)s + cardinality(b.slots) - 1
                       ELSE greatest(b.day_used - %(uncounted)s, %(day_counted)s) END,
       day_seen = CASE WHEN b.day_ends <> %(day_ends)s THEN b.day_seen
                       WHEN %(day_reset)s THEN {_SEEN.format("day")}
                       WHEN %(day_counted)s > 0 THEN greatest(b.day_seen, %(taken_at)s)
                       ELSE b.day_seen END,
       day_ends = CASE WHEN %(day_reset)s AND b.day_ends = %(day_ends)s
                       THEN clock_timestamp() + %(day)s * interval '1 second' ELSE b.day_ends END
  FROM (SELECT {_QUICK}) n
 WHERE b.provider = %(provider)s AND b.tenant_id = %(tenant)s AND n.quick = 'off'
"""  # noqa: S608 - the same

# A refusal that says when its window ends tells exactly what we want to know. One that does not is
# over when the window that we know is over at the latest.
_UNTIL = """CASE WHEN %(pause)s::float8 IS NOT NULL THEN n.now + %(pause)s::float8 * interval '1 second'
    WHEN %(why)s = 'day' THEN greatest(b.day_ends, n.now + %(default_pause)s * interval '1 second')
    WHEN %(why)s = 'minute' THEN greatest(b.minute_ends, n.now + interval '1 second')
    ELSE n.now + %(default_pause)s * interval '1 second' END"""
_IS_STATED = "%(why)s = '{0}' AND %(pause)s::float8 IS NOT NULL"
PARK = f"""
UPDATE connections_budget b
   SET slots = array_remove(b.slots, %(slot)s),
       parked_until = greatest(b.parked_until, {_UNTIL}), parked_why = %(why)s,
       minute_used = CASE WHEN %(why)s = 'minute' THEN %(minute_limit)s ELSE greatest(b.minute_used - 1, 0) END,
       minute_ends = CASE WHEN {_IS_STATED.format("minute")} THEN {_UNTIL} ELSE b.minute_ends END,
       minute_seen = CASE WHEN {_IS_STATED.format("minute")} THEN {_UNTIL} - interval '1 second'
                          ELSE b.minute_seen END,
       day_used = CASE WHEN %(why)s = 'day' THEN %(day_limit)s ELSE greatest(b.day_used - 1, 0) END,
       day_ends = CASE WHEN {_IS_STATED.format("day")} THEN {_UNTIL} ELSE b.day_ends END,
       day_seen = CASE WHEN {_IS_STATED.format("day")} THEN {_UNTIL} - interval '1 second' ELSE b.day_seen END
  FROM (SELECT clock_timestamp() AS now) n
 WHERE b.provider = %(provider)s AND b.tenant_id = %(tenant)s
RETURNING b.parked_until
"""  # noqa: S608 - made of the constants above

PARK_APP = """
INSERT INTO connections_budget (provider, tenant_id, slots, parked_until, parked_why)
VALUES (%(provider)s, %(app)s, '{}', clock_timestamp() + %(pause)s * interval '1 second', 'app')
ON CONFLICT (provider, tenant_id) DO UPDATE
   SET parked_until = greatest(connections_budget.parked_until, excluded.parked_until), parked_why = 'app'
RETURNING parked_until
"""

OPEN_BUDGET = """
INSERT INTO connections_budget (provider, tenant_id, slots, minute_seen, day_seen)
VALUES (%(provider)s, %(tenant)s, '{}', now() - %(minute)s * interval '1 second', now() - %(day)s * interval '1 second')
ON CONFLICT (provider, tenant_id) DO NOTHING
"""
