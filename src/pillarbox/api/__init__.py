"""the REST face, for programs"""
