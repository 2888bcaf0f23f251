"""The vocabulary every layer shares: contract, events, errors, secrets. Imports nothing of ours."""
