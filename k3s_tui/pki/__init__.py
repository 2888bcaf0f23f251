"""Own CA, leaf profiles, inspection and judgement.  Pure: touches no host, reads no file.

Importing this package loads nothing; its modules load `cryptography`.
"""
