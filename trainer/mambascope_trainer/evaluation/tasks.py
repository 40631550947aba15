"""The measuring tasks: each compares students with one teacher, whose own share of the work is done once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..model.llama import Llama
from ..progress import Progress
from .agreement import Windows, compare_with_teacher
from .chat import Chat
from .choice import Choices, Encoder, choose, compare_choices
from .choice_data import ChoiceFile, PromptForm, read_choice_file
from .needle import F64, NeedleGrid, compare_needles, find_needles
from .plan import Plan, PlanError, named_source

Record = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """What all tasks share. `teacher` is on the device that is measured on."""

    plan: Plan
    family: str
    chat: Chat
    teacher: Llama
    progress: Progress


class MeasuringTask(ABC):
    """A task reads its data when it is made, so that bad data is said before any model runs."""

    name: str

    def __init__(self, setup: Setup) -> None:
        self.setup, self.plan = setup, setup.plan

    @abstractmethod
    def measure(self, student: Llama, subject: str) -> Iterator[Record]:
        """Records of one student, without its label."""


class AgreementTask(MeasuringTask):
    """Perplexity, KL and top-1 agreement over windows of text files and data folders."""

    name = "agreement"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        sources = [named_source(source) for source in (*self.plan.text, *self.plan.rows)]
        self.windows = {
            name: Windows(path, setup.chat.tokenizer, self.plan.seq_len, self.plan.limit) for name, path in sources
        }

    def measure(self, student: Llama, subject: str) -> Iterator[Record]:
        plan = self.plan
        for name, windows in self.windows.items():
            step = self.setup.progress.counter(f"agreement {subject} {name}", windows.count)
            batches = windows.batches(plan.batch)
            measures = compare_with_teacher(student, self.setup.teacher, batches, plan.dtype, step)
            yield {"data": name, "seq_len": plan.seq_len, "dtype": plan.dtype, **measures}


class ChoiceTask(MeasuringTask):
    """Choice accuracy over files in PIQA's and BLiMP's forms."""

    name = "choice"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        sources = [named_source(source) for source in self.plan.choice]
        self.files = [read_choice_file(path, name, self.plan.limit) for name, path in sources]
        self.encoder = Encoder(setup.chat.tokenizer, setup.chat.special)
        self._teacher: dict[tuple[str, PromptForm], dict[str, Choices]] = {}

    def measure(self, student: Llama, subject: str) -> Iterator[Record]:
        for file in self.files:
            for prompt in self.plan.choice_prompts if file.questions else self.plan.choice_prompts[:1]:
                key = (file.name, prompt)
                if key not in self._teacher:
                    self._teacher[key] = self._choose(self.setup.teacher, "teacher", file, prompt)
                own = self._choose(student, subject, file, prompt)
                form = {"prompt": prompt} if file.questions else {}
                yield {
                    "data": file.name,
                    **form,
                    "dtype": self.plan.dtype,
                    **compare_choices(own, self._teacher[key], file),
                }

    def _choose(self, model: Llama, who: str, file: ChoiceFile, prompt: PromptForm) -> dict[str, Choices]:
        requests = 2 * len(file.pairs) + sum(len(question.choices) for question in file.questions)
        step = self.setup.progress.counter(f"choice {who} {file.name}", requests)
        return choose(model, file, self.encoder, prompt, self.plan.budget, self.plan.dtype, step)


class NeedleTask(MeasuringTask):
    """Needle in a haystack, a grid of lengths by depths."""

    name = "needle"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        plan = self.plan
        longest, most = max(plan.needle_lengths), setup.teacher.arch.max_position_embeddings
        if longest > most:
            raise PlanError(f"needle_lengths: the teacher reads at most {most} tokens, not {longest}")
        self.grid = NeedleGrid(
            tuple(plan.needle_lengths), tuple(plan.needle_depths), plan.needle_trials, plan.needle_kind, plan.seed
        )
        try:
            self.haystacks = self.grid.haystacks(setup.chat)
        except ValueError as error:
            raise PlanError(f"needle_lengths: {error}") from None
        self._teacher: dict[str, F64] | None = None

    def measure(self, student: Llama, subject: str) -> Iterator[Record]:
        if self._teacher is None:
            self._teacher = self._find(self.setup.teacher, "teacher")
        own = self._find(student, subject)
        yield {"dtype": self.plan.dtype, **compare_needles(own, self._teacher, self.grid)}

    def _find(self, model: Llama, who: str) -> dict[str, F64]:
        step = self.setup.progress.counter(f"needle {who}", 2 * len(self.haystacks))
        plan = self.plan
        return find_needles(model, self.setup.chat, self.grid, self.haystacks, plan.budget, plan.dtype, step)
