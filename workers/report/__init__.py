"""What an experiment found, put together and shown.

page -> charts -> drawing    the report as one HTML file that needs nothing else
summary                      the same, short, in Markdown
montage                      a test frame with the boxes of every arm beside the truth
verdict                      one sentence, and what it rests on

How numbers, intervals and names are written is `service.experiments.wording`, as the page writes them, too.
"""
