"""The search for a program that fits a budget."""
