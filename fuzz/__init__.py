"""Fuzzing: what strangers can send, fed to what reads it first.

    scripts/fuzz                       every target for a minute
    scripts/fuzz --seconds 3600 codec  one of them for an hour
    python -m fuzz.seeds               write the seed corpus anew

`targets` needs nothing but pyro_events, and the tests run every target over the seeds; only `run`
needs atheris.
"""
