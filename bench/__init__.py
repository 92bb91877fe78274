"""`make bench`: how fast webhooks are acknowledged and events worked off, as figures of one run on one machine."""

BARE = "/bench/bare/"
TABLE = "bench_delivery"
