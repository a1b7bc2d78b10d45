"""The programs in examples/, run as a reader would run them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Spawner

QUOTE = re.compile(r"^STOCKQUOTE\.(\w+) = (\d+\.?\d*)$", re.MULTILINE)


@pytest.fixture
def stockquote(root: Path) -> Path:
    return root / "examples" / "stockquote"


@pytest.fixture
def countingcars(root: Path) -> Path:
    return root / "examples" / "countingcars"


@pytest.fixture(params=["by name", "by address"])
def where(request: pytest.FixtureRequest) -> tuple[dict[str, str], list[str]]:
    """How the programs find the service: environment variables, and options."""
    if request.param == "by name":
        return request.getfixturevalue("named_es").env, []
    return {}, ["--es-uri", request.getfixturevalue("es").uri]


def test_quotes_of_the_symbols_on_the_command_line(stockquote: Path, where, spawn: Spawner) -> None:
    env, options = where
    client = spawn(
        str(stockquote / "client.py"), "SUN", "ING", "--count", "4", *options, env=env, ready="Listening"
    )
    market = spawn(str(stockquote / "market.py"), "--pause", "0.01", *options, env=env, ready="open")
    assert client.wait() == 0
    quotes = QUOTE.findall(client.stdout)
    assert len(quotes) == 4
    assert {symbol for symbol, _ in quotes} <= {"SUN", "ING"}
    assert not client.stderr
    market.terminate()


def test_a_client_without_symbols_asks_for_them(stockquote: Path, es, spawn: Spawner) -> None:
    client = spawn(str(stockquote / "client.py"), "--count", "2", "--es-uri", es.uri)
    client.wait_for("Symbols", whole_lines=False)
    client.write("IBM HP\n")
    client.wait_for("Listening")
    market = spawn(str(stockquote / "market.py"), "--pause", "0.01", "--es-uri", es.uri)
    assert client.wait() == 0
    assert {symbol for symbol, _ in QUOTE.findall(client.stdout)} <= {"IBM", "HP"}
    market.terminate()


def test_quotes_that_match_a_pattern(stockquote: Path, where, spawn: Spawner) -> None:
    env, options = where
    program = str(stockquote / "pattern_client.py")
    client = spawn(program, "--count", "5", *options, env=env, ready="Listening")
    market = spawn(str(stockquote / "market.py"), "--pause", "0.01", *options, env=env)
    assert client.wait() == 0
    quotes = QUOTE.findall(client.stdout)
    assert len(quotes) == 5
    assert all(symbol.startswith("S") for symbol, _ in quotes)
    market.terminate()


def test_the_market_closes_in_time(stockquote: Path, es, spawn: Spawner) -> None:
    options = ["--seconds", "0.3", "--pause", "0.01", "--es-uri", es.uri]
    market = spawn(str(stockquote / "market.py"), *options)
    assert market.wait() == 0
    assert int(market.wait_for(r"closed; (\d+) quotes").group(1)) > 1


def test_all_in_one_program(stockquote: Path, spawn: Spawner) -> None:
    program = spawn(str(stockquote / "no_name_server.py"), "--count", "5")
    assert program.wait() == 0
    assert len(QUOTE.findall(program.stdout)) == 5
    assert not program.stderr


def test_cars_are_counted_in_one_direction_after_the_other(countingcars: Path, where, spawn: Spawner) -> None:
    env, options = where
    producer = spawn(
        str(countingcars / "producer.py"), "--pause", "0.002", *options, env=env, ready="passing"
    )
    counter = spawn(str(countingcars / "counter.py"), "--count", "3", *options, env=env)
    assert counter.wait() == 0
    looks = re.findall(r"Looking (\w+)", counter.stdout)
    assert looks == ["north", "east", "south", "west"]
    assert re.findall(r"(\d): a \w+ car", counter.stdout) == ["1", "2", "3"] * 4
    assert counter.stdout.endswith("Done.\n")
    assert not counter.stderr
    producer.terminate()


@pytest.mark.parametrize(
    "program",
    [
        "stockquote/market.py",
        "stockquote/client.py SUN",
        "stockquote/pattern_client.py",
        "countingcars/producer.py",
        "countingcars/counter.py",
        "chat/chat.py ann",
        "camera/camera.py",
        "camera/logger.py",
        "camera/display.py",
        "window/laboratory.py",
        "window/window.py",
        "webapp/app.py",
        "workers/foreman.py",
        "workers/worker.py ann",
    ],
)
def test_without_a_service_there_is_one_line(
    program: str, root: Path, spawn: Spawner, free_port: Callable[[], int]
) -> None:
    path, *arguments = program.split()
    env = {"PYRO_NS_HOST": "127.0.0.1", "PYRO_NS_PORT": str(free_port())}
    process = spawn(str(root / "examples" / path), *arguments, env=env)
    assert process.wait() == 1
    assert len(process.stderr.splitlines()) == 1
    assert "name server" in process.stderr


def test_the_programs_of_the_readme(root: Path, named_es, spawn: Spawner) -> None:
    programs = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    listens, publishes, takes = programs
    ready = listens.replace("    ticker.listen()", "    print('ready', flush=True)\n    ticker.listen()")
    ticker = spawn("-c", ready, env=named_es.env, ready="ready")
    ready = takes.replace("    for event", "    print('ready', flush=True)\n    for event")
    stream = spawn("-u", "-c", ready, env=named_es.env, ready="ready")
    assert spawn("-c", publishes, env=named_es.env).wait() == 0
    ticker.wait_for(r"STOCKQUOTE\.SUN = 22\.44\nSTOCKQUOTE\.IBM = \{'price': 90, 'volume': 1200\}")
    stream.wait_for(r"STOCKQUOTE\.SUN = 22\.44")


@pytest.mark.parametrize("program", ["market.py", "client.py", "pattern_client.py"])
def test_a_bad_address_takes_one_line(stockquote: Path, program: str, spawn: Spawner) -> None:
    arguments = ["--es-uri", "nonsense"] + (["SUN"] if program == "client.py" else [])
    process = spawn(str(stockquote / program), *arguments)
    assert process.wait() == 1
    assert process.stderr.count("\n") == 1
