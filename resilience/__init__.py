"""Faults, made on purpose: what happens to publishers, subscribers and their events meanwhile.

    scripts/faults    every fault, also with mosquitto and nats-server; writes docs/faults.md
    scripts/soak      mixed load and mixed faults, for as long as you like

Events travel between processes, as in real use: `publisher` publishes numbered events, `subscriber` keeps a
record of what arrives, `proxy` or `network` is between them, and a `scenario` starts and ends all of it. The
tests in tests/faults use the same parts with shorter times.
"""
