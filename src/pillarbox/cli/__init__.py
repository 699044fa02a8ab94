"""the terminal face: pillarbox <noun> <verb>"""
