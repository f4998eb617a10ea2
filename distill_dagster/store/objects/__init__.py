"""A store in a bucket: artefacts, replies and locks as objects, by conditional PUT."""
