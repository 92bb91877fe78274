"""The process that a worker node watches: a django-q2 cluster whose members die with their parents."""

import gc
import os
import sys
import time
from pathlib import Path

import django


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
    django.setup()
    # Both need loaded apps.
    import django_q.cluster
    import django_q.core_signing
    from django.core.signing import TimestampSigner
    from django_q.signals import post_execute_in_worker, pre_execute

    from taskjuice.database import limits
    from taskjuice.queue import leases
    from taskjuice.queue.processes import die_with_parent
    from taskjuice.queue.pulse import PULSE, Pulse
    from taskjuice.queue.sentinel import DrainingSentinel
    from taskjuice.queue.stop_signals import StopSignals

    limits.set_kind("worker")
    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)
    if PULSE in os.environ:
        pulse = Pulse(Path(os.environ[PULSE]))
        pre_execute.connect(lambda **_: pulse.begin(), weak=False)
        post_execute_in_worker.connect(lambda **_: pulse.end(), weak=False)
    pre_execute.connect(lambda **_: leases.free_unreturned(), weak=False)
    # The children share what is loaded, and the collector neither touches nor walks it. A batch
    # makes many objects that all live to its end, so that collecting sooner finds nothing.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    django_q.cluster.Sentinel = DrainingSentinel
    # django-q2's own knows no SECRET_KEY_FALLBACKS: what nodes with another first key queued would
    # be dropped.
    django_q.core_signing.TimestampSigner = TimestampSigner
    cluster = django_q.cluster.Cluster()
    # django-q2's own handler stops the cluster inside the handler. A second signal, which service
    # managers send to all processes and the node to this one, then waits for a lock that the first
    # one holds.
    signals = StopSignals()
    cluster.start()
    while cluster.sentinel.is_alive() and not signals.came:
        time.sleep(StopSignals.POLL_SECONDS)
    cluster.stop()
    return 0 if signals.came else 1


if __name__ == "__main__":
    sys.exit(main())
