"""Whatever dies, one video is paid: shown on a real Airflow, with the emulator's ledger as the judge."""
