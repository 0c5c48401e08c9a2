"""Trains YOLO detectors and lets them look at frames. The only file that imports Ultralytics (AGPL-3.0).

It is a process of its own, `python -m models.detection.yolo`, started by `DetectorProcess`. Ultralytics'
trainer is used as it is, with these differences:

- frames and boxes come from our lists: nothing is scanned, written beside the images, mended or fetched;
- an epoch is a fixed number of batches, so that trainings on unlike amounts of data take equal steps;
- `last.pt` also holds the exact state, and each epoch's random numbers follow from the seed and its number:
  a training that was killed ends, on a CPU, with the same weights as one that was not.
"""

import os
import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics import YOLO, settings
from ultralytics.data.build import InfiniteDataLoader, seed_worker
from ultralytics.data.dataset import YOLODataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import strip_optimizer, unwrap_model

from models.detection.equal_epochs import EqualEpochs
from models.detection.order_desk import OrderRefused, Report, serve
from models.detection.orders import LabelledFile, Order, PredictOrder, TrainOrder, read_frames

TRACKERS = {"clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb"}
EXACT = "nightshift_exact_state"
# Ultralytics' own, as its validation has them.
LOWEST_CONFIDENCE, NMS_IOU, MOST_DETECTIONS = 0.001, 0.7, 300
# Images held in memory make each step's choice of them a matter of the seed alone.
HELD_BYTES = 4 * 2**30
LOADERS = 8


class ListedFrames(YOLODataset):  # type: ignore[misc]
    """The frames of a list of ours; no label file is looked for and no cache is left behind."""

    def get_img_files(self, img_path: str) -> list[str]:
        self._listed: list[LabelledFile] = list(read_frames(Path(img_path)))
        return [str(frame.file) for frame in self._listed]

    def get_labels(self) -> list[dict[str, Any]]:
        return [_label(frame) for frame in self._listed]


