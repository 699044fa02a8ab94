"""the door to storage: one Protocol per store, mirrored by module name"""
