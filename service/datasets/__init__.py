"""Label formats and what they hold: text and bytes in, Frames out; no file, image or network is touched.

dataset       Frame, Box, Split, Finding: the words everything else speaks
formats       plan_dataset, build_frame: an upload's names -> planned frames -> Frames
plan          what a plan is made of        joining       labels meet images
members       what a member's name tells    image_table   the look-up of an image by a label's name
label_files   which JSON holds which form   streams       JSON in constant memory
bdd100k       coco       yolo               one format each: read a record, write Frames
json_sources  coco_file  yolo_source        one format each: all labels of an upload
yolo_plan     yolo_folders  data_yaml       where a YOLO dataset keeps things
categories    selection  checks             names, wanted frames, sound boxes
manifest      the stored form of a Frame
"""
