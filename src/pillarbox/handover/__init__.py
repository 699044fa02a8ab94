"""taking charge of a message; settling a delivery"""
