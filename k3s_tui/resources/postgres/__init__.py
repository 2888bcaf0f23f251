"""The datastore: a PostgreSQL server that lets in the K3s servers, over mutual TLS, and no other.

A `Cluster` is PostgreSQL's word for one server instance with its data folder.  Everything here
works on what `Cluster` found; no path of a distribution is assumed.
"""
