"""What training minimises: one family a file, each loss a small class without trained weights of its own.

adversarial      what networks want of verdicts: least squares (LSGAN), relativistic average, non-saturating
cycle            cycle consistency and identity
patch_nce        contrast between the patches of an image (CUT)
pixel            pixel by pixel, where torch has none: logarithmic error
structure        structural similarity, one scale and several; Laplacian pyramid
perceptual       features of a frozen backbone: plain, or normalised and of the source (EnlightenGAN)
region           dark pixels count more (MBLLEN)
retinex          ties between reflectance, illumination and image (KinD, SCI)
zero_reference   colour, exposure, contrast and smoothness without a target (Zero-DCE)
library          those that a recipe may add by name, torch's own among them

Losses take tensors and return a scalar in float32, also under autocast; the training step weights and sums
them, visibly. `docs/losses.md` lists all of them with their arguments and ranges.
"""
