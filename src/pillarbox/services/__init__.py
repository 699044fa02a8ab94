"""purposes that never call each other"""
