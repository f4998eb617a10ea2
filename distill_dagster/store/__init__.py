"""The artefacts of a project: how they are published, their manifests, tables, hashes and file names."""
