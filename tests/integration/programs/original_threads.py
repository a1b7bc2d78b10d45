"""Programs in the style of Pyro3's: threads that listen, a service inside the program, one's own loop.

Only the imports and print() are new. Usage: original_threads.py.
"""

import select
import threading
import time

from pyro_events import EventServiceStarter, Publisher, Subscriber


class ServiceThread(threading.Thread):
    """The service in a thread of the program."""

    def __init__(self):
        threading.Thread.__init__(self)
        self.starter = EventServiceStarter(identification="our secret")

    def run(self):
        self.starter.start(hostname="127.0.0.1", port=0, useNameServer=0, norange=1)


class Reading:
    """What both kinds of display do."""

    def prepare(self):
        self.daemon = 1
        self.close = []
        self.setThreading(threaded=0)
        self.subscribeMatch(subjectPatterns=["^TEMP\\..*$"])

    def run(self):
        self.listen()

    def event(self, event):
        self.close.append(event.msg)
        print(f"{self.__class__.__name__} {event.subject} {event.msg}\n", end="", flush=True)
        if event.msg == "end":
            self.abort()


class Display(Reading, Subscriber, threading.Thread):
    def __init__(self, uri):
        Subscriber.__init__(self, "our secret", esURI=uri)
        threading.Thread.__init__(self)
        self.prepare()


class ThreadedDisplay(Reading, threading.Thread, Subscriber):
    def __init__(self, uri):
        threading.Thread.__init__(self)
        Subscriber.__init__(self, "our secret", esURI=uri)
        self.prepare()


class Polling(Subscriber):
    """Has a loop of its own instead of listen()."""

    def poll(self):
        while not self.abortListen:
            ready = select.select(self.getDaemon().getServerSockets(), [], [], 0.1)[0]
            if ready:
                self.getDaemon().handleRequests(0)

    def event(self, event):
        print(f"Polling {event.subject} {event.msg}\n", end="", flush=True)
        if event.msg == "end":
            self.abort()


def main():
    service = ServiceThread()
    service.start()
    service.starter.waitUntilStarted()
    uri = service.starter.uri
    displays = [Display(uri), ThreadedDisplay(uri)]
    for display in displays:
        display.start()
    polling = Polling("our secret", uri)
    polling.subscribe("TEMP.HALL")
    thermometer = Publisher("our secret", uri)
    for message in (20.5, 21.0, "end"):
        thermometer.publish(subjects="TEMP.HALL", msg=message)
        time.sleep(0.01)
    polling.poll()
    for display in displays:
        display.join(10)
        print(display.is_alive(), display.close, display.daemon, flush=True)
    es = thermometer.getES()
    print(len(es.statistics()["subscribers"]), "subscribers", flush=True)
    es._pyroRelease()
    with displays[0], displays[1]:
        polling.close()
    print(thermometer.publish("TEMP.HALL", 1), "deliveries", flush=True)
    thermometer.close()
    service.starter.shutdown(None)
    service.join(20)
    print("stopped:", not service.is_alive(), flush=True)


if __name__ == "__main__":
    main()
