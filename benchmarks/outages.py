"""Redis and DynamoDB failing under load, in every way in which they do: what accept pays for it, and whether anything is lost.

`python -m benchmarks.outages`. Redis away (SIGKILL), full (maxmemory, noeviction) and hanging (SIGSTOP), in windows between
calm ones; DynamoDB slow; DynamoDB throttling single statements and items, and whole calls.
"""

import argparse
import signal
import sys
from typing import Any

from benchmarks import dynamodb_outages, redis_outages
from benchmarks.promises import Progress, Promise, conclude
from benchmarks.system import Failed

REDIS = tuple(outage.name for outage in redis_outages.OUTAGES)
ALL = (*REDIS, "slow", "throttled")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outages", description=__doc__)
    parser.add_argument("--only", choices=ALL, nargs="+", default=ALL, help="these (all)")
    parser.add_argument("--seconds", type=float, default=12, help="of each window (%(default)g)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress, promises, found = Progress(), list[Promise](), dict[str, Any]()
    wanted = set(arguments.only)
    try:
        if wanted & set(REDIS):
            trials = list(redis_outages.trials(arguments.seconds, wanted, progress))
            promises += [promise for trial in trials for promise in redis_outages.promises(trial)]
            found["redis"] = [redis_outages.found(trial) for trial in trials]
        for name, trial in (("slow", dynamodb_outages.slow), ("throttled", dynamodb_outages.truth)):
            if name in wanted:
                made, found[name] = trial(arguments.seconds, progress)
                promises += made
    except Failed as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    return conclude("outages", promises, found)


if __name__ == "__main__":
    sys.exit(main())
