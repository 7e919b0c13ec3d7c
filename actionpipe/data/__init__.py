"""Tables, folds, oversampling, list files and COCO files."""
