"""the words every room uses; imports nothing above the standard library

The one exception are IDNA's tables, loaded where a domain name beyond ASCII is met.
"""
