"""Boxes around objects on photos: COCO's JSON, VOC's XML, the text files of YOLO's tools; each gives a `BoxSet`."""
