"""What the operator wants: TOML in, typed and validated; its lock file; its secrets."""
