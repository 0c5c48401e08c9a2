"""The frames of a stored dataset as people look through them: the manifest, read without parsing all of it.

lines   the manifest's lines from any byte on, and which frame each is about
filter  which frames are wanted
page    some frames and where the next ones start
spread  some of them from all over the dataset
index   where each frame stands, to find one by its name and those beside it
"""
