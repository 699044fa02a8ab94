"""certificates for our own host names: asked for, renewed, given to the listeners"""
