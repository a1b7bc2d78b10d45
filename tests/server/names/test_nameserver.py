"""The embedded name server, asked by Pyro5's own clients over sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import Pyro5.errors
import pytest
from Pyro5.api import URI, Daemon, Proxy, expose, locate_ns
from Pyro5.core import DAEMON_NAME

from pyro_events import EVENTSERVER_NAME, EventServiceStarter
from pyro_events.server.name_server_starter import NameServerStarter
from pyro_events.server.names.name_search import LARGEST
from pyro_events.server.names.nameserver import EmbeddedNameServer
from pyro_events.server.objects import Caller


@pytest.fixture
def starter(free_port: Callable[[], int]) -> Iterator[EventServiceStarter]:
    port = free_port()
    with EventServiceStarter(
        host="127.0.0.1", port=0, embed_ns=True, ns_host="127.0.0.1", ns_port=port
    ) as starter:
        yield starter


@pytest.fixture(params=["serpent", "json", "msgpack"])
def names(starter: EventServiceStarter, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    assert starter.ns_uri is not None
    with Proxy(starter.ns_uri) as names:
        names._pyroSerializer = request.param
        yield names


def test_it_is_found_as_any_name_server(starter: EventServiceStarter) -> None:
    assert starter.ns_uri is not None
    port = URI(starter.ns_uri).port
    with locate_ns("127.0.0.1", port) as names:
        names.ping()
        assert str(names.lookup(EVENTSERVER_NAME)) == starter.uri
        assert str(names.lookup("Pyro.NameServer")) == starter.ns_uri


def test_names_come_and_go(starter: EventServiceStarter, names: Proxy) -> None:
    assert names.count() == 2
    names.register("a.b", "PYRO:x@127.0.0.1:1")
    names.register("a.c", URI("PYRO:y@127.0.0.1:2"), metadata={"colour:red"})
    assert str(names.lookup("a.b")) == "PYRO:x@127.0.0.1:1"
    uri, metadata = names.lookup("a.c", return_metadata=True)
    assert str(uri) == "PYRO:y@127.0.0.1:2"
    assert set(metadata) == {"colour:red"}
    assert set(names.list(prefix="a.")) == {"a.b", "a.c"}
    assert set(names.list(regex=r"a\.[c-d]$")) == {"a.c"}
    assert set(names.list()) == {"a.b", "a.c", EVENTSERVER_NAME, "Pyro.NameServer"}
    assert set(names.yplookup(meta_all={"colour:red"})) == {"a.c"}
    names.set_metadata("a.b", {"colour:blue"})
    with pytest.raises(Pyro5.errors.NamingError):
        names.register("a.b", "PYRO:z@127.0.0.1:3", safe=True)
    assert names.remove("a.b") == 1
    assert names.remove(prefix="a.") == 1
    with pytest.raises(Pyro5.errors.NamingError, match="unknown name"):
        names.lookup("a.b")


def test_bad_input_is_answered(names: Proxy) -> None:
    with pytest.raises(Pyro5.errors.NamingError, match="invalid regular expression"):
        names.list(regex="(")
    for call in (
        lambda: names.register("x", "no uri"),
        lambda: names.register("x", 5),
        lambda: names.register(5, "PYRO:x@127.0.0.1:1"),
        lambda: names.lookup(),
        lambda: names.list(regex=5),
    ):
        with pytest.raises((TypeError, ValueError, Pyro5.errors.PyroError)):
            call()
    assert names.count() == 2


def test_what_any_daemon_answers(starter: EventServiceStarter) -> None:
    location = starter.uri.partition("@")[2]
    with Proxy(f"PYRO:{DAEMON_NAME}@{location}") as daemon:
        assert daemon.ping() is None
        assert set(daemon.registered()) >= {EVENTSERVER_NAME, DAEMON_NAME}
        assert "pyro_events" in daemon.info()
        assert "publish" in daemon.get_metadata(EVENTSERVER_NAME)["methods"]
        with pytest.raises(Pyro5.errors.DaemonError, match="unknown object"):
            daemon.get_metadata("nobody")


def test_other_programs_use_it(starter: EventServiceStarter) -> None:
    @expose
    class Clock:
        def now(self) -> int:
            return 12

    assert starter.ns_uri is not None
    with Daemon(host="127.0.0.1") as daemon, Proxy(starter.ns_uri) as names:
        uri = daemon.register(Clock())
        names.register("clock", uri)
        assert str(names.lookup("clock")) == str(uri)


WRONG = [
    5,
    1.5,
    True,
    b"x",
    [],
    ["a"],
    [["a"]],
    {},
    {"a": 1},
    {"__class__": "Pyro5.core.URI"},
    "x" * 60_000,
    "\n",
    "(",
]


@pytest.mark.parametrize(
    "method", ["lookup", "register", "set_metadata", "remove", "list", "yplookup", "count"]
)
def test_no_argument_of_any_kind_does_harm(starter: EventServiceStarter, names: Proxy, method: str) -> None:
    names.register("a", "PYRO:x@127.0.0.1:1")
    before = names.list(return_metadata=True)
    for wrong in WRONG:
        for arguments in (
            (wrong,),
            ("a", wrong),
            ("b", wrong),
            (wrong, wrong),
            ("b", "PYRO:x@h:1", False, wrong),
        ):
            try:
                getattr(names, method)(*arguments)
            except (TypeError, ValueError, Pyro5.errors.PyroError):
                pass
            else:
                assert method in ("remove", "list", "yplookup", "register", "set_metadata", "lookup")
            assert names.lookup(EVENTSERVER_NAME)
    assert set(before) - {"a"} <= set(names.list())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("register", ("NAME", "PYRO:x@127.0.0.1:1")),
        ("register", ("NAME", "PYRO:x@127.0.0.1:1", False, ["tag"])),
        ("set_metadata", ("NAME", ["tag"])),
        ("remove", ("NAME",)),
        ("remove", (None, "Pyro.")),
        ("remove", (None, None, ".*")),
        ("remove", (None, None, "(?i)PYRO")),
    ],
)
@pytest.mark.parametrize("name", [EVENTSERVER_NAME, "Pyro.NameServer"])
def test_nobody_else_changes_the_entries_of_this_process(
    starter: EventServiceStarter, names: Proxy, name: str, method: str, arguments: tuple[object, ...]
) -> None:
    before = names.lookup(name, return_metadata=True)
    try:
        getattr(names, method)(*[name if each == "NAME" else each for each in arguments])
    except Pyro5.errors.NamingError as refusal:
        assert name in str(refusal)
    assert names.lookup(name, return_metadata=True) == before
    assert names.count() == 2


def test_who_may_change_nothing_may_look_up_all() -> None:
    reader, writer = Caller("192.0.2.1", 1), Caller("192.0.2.1", 1, proved=True)
    names = EmbeddedNameServer(
        "PYRO:Pyro.NameServer@192.0.2.1:9090", may_change=lambda caller: caller is writer
    )
    call = names.methods
    call["register"](writer, "clock", "PYRO:clock@192.0.2.1:1", metadata=["a clock"])
    for method, arguments in (
        ("register", ("other", "PYRO:other@192.0.2.1:2")),
        ("register", ("clock", "PYRO:clock@192.0.2.1:2")),
        ("set_metadata", ("clock", ["mine"])),
        ("set_metadata", ("nothing", [])),
        ("remove", ("clock",)),
        ("remove", ("nothing",)),
        ("remove", (None, "c")),
        ("remove", (None, None, "c.*")),
    ):
        with pytest.raises(
            Pyro5.errors.NamingError, match="only a client that proves a passphrase can change"
        ):
            call[method](reader, *arguments)
    assert call["lookup"](reader, "clock", True) == (URI("PYRO:clock@192.0.2.1:1"), ["a clock"])
    assert call["count"](reader) == 2 and call["remove"](reader) == 0
    assert call["remove"](writer, "clock") == 1


def test_the_service_takes_its_entry_out_itself(free_port: Callable[[], int]) -> None:
    with NameServerStarter("127.0.0.1", 0) as apart, Proxy(apart.uri) as names:
        uri = URI(apart.uri)
        with EventServiceStarter("127.0.0.1", 0, ns_host=uri.host, ns_port=uri.port) as starter:
            assert str(names.lookup(EVENTSERVER_NAME)) == starter.uri
        assert EVENTSERVER_NAME not in names.list()


def test_every_regular_expression_is_searched_in_linear_time(names: Proxy) -> None:
    names.register("a" * 200 + "!", "PYRO:x@127.0.0.1:1")
    names.register("Ärger", "PYRO:x@127.0.0.1:1")
    for pattern in r"(a+)+$", r"(a|aa)+$", r"(.*)*x", r"(?:a?){100}a{100}$":
        for search in names.list, names.remove:
            assert search(regex=pattern) in ({}, 0) or "?" in pattern
    assert set(names.list(regex=r"\w+$")) == {"Ärger"}  # as `re` does, and case counts
    assert names.list(regex="ä") == {}
    assert set(names.list(regex="(?i)ä")) == {"Ärger"}
    for pattern in "(", "(?=a)", "a" * 300, "(?:a{30}){40}":
        for search in names.list, names.remove:
            with pytest.raises(Pyro5.errors.NamingError, match="invalid regular expression"):
                search(regex=pattern)


def test_what_is_too_long_for_one_answer_is_asked_for_in_parts(
    starter: EventServiceStarter, names: Proxy
) -> None:
    metadata = [f"{number:05}".ljust(1000, "x") for number in range(50)]
    count = LARGEST // 50_000 + 1
    for number in range(count):
        names.register(f"many.{number:03}", "PYRO:x@127.0.0.1:1", metadata=metadata)
    for ask in (
        lambda: names.list(return_metadata=True),
        lambda: names.list(prefix="many", return_metadata=True),
        lambda: names.list(regex="many", return_metadata=True),
        lambda: names.yplookup(meta_all=metadata[:1]),
        lambda: names.yplookup(meta_any=metadata[:1]),
    ):
        with pytest.raises(Pyro5.errors.NamingError, match="ask with a prefix"):
            ask()
    assert (
        len(names.list(prefix="many"))
        == len(names.yplookup(meta_all=metadata, return_metadata=False))
        == count
    )
    assert len(names.list(prefix="many.001", return_metadata=True)) == 1
    assert names.remove(prefix="many") == count
