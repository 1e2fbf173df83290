"""Workers: they take runs that wait, make each release in a process of its own, and settle what others left.

Guarantee: a run is made by one process at a time and never again; a run whose process is lost ends, and what the ledger
  says of it is what the person reads.

Who may change a run that is running holds its lock, a file that the worker opens and hands on to the process: it is
free only when both are gone. The lease in the database says when to look. Neither a clock that is set nor a worker that
slept can bring two to work on one run.
"""
