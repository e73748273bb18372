"""Mutation testing of what decides about money: ``make mutants``."""
