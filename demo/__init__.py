"""The main job of this provider, end to end in a real Airflow: `python -m demo`."""
