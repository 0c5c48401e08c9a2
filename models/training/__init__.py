"""How generators learn; knows nothing of jobs: `python -m models.training.run` is usable on its own.

run                 the command
session             one training, from folders of images to weights on disk
loop                the one loop for all papers
cyclegan_step       one update of CycleGAN: what the paper trains, and in which order
data images         unpaired batches; every random choice follows from the seed and the step
recipe schedule     what can be chosen (TOML, strictly read), and the learning rate by step
image_pool          translations of the past, for the discriminators
checkpoint samples  what is written on the way
"""
