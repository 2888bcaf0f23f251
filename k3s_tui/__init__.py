"""From bare Linux hosts to a highly available K3s cluster on PostgreSQL over mutual TLS."""

__version__ = "0.1.0"
