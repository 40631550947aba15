"""DPO against its formula written out, its data, and what trains."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from runs import assert_same_state, final_state, metrics, parse, run_config
from tokenizers import Tokenizer

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.data.preferences import Pair, PreferencePairs, write_pairs
from mambascope_trainer.model.load import load_teacher
from mambascope_trainer.run.config import ConfigError
from mambascope_trainer.run.data import open_data
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages import token_log_probs as log_probs
from mambascope_trainer.stages.dpo import Dpo


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pairs: the chosen answer counts up from the prompt's last token, the rejected one is random."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("pairs") / "train.jsonl"

    def pair() -> Pair:
        prompt = [int(i) for i in random.integers(3, 200, random.integers(2, 6))]
        chosen = [prompt[-1] + i for i in range(1, int(random.integers(3, 7)))]
        return Pair(prompt, [*chosen, 2], [*(int(i) for i in random.integers(3, 300, 5)), 2])

    write_pairs(path, [pair() for _ in range(20)])
    return path


def config(models: Path, pairs: Path, **changes: Any) -> dict[str, Any]:
    data = {"train": str(pairs), "evaluation": str(pairs), "seq_len": 16}
    return run_config(models, pairs, "dpo") | {"data": data, "dpo": {"beta": 0.5}} | changes


def test_the_loss_is_the_formula(models: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_probs, "CHUNK_TOKENS", 7)
    stage = build_stage(parse(config(models, pairs)))
    assert isinstance(stage, Dpo)
    batch = PreferencePairs(pairs, 16, 0).batch(0, 4)
    found = stage.train_step(batch, 0, 1.0)
    gradients = [p.grad.clone() for p in stage.parameters() if p.grad is not None]
    assert len(gradients) == len(stage.parameters())

    teacher = load_teacher(Bundle.open(models / "tiny"))
    stage.model.use(["mamba2", "attention", "mamba2"])

    def log_prob(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        logits, _ = model(ids[None, :-1])
        logs = F.log_softmax(logits[0], dim=-1)
        return torch.stack([logs[t, ids[t + 1]] for t in range(len(ids) - 1) if mask[t]]).sum()

    rewards = []
    for ids, mask in ((batch.chosen, batch.chosen_mask), (batch.rejected, batch.rejected_mask)):
        rows = [log_prob(stage.model, ids[i], mask[i]) - log_prob(teacher, ids[i], mask[i]).detach() for i in range(4)]
        rewards.append(0.5 * torch.stack(rows))
    margin = rewards[0] - rewards[1]
    loss = -torch.log(torch.sigmoid(margin)).mean()
    expected = {
        "loss": loss,
        "accuracy": (margin > 0).float().mean(),
        "margin": margin.mean(),
        "chosen_reward": rewards[0].mean(),
        "rejected_reward": rewards[1].mean(),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach(), rtol=1e-4, atol=1e-5)
    for gradient, reference in zip(gradients, torch.autograd.grad(loss, stage.parameters()), strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("chunk", [3, 100])
def test_log_probabilities_of_tokens(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(log_probs, "CHUNK_TOKENS", chunk)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(10, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(21, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(21, (10,), generator=generator)
    assert torch.autograd.gradcheck(lambda h: log_probs.token_log_probs(h, head, labels), (hidden,))
    expected = F.log_softmax(hidden @ head.T, dim=-1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(log_probs.token_log_probs(hidden, head, labels), expected)


def test_preferences_are_learnt(models: Path, pairs: Path, tmp_path: Path) -> None:
    wanted = config(models, pairs, eval_every=100, eval_batches=3)
    wanted["optimiser"] |= {"steps": 40, "learning_rate": 3e-3}
    train(parse(wanted), tmp_path, resume=False)
    first, last = (record for record in metrics(tmp_path) if record["kind"] == "eval")
    assert last["loss"] < 0.6 * first["loss"]
    assert last["accuracy"] > 0.9
    assert last["margin"] > first["margin"] + 1


def test_a_few_layers_train_and_the_others_stay_as_they_start(models: Path, pairs: Path, tmp_path: Path) -> None:
    wanted = config(models, pairs, layers=[0, 1, 2], layers_trained=[1])
    wanted["optimiser"]["steps"] = 3
    start = {name: value.clone() for name, value in build_stage(parse(wanted)).state_dict().items()}
    train(parse(wanted), tmp_path / "run", resume=False)
    after = final_state(tmp_path / "run")
    assert {name.split(".")[2] for name, value in after.items() if not torch.equal(value, start[name])} == {"1"}
    assert all(not torch.equal(after[k], value) for k, value in start.items() if k.startswith("model.layers.1."))

    # What stays comes from where it started, so a run goes on from another's layers.
    further = config(models, pairs, layers=[0, 1, 2], layers_trained=[2], mixer={"start_from": str(tmp_path / "run")})
    assert_same_state(build_stage(parse(further)).state_dict(), after)


def test_without_a_template_the_answer_goes_on_where_the_prompt_ends(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_text(json.dumps({"prompt": "Once upon", "chosen": " a time", "rejected": " birds"}) + "\n")
    rows, _ = open_data(parse(config(models, path)))
    batch = rows.batch(0, 1)
    tokenizer = Tokenizer.from_file(str(models / "tiny" / "tokenizer.json"))
    prompt, chosen = (tokenizer.encode(text).ids for text in ("Once upon", " a time"))
    whole = [*prompt, *chosen, 0]
    assert batch.chosen[0, : len(whole)].tolist() == whole
    assert batch.chosen_mask[0].sum() == len(chosen) + 1
    assert not batch.chosen_mask[0, : len(prompt) - 1].any()


def test_pairs_of_the_grammar_begin_alike_and_end_apart(tmp_path: Path) -> None:
    command = ["generate", "--kind", "grammar-pairs", "--rows", "20", "--seed", "1", "--out", str(tmp_path / "p.jsonl")]
    assert main(command) == 0
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    for line in lines:
        assert line["prompt"][-1] in '.!?"'
        assert line["chosen"] != line["rejected"]
        assert min(len(line["chosen"]), len(line["prompt"])) > 40


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"pattern": "random"}, "pattern"),
        ({"data": {"train": [{"folder": "a"}]}}, r"data\.train"),
        ({"layers_trained": [1]}, "layers_trained"),
        ({"dpo": {"beta": 0}}, r"dpo\.beta"),
    ],
)
def test_wrong_configs_are_refused(
    models: Path, pairs: Path, tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    from mambascope_trainer.run.config import read_config

    (tmp_path / "c.json").write_text(json.dumps(config(models, pairs) | changes))
    with pytest.raises(ConfigError, match=word):
        read_config(tmp_path / "c.json")
