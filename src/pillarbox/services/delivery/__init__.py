"""mail goes out"""
