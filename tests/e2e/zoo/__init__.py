"""real mail programs and libraries: each hands mail over, and every byte of it is accounted for"""
