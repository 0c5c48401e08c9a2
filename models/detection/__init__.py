"""A detector, trained and scored; Ultralytics stays in one file and in a process of its own.

orders              what a detector is to do
detector_process    the handle on its process
yolo, order_desk    the process, and where it takes its orders
equal_epochs        the order in which it is shown its frames

boxes               Truth and Detections: the boxes of one test image
overlaps            find_overlaps(): those of a whole test set, and which pairs of them overlap
matching            match(): which detections found a box, by COCO's rules
average_precision   the area under precision and recall, also of a resampled test set
operating_point     precision and recall at the confidence that serves both best
groups              the same by size and by brightness of boxes
confusion           what was taken for what
scores              score(): all of these in one value
bootstrap           bootstrap(): the scores of all arms on the same resamples of test set and seeds
resamples           the differences between arms with intervals, the gap closed, and how much more is needed
"""
