"""Files: reading images from a storage before a submit, and storing outputs after it."""