class ArmTrainer(DetectionTrainer):  # type: ignore[misc]
    """Ultralytics' trainer, for one order of ours."""

    def __init__(self, order: TrainOrder, report: Report) -> None:
        self._order, self._report = order, report
        self._batches_done = 0
        self.history: list[dict[str, Any]] = []
        super().__init__(overrides=_overrides(order))
        self.add_callback("on_train_epoch_start", lambda _: self._draw_anew())
        self.add_callback("on_train_batch_end", lambda _: self._tell_batch())
        self.add_callback("on_model_save", lambda _: self._tell_checkpoint())
        # a validation takes minutes in which nothing else is told
        self.add_callback("on_val_batch_end", lambda _: report({"event": "validating"}))

    def get_dataset(self) -> dict[str, Any]:
        order = self._order
        return {
            "train": str(order.frames),
            "val": str(order.validation),
            "names": dict(enumerate(order.categories)),
            "nc": len(order.categories),
            "channels": 3,
        }

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> ListedFrames:
        stride = max(int(unwrap_model(self.model).stride.max()), 32)
        is_training = mode == "train"
        return ListedFrames(
            img_path=img_path, imgsz=self.args.imgsz, batch_size=batch, augment=is_training, hyp=self.args,
            rect=not is_training, cache="ram" if self._can_hold(img_path) else None, stride=stride,
            pad=0.0 if is_training else 0.5, task="detect", data=self.data,
        )  # fmt: skip

    def get_dataloader(
        self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train"
    ) -> Any:
        if mode != "train":
            return super().get_dataloader(dataset_path, batch_size, rank, mode)
        if self.optimizer is not None:  # Ultralytics halves the batch when memory is short
            raise OrderRefused(
                f"A batch of {self._order.batch} frames at {self._order.image_px} px does not fit into the"
                " device's memory.",
                "Choose a smaller --batch or --image-px: halving it on the way would make the arms unequal.",
            )
        dataset = self.build_dataset(dataset_path, mode, batch_size)
        self._sampler = EqualEpochs(len(dataset), self._order.steps_per_epoch * batch_size, self._order.seed)
        return InfiniteDataLoader(
            dataset, batch_size=batch_size, sampler=self._sampler, num_workers=self.args.workers,
            pin_memory=self.device.type == "cuda", collate_fn=dataset.collate_fn, worker_init_fn=seed_worker,
            generator=torch.Generator().manual_seed(self._order.seed),
        )  # fmt: skip

    def set_model_attributes(self) -> None:
        super().set_model_attributes()
        if self.device.type == "cpu":  # a fifth faster there as well; Ultralytics does it on CUDA only
            unwrap_model(self.model).to(memory_format=torch.channels_last)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch = super().preprocess_batch(batch)
        batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def validate(self) -> tuple[Any, Any]:
        metrics, fitness = super().validate()
        self.history.append(self._epoch_facts(metrics))
        self._report({"event": "epoch", "epochs": self.epochs, **self.history[-1]})
        return metrics, fitness

    def save_model(self) -> bool:
        """Ultralytics' checkpoint is rounded to half precision; ours also holds what it was rounded from."""
        super().save_model()
        checkpoint = own_checkpoint(self.last)
        pending = self.last.with_suffix(".pending")
        torch.save({**checkpoint, EXACT: self._exact_state()}, pending)
        pending.replace(self.last)
        return True

    def resume_training(self, ckpt: Any) -> None:  # noqa: ARG002 - the weights a training began with are no state
        if not self.last.exists():
            return
        state = own_checkpoint(self.last, self.device)[EXACT]
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["average"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.stopper.best_fitness, self.stopper.best_epoch = state["stopper"]
        self.best_fitness = state["best_fitness"]
        self.history = state["history"]
        self.start_epoch = state["epoch"] + 1
        self._sampler.epoch = self.start_epoch
        self._batches_done = self.start_epoch * self._order.steps_per_epoch
        self.stop = state["stop"]

    def final_eval(self) -> None:
        """The validation frames have been seen with these weights already."""

    def read_results_csv(self) -> dict[str, Any]:
        return {}

    def plot_metrics(self) -> None:
        """The report draws its own."""

    def _close_dataloader_mosaic(self) -> None:
        super()._close_dataloader_mosaic()
        self._sampler.epoch = self.epoch  # the loader begins anew, and may have looked ahead

    def _exact_state(self) -> dict[str, Any]:
        return {
            "model": unwrap_model(self.model).state_dict(),
            "average": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stopper": (self.stopper.best_fitness, self.stopper.best_epoch),
            "best_fitness": self.best_fitness,
            "history": self.history,
            "epoch": self.epoch,
            "stop": self.stop,
        }

    def _draw_anew(self) -> None:
        seed = (self._order.seed * 1_000_003 + self.epoch) % 2**32
        random.seed(seed)
        np.random.seed(seed)  # what Ultralytics' augmentations draw from
        torch.manual_seed(seed)

    def _tell_batch(self) -> None:
        self._batches_done += 1
        steps = self.epochs * self._order.steps_per_epoch
        facts = {"epoch": self.epoch + 1, "epochs": self.epochs, "step": self._batches_done, "steps": steps}
        self._report({"event": "batch", **facts, "losses": self._losses()})

    def _tell_checkpoint(self) -> None:
        is_best = bool(self.best_fitness == self.fitness)
        self._report({"event": "checkpoint", "epoch": self.epoch + 1, "is_best": is_best})

    def _epoch_facts(self, metrics: dict[str, Any]) -> dict[str, Any]:
        validation = {"map50": metrics["metrics/mAP50(B)"], "map50_95": metrics["metrics/mAP50-95(B)"]}
        return {
            "epoch": self.epoch + 1,
            "step": self._batches_done,
            "losses": self._losses(),
            "validation": {name: float(value) for name, value in validation.items()},
        }

    def _losses(self) -> dict[str, float]:
        return {name: round(float(value), 5) for name, value in (self.tloss or {}).items()}

    def _can_hold(self, frames: str) -> bool:
        def held_bytes(frame: LabelledFile) -> float:
            height, width = frame.shape_px
            return 3 * height * width * (self._order.image_px / max(height, width)) ** 2

        return sum(map(held_bytes, read_frames(Path(frames)))) <= HELD_BYTES


def train(order: TrainOrder, report: Report) -> None:
    trainer = ArmTrainer(order, report)
    if not trainer_is_done(trainer.last):
        trainer.train()
    strip_optimizer(trainer.best)  # a quarter of the size
    history = trainer.history or own_checkpoint(trainer.last)[EXACT]["history"]
    # of equals the last, as `best.pt` is written again for each
    best = max(history, key=lambda facts: (facts["validation"]["map50_95"], facts["epoch"]))
    report({"event": "trained", "best_epoch": best["epoch"], "history": history, "best": str(trainer.best)})


def own_checkpoint(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """One that this training wrote itself, into its own folder: Ultralytics pickles the network."""
    checkpoint: dict[str, Any] = torch.load(path, map_location=device, weights_only=False)  # nosec B614
    return checkpoint


def trainer_is_done(last: Path) -> bool:
    """Killed between the last epoch and the end: there is nothing left to train."""
    if not last.exists():
        return False
    return bool(own_checkpoint(last)[EXACT]["stop"])


def predict(order: PredictOrder, report: Report) -> None:
    """Frames of one size at a time, so that no image's padding depends on its neighbours."""
    frames = sorted(enumerate(read_frames(order.frames)), key=lambda pair: (pair[1].shape_px, pair[0]))
    model = YOLO(str(order.weights))
    found: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    done = 0
    for _, group in groupby(frames, key=lambda pair: pair[1].shape_px):
        for number, boxes in _seen(model, list(group), order):
            found.append(np.column_stack([np.full(len(boxes), number), boxes]).astype(np.float32))
            done += 1
            report({"event": "predicted", "done": done, "of": len(frames)})
    with order.out.open("wb") as file:
        np.save(file, np.concatenate(found) if found else np.zeros((0, 7), np.float32), allow_pickle=False)
    report({"event": "seen", "frames": len(frames)})


def _seen(
    model: Any, group: list[tuple[int, LabelledFile]], order: PredictOrder
) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    numbers = {str(frame.file): number for number, frame in group}
    names = order.out.with_suffix(".txt")
    names.write_text("\n".join(numbers), encoding="utf-8")
    results = model.predict(
        source=str(names), stream=True, batch=order.batch, imgsz=order.image_px, conf=LOWEST_CONFIDENCE,
        iou=NMS_IOU, max_det=MOST_DETECTIONS, device=_device(order.device), verbose=False, save=False,
    )  # fmt: skip
    for result in results:
        yield numbers[result.path], result.boxes.data.cpu().numpy()[:, :6]


def _label(frame: LabelledFile) -> dict[str, Any]:
    rows = np.array(frame.boxes, np.float32).reshape(-1, 5)
    return {
        "im_file": str(frame.file),
        "shape": frame.shape_px,
        "cls": rows[:, 0:1],
        "bboxes": rows[:, 1:],
        "segments": [],
        "keypoints": None,
        "normalized": True,
        "bbox_format": "xywh",
    }


def _overrides(order: TrainOrder) -> dict[str, Any]:
    device = _device(order.device)
    return {
        "task": "detect",
        "mode": "train",
        "model": f"{order.detector}.yaml" if order.weights is None else str(order.weights),
        "data": str(order.frames),
        "epochs": order.epochs,
        "batch": order.batch,
        # a batch is a step: gradients of several would otherwise be gathered
        "nbs": order.batch,
        "imgsz": order.image_px,
        "patience": order.patience,
        "seed": order.seed,
        "deterministic": True,
        "optimizer": order.optimizer,
        "lr0": order.learning_rate,
        "warmup_epochs": order.epochs / 10,
        "warmup_bias_lr": order.learning_rate,
        "close_mosaic": max(1, order.epochs // 10),
        "device": device,
        # Ultralytics' own mixed precision begins with a check that fetches weights
        "amp": "bf16" if order.precision != "float32" and _has_bfloat16(device) else False,
        "workers": 0 if device == "cpu" else min(LOADERS, os.cpu_count() or 1),
        "save_dir": str(order.folder),
        "plots": False,
        "verbose": False,
    }


def _has_bfloat16(device: str) -> bool:
    """Ultralytics' trainer uses it on NVIDIA's GPUs only."""
    return device != "cpu" and torch.cuda.is_bf16_supported(including_emulation=False)


def _device(name: str) -> str:
    """As Ultralytics spells it; the first GPU unless another device is named."""
    if not name:
        return "0" if torch.cuda.is_available() else "cpu"
    return name.removeprefix("cuda:")


def main() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    # torch would fill each fresh tensor before it is written to: 6 % of a step, and no result depends on it
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    settings.update(sync=False, **dict.fromkeys(TRACKERS & settings.keys(), False))
    serve(carry_out)


def carry_out(order: Order, report: Report) -> None:
    train(order, report) if isinstance(order, TrainOrder) else predict(order, report)


if __name__ == "__main__":
    main()
