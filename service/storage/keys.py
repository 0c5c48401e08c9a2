"""Where everything lies in the object store. Names made by users never reach these functions unchecked."""


def upload(upload_id: str) -> str:
    return f"uploads/{upload_id}"


def incoming(upload_id: str, *parts: str) -> str:
    """What has come so far of an upload that is sent in pieces."""
    return "/".join(("incoming", upload_id, *parts))


def dataset(dataset_id: str, *parts: str) -> str:
    return "/".join(("datasets", dataset_id, *parts))


def manifest(dataset_id: str) -> str:
    """Written last: a dataset without it does not exist."""
    return dataset(dataset_id, "manifest.jsonl")


def card(dataset_id: str) -> str:
    return dataset(dataset_id, "card.json")


def data_yaml(dataset_id: str) -> str:
    return dataset(dataset_id, "data.yaml")


def image(split: str, frame_id: str, suffix: str) -> str:
    """Relative to the dataset, as the manifest records it; Ultralytics finds the label beside it."""
    return f"images/{split}/{frame_id}{suffix}"


def label(split: str, frame_id: str) -> str:
    return f"labels/{split}/{frame_id}.txt"


def thumbnails(dataset_id: str) -> str:
    """Apart from the dataset, which never changes: these come and may go."""
    return f"thumbnails/{dataset_id}"


def thumbnail(dataset_id: str, split: str, frame_id: str) -> str:
    return f"{thumbnails(dataset_id)}/{split}/{frame_id}.jpg"


def plan(job_id: str) -> str:
    """One line for each frame of a job; a shard is a range of its bytes."""
    return f"jobs/{job_id}/plan.jsonl"


def listing(plan_key: str) -> str:
    """What was in a bucket when its import was planned, beside the plan: one object a line."""
    return plan_key.removesuffix("plan.jsonl") + "source-listing.jsonl"


def findings(plan_key: str) -> str:
    """What the planning found, beside the plan; the shards' own findings lie in their results."""
    return plan_key.removesuffix("plan.jsonl") + "plan-findings.jsonl"


def shard_result(job_id: str, index: int) -> str:
    return f"jobs/{job_id}/shards/{index:06d}.jsonl"


def report(job_id: str) -> str:
    return f"jobs/{job_id}/report.json"


def contact_sheet(job_id: str) -> str:
    return f"jobs/{job_id}/plots/contact-sheet.jpg"


def generator_weights(name: str, version: int) -> str:
    return f"generators/{name}/{version}/weights.safetensors"


def generator_card(name: str, version: int) -> str:
    return f"generators/{name}/{version}/card.json"


def training(plan_key: str, *parts: str) -> str:
    """What a training leaves on its way, beside its plan: a retry goes on from there."""
    return "/".join((plan_key.removesuffix("/plan.jsonl"), "training", *parts))


def training_checkpoint(plan_key: str) -> str:
    return training(plan_key, "checkpoint.pt")


def training_sample(plan_key: str, step: int) -> str:
    return training(plan_key, "samples", f"step-{step:07d}.png")


def experiment(plan_key: str, *parts: str) -> str:
    """What an experiment leaves on its way, beside its plan: a retry goes on from there."""
    return "/".join((plan_key.removesuffix("/plan.jsonl"), "experiment", *parts))


def experiment_run(arm_index: int, seed: int) -> str:
    """What the training of one arm with one seed is called, under `experiment(plan_key, "runs")`."""
    return f"{arm_index:03d}-{seed}"


# What a finished run leaves there; the detections come last.
BEST_WEIGHTS, DETECTIONS = "best.pt", "detections.npy"


def report_page(job_id: str) -> str:
    """An experiment's report as one page for a browser."""
    return f"jobs/{job_id}/report.html"


def report_summary(job_id: str) -> str:
    """An experiment's report in short, as Markdown."""
    return f"jobs/{job_id}/report.md"


def measurements(result_key: str, what: str) -> str:
    """A shard's measured frames, beside its result."""
    return f"{result_key.removesuffix('.jsonl')}.{what}.safetensors"


def niqe(plan_key: str) -> str:
    """What pristine frames of a job's reference are like."""
    return plan_key.removesuffix("plan.jsonl") + "niqe.safetensors"


def preview_image(result_key: str, image: str) -> str:
    """A translated frame that is only to be looked at, beside the results of the shard that made it."""
    return f"{result_key.partition('/shards/')[0]}/preview/{image}"
