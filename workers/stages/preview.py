"""A preview ends in a contact sheet of pairs; no dataset comes of it."""

from service.datasets.dataset import Finding
from service.jobs.report import Report
from service.jobs.results import read_results
from service.storage import keys
from workers.artifacts import source_image, write_json
from workers.contact_sheet import contact_sheet
from workers.context import Bench, Outcome, ShardTask


def assemble_preview(task: ShardTask, bench: Bench) -> Outcome:
    pairs = []
    report = Report()
    for part in task.parts:
        for item in read_results(bench.store, part):
            if isinstance(item, Finding):
                report.add(item)
                continue
            source = source_image(bench.store, str(task.dataset_id), item.frame)
            result = bench.store.read(keys.preview_image(part, item.image))
            pairs.append((item.frame.name, source, result))
    bench.store.write(keys.contact_sheet(task.job_id), contact_sheet(pairs))
    write_json(bench.store, keys.report(task.job_id), report.to_json(kind=str(task.kind), frames=len(pairs)))
    return Outcome(facts={"contact_sheet": bool(pairs)})
