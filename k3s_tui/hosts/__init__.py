"""One host over SSH: how it is reached, what it is, and how a script gets there and back."""
