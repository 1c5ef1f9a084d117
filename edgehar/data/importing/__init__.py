"""Import of files that people have: tables of loggers, skeleton files, keypoints and motion capture."""
