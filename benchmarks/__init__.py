"""The benchmark suite: pyro_events beside what people use instead, doing the same work.

Run it with `scripts/benchmark`, or with `python -m benchmarks` where everything is installed. The
README here says what each system is asked to do, and how to read the numbers.
"""
