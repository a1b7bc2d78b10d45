"""What the start scripts say about variables that no option has."""

from __future__ import annotations

import pytest
from processes import Spawner

from pyro_events.cli.unknown_variables import unknown_variables


def test_a_misspelt_variable_is_named_with_what_was_meant() -> None:
    assert unknown_variables({"PYROEVENTS_BACKLOGG": "5"}) == [
        "PYROEVENTS_BACKLOGG in the environment sets no option: did you mean PYROEVENTS_BACKLOG?"
    ]
    (line,) = unknown_variables({"PYROEVENTS_IDNET": "secret"})
    assert "did you mean PYROEVENTS_IDENT?" in line and "secret" not in line


def test_nothing_is_suggested_where_nothing_is_alike() -> None:
    assert unknown_variables({"PYROEVENTS_COLOUR": "5"}) == [
        "PYROEVENTS_COLOUR in the environment sets no option (-h lists the options)"
    ]


def test_each_is_named_once_and_those_of_others_are_not() -> None:
    environment = {"PYROEVENTS_B": "", "PYROEVENTS_A": "", "PYRO_A": "", "PYROEVENTS_PORT": "", "PATH": ""}
    assert [line.split()[0] for line in unknown_variables(environment)] == ["PYROEVENTS_A", "PYROEVENTS_B"]


def test_the_variable_of_clients_is_known() -> None:
    assert unknown_variables({"PYROEVENTS_ES_URI": "lab-server:9095"}) == []
    (line,) = unknown_variables({"PYROEVENTS_ES_URL": "lab-server:9095"})
    assert line.endswith("did you mean PYROEVENTS_ES_URI?")


@pytest.mark.parametrize("module", ["es", "ns"])
def test_a_start_script_says_so_and_starts(spawn: Spawner, module: str) -> None:
    variables = {"NO_NS": "1", "HOST": "127.0.0.1", "PORT": "0", "NS_HOST": "127.0.0.1", "NS_PORT": "0"}
    if module == "es":
        del variables["NS_HOST"], variables["NS_PORT"]
    env = {f"PYROEVENTS_{name}": value for name, value in variables.items()}
    process = spawn(
        "-m", f"pyro_events.{module}", env={**env, "PYROEVENTS_VERBOES": "1"}, ready="(?i)started"
    )
    assert process.terminate() == 0
    assert process.stderr.count("PYROEVENTS_") == 2
    assert ": PYROEVENTS_VERBOES in the environment sets no option: did you mean PYROEVENTS_VERBOSE?" in (
        process.stderr
    )
