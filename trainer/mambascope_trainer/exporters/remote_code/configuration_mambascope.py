"""Configuration of a Llama in which some layers have a Mamba-2 mixer instead of attention."""

from typing import Any

from transformers import PretrainedConfig


class HybridLlamaConfig(PretrainedConfig):  # type: ignore[misc]
    """Llama's fields, and `mixers`: for each layer "attention", or the shape of its Mamba-2 mixer as an object

    `{"form": "ssd" | "discrete", "num_heads", "num_kv_heads", "head_dim", "state_size", "conv_kernel",
    "conv_activation": "silu" | "identity", "gate", "norm": "none" | "rms", "norm_groups", "norm_eps"}`.
    """

    model_type = "mambascope"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012

    def __init__(
        self,
        vocab_size: int = 320,
        hidden_size: int = 64,
        intermediate_size: int = 96,
        num_attention_heads: int = 4,
        num_key_value_heads: int = 2,
        head_dim: int = 16,
        max_position_embeddings: int = 2048,
        rms_norm_eps: float = 1e-5,
        rope_base: float = 10000.0,
        hidden_act: str = "silu",
        mixers: list[str | dict[str, Any]] | None = None,
        use_cache: bool = True,
        tie_word_embeddings: bool = True,
        **options: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        self.rope_base = rope_base
        self.hidden_act = hidden_act
        self.mixers = ["attention"] if mixers is None else mixers
        self.num_hidden_layers = len(self.mixers)
        self.use_cache = use_cache
        options.pop("num_hidden_layers", None)
        super().__init__(tie_word_embeddings=tie_word_embeddings, **options)
