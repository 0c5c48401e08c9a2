"""The service under fire: `python -m benchmarks.nemesis --frames 10000 --kills 100 --seeds 5`.

cluster    API, reconciler and workers, each in a process group of its own, started again when they end
faults     what is done to them, by a seed
proxy      a store behind a bad line
poison     images that end every process that reads them
client     what a user does, and the facts that were promised to that user
model      the rules of a job's events, as a pure function
checker    after it all: was anything lost, done twice, or left lying about?
cancels    jobs that are cancelled at random times
grounds    servers, cluster and dataset of a run
trial      one job under one seed's faults, from the submission to the verdict
report     figures as JSON and Markdown
"""
