"""
Mapped clips on an Airflow with Celery, by ours and by what one would write instead: `python -m benchmarks.fleet`.

Two schedulers, two triggerers and two workers share one key. The contestants run one after the other in the same
Airflow, each with an emulator and a key of its own.
"""
