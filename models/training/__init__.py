"""How generators learn; knows nothing of jobs: `python -m models.training.run` is usable on its own.

run                   the command
session               one training, from folders of images to weights on disk
loop                  the one loop for all papers
papers                which papers there are, and their recipes by name or as TOML
step                  what the updates of all papers share
  cyclegan_* cut_*    a paper: what can be chosen, its networks, one update in the order of the original
recipe schedule       what can be chosen for any paper (TOML, strictly read), and the learning rate by step
data images           unpaired batches; every random choice follows from the seed and the step
processes             several processes, each on its own device, that take the same steps
averages image_pool   steadier weights for export, and translations of the past for the discriminators
checkpoint samples    what is written on the way
"""
