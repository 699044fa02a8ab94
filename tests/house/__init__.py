"""tests about the house itself"""
