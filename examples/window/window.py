"""A Tk window with the readings of the laboratory: their latest values, and how they have changed.

One thread does all of it. Tk watches the stream's descriptor beside the keyboard and the mouse, and calls
`take` in the window's own thread when there are events.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tkinter
from collections import deque

from Pyro5.errors import PyroError

from pyro_events import Event, EventStream

READINGS = {"TEMPERATURE": "°C", "PRESSURE": "hPa", "HUMIDITY": "%"}
PAPER, INK, DIM, LINE = "#fbfaf7", "#22262b", "#8a9099", "#c2410c"
WIDTH, HEIGHT = 300, 72  # of a chart, in pixels
AT_ONCE = 100  # events that are taken before Tk gets its turn


class Chart:
    """The name, the latest value and the curve of one reading."""

    def __init__(self, parent: tkinter.Misc, row: int, name: str, unit: str) -> None:
        self.unit = unit
        self.values: deque[float] = deque(maxlen=WIDTH // 3)
        tkinter.Label(parent, text=name.capitalize(), bg=PAPER, fg=DIM, font=("DejaVu Sans", 11)).grid(
            row=2 * row, column=0, sticky="sw", padx=16
        )
        self.label = tkinter.Label(parent, text="–", bg=PAPER, fg=INK, font=("DejaVu Sans", 20), width=11)
        self.label.configure(anchor="w")
        self.label.grid(row=2 * row + 1, column=0, sticky="nw", padx=16)
        self.canvas = tkinter.Canvas(parent, width=WIDTH, height=HEIGHT, bg="white", highlightthickness=0)
        self.canvas.grid(row=2 * row, column=1, rowspan=2, padx=(0, 16), pady=8)
        self.line = self.canvas.create_line(0, 0, 0, 0, fill=LINE, width=2)

    def draw(self) -> None:
        """Show the values that have come."""
        self.label.configure(text=f"{self.values[-1]:.1f} {self.unit}")
        low, high = min(self.values), max(self.values)
        scale = (HEIGHT - 16) / ((high - low) or 1)
        points = [(3 * x, HEIGHT - 8 - (value - low) * scale) for x, value in enumerate(self.values)]
        if len(points) > 1:
            self.canvas.coords(self.line, *[number for point in points for number in point])


class Window:
    """The window, and the stream that feeds it."""

    def __init__(self, root: tkinter.Tk, events: EventStream) -> None:
        self.root, self.events = root, events
        root.title("Laboratory")
        root.configure(bg=PAPER)
        root.resizable(False, False)
        self.charts = {
            f"LAB.{name}": Chart(root, row, name, unit) for row, (name, unit) in enumerate(READINGS.items())
        }
        self.status = tkinter.Label(root, bg=PAPER, fg=DIM, font=("DejaVu Sans", 9))
        self.status.grid(row=20, column=0, columnspan=2, sticky="w", padx=16, pady=(0, 8))
        self.taken = 0

    def run(self) -> None:
        """Show what comes until the window is closed."""
        self.tell()
        if hasattr(self.root.tk, "createfilehandler"):
            self.root.tk.createfilehandler(self.events, tkinter.READABLE, self.take)
        else:
            self.poll()
        self.root.mainloop()

    def take(self, *_: object) -> None:
        """Take the events that are there, and show them."""
        changed = set()
        for _turn in range(AT_ONCE):
            try:
                event = self.events.get(timeout=0)
            except TimeoutError:
                break
            changed.add(self.keep(event))
        for chart in changed:
            chart.draw()
        self.root.update_idletasks()  # Tk itself would draw only when no more events come

    def keep(self, event: Event) -> Chart:
        """Put an event into its chart."""
        self.taken += 1
        chart = self.charts[event.subject.upper()]
        chart.values.append(event.msg)
        return chart

    def poll(self) -> None:
        """Take events 50 times a second: on Windows, where Tk watches no descriptors."""
        self.take()
        self.root.after(20, self.poll)

    def tell(self) -> None:
        """Show once a second whether the service is there."""
        now = self.events.statistics()
        state = f"connected to {now.address}" if now.connected else "the event service is away"
        self.status.configure(text=f"{state}, {self.taken} events", fg=DIM if now.connected else LINE)
        self.root.after(1000, self.tell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    options = parser.parse_args()

    subjects = [f"LAB.{name}" for name in READINGS]
    with EventStream(subjects, es_uri=options.es_uri, overflow="latest") as events:
        root = tkinter.Tk()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: root.quit())
        window = Window(root, events)
        print("The window is open", flush=True)
        window.run()
    print("The window was closed after", window.taken, "events", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError, tkinter.TclError) as error:  # TclError: there is no screen
        sys.exit(f"{error}")
