"""Libraries that only note what they are told, in the place of those that need a network."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest


def module(name, **contents):
    made = ModuleType(name)
    made.__spec__ = ModuleSpec(name, None, origin="here")
    vars(made).update(contents)
    return made


@pytest.fixture
def wandb(monkeypatch):
    """A library whose runs are the dicts in `runs`, by id: of the last folder, or with `is_online` of all together."""
    runs = {}

    def init(**given):
        run = runs.setdefault(given["id"], {"history": [], "summary": {}, "opened": []})
        run["opened"].append(given)
        resumed = library.is_online and bool(run["history"])
        if not resumed:
            run["history"].clear()
        steps = [step for step, _ in run["history"] if step]
        return SimpleNamespace(
            resumed=resumed,
            starting_step=max(steps) + 1 if resumed else 0,
            summary=run["summary"],
            log=lambda figures, step=None, commit=None: run["history"].append((step, figures)),
            finish=lambda exit_code: run.update(status=exit_code),
        )

    library = module(
        "wandb",
        init=init,
        setup=lambda settings: None,
        Settings=dict,
        Image=lambda path: ("image", path),
        runs=runs,
        is_online=False,
    )
    monkeypatch.setitem(sys.modules, "wandb", library)
    return library


@pytest.fixture
def mlflow(monkeypatch):
    """A library whose runs are the dicts in `runs`, by id."""
    runs, experiments = {}, {}

    class Client:
        def get_experiment_by_name(self, name):
            return SimpleNamespace(experiment_id=experiments[name]) if name in experiments else None

        def create_experiment(self, name):
            experiments[name] = len(experiments)
            if name == "made meanwhile by another run":
                raise KeyError(name)
            return experiments[name]

        def create_run(self, experiment, run_name):
            key = f"run{len(runs)}"
            runs[key] = {"metrics": [], "params": [], "artifacts": [], "status": "RUNNING", "in": experiment}
            return SimpleNamespace(info=SimpleNamespace(run_id=key))

        def update_run(self, run, status):
            runs[run]["status"] = status

        def get_metric_history(self, run, name):
            return [point for point in runs[run]["metrics"] if point.name == name]

        def log_batch(self, run, metrics=(), params=()):
            assert len(metrics) <= 1000
            assert len(params) <= 100
            runs[run]["metrics"] += metrics
            runs[run]["params"] += params

        def log_artifact(self, run, path):
            runs[run]["artifacts"].append(path)

        def set_terminated(self, run, status):
            runs[run]["status"] = status

    entities = module(
        "mlflow.entities",
        Param=lambda key, value: (key, value),
        Metric=lambda name, value, time, step: SimpleNamespace(name=name, value=value, step=step),
    )
    library = module("mlflow", MlflowClient=Client, MlflowException=KeyError, runs=runs, experiments=experiments)
    monkeypatch.setitem(sys.modules, "mlflow", library)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return library
