"""The how-to, chapter by chapter.  `cluster` is its table of contents."""
