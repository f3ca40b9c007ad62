"""Where a model's files are: a folder, the embedded model, or the hub and its local cache.

Everything that can be wrong before a weight is read is said here, in two lines.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from truing.errors import CannotLoad, UnknownName

POCKET = "truing/pocket"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json",
    "vocab.txt", "tekken.json", "*.tiktoken",
)  # fmt: skip
REACH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """``place`` is what the transformers library gets: a folder or a hub id.

    ``local``: nothing may be fetched, because it is a folder or the hub is out of reach.
    """

    name: str
    place: str
    revision: str | None
    folder: bool
    local: bool

    def __str__(self) -> str:
        return f"'{self.name}'" + (f" at revision '{self.revision}'" if self.revision else "")


def find(name: str, revision: str | None) -> Source:
    """The source called ``name``; raises ``CannotLoad`` (``UnknownName`` for ``truing/...``)."""
    if name == POCKET:
        from truing.pocket import pocket_path

        folder: Path | None = pocket_path()
    elif name.startswith("truing/"):
        raise UnknownName("embedded model", name, [POCKET])
    else:
        folder = _folder(name)
    if folder is not None:
        _check_folder(folder)
        return Source(name, str(folder), revision, folder=True, local=True)
    return _on_the_hub(name, revision)


def _folder(name: str) -> Path | None:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise CannotLoad(f"'{name}' is a file", "Give the folder that holds config.json.")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name:
        raise CannotLoad(
            f"there is no folder '{name}'",
            f"Give a folder, a hub id (owner/name), or {POCKET}.",
        )
    return None


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise CannotLoad(
            f"'{folder}' has no config.json", "Give the folder that save_pretrained wrote."
        )
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotLoad(
            f"'{config}' cannot be read: {one_line(error)}", "Mend it, or copy it again."
        ) from None
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
        raise CannotLoad(
            f"'{folder}' has no tokenizer (tokenizer.json, tokenizer.model, vocab.json, ...)",
            "Copy the tokenizer files of its base model there, or use tokenizer.save_pretrained.",
        )
    if any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickled:
        raise pickled_only(f"'{folder}'", pickled)
    raise CannotLoad(
        f"'{folder}' has no *.safetensors weights", "Give the folder that save_pretrained wrote."
    )


def pickled_only(where: str, names: list[str]) -> CannotLoad:
    """Pickles can run code when they are opened: they never are."""
    return CannotLoad(
        f"{where} has pickled weights only ({', '.join(names[:3])}), which can run code when read",
        "Convert it where you trust it: AutoModelForCausalLM.from_pretrained(it).save_pretrained("
        "folder) writes safetensors.",
    )


def _on_the_hub(name: str, revision: str | None) -> Source:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    away = _out_of_reach()
    source = Source(name, name, revision, folder=False, local=away is not None)
    otherwise = f"or give a local folder with its files; {POCKET} needs no network."
    try:
        hf_hub_download(name, "config.json", revision=revision, local_files_only=source.local)
    except HFValidationError:
        raise CannotLoad(
            f"'{name}' is neither a folder nor a hub id (owner/name)",
            f"Check the spelling, or use {POCKET}.",
        ) from None
    except GatedRepoError:
        raise CannotLoad(
            f"{source} is gated: the hub wants its licence accepted and a token",
            f"Accept it on the hub and set HF_TOKEN, {otherwise}",
        ) from None
    except RevisionNotFoundError:
        raise CannotLoad(
            f"'{name}' is on the hub, but has no revision '{revision}'",
            "Give a branch, tag or commit that it has, or none for its main branch.",
        ) from None
    except RepositoryNotFoundError:
        raise CannotLoad(
            f"{source} is not a folder, and the hub does not know it or hides it (private)",
            f"Check the id; set HF_TOKEN if it is private, {otherwise}",
        ) from None
    except LocalEntryNotFoundError:
        raise CannotLoad(
            f"{source} is not a folder, not in the local hub cache, and the hub cannot be asked "
            f"({away or 'no answer'})",
            f"Check the id, go online (set HF_TOKEN if it is gated or private), {otherwise}",
        ) from None
    except EntryNotFoundError:
        raise CannotLoad(
            f"{source} has no config.json: it is not a model of the transformers library",
            "Give the id of a causal language model in that format.",
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CannotLoad(
            f"{source} could not be had from the hub: {one_line(error)}",
            f"Try again later (set HF_TOKEN if it is gated or private), {otherwise}",
        ) from None
    return source


def _out_of_reach() -> str | None:
    """Why the hub cannot be asked; ``None`` when it can, as far as one can tell.

    Asked first, because the hub's client tries for a minute before it gives up.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or os.environ.get("TRANSFORMERS_OFFLINE") == "1":
        return "offline mode is on"
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return None
    parts = urlsplit(constants.ENDPOINT)
    try:
        host = parts.hostname or "huggingface.co"
        socket.create_connection((host, parts.port or 443), REACH_SECONDS).close()
    except OSError:
        return "no connection"
    return None


def one_line(error: BaseException, most: int = 200) -> str:
    """An error of another library on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else text[: most - 1] + "…"
