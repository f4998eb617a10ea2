"""Everything that a project has made, on disk: artefacts and their manifests, tables, hashes, file names."""
