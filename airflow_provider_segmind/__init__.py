"""Apache Airflow provider for Segmind: media generation as Airflow tasks."""

__version__ = "0.1.0"
