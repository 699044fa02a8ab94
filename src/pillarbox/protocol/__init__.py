"""SMTP as two state machines; bytes in, bytes out; no sockets, no clock"""
