"""whole messages as programs send them, made here: what is rendered where rendering is measured"""
