"""what the house tells its keeper: log, metrics"""
