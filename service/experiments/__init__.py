"""What an experiment is, in words: arms, presets, categories, scenes, the command that repeats one, how
its scores are written.

Pure text and values: nothing here reads a file, a database or an image.
"""
