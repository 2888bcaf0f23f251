"""The run without a screen: plain text, progress on a terminal, or one JSON event per line."""
