"""messages made to cost more than they are worth: quadratic parsers, deep nesting, floods"""
