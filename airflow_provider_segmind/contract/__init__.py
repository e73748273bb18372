"""Which of the Segminds that the evidence allows the real one is: questions for anyone with a key.

`python -m airflow_provider_segmind.contract` asks the emulator, and with `LIVE=1` Segmind itself. It reads raw
answers: nothing of how the provider reads them is in here, so that one mistake cannot hide in both.
"""
