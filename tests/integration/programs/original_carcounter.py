"""The original's counting cars as its manual describes it: only the imports and print() are new.

One class is the producer of cars and one the counter, which turns from one direction to the next inside
its own event and ends by itself; a third is both publisher and subscriber.
Usage: original_carcounter.py producer|counter|both.
"""

import random
import sys
import time

from Pyro5.errors import NamingError

from pyro_events import Publisher, Subscriber

DIRECTIONS = "NORTH", "EAST", "SOUTH", "WEST"
COUNT = 5


class CarProducer(Publisher):
    def __init__(self):
        Publisher.__init__(self)
        self.cars = 0

    def drive(self):
        self.cars += 1
        self.publish("CARS.HEADING." + random.choice(DIRECTIONS), self.cars)


class CarCounter(Subscriber):
    def __init__(self):
        Subscriber.__init__(self)
        self.setThreading(0)
        self.totals = dict.fromkeys(DIRECTIONS, 0)
        self.remaining = list(DIRECTIONS)
        self.nextDirection()

    def nextDirection(self):
        self.watching = "CARS.HEADING." + self.remaining.pop(0)
        self.subscribe(self.watching)
        print("watching", self.watching, flush=True)

    def event(self, event):
        direction = event.subject.split(".")[-1]
        if event.subject != self.watching:
            return
        self.totals[direction] += 1
        if self.totals[direction] == COUNT:
            self.unsubscribe(self.watching)
            if self.remaining:
                self.nextDirection()
            else:
                self.abort()


class Crossing(CarProducer, CarCounter):
    """Counts its own cars: every car it counts makes the next one start."""

    def __init__(self):
        Publisher.__init__(self)
        CarCounter.__init__(self)
        self.cars = 0

    def event(self, event):
        CarCounter.event(self, event)
        self.drive()

    def drive(self):
        self.cars += 1
        self.publish(("CARS.HEADING." + name for name in DIRECTIONS), self.cars)


def main():
    try:
        if sys.argv[1] == "producer":
            producer = CarProducer()
            print("Cars are coming.", flush=True)
            while True:
                producer.drive()
                time.sleep(0.001)
        elif sys.argv[1] == "counter":
            counter = CarCounter()
            counter.listen()
        else:
            counter = Crossing()
            counter.drive()
            counter.listen()
    except NamingError as x:
        print("No event service:", x)
        raise SystemExit(3) from None
    print("totals:", sorted(counter.totals.items()), flush=True)


main()
