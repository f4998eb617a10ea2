"""Running a worker on another machine: what the step and that machine share. It knows no Dagster, and no Ray at import.

attempt.py   the files of one attempt, on storage that both machines see
order.py     the process of an attempt, on the machine that runs it
kept.py      a process that stays between orders, with its models loaded
node.py      what a machine has and sees; gpus.py lists its GPUs
on_ray.py    the tasks and the actor of Ray
in_pod.py    the process of a pod of Kubernetes
"""
