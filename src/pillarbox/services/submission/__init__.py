"""mail comes in"""
