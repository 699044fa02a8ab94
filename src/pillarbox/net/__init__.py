"""everything that waits: sockets, TLS, DNS, HTTP"""
