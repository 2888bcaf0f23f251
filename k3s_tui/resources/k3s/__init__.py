"""K3s on one host: its configuration, its service, its node, its CA, and why it does not start."""
