"""A web application: publishes what is posted to it, and streams events to browsers as Server-Sent Events.

    POST /publish                {"subject": "NEWS.TECH", "message": "up"} -> {"queued": 2}
    GET  /events?match=^NEWS\\.   the events that match, until the browser goes away

One event loop serves all browsers; there is no thread for any of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from Pyro5.errors import PyroError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pyro_events import Event
from pyro_events.aio import EventStream, Publisher

PAGE = Path(__file__).with_name("index.html")
KEEPALIVE = 15.0  # seconds without an event, after which proxies may close a connection


class EventResponse(StreamingResponse):
    """An endless answer with the events of a stream. Each of the two ends with the other."""

    def __init__(self, stream: EventStream, streams: set[EventStream]) -> None:
        super().__init__(self.lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self.stream, self.streams = stream, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.stream:
            self.streams.add(self.stream)
            try:
                await super().__call__(scope, receive, send)
            finally:
                self.streams.discard(self.stream)

    async def lines(self) -> AsyncIterator[str]:
        """What the browser gets: an event is a line of JSON and an empty line."""
        yield ": connected\n\n"
        while True:
            try:
                yield f"data: {as_json(await self.stream.get(timeout=KEEPALIVE))}\n\n"
            except TimeoutError:
                yield ": nothing new\n\n"
            except PyroError:  # the stream was closed, because this program ends
                return


def as_json(event: Event) -> str:
    """An event in JSON; a message that JSON cannot hold becomes a text."""
    try:
        message = json.dumps(event.plain(), allow_nan=False)
    except (TypeError, ValueError):
        message = json.dumps(str(event.plain()))
    rest = {"subject": event.subject, "time": event.time, "missed": event.missed}
    return json.dumps(rest)[:-1] + f', "message": {message}}}'


def refused(error: Exception) -> Response:
    """The answer to what cannot be done: the caller's mistake, or no event service."""
    return JSONResponse({"error": str(error)}, 503 if isinstance(error, PyroError) else 400)


class Application:
    """The publisher and the streams of the browsers, and the requests that use them."""

    def __init__(self, es_uri: str | None = None) -> None:
        self.es_uri = es_uri
        self.publisher = Publisher(es_uri=es_uri)
        self.streams: set[EventStream] = set()
        routes = [
            Route("/", self.page),
            Route("/publish", self.publish, methods=["POST"]),
            Route("/events", self.events),
        ]
        self.asgi = Starlette(routes=routes)

    async def page(self, request: Request) -> Response:
        return FileResponse(PAGE)

    async def publish(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":  # so that other sites' forms cannot
            return refused(ValueError("send JSON, with the header Content-Type: application/json"))
        try:
            body = await request.json()
            queued = await self.publisher.publish(body["subject"], body["message"], timeout=10)
        except (PyroError, ValueError, TypeError) as error:
            return refused(error)
        except KeyError as error:
            return refused(ValueError(f"{error} is missing"))
        return JSONResponse({"queued": queued})

    async def events(self, request: Request) -> Response:
        patterns = request.query_params.getlist("match") or ["."]
        try:
            # A browser that is slow, or asleep, loses old events; it never blocks a publisher.
            stream = EventStream(match=patterns, es_uri=self.es_uri, overflow="drop-oldest", backlog=1000)
            await stream.connect()
        except (PyroError, ValueError) as error:
            return refused(error)
        return EventResponse(stream, self.streams)


class Server(uvicorn.Server):
    """Uvicorn, which ends the answers that would never end when it is told to stop."""

    application: Application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(*[stream.close() for stream in self.application.streams])
        await super().shutdown(sockets)


async def serve(es_uri: str | None, port: int) -> None:
    """Serve browsers of this machine until SIGTERM or Ctrl-C."""
    application = Application(es_uri)
    async with application.publisher:  # raises now if there is no event service
        with socket.create_server(("127.0.0.1", port)) as listening:
            print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
            config = uvicorn.Config(application.asgi, log_level="warning", timeout_graceful_shutdown=5)
            server = Server(config)
            server.application = application
            await server.serve(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser(description="A web application that publishes and listens.")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--port", type=int, default=8000, help="port of 127.0.0.1 (default: %(default)s)")
    options = parser.parse_args()
    # Uvicorn ends in order at these signals, and then raises them once more.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.es_uri, options.port))


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError, OSError) as error:  # OSError: the port is taken
        sys.exit(f"{error}")
