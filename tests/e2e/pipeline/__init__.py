"""A folder of images in an object store becomes a folder of clips, while workers are killed at random."""
