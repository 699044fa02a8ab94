"""what comes back: taken from whoever brings it, and from nobody anything else"""
