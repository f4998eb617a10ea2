"""Publishing of the released student outside the store: the same files, at each place that `release.publish` names.

bundle.py            what is published: the files with their hashes, and the record that lies beside them
folder.py            a folder: files beside the current ones, then a link that is switched
bucket.py            an object store: files under a prefix of their own, then a small object that names it
hub.py               the Hugging Face hub: one commit, then a tag
mlflow_client.py     the client of an MLflow server
mlflow_registry.py   MLflow: files of a run, then a model version, then the alias `champion`
places.py            the kinds of places by name
messages.py          what an error of a place's client says, without secrets
publishing.py        the worker that publishes to all of them
specs.py             what the worker takes and returns

Every kind does four things. It refuses a place that holds files of somebody else, which it would replace. It sends
only what the place does not hold of this release, so that a run that was killed goes on where it stopped. It switches
to the new release in one step, after all files are there. It does nothing at a place that already holds the release.
Folder, bucket and hub also take from the previous release what has not changed; MLflow gets every file.
"""
