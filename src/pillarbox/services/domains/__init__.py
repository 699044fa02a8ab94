"""sending domains: their keys made, their records looked at"""
