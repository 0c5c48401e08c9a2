"""What an experiment found, put together and shown.

verdict             one sentence, and how numbers and names are written
page -> charts      the report as one HTML file that needs nothing else
summary             the same, short, in Markdown
montage             a test frame with the boxes of every arm beside the truth
"""
