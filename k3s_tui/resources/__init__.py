"""What a host can be made to have.  Each module is one kind of resource.

Importing this package loads none of them.
"""
