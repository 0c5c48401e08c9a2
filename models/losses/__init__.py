"""What training minimises: one family a file, each loss a small class without weights of its own.

adversarial   least squares (LSGAN)
cycle         cycle consistency and identity
patch_nce     contrast between the patches of an image (CUT)

Losses take tensors and return a scalar; the training step weights and sums them, visibly.
"""
