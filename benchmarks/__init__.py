"""The benchmark suite: pyro_events and the systems that people use instead, all doing the same work.

Run it with `scripts/benchmark`, or with `python -m benchmarks` if everything is installed. The README here
says what each system is asked to do, and how to read the numbers.
"""
