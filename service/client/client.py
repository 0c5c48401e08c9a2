"""The Python client: the same calls as curl makes, with the waiting done.

client = Client("http://127.0.0.1:8000")
dataset = client.wait_for_dataset(client.create_dataset(client.upload("./bdd100k")))
job = client.wait(client.translate(dataset.id, "camera-night"))
client.download(job.result_id, "./night")
"""

from service.client.dataset_calls import DatasetCalls
from service.client.errors import ApiError, JobFailed, KeyRefused, ServerUnreachable
from service.client.experiment_calls import ExperimentCalls
from service.client.generator_calls import GeneratorCalls
from service.client.tenant_calls import TenantCalls

__all__ = ["ApiError", "Client", "JobFailed", "KeyRefused", "ServerUnreachable"]


class Client(DatasetCalls, GeneratorCalls, ExperimentCalls, TenantCalls):
    """One server. Not thread-safe."""
