"""examples/webapp, spoken to by HTTP as browsers do."""

from __future__ import annotations

import datetime
import http.client
import json
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from processes import Process, Spawner
from Pyro5.api import Proxy
from waiting import eventually

from pyro_events import Publisher


class Site:
    """The application in a process, and requests to it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.address = process.wait_for(r"^http://([\d.:]+)/$").group(1)
        self.timeout = 30.0  # seconds for an answer

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=self.timeout)

    def publish(self, body: str, content_type: str = "application/json") -> tuple[int, Any]:
        """Post that body; the status and what the answer says."""
        with closing(self.connection()) as connection:
            connection.request("POST", "/publish", body, {"Content-Type": content_type})
            response = connection.getresponse()
            return response.status, json.load(response)

    def get(self, path: str) -> tuple[int, str]:
        with closing(self.connection()) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()


class Browser:
    """The answer with events that never ends."""

    def __init__(self, site: Site, *patterns: str) -> None:
        self._connection = site.connection()
        self._connection.request("GET", "/events?" + "&".join(f"match={quote(each)}" for each in patterns))
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        assert self._response.headers["Content-Type"].startswith("text/event-stream")
        assert self.lines(2) == [": connected", ""]

    def lines(self, count: int) -> list[str]:
        return [self._response.readline().decode().rstrip("\n") for _ in range(count)]

    def event(self) -> dict[str, Any]:
        """The next event."""
        line, empty = self.lines(2)
        assert line.startswith("data: ") and empty == ""
        found: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return found

    def close(self) -> None:
        self._response.close()
        self._connection.close()


StartSite = Callable[..., Site]


@pytest.fixture
def start_site(root: Path, spawn: Spawner) -> StartSite:
    def start(service) -> Site:
        options = [] if service.env else ["--es-uri", service.uri]
        app = str(root / "examples" / "webapp" / "app.py")
        return Site(spawn(app, "--port", "0", *options, env=service.env))

    return start


@pytest.fixture
def site(es, start_site: StartSite) -> Iterator[Site]:
    site = start_site(es)
    yield site
    assert site.process.terminate() == 0
    assert not site.process.stderr


def test_browsers_get_what_is_posted(named_es, start_site: StartSite) -> None:
    site = start_site(named_es)
    with closing(Browser(site, "^NEWS", "^SPORT")) as news, closing(Browser(site)) as everything:
        assert site.publish('{"subject": "NEWS.TECH", "message": {"up": [1, 2.5]}}') == (200, {"queued": 2})
        assert site.publish('{"subject": ["WEATHER", "SPORT"], "message": null}') == (200, {"queued": 3})
        first = everything.event()
        assert (first["subject"], first["message"], first["missed"]) == ("NEWS.TECH", {"up": [1, 2.5]}, 0)
        assert news.event() == first
        assert [everything.event()["subject"] for _ in range(2)] == ["WEATHER", "SPORT"]
        assert news.event()["subject"] == "SPORT"
        assert site.process.terminate() == 0
        assert news.lines(1) == everything.lines(1) == [""], "the answers end with the application"
    assert not site.process.stderr


def test_a_message_that_json_cannot_hold_becomes_a_text(es, site: Site) -> None:
    with closing(Browser(site, "^LAB")) as browser, Publisher(es_uri=es.uri) as laboratory:
        laboratory.publish("LAB.DAY", datetime.date(2026, 11, 30))
        laboratory.publish("LAB.VALUE", math.nan)
        assert [browser.event()["message"] for _ in range(2)] == ["2026-11-30", "nan"]


def test_the_stream_of_a_browser_that_has_gone_ends(es, site: Site) -> None:
    with Proxy(es.uri) as service:
        browser = Browser(site, "^NEWS")
        assert len(service.statistics()["subscribers"]) == 1
        browser.close()
        eventually(lambda: not service.statistics()["subscribers"], what="the end of the browser's stream")


def test_mistakes_are_answered_with_the_reason(site: Site) -> None:
    mistakes = {
        '{"subject": "", "message": 1}': "subject '' is empty",
        '{"subject": 5, "message": 1}': "not int",
        '{"subject": "A"}': "'message' is missing",
        "[]": "list",
        '{"subject"': "Expecting",
    }
    for body, reason in mistakes.items():
        status, answer = site.publish(body)
        assert status == 400
        assert reason in answer["error"]
    status, answer = site.publish('{"subject": "A", "message": 1}', "text/plain")  # as a form of another site
    assert status == 400 and "application/json" in answer["error"]
    status, text = site.get("/events?match=%28")
    assert status == 400 and "pattern '(' is not accepted" in text


def test_the_page_is_there(site: Site) -> None:
    status, page = site.get("/")
    assert status == 200 and 'new EventSource("/events")' in page


def test_without_the_service_requests_say_so_and_later_ones_are_served(
    es, start_service, start_site: StartSite
) -> None:
    site = start_site(es)
    with closing(Browser(site, "^NEWS")) as browser:
        es.process.terminate()
        status, answer = site.publish('{"subject": "NEWS", "message": 1}')
        assert status == 503 and "cannot be reached" in answer["error"]
        assert site.get("/events")[0] == 503
        start_service("--port", str(es.port))
        publish = '{"subject": "NEWS", "message": 2}'
        eventually(
            lambda: site.publish(publish) == (200, {"queued": 1}), what="the return of the browser's stream"
        )
        event = browser.event()
        assert (event["message"], event["missed"]) == (2, None)
