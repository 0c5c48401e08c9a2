"""An experiment at work: from the datasets it names to the scores of all its detectors.

frames         which frames of which dataset, and for what
recipes        an arm's recipe -> its list of frames
schedule       how long an arm trains
checks         what is refused before anything is trained; leakage
registered     a detector's file that an operator has allowed
detector       the detector's process at work: trained with its checkpoints in the store, shown test frames
enhancement    test frames brightened first
results        detections of all runs -> numbers
"""
