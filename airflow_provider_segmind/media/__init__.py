"""Files on their way to Segmind and back: from where a pipeline has its images to where it wants its videos."""
