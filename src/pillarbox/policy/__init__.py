"""facts in, decisions out; the rules of the business, no I/O"""
