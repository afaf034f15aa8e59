"""Jobs that are named by their content, what runs them here, in processes or on Ray, and sweeps made of them.

    Job ── key ──► Store: there already? ── no ──► Executor: here, processes:N, ray ──► Store
                                       └─ yes ─► its facts

A job gets its function as a value; this room knows no verb.
"""

from spikeport.jobs.executor import Executor as Executor
from spikeport.jobs.executor import executor as executor
from spikeport.jobs.job import File as File
from spikeport.jobs.job import Job as Job
from spikeport.jobs.job import Needs as Needs
from spikeport.jobs.job import Output as Output
from spikeport.jobs.run import Done as Done
from spikeport.jobs.run import Run as Run
from spikeport.jobs.store import Store as Store
