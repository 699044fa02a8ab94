"""our own API: apps, servers, credentials, keys, messages, queue, events, status"""
