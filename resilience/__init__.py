"""Faults, made on purpose: what happens to publishers, subscribers and their events meanwhile.

    scripts/faults    every fault, beside mosquitto and nats-server; writes docs/faults.md
    scripts/soak      mixed load and mixed faults, for as long as you like

An event travels as in real life, between processes: `publisher` publishes numbered events, `listener` keeps
a record of what came, `proxy` or `network` stands between them, and a `scenario` holds it all together. The
tests in tests/faults use the same parts with less patience.
"""
