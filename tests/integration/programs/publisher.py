"""A publisher of its own: publishes 0, 1, 2, ... on a subject, each when the one before is acknowledged.

Usage: publisher.py URI SUBJECT COUNT. Prints the sum of the deliveries queued.
"""

import sys

from pyro_events import Publisher


def main() -> None:
    uri, subject, count = sys.argv[1:]
    with Publisher(es_uri=uri) as publisher:
        print("deliveries:", sum(publisher.publish(subject, n) for n in range(int(count))), flush=True)


if __name__ == "__main__":
    main()
