"""everything remembered; written once, run on two engines"""
