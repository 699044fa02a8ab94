"""other systems' APIs, answered as their clients expect"""
