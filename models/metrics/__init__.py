"""How good a translated dataset is, in numbers.

A frame is measured once, into a row of fixed size; the figures of a set come from the rows of its frames.

meter           FrameMeter: a frame in, its FrameMeasurement (frame.py) out
measurements    Measurements: the rows of a set, ordered; merged, written and read again without a loss
quality         quality(): the figures of a set, against a reference where they need one
reference       bundled_reference(): the rows of real night frames that come along
backbones       load_backbone(): whose features KID and FID compare; streetnet comes along
kid, fid, niqe, gradients, noise, brightness     one metric a file: the formula, and the paper
streetnet, corruptions, train_streetnet          the bundled network, and the command that trained it
measure_reference                                the command that measured the bundled reference
"""
