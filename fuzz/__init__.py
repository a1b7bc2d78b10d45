"""Fuzzing: input that strangers can send, given to the code that reads it first.

    scripts/fuzz                       every target for a minute
    scripts/fuzz --seconds 3600 codec  one of them for an hour
    python -m fuzz.seeds               write the seed corpus again

`targets` needs only pyro_events, and the tests run every target over the seeds; only `run` needs atheris.
"""
