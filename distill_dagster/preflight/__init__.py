"""Whether a run can work: keys, endpoints, models, devices, memory, disk and write access, before anything is spent."""
