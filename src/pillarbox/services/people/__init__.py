"""who people are: passwords, and tokens for whoever signed in"""
