"""PTX rows: those of the policy's chat format, drawn by seed and iteration, and nothing that is no demonstration."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from rl.policy.dialects import DIALECTS, get
from rl.policy.tokenizer import train_tokenizer
from rl.training.ptx_data import PTXData
from tests.trajectories.formats.cases import played, write
from trajectories.messages import Message, ToolCall
from trajectories.rewards import Reward
from trajectories.shards import ShardError

_, DIALOGUES = played(12, 2)


@pytest.fixture(scope="module")
def dialect():
    texts = [text for item in DIALOGUES for text in DIALECTS["kimi_k2"].texts(item.messages, item.tools)]
    return get("kimi_k2", train_tokenizer(texts, 512, dialect="kimi_k2"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("curated"), DIALOGUES, rows_per_shard=10)


def lengths(dialect) -> list[int]:
    return [len(dialect.render(item.messages, item.tools)[0]) for item in DIALOGUES]


def test_rows_are_rendered_by_the_policys_dialect_with_loss_on_its_turns(data, dialect):
    every = PTXData(data, dialect, seed=0, tokens=sum(lengths(dialect))).batch(1)
    wanted = [dialect.render(item.messages, item.tools) for item in DIALOGUES]
    found = sorted((row.token_ids.tolist(), row.loss_mask.tolist()) for row in every)
    assert found == sorted((list(ids), list(mask)) for ids, mask in wanted)
    assert all(row.behaviour_log_probs is None and row.temperatures is None for row in every)


def test_what_is_drawn_is_a_function_of_seed_and_iteration_whoever_asks_and_in_whatever_order(data, dialect):
    tokens = 3 * max(lengths(dialect))

    def drawn(ptx: PTXData, step: int) -> list[list[int]]:
        return [row.token_ids.tolist() for row in ptx.batch(step)]

    one, other = (PTXData(data, dialect, seed=3, tokens=tokens) for _ in range(2))
    forwards = [drawn(one, step) for step in (1, 2, 3)]
    assert [drawn(other, step) for step in (3, 2, 1)][::-1] == forwards and forwards[0] != forwards[1]
    assert drawn(PTXData(data, dialect, seed=4, tokens=tokens), 1) != forwards[0]


def test_an_iteration_never_reads_more_tokens_than_it_may_and_skips_dialogues_that_are_longer(data, dialect):
    known = sorted(lengths(dialect))
    tokens = known[len(known) // 2]
    for step in range(1, 9):
        batch = PTXData(data, dialect, seed=0, tokens=tokens).batch(step)
        assert batch and sum(len(row.token_ids) for row in batch) <= tokens
    with pytest.raises(ShardError, match=rf"no dialogue of .* has at most {known[0] - 1} tokens; raise ptx.tokens"):
        PTXData(data, dialect, seed=0, tokens=known[0] - 1).batch(1)


def test_faults_and_dialogues_without_a_turn_of_the_assistant_are_never_drawn(tmp_path, dialect):
    good, broken = DIALOGUES[0], replace(DIALOGUES[1], reward=Reward.invalid("the tool broke"))
    silent = replace(DIALOGUES[2], messages=(Message("user", "hello?"),))
    ptx = PTXData(write(tmp_path, [broken, good, silent]), dialect, seed=0, tokens=10**6)
    wanted = dialect.render(good.messages, good.tools)[0]
    for step in range(1, 6):
        (row,) = ptx.batch(step)
        np.testing.assert_array_equal(row.token_ids, wanted)


def test_what_is_no_data_set_of_dialogues_is_named(tmp_path, data, dialect):
    with pytest.raises(ShardError, match="split train is not there"):
        PTXData(tmp_path, dialect, seed=0, tokens=100)
    text = tmp_path / "text" / "data"
    text.mkdir(parents=True)
    table = pq.read_table(next(iter(sorted(data.glob("data/*.parquet"))))).drop_columns(["messages"])
    pq.write_table(table, text / "train-00000-of-00001.parquet")
    with pytest.raises(ShardError, match="does not have the columns of dialogues; export it with format=native"):
        PTXData(text.parent, dialect, seed=0, tokens=100)
    cut = tmp_path / "cut" / "data"
    cut.mkdir(parents=True)
    (cut / "train-00000-of-00001.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ShardError, match="is truncated or damaged"):
        PTXData(cut.parent, dialect, seed=0, tokens=100)


def test_a_row_that_the_chat_format_cannot_say_is_named(tmp_path, dialect):
    call = Message("assistant", "", (ToolCall("call_9f", "get_order", "{}"),))
    ptx = PTXData(write(tmp_path, [replace(DIALOGUES[0], messages=(Message("user", "hi"), call))]), dialect, seed=0, tokens=10**6)
    with pytest.raises(ShardError, match=r"train-00000-of-00001.parquet, row 0: .*call_9f"):
        ptx.batch(1)
