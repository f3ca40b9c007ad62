"""The embedded model's tokenizer: byte-level BPE over the corpus, with chat tokens."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from truing.benchmarks.world.language import BOS, END, EOS, PAD, ROLES, SPECIAL, text_of
from truing.benchmarks.world.mixtures import documents
from truing.benchmarks.world.world import World

VOCABULARY = 2560
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] | trim + '" + END + "' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '" + ROLES["assistant"] + "' }}{% endif %}"
)


def train_tokenizer(world: World, seed: int, sample: int = 60_000) -> Tokenizer:
    """Learn the merges from a sample of the corpus. A BOS token is added on encoding."""
    rng = random.Random(f"truing-tokenizer-{seed}")
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = []
    for doc in islice(documents(world, rng), sample):
        text = text_of(doc)
        for special in SPECIAL:
            text = text.replace(special, "\n")
        texts.append(text)
    tok.train_from_iterator(texts, trainer)
    tok.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tok.token_to_id(BOS))]
    )
    return tok


def wrap(tok: Tokenizer, max_length: int) -> Any:
    """The tokenizer as the transformers library loads it, chat template included."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[END, *ROLES.values()],
        chat_template=CHAT_TEMPLATE,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
