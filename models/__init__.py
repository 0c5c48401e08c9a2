"""Generators and what it takes to run them; needs a stock PyTorch and knows nothing of datasets and jobs.

inference           uint8 images through a generator: padding, batches, precision, memory
  pixels tiles device batches
registry            names to generators that are ready to translate
  weights layouts checkpoint_files     original checkpoints, checked, as safetensors
generators          one file a paper, behind one promise (`interface`)
layers              parts that several generators share
errors              what a user can act on
"""
