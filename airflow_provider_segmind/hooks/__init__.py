"""The only HTTP in the provider: transports for the calls that ``api`` builds."""
