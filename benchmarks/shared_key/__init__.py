"""
How many requests are refused if several processes send with one key: `python -m benchmarks.shared_key`.

Plain processes stand for an Airflow: workers that fork for each part of a task, as Celery's do, and triggerers
that run the provider's triggers. So it measures the rate limit and not the machine.
"""
