"""what readers do with messages: links followed, images loaded"""
