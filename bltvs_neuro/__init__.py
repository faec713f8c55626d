"""bltvs_neuro"""
