"""Carries out an evaluation plan: one teacher in memory, one student at a time, every task on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from ..bundle.bundle import Bundle
from ..model.load import load_teacher
from ..progress import Progress
from ..run.device import resolve_device
from .answers import AnswersTask
from .chat import Chat
from .endpoint import configured_endpoint
from .judge import judge_answers
from .plan import Plan, Task
from .samples import SamplesTask
from .subjects import subjects
from .tasks import AgreementTask, ChoiceTask, MeasuringTask, NeedleTask, Record, Setup

MEASURING: dict[Task, type[MeasuringTask]] = {
    "agreement": AgreementTask,
    "choice": ChoiceTask,
    "needle": NeedleTask,
    "samples": SamplesTask,
    "answers": AnswersTask,
}


def evaluate(plan: Plan, stream: TextIO | None) -> Iterator[Record]:
    """One record a subject, task and data set, as soon as it is measured: {task, family, variant (pattern, run), …}.

    All data is read, and all subjects are looked up, before the first model runs; progress is written to `stream`.
    Raises PlanError, DataError, JudgeError and the errors of bundles and runs.
    """
    judging = "judge" in plan.chosen_tasks
    if judging:
        # A judge that is not configured is said before hours of answers, not after.
        configured_endpoint(plan.judge_url, plan.judge_model, plan.judge_key_env)
    progress = Progress(stream)
    tasks = [task for task in plan.chosen_tasks if task in MEASURING]
    if tasks:
        yield from _measure(plan, tasks, progress)
    if judging:
        yield from judge_answers(plan, progress)


def _measure(plan: Plan, tasks: Sequence[Task], progress: Progress) -> Iterator[Record]:
    bundle = Bundle.open(plan.bundle)
    device = resolve_device(plan.device)
    teacher = load_teacher(bundle).eval().requires_grad_(False)
    chosen = subjects(bundle, teacher, plan.variants, plan.patterns, plan.runs, plan.codecs)
    family = bundle.manifest.family
    setup = Setup(plan, family, Chat(bundle), teacher, progress)
    measuring = [MEASURING[task](setup) for task in tasks]
    for subject in chosen:
        student = subject.load().eval().requires_grad_(False).to(device)
        teacher.to(device)
        for task in measuring:
            for record in task.measure(student, subject.name):
                yield {"task": task.name, "family": family, **subject.label, **record}
        # Patterns and runs start from a copy of the teacher on the CPU.
        teacher.to("cpu")
