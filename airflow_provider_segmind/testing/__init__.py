"""What the provider brings for the tests of your own DAGs: fixtures for pytest."""
