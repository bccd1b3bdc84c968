"""Settings that cannot work are named at once, and the environment is left as it was found."""

import os

import pytest

from rl.rollout.engine import EngineError
from rl.rollout.engine_config import EngineConfig, engine_environment
from rl.rollout.vllm_engine import VLLMEngine
from trajectories.trajectory import Sampling


@pytest.mark.parametrize(
    "setting",
    [{"max_model_len": 0}, {"max_num_seqs": 0}, {"kv_cache_gb": 0}, {"threads": 0}, {"plant_bug": "other"}],
    ids=str,
)
def test_a_wrong_setting_is_named(setting):
    with pytest.raises(ValueError, match=f"engine.{next(iter(setting))}"):
        EngineConfig(model="somewhere", **setting)


def test_no_bug_is_planted_by_default():
    assert EngineConfig(model="somewhere").plant_bug == ""


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    before = dict(os.environ)
    with engine_environment(EngineConfig(model="somewhere", threads=3, spin=False)):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("3", "passive")
        os.environ["LD_PRELOAD"] = "as vLLM does"
    assert dict(os.environ) == before


async def test_an_engine_that_takes_no_grammars_says_so():
    held = {"max_tokens": 1, "stop_token_ids": [], "request_id": "a", "grammar": "start: <[1]>"}
    with pytest.raises(EngineError, match="request a brings a grammar; start it with engine.grammars=true"):
        await VLLMEngine(EngineConfig(model="somewhere")).generate([1], Sampling(grammar="tool_calls"), **held)
    with pytest.raises(EngineError, match="sampling.grammar=None where one was given"):
        await VLLMEngine(EngineConfig(model="somewhere", grammars=True)).generate([1], Sampling(), **held)


async def test_a_missing_model_directory_is_named(tmp_path):
    with pytest.raises(EngineError, match="engine.model=.*nowhere holds no model"):
        await VLLMEngine(EngineConfig(model=str(tmp_path / "nowhere"))).start()
